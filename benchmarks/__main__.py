"""``python -m benchmarks [SERIES ...]``: run the series, print the table and save it."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from benchmarks import report, series
from benchmarks.floor import floor
from benchmarks.loading import loading
from benchmarks.process import BenchmarkError
from benchmarks.results import DEFAULT_ROWS, DEFAULT_RUNS, Findings, Options
from demo.meltano import MeltanoError
from demo.postgres import PostgresError
from demo.sandbox import SandboxError

FOLDER = Path(__file__).resolve().parent
SCRATCH = FOLDER / "scratch"
_IDLE = 0.5
"""Processes that may have been running on average in the minute before."""

SERIES: dict[str, t.Callable[[Options, Path], Findings]] = {
    "requests": floor,
    "latency": series.latency,
    "seats": series.seats,
    "record": series.record,
    "load": loading,
    "depth": series.depth,
    "memory": series.memory,
    "discovery": series.discovery,
}


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run some series, by default all of them.

    Args:
        arguments: Command line arguments.

    Returns:
        0, even if goals are not met; 1 if a measurement failed.
    """
    options = _options(arguments)
    asked = Options(options.runs, options.rows)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # An exception ends the processes that were started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = options.series or list(SERIES)
    start = time.monotonic()
    load = os.getloadavg()[0]
    idle = load <= _IDLE
    state = "The machine was idle" if idle else "The machine was busy, so times mean little"
    state = f"{state}: load {load:.2f} in the minute before."
    if not idle:
        logging.warning(state)  # noqa: LOG015
    findings = Findings()
    try:
        for name in SERIES:
            if name in wanted:
                _add(findings, _measured(name, asked))
    except (BenchmarkError, MeltanoError, PostgresError, SandboxError) as error:
        logging.error("%s", error)  # noqa: LOG015, TRY400
        return 1
    print(f"\n{report.table(findings)}\n")  # noqa: T201
    whole = set(wanted) == set(SERIES) and asked == Options()
    folder = FOLDER if whole else SCRATCH
    minutes = (time.monotonic() - start) / 60
    findings.notes.insert(0, f"{state} It took {minutes:.1f} minutes.")
    report.write(findings, asked, folder)
    print(f"{minutes:.1f} minutes; written to {folder.relative_to(FOLDER.parent)}/results.md")  # noqa: T201
    return 0


def _options(arguments: t.Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="Results of all series at the default size are written to benchmarks/results.md, "
        "others to benchmarks/scratch/results.md.",
    )
    known = ", ".join(SERIES)
    parser.add_argument("series", nargs="*", metavar="SERIES", help=f"one of {known}; default: all")
    parser.add_argument(
        "--runs", type=int, default=DEFAULT_RUNS, help="number of runs of each program"
    )
    parser.add_argument(
        "--rows", type=int, default=DEFAULT_ROWS, help="number of rows in the main series"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.series if name not in SERIES]:
        parser.error(f"there is no series {unknown[0]}; choose from {known}")
    return options


def _measured(name: str, options: Options) -> Findings:
    logging.info("%s: %s", name, (SERIES[name].__doc__ or "").strip())  # noqa: LOG015
    SCRATCH.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SCRATCH))
    try:
        return SERIES[name](options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _add(findings: Findings, more: Findings) -> None:
    findings.results += more.results
    findings.rates |= more.rates
    findings.depth += more.depth
    findings.notes += more.notes


if __name__ == "__main__":
    sys.exit(main())
