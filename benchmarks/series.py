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
from benchmarks.server import PAGE, answers, rows_per_second, serving
from benchmarks.taps import (
    LIMIT,
    OURS,
    STOCK,
    TUNED,
    copy_command,
    discovery_command,
)

if t.TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_DELAY_SECONDS = 0.3
_SEATS = 4
_MEBIBYTE = 1 << 20
# As the tap imports it: without numpy.
_SDK = (
    "import sys; sys.modules['numpy'] = None; "
    "import singer_sdk.tap_base, singer_sdk.streams, singer_sdk.mapper"
)


def record(options: Options, folder: Path) -> Findings:
    """RECORD messages to a pipe, as fast as the service can give rows."""
    taps = (OURS, LIMIT, TUNED, STOCK)
    with serving(options.rows) as address:
        server = rows_per_second(address, options.rows)
        runs = _in_turn(
            options,
            {tap: partial(_read, tap, address, folder, options.rows) for tap in taps},
            seldom=(TUNED, STOCK),
        )
    seconds = {tap: [run.seconds for run in found] for tap, found in runs.items()}
    name = f"RECORD, {options.rows:,} rows"
    return Findings(
        [
            Result(f"{name}: faster than the stock tap", ratios(seconds, STOCK, OURS), at_least=15),
            Result(
                f"{name}: faster than the tuned stock tap",
                ratios(seconds, TUNED, OURS),
                at_least=6,
            ),
            Result(
                f"{name}: speed relative to the limit", ratios(seconds, LIMIT, OURS), at_least=1.3
            ),
        ],
        rates={tap: [options.rows / value for value in found] for tap, found in seconds.items()},
        notes=[
            _work(runs, options.rows),
            (
                f"RECORD: the server alone gives {server:,.0f} rows per second to a client that "
                "does nothing with them."
            ),
        ],
    )


def _work(runs: t.Mapping[str, t.Sequence[Measurement]], rows: int) -> str:
    """The processor time per row, which hardly depends on how busy the machine is."""
    costs = (
        f"{tap} {_median(found, 'processor') / rows * 1e6:.1f} (first row after "
        f"{_median(found, 'first'):.1f} s)"
        for tap, found in runs.items()
    )
    return f"RECORD: µs of processor time per row, including start: {', '.join(costs)}."


def _median(runs: t.Iterable[Measurement], figure: str) -> float:
    """The median of one figure of several runs."""
    return statistics.median(float(getattr(run, figure)) for run in runs)


