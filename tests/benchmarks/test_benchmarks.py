"""The programs of the benchmark, each at a tiny size."""

from __future__ import annotations

import json
import re
import sys
import time
import typing as t

import pytest
import requests

from benchmarks import report
from benchmarks.__main__ import SERIES, main
from benchmarks.dataset import ENTRIES, KEYS, TYPES, Rows
from benchmarks.metadata import large_metadata, small_metadata
from benchmarks.process import BenchmarkError, Mark, Measurement, measure
from benchmarks.results import Findings, Options, Result, ratios
from benchmarks.series import _in_turn, waited
from benchmarks.server import answers, serving
from benchmarks.taps import LIMIT, LINES, OURS, STOCK, TUNED, copy_command
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.times import to_canonical

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 2500


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(ROWS) as found:
        yield found


def ask(address: str, name: str, **options: t.Any) -> dict[str, t.Any]:
    query = {f"${key}": value for key, value in options.items()}
    answer = requests.get(f"{address}/any/{name}", params=query, timeout=10)
    answer.raise_for_status()
    return t.cast("dict[str, t.Any]", answer.json())


def test_rows_ascend_by_time_and_key_across_blocks() -> None:
    rows = json.loads(b"[" + b"".join(Rows(ROWS).between(0, ROWS)) + b"]")
    assert [len(row) for row in rows] == [60] * ROWS
    stamps = [to_canonical(row["LastModifiedDateTime"]) for row in rows]
    assert stamps == sorted(set(stamps))
    for key in KEYS.values():
        values = [tuple(row[name] for name in key) for row in rows]
        assert values == sorted(set(values))


@pytest.mark.parametrize(
    ("column", "operator"),
    [(c, o) for c in ("LastModifiedDateTime", "OrderNbr", "EntryID") for o in ("ge", "gt", "le")],
)
def test_server_filters_by_each_operator(address: str, column: str, operator: str) -> None:
    rows = ask(address, LINES, top=ROWS)["value"]
    value = rows[1203][column]
    literal = f"'{value}'" if column == "OrderNbr" else value
    found = ask(address, LINES, filter=f"{column} {operator} {literal}", top=ROWS)["value"]
    same = [row for row in rows if row[column] == value]
    before, behind = rows.index(same[0]), rows.index(same[-1]) + 1
    expected = {"ge": rows[before:], "gt": rows[behind:], "le": rows[:behind]}[operator]
    assert found == expected


def test_server_pages_by_links_positions_and_second_keys(address: str) -> None:
    first = ask(address, ENTRIES)
    assert len(first["value"]) == 2000
    rest = requests.get(first["@odata.nextLink"], timeout=10).json()
    assert "@odata.nextLink" not in rest
    rows = first["value"] + rest["value"]
    assert len({row["EntryID"] for row in rows}) == ROWS
    assert ask(address, LINES, top=3, skip=1999)["value"] == rows[1999:2002]
    order = rows[1007]["OrderNbr"]
    terms = f"OrderNbr eq '{order}' and LineNbr gt 2"
    assert [row["LineNbr"] for row in ask(address, LINES, filter=terms, top=9)["value"]] == [
        3,
        4,
        5,
    ]
    last = ask(address, LINES, orderby="LastModifiedDateTime desc", top=2)["value"]
    assert last == rows[:-3:-1]
    assert ask(address, LINES, filter="LastModifiedDateTime eq null", top=5)["value"] == []


def test_server_refuses_what_it_does_not_know(address: str) -> None:
    for path in ("Nothing", f"{LINES}?$filter=Status eq 'A'", f"{LINES}?$filter=a or b"):
        assert requests.get(f"{address}/{path}", timeout=10).status_code in {400, 404}
    assert requests.get(f"{address}/any/Nothing", timeout=10).status_code == 404
    for query in (
        "$filter=Status eq 'A'",
        "$filter=EntryID gt 1 or EntryID lt 3",
        "$filter=LineNbr gt 2",
        "$orderby=Status",
        "$search=A",
        "$top=many",
    ):
        assert requests.get(f"{address}/any/{LINES}?{query}", timeout=10).status_code == 400, query


