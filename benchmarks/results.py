"""What was asked for and what was found."""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from benchmarks.process import Measured

DEFAULT_RUNS = 5
DEFAULT_ROWS = 500_000


@dataclass(frozen=True)
class Options:
    """How much to measure.

    Attributes:
        runs: How often everything is run.
        rows: Rows of the main series; the others are sized by it.
    """

    runs: int = DEFAULT_RUNS
    rows: int = DEFAULT_ROWS

    def share(self, numerator: int, denominator: int) -> int:
        """A share of the rows, in whole thousands."""
        return max(self.rows * numerator // denominator // 1000 * 1000, 1000)


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        name: What was measured.
        values: One a run, of whatever ``unit`` says.
        at_least: What the median should reach.
        at_most: What the median should not pass.
        unit: ``x`` for ratios, else what the values are.
        note: What to say where there are no values.
    """

    name: str
    values: list[float] = field(default_factory=list)
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"
    note: str = "not measured"

    @property
    def median(self) -> float:
        """The value that counts."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is no goal, or nothing to hold against it."""
        if not self.values or (self.at_least is None and self.at_most is None):
            return None
        enough = self.at_least is None or self.median >= self.at_least
        return enough and (self.at_most is None or self.median <= self.at_most)

    @property
    def goal(self) -> str:
        """The goal in words."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g} {self.unit}"
        return f"≤ {self.at_most:g} {self.unit}" if self.at_most is not None else ""


def over(seconds: t.Mapping[str, t.Sequence[float]], above: str, below: str) -> list[float]:
    """Ratios of two programs' times, run by run."""
    return [one / other for one, other in zip(seconds[above], seconds[below], strict=True)]


@dataclass
class Findings:
    """All that was found.

    Attributes:
        results: The lines of the table.
        rates: Rows a second by tap, one a run.
        depth: Runs over many rows, for the plot of time by depth.
        notes: Sentences on how it was measured.
    """

    results: list[Result] = field(default_factory=list)
    rates: dict[str, list[float]] = field(default_factory=dict)
    depth: list[Measured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
