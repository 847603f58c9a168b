"""Options and results of a benchmark."""

from __future__ import annotations

import statistics
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from benchmarks.process import Measurement

DEFAULT_RUNS = 3
DEFAULT_ROWS = 500_000


@dataclass(frozen=True)
class Options:
    """How much to measure.

    Attributes:
        runs: Number of runs of each program.
        rows: Number of rows in the main series; the others depend on it.
    """

    runs: int = DEFAULT_RUNS
    rows: int = DEFAULT_ROWS

    def share(self, numerator: int, denominator: int) -> int:
        """A fraction of the rows, in whole thousands."""
        return max(self.rows * numerator // denominator // 1000 * 1000, 1000)


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        name: What was measured.
        values: One value per run.
        at_least: Lower goal for the median.
        at_most: Upper goal for the median.
        unit: Unit of the values; ``x`` for ratios.
        note: Shown if there are no values.
        digits: Number of decimals to show.
    """

    name: str
    values: list[float] = field(default_factory=list)
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"
    note: str = "not measured"
    digits: int = 2

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if there is no goal or no value."""
        if not self.values or (self.at_least is None and self.at_most is None):
            return None
        enough = self.at_least is None or self.median >= self.at_least
        return enough and (self.at_most is None or self.median <= self.at_most)

    @property
    def goal(self) -> str:
        """The goal as text."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g} {self.unit}"
        return f"≤ {self.at_most:g} {self.unit}" if self.at_most is not None else ""


def ratios(seconds: t.Mapping[str, t.Sequence[float]], above: str, below: str) -> list[float]:
    """The ratios of two programs' times, run by run; slow programs may have fewer runs."""
    return [one / other for one, other in zip(seconds[above], seconds[below], strict=False)]


@dataclass
class Findings:
    """All results.

    Attributes:
        results: The lines of the table.
        rates: Rows per second by tap, one value per run.
        depth: Runs with many rows, for the plot of processor time by depth.
        notes: Sentences about how it was measured.
    """

    results: list[Result] = field(default_factory=list)
    rates: dict[str, list[float]] = field(default_factory=dict)
    depth: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