def test_server_counts_and_takes_ranges(address: str) -> None:
    rows = ask(address, LINES, top=ROWS)["value"]
    low, high = rows[700]["LastModifiedDateTime"], rows[1900]["LastModifiedDateTime"]
    terms = f"LastModifiedDateTime ge {low} and LastModifiedDateTime lt {high}"
    found = ask(address, LINES, filter=terms, count="true", top=5)
    assert found["@odata.count"] == 1200
    assert found["value"] == rows[700:705]


def test_metadata_has_the_size_of_a_complete_acumatica() -> None:
    assert set(parse_metadata(small_metadata()).sets) == set(KEYS)
    large = large_metadata()
    assert len(large) > 15e6
    assert large.count(b"<EntitySet ") == 5108 + len(KEYS)
    assert large.count(b"<EntityType ") == 2265 + len(KEYS)
    assert len(re.findall(rb"<Property ", large)) == pytest.approx(42_300, rel=0.05)


@pytest.mark.parametrize("tap", [OURS, STOCK, TUNED, LIMIT])
def test_every_program_copies_all_rows(tap: str, address: str, tmp_path: Path) -> None:
    output = tmp_path / "output"
    measured = measure(copy_command(tap, address, tmp_path), keep=output)
    messages = [json.loads(line) for line in output.read_bytes().splitlines()]
    records = [m["record"] for m in messages if m["type"] == "RECORD"]
    assert len({(r["OrderNbr"], r["LineNbr"]) for r in records}) == ROWS
    assert set(records[0]) == set(TYPES)
    assert measured.records == len(records)
    assert 0 < measured.first <= measured.seconds
    assert 0 < measured.processor < 60
    assert measured.memory > 10_000_000


def test_the_limit_and_the_tap_write_the_same_records(address: str, tmp_path: Path) -> None:
    outputs = []
    for tap in (OURS, LIMIT):
        path = tmp_path / tap
        measure(copy_command(tap, address, tmp_path), keep=path)
        found = re.findall(rb'"record":(\{.*?\}),"time', path.read_bytes())
        outputs.append(list(dict.fromkeys(found)))
    assert outputs[0] == outputs[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["record", "latency", "seats", "depth", "memory", "requests"])
def test_every_series_gives_one_value_per_run(name: str, tmp_path: Path) -> None:
    findings = SERIES[name](Options(runs=1, rows=2000), tmp_path)
    assert findings.results
    for result in findings.results:
        assert len(result.values) == 1
        assert all(value > 0 for value in result.values)


def test_processor_time_between_records_is_read_off_the_timeline() -> None:
    run = Measurement(first=1.0, timeline=[Mark(100, 2.0, 1.0), Mark(300, 4.0, 2.5)])
    assert run.processor_between(100, 200) == pytest.approx(0.75)
    assert run.processor_between(100, 300) == pytest.approx(1.5)
    assert run.processor_between(50, 200) == pytest.approx(1.25)
    assert run.processor_between(0, 400) == pytest.approx(2.5)


def test_records_are_counted_across_reads_and_other_messages_are_not() -> None:
    # More than a pipe holds, so that reads end anywhere.
    program = """
import sys
record = '{"type":"RECORD","record":{"text":"RECORD"}}\\n'
sys.stdout.write('{"type":"SCHEMA"}\\n' + 50_001 * record + '{"type":"STATE"}\\n')
"""
    assert measure([sys.executable, "-c", program]).records == 50_001


def test_the_memory_of_a_program_is_its_own() -> None:
    text = "x" * 100_000_000  # a program starts with the peak of the one that started it
    del text
    program = "print(1_000_000 * 'y')"  # waits until most of it has been read
    assert 1_000_000 < measure([sys.executable, "-c", program]).memory < 50_000_000


