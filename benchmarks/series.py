"""The series: each alternates its programs, so that a slow machine affects all of them."""

from __future__ import annotations

import json
import logging
import statistics
import sys
import typing as t
from functools import partial

from benchmarks.metadata import full_metadata
from benchmarks.process import BenchmarkError, Measurement, measure
from benchmarks.results import Findings, Options, Result, ratios
from benchmarks.server import PAGE, serving
from benchmarks.taps import (
    LIMIT,
    OURS,
    STOCK,
    TUNED,
    copy_command,
    discovery_command,
    write_catalog,
)
from tap_acumatica.settings.table import SETTINGS

if t.TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_DELAY_SECONDS = 0.3
_SEATS = 4
_MEBIBYTE = 1 << 20
_SDK = "import singer_sdk.tap_base, singer_sdk.streams, singer_sdk.mapper"


def record(options: Options, folder: Path) -> Findings:
    """RECORD messages to a pipe."""
    taps = (OURS, STOCK, TUNED, LIMIT)
    with serving(options.rows) as address:
        runs = _in_turn(
            options,
            {tap: partial(_read, tap, address, folder, options.rows) for tap in taps},
        )
    seconds = {tap: [run.seconds for run in found] for tap, found in runs.items()}
    return Findings(
        [
            Result(
                "RECORD to a pipe: faster than the stock tap",
                ratios(seconds, STOCK, OURS),
                at_least=12,
            ),
            Result(
                "RECORD to a pipe: faster than the tuned stock tap",
                ratios(seconds, TUNED, OURS),
                at_least=6,
            ),
            Result(
                "RECORD to a pipe: speed relative to the limit",
                ratios(seconds, LIMIT, OURS),
                at_least=0.8,
            ),
        ],
        rates={tap: [options.rows / value for value in found] for tap, found in seconds.items()},
        notes=[_work(runs, options.rows)],
    )


def _work(runs: t.Mapping[str, t.Sequence[Measurement]], rows: int) -> str:
    """The processor time per row, which hardly depends on how busy the machine is."""
    costs = (
        f"{tap} {statistics.median(run.processor for run in found) / rows * 1e6:.1f}"
        for tap, found in runs.items()
    )
    return f"RECORD to a pipe: µs of processor time per row, including start: {', '.join(costs)}."


def batch(options: Options, folder: Path) -> Findings:
    """BATCH files: JSON lines, gzip."""
    rows = options.share(1, 5)
    files = folder / "batches"
    files.mkdir()
    config = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": files.as_uri()},
    }

    def run(tap: str) -> Measurement:
        found = measure(copy_command(tap, address, folder, batch_config=config))
        written = sorted(files.glob("*.gz"))
        if not written:
            raise BenchmarkError(f"{tap} wrote no BATCH files")
        for file in written:
            file.unlink()
        return found

    with serving(rows) as address:
        runs = _in_turn(options, {tap: partial(run, tap) for tap in (OURS, STOCK)})
    seconds = {tap: [run.seconds for run in found] for tap, found in runs.items()}
    name = f"BATCH files, {rows:,} rows: faster than the stock tap"
    return Findings([Result(name, ratios(seconds, STOCK, OURS))])


def latency(options: Options, folder: Path) -> Findings:
    """A service that takes 300 ms per page, read with one seat and with four."""
    rows = options.share(4, 5)
    offered = any(setting.name == "max_pool_size" for setting in SETTINGS)
    with serving(rows) as quick, serving(rows, delay=_DELAY_SECONDS) as slow:
        programs = {
            "ours alone": lambda: _read(OURS, quick, folder, rows),
            "one seat": lambda: _read(OURS, slow, folder, rows),
        }
        if offered:
            programs["four seats"] = lambda: _read(OURS, slow, folder, rows, max_pool_size=_SEATS)
        runs = _in_turn(options, programs)
    seconds = {name: [run.seconds for run in found] for name, found in runs.items()}
    theirs = rows / PAGE * _DELAY_SECONDS
    one = seconds["one seat"]
    larger = [max(theirs, own) for own in seconds["ours alone"]]
    return Findings(
        [
            Result(
                "300 ms per page: time relative to the larger of waiting and reading alone",
                [took / best for took, best in zip(one, larger, strict=True)],
                at_most=1.15,
            ),
            Result(
                "300 ms per page, four seats: faster than with one",
                ratios(seconds, "one seat", "four seats") if offered else [],
                at_least=3.2,
                note="not offered",
            ),
        ]
    )


