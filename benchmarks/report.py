"""Writes the results as Markdown tables and plots."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import itertools
import os
import platform
import re
import statistics
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from benchmarks.process import Measurement
    from benchmarks.results import Findings, Options, Result

_HEADINGS = ("What", "Goal", "Minimum", "Median", "Maximum", "Met")
_INCHES = (8, 3.6)
_POINTS = 40
_PACKAGES = ("singer-sdk", "msgspec", "lxml", "meltano")


def table(findings: Findings) -> str:
    """The results and the rates as Markdown tables."""
    rows = [_HEADINGS, *map(_row, findings.results)]
    tables = [_aligned(rows)]
    if findings.rates:
        found = [
            (name, *(f"{value:,.0f}" for value in _spread(rates)))
            for name, rates in findings.rates.items()
        ]
        tables.append(_aligned([("Rows per second", "Minimum", "Median", "Maximum"), *found]))
    return "\n\n".join(tables)


def write(findings: Findings, options: Options, folder: Path) -> None:
    """Write ``results.md`` and the plots to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        "# Results of `make bench`",
        (
            f"{options.runs} runs of each program, alternating, those of the stock tap once less; "
            f"{options.rows:,} rows in the main series. Times are those of whole processes, taken "
            "from outside. Values are ratios within one run; goals apply to the median. "
            f"{dt.date.today().isoformat()}, {_machine()}"  # noqa: DTZ011
        ),
        table(findings),
    ]
    if findings.notes:
        parts.append("\n".join(f"- {note}" for note in findings.notes))
    if findings.rates:
        _plot_rates(findings.rates, folder / "rates.png")
        parts.append("![Rows per second](rates.png)")
    if findings.depth:
        _plot_depth(findings.depth, folder / "depth.png")
        parts.append("![Processor time by depth](depth.png)")
    (folder / "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _machine() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return (
        f"Python {platform.python_version()}, {versions}, {platform.system()} on "
        f"{platform.machine()}, {os.cpu_count()} processors{_processor_name()}."
    )


def _processor_name() -> str:
    """The name of the processor, where Linux tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""
    found = re.search(r"^model name\s*: (.+)", text, re.MULTILINE)
    return f" ({found[1]})" if found else ""


def _row(result: Result) -> tuple[str, ...]:
    if not result.values:
        return (result.name, result.goal, result.note, "", "", "")
    met = {True: "yes", False: "**no**", None: ""}[result.met]
    values = (f"{value:.{result.digits}f} {result.unit}" for value in _spread(result.values))
    return (result.name, result.goal, *values, met)


def _spread(values: t.Sequence[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)


def _aligned(rows: t.Sequence[t.Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    ruler = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([lines[0], ruler, *lines[1:]])


def _plot_rates(rates: t.Mapping[str, t.Sequence[float]], path: Path) -> None:
    figure, axes = _figure("Rows per second, whole process, 60 columns", "rows/s")
    names = list(rates)
    medians = [statistics.median(rates[name]) for name in names]
    below = [median - min(rates[name]) for name, median in zip(names, medians, strict=True)]
    above = [max(rates[name]) - median for name, median in zip(names, medians, strict=True)]
    bars = axes.barh(names, medians, xerr=[below, above], capsize=3)
    axes.bar_label(bars, [f"{median:,.0f}" for median in medians], padding=8)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(xlabel="rows/s", ylabel=None)
    _save(figure, path)


def _plot_depth(runs: t.Sequence[Measurement], path: Path) -> None:
    figure, axes = _figure("Processor time per row by depth", "µs per row")
    for run in runs:
        last = run.timeline[-1].records
        marks = [last * part // _POINTS for part in range(_POINTS + 1)]
        spans = [
            run.processor_between(start, stop) / max(stop - start, 1) * 1e6
            for start, stop in itertools.pairwise(marks)
        ]
        axes.plot([mark / 1000 for mark in marks[1:]], spans, linewidth=1)
    axes.set(xlabel="rows read before, in thousands", ylim=(0, None))
    _save(figure, path)


def _figure(title: str, label: str) -> tuple[t.Any, t.Any]:
    # Importing matplotlib is slow, and its memory would count as that of child processes.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=_INCHES)
    axes.set(title=title, ylabel=label)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: t.Any, path: Path) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