def test_the_server_counts_its_answers_with_rows_and_each_takes_the_delay() -> None:
    with serving(ROWS, delay=0.1) as address:
        requests.get(f"{address}/any/$metadata", timeout=10)
        assert answers(address) == 0
        start = time.perf_counter()
        ask(address, LINES, filter="LastModifiedDateTime eq null", top=5)
        ask(address, LINES, top=5)
        assert time.perf_counter() - start >= 0.2
        assert answers(address) == 2


def test_waiting_is_that_for_the_answers_or_for_the_pages() -> None:
    runs = [Measurement(seconds=16.5, answers=55), Measurement(seconds=18, answers=60)]
    assert waited(runs) == pytest.approx([1, 1])
    assert waited(runs, 50) == pytest.approx([1.1, 1.2])


def test_a_goal_applies_to_the_median() -> None:
    assert Result("faster", [1, 3, 9], at_least=2).met
    assert Result("faster", [1, 1, 9], at_least=2).met is False
    assert Result("memory", [1, 3, 9], at_most=3).met
    assert Result("memory", [1, 4, 9], at_most=3).met is False
    assert Result("not measured", [], at_least=2).met is None
    assert Result("no goal", [1]).met is None


@pytest.mark.parametrize(("load", "told"), [(0.04, "was idle: load 0.04"), (1.7, "was busy")])
def test_results_say_whether_the_machine_was_idle(
    load: float, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.__main__.SERIES", {"record": lambda *_: Findings()})
    monkeypatch.setattr("benchmarks.__main__.FOLDER", tmp_path)
    monkeypatch.setattr("benchmarks.__main__.SCRATCH", tmp_path / "scratch")
    monkeypatch.setattr("os.getloadavg", lambda: (load, 9.0, 9.0))
    assert main(["--runs", "1"]) == 0
    assert told in (tmp_path / "scratch" / "results.md").read_text("utf-8")
    assert not (tmp_path / "results.md").exists()


def test_slow_programs_run_once_less_and_are_compared_run_by_run() -> None:
    order: list[str] = []

    def program(name: str, seconds: float) -> t.Callable[[], Measurement]:
        def run() -> Measurement:
            order.append(name)
            return Measurement(seconds=seconds)

        return run

    runs = _in_turn(
        Options(runs=3), {"fast": program("fast", 2), "slow": program("slow", 30)}, {"slow"}
    )
    assert order == ["fast", "slow", "fast", "slow", "fast"]
    seconds = {name: [run.seconds for run in found] for name, found in runs.items()}
    assert ratios(seconds, "slow", "fast") == [15, 15]
    assert len(_in_turn(Options(runs=1), {"slow": program("slow", 1)}, {"slow"})["slow"]) == 1


def test_the_error_of_a_failed_process_has_its_log() -> None:
    with pytest.raises(BenchmarkError, match="no such thing"):
        measure(["sh", "-c", "echo no such thing >&2; exit 3"])


def test_report_holds_a_table_and_plots(tmp_path: Path) -> None:
    run = Measurement(timeline=[Mark(n * 1000, n / 10, n / 20) for n in range(1, 300)])
    findings = Findings(
        [Result("one", [1.0, 3.0, 2.0], at_least=2), Result("two", [5.0], at_most=2), Result("-")],
        {"tap": [1.0, 2.0]},
        [run],
    )
    report.write(findings, Options(3), tmp_path)
    text = (tmp_path / "results.md").read_text("utf-8")
    assert re.search(r"\| one +\| ≥ 2 x +\| 1.00 x +\| 2.00 x +\| 3.00 x +\| yes +\|", text)
    assert "**no**" in text
    assert str(tmp_path) not in text
    assert all((tmp_path / name).stat().st_size > 5000 for name in ("rates.png", "depth.png"))


def test_an_unknown_series_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    told = capsys.readouterr().err
    assert all(name in told for name in SERIES)