def latency(options: Options, folder: Path) -> Findings:
    """A service that takes 300 ms per page, read with one seat."""
    rows = options.share(1, 5)
    with serving(rows, delay=_DELAY_SECONDS) as slow:
        runs = _in_turn(options, {"one seat": partial(_read, OURS, slow, folder, rows)})
    found = runs["one seat"]
    pages = -(-rows // PAGE)
    return Findings(
        [
            Result(
                f"300 ms per page, {rows:,} rows: whole process relative to the waiting alone",
                waited(found, pages),
                at_most=1.12,
            ),
            Result(
                "the same, if all answers that the server counted are waited for", waited(found)
            ),
        ],
        notes=[
            (
                f"300 ms per page: the waiting alone is that for {pages} pages of {PAGE:,} rows, "
                f"{pages * _DELAY_SECONDS:g} s; start and end of the process and all other "
                "requests count as well. The server sends each answer 300 ms after the request, "
                f"and counted {_median(found, 'answers'):.0f} answers with rows. First row after "
                f"{_median(found, 'first'):.1f} s; "
                f"{_median(found, 'processor'):.1f} s of processor time."
            )
        ],
    )


def waited(runs: t.Iterable[Measurement], pages: int = 0) -> list[float]:
    """The time of each run relative to waiting for its answers, or for so many pages."""
    return [run.seconds / ((pages or run.answers) * _DELAY_SECONDS) for run in runs]


def seats(options: Options, folder: Path) -> Findings:
    """The same service, read with one seat and with four."""
    rows = options.share(4, 5)
    with serving(rows, delay=_DELAY_SECONDS) as slow:
        runs = _in_turn(
            options,
            {
                "one seat": partial(_read, OURS, slow, folder, rows),
                "four seats": partial(_read, OURS, slow, folder, rows, max_pool_size=_SEATS),
            },
        )
    seconds = {name: [run.seconds for run in found] for name, found in runs.items()}
    return Findings(
        [
            Result(
                f"300 ms per page, {rows:,} rows: four seats faster than one",
                ratios(seconds, "one seat", "four seats"),
                at_least=3.4,
            )
        ],
        notes=[
            f"300 ms per page, {-(-rows // PAGE)} pages: "
            + "; ".join(
                f"{name} {_median(found, 'seconds'):.1f} s, {_median(found, 'answers'):.0f} "
                f"answers, first row after {_median(found, 'first'):.1f} s"
                for name, found in runs.items()
            )
            + "."
        ],
    )


def depth(options: Options, folder: Path) -> Findings:
    """A deep stream: the work per row far in, compared with the beginning."""
    deep, shallow, runs = _deep_and_shallow(options, folder)
    work = [
        run.processor_between(deep - shallow, deep) / run.processor_between(shallow, 2 * shallow)
        for run in runs["deep"]
        if run.processor_between(shallow, 2 * shallow)
    ]
    name = f"processor time per row at depth {deep:,} relative to {shallow:,}"
    return Findings([Result(name, work, at_most=1.08)], depth=runs["deep"])


def memory(options: Options, folder: Path) -> Findings:
    """Memory of a deep stream, compared with that of a shallow one."""
    deep, shallow, runs = _deep_and_shallow(options, folder)
    pairs = zip(runs["deep"], runs["shallow"], strict=True)
    return Findings(
        [
            Result(
                f"memory at {deep:,} rows",
                [run.memory / _MEBIBYTE for run in runs["deep"]],
                at_most=110,
                unit="MiB",
            ),
            Result(
                f"memory at {deep:,} rows relative to {shallow:,}",
                [far.memory / near.memory for far, near in pairs],
                at_most=1.05,
            ),
        ]
    )


_deep_runs: dict[Options, dict[str, list[Measurement]]] = {}


def _deep_and_shallow(
    options: Options, folder: Path
) -> tuple[int, int, dict[str, list[Measurement]]]:
    """The sizes and the runs of a deep and of a shallow stream, measured once."""
    deep, shallow = options.share(4, 1), options.share(1, 5)
    if options not in _deep_runs:
        with serving(deep) as large, serving(shallow) as small:
            _deep_runs[options] = _in_turn(
                options,
                {
                    "deep": partial(_read, OURS, large, folder, deep),
                    "shallow": partial(_read, OURS, small, folder, shallow),
                },
            )
    return deep, shallow, _deep_runs[options]


def discovery(options: Options, folder: Path) -> Findings:
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
        command = discovery_command(address, folder)
        runs = _in_turn(
            options,
            {
                "discover": lambda: measure(command, keep=catalog),
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
    memory = [run.memory / 1e6 for run in runs["discover"]]
    return Findings(
        [
            Result(
                "--discover of a complete Acumatica: time relative to lxml and json",
                written,
                at_most=1.0,
            ),
            Result("the same, if json writes the catalog on one line", compact),
            Result("--discover of a complete Acumatica: memory", memory, at_most=200, unit="MB"),
        ],
        notes=[
            (
                f"--discover: {len(document) / 1e6:.1f} MB of metadata ({origin}); the whole "
                "process without the import of the SDK, compared with lxml parsing the metadata "
                "and json writing the same indented catalog."
            )
        ],
    )


def _read(tap: str, address: str, folder: Path, rows: int, **settings: t.Any) -> Measurement:
    before = answers(address)
    found = measure(copy_command(tap, address, folder, **settings))
    found.answers = answers(address) - before
    if found.records < rows:
        raise BenchmarkError(f"{tap} wrote only {found.records} of {rows} rows")
    return found


def _in_turn(
    options: Options,
    programs: t.Mapping[str, t.Callable[[], Measurement]],
    seldom: t.Container[str] = (),
) -> dict[str, list[Measurement]]:
    """Run each program once, then each again, and so on; slow ones once less, if twice at all."""
    found: dict[str, list[Measurement]] = {name: [] for name in programs}
    for number in range(options.runs):
        for name, program in programs.items():
            if name in seldom and 1 < options.runs == number + 1:
                continue
            run = program()
            found[name].append(run)
            logger.info("  %d/%d %s: %.2f s", number + 1, options.runs, name, run.seconds)
    return found