def depth(options: Options, folder: Path) -> Findings:
    """A deep stream: time per row and memory, far in compared with the beginning."""
    deep, shallow = options.share(4, 1), options.share(1, 5)
    with serving(deep) as large, serving(shallow) as small:
        runs = _in_turn(
            options,
            {
                "deep": lambda: _read(OURS, large, folder, deep),
                "shallow": lambda: _read(OURS, small, folder, shallow),
            },
        )
    span = shallow
    times = [
        run.seconds_between(deep - span, deep) / run.seconds_between(span, 2 * span)
        for run in runs["deep"]
    ]
    memory = [
        far.memory / near.memory for far, near in zip(runs["deep"], runs["shallow"], strict=True)
    ]
    return Findings(
        [
            Result(f"time per row at depth {deep:,} relative to {shallow:,}", times, at_most=1.1),
            Result(f"memory at {deep:,} rows relative to {shallow:,}", memory, at_most=1.1),
            Result(
                f"memory at {deep:,} rows",
                [run.memory / _MEBIBYTE for run in runs["deep"]],
                at_most=150,
                unit="MiB",
            ),
        ],
        depth=runs["deep"],
    )


def discover(options: Options, folder: Path) -> Findings:
    """Discovery of a complete Acumatica."""
    document, origin = full_metadata()
    metadata, catalog, output = (folder / name for name in ("metadata", "catalog", "output"))
    metadata.write_bytes(document)
    least: dict[str, list[float]] = {}

    def baseline() -> Measurement:
        command = [sys.executable, "-m", "benchmarks.baseline", str(metadata), str(catalog)]
        found = measure([*command, str(output)], keep=folder / "seconds")
        for name, value in json.loads((folder / "seconds").read_text("utf-8")).items():
            least.setdefault(name, []).append(value)
        return found

    with serving(PAGE, large=True) as address:
        command = discovery_command(address, folder, large=True)
        runs = _in_turn(
            options,
            {
                "discover": lambda: measure([*command, "--discover"], keep=catalog),
                "sdk": lambda: measure([sys.executable, "-c", _SDK]),
                "least": baseline,
            },
        )
    own = [
        whole.seconds - sdk.seconds
        for whole, sdk in zip(runs["discover"], runs["sdk"], strict=True)
    ]
    written = [
        took / (parse + write)
        for took, parse, write in zip(own, least["parse"], least["write"], strict=True)
    ]
    compact = [
        took / (parse + write)
        for took, parse, write in zip(own, least["parse"], least["compact"], strict=True)
    ]
    memory = [run.memory / _MEBIBYTE for run in runs["discover"]]
    return Findings(
        [
            Result(
                "--discover of a complete Acumatica: time relative to lxml and json",
                written,
                at_most=2.5,
            ),
            Result("the same, if json writes the catalog on one line", compact),
            Result("--discover of a complete Acumatica: memory", memory, at_most=500, unit="MiB"),
        ],
        notes=[
            (
                f"--discover: {len(document) / 1e6:.1f} MB of metadata ({origin}); the whole "
                "process without the import of the SDK, compared with lxml parsing the metadata "
                "and json writing the same indented catalog."
            )
        ],
    )


def select(options: Options, folder: Path) -> Findings:
    """Two streams of a complete Acumatica, to the first record."""
    with serving(PAGE, large=True) as address:
        commands = {}
        for name, large in (("large", True), ("small", False)):
            command = discovery_command(address, folder, large=large)
            measure([*command, "--discover"], keep=folder / "found")
            chosen = write_catalog(json.loads((folder / "found").read_bytes()), folder)
            commands[name] = [*command, "--catalog", chosen]
        runs = _in_turn(
            options,
            {
                name: partial(measure, command, until_first=True)
                for name, command in commands.items()
            },
        )
    firsts = {name: [run.first for run in found] for name, found in runs.items()}
    name = "two of all streams of an Acumatica, to the first RECORD, relative to two of two"
    return Findings([Result(name, ratios(firsts, "large", "small"), at_most=2)])


def _read(tap: str, address: str, folder: Path, rows: int, **settings: t.Any) -> Measurement:
    found = measure(copy_command(tap, address, folder, **settings))
    if found.lines < rows:
        raise BenchmarkError(f"{tap} wrote only {found.lines} lines for {rows} rows")
    return found


def _in_turn(
    options: Options, programs: t.Mapping[str, t.Callable[[], Measurement]]
) -> dict[str, list[Measurement]]:
    """Run each program once, then each again, and so on."""
    found: dict[str, list[Measurement]] = {name: [] for name in programs}
    for number in range(options.runs):
        for name, program in programs.items():
            run = program()
            found[name].append(run)
            logger.info("  %d/%d %s: %.2f s", number + 1, options.runs, name, run.seconds)
    return found
