"""Any OData 4.0 service is read: every row once, digit for digit, then only what changed."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
import sys
import threading
import typing as t
import uuid
from decimal import Decimal

import pytest

from tests.odata_service import Column, ODataService, Table

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RunTap
    from tests.odata_service import Request, Row

BOOKMARK = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)


def stamp(second: float) -> str:
    """A time stamp, so many seconds after the first one; three digits."""
    moment = dt.datetime(2024, 2, 28, 12, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=second)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def ledger(rows: int = 60) -> Table:
    """A table with a composite key and every type that is easily spoilt."""
    return Table(
        "Ledger",
        {
            "Company": "Edm.String",
            "Entry": "Edm.Int64",
            "Owner": "Edm.Guid",
            "Amount": Column("Edm.Decimal", precision=28, scale=10),
            "Closed": "Edm.Date",
            "Paid": "Edm.DateTimeOffset",
            "Note": "Edm.String",
            "Open": "Edm.Boolean",
            "LastModified": "Edm.DateTimeOffset",
        },
        ["Company", "Entry"],
        [
            {
                "Company": ("O'Neil & Söhne", "A+B 100%/#1", "plain")[number % 3],
                "Entry": 2**53 + 1 + number * 2,
                "Owner": str(uuid.UUID(int=number * 10**30)),
                "Amount": Decimal(
                    f"{'-' if number % 2 else ''}123456789012345678.{number:02d}90000000"
                ),
                "Closed": None if number % 4 else "2024-02-29",
                "Paid": None if number % 3 else "2024-03-01T00:00:00.1234567+02:00",
                "Note": 'Zeile\n"2" \\ 💶' if number % 5 else None,
                "Open": number % 2 == 0,
                "LastModified": stamp(number * 37 % 60),
            }
            for number in range(rows)
        ],
    )


def simple(name: str, rows: int, **columns: t.Any) -> Table:
    """A table of numbered rows, the last of them the newest."""
    return Table(
        name,
        {"Id": "Edm.Int32", "LastModified": "Edm.DateTimeOffset"},
        ["Id"],
        [{"Id": number, "LastModified": stamp(number), **columns} for number in range(rows)],
    )


def expected(row: Row) -> Row:
    """The record of a row of the ledger, floats as text."""
    record = dict(row)
    record["Amount"] = format(row["Amount"], "f")
    record["Paid"] = row["Paid"] and "2024-02-29T22:00:00.123456+00:00"
    return record


def by_key(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["Company"], row["Entry"]))


@pytest.mark.parametrize("method", ["INCREMENTAL", "FULL_TABLE"])
@pytest.mark.parametrize(
    ("links", "relative", "numbers_as_text", "page_size"),
    [
        ("token", True, False, 50),
        ("skip", True, True, 25),
        ("none", False, False, 50),
        ("token", False, True, 3),
    ],
)
def test_every_row_arrives_once_and_digit_for_digit(  # noqa: PLR0913  what a service may do differently
    run_tap: RunTap,
    method: str,
    links: t.Literal["token", "skip", "none"],
    page_size: int,
    *,
    relative: bool,
    numbers_as_text: bool,
) -> None:
    service = ODataService(ledger())
    service.page_limit, service.links = 7, links
    service.relative, service.numbers_as_text = relative, numbers_as_text
    tracking = {"INCREMENTAL": "date", "FULL_TABLE": "none"}[method]
    with service.running():
        result = run_tap({"url": service.url, "page_size": page_size, "tracking_type": tracking})
    records = result.records("Ledger")
    assert by_key(records) == by_key([expected(row) for row in service.tables["Ledger"].contents()])


def test_a_second_run_reads_only_what_changed(run_tap: RunTap) -> None:
    table = ledger()
    service = ODataService(table)
    service.page_limit, service.relative = 7, True
    config: dict[str, t.Any] = {"page_size": 20, "time_offset": 0}
    with service.running():
        config["url"] = service.url
        catalog = run_tap(config, "--discover").document
        first = run_tap(config, catalog=catalog)
        bookmark = first.state["bookmarks"]["Ledger"]["replication_key_value"]
        assert bookmark == f"{stamp(59)[:-1]}000+00:00"
        boundary = [row for row in table.contents() if row["LastModified"] == stamp(59)]
        changed = []
        for number in (3, 31, 58):
            table.update(number, LastModified=stamp(100 + number), Note="changed")
            changed.append(dict(table.rows[number]))
        second = run_tap(config, catalog=catalog, state=first.state)
        with_offset = run_tap({**config, "time_offset": 5}, catalog=catalog, state=first.state)
    assert by_key(second.records("Ledger")) == by_key([expected(row) for row in changed + boundary])
    again = {row["LastModified"] for row in with_offset.records("Ledger")}
    assert {stamp(59 - back) for back in range(1, 5)} & again
    assert stamp(50) not in again


def test_a_row_of_the_future_is_read_in_each_run_and_hides_nothing(run_tap: RunTap) -> None:
    table = simple("Rows", 10)
    table.update(4, LastModified="2099-12-31T23:59:59.9999999Z")
    service = ODataService(table)
    asked: list[dt.datetime] = []
    service.before_answer = lambda _: asked.append(dt.datetime.now(dt.timezone.utc))
    with service.running():
        config = {"url": service.url, "time_offset": 0}
        first = run_tap(config)
        bookmark = first.state["bookmarks"]["Rows"]["replication_key_value"]
        assert BOOKMARK.fullmatch(bookmark)
        assert dt.datetime.fromisoformat(bookmark) <= asked[0]
        now = dt.datetime.now(dt.timezone.utc)
        table.update(7, LastModified=f"{now:%Y-%m-%dT%H:%M:%S.%f}Z")
        second = run_tap(config, state=first.state)
        third = run_tap(config, state=second.state)
    assert sorted(row["Id"] for row in second.records("Rows")) == [4, 7, 9]
    assert 4 in [row["Id"] for row in third.records("Rows")]


def test_bookmarks_ascend_in_one_form_every_batch_size_rows(run_tap: RunTap) -> None:
    service = ODataService(simple("Rows", 35))
    with service.running():
        result = run_tap({"url": service.url, "batch_size": 10, "page_size": 4})
    kinds = [message["type"] for message in result.messages]
    rows_before_states = [
        kinds[:place].count("RECORD") for place, kind in enumerate(kinds) if kind == "STATE"
    ]
    gaps = [
        now - before
        for before, now in zip([0, *rows_before_states], rows_before_states, strict=False)
    ]
    assert rows_before_states[-1] == 35
    assert max(gaps) <= 10
    bookmarks = [
        message["value"]["bookmarks"]["Rows"]["replication_key_value"]
        for message in result.messages
        if message["type"] == "STATE" and "replication_key_value" in str(message["value"])
    ]
    assert bookmarks == sorted(bookmarks)
    assert all(BOOKMARK.fullmatch(bookmark) for bookmark in bookmarks)


class Process:
    """The tap as a process whose output is read line by line."""

    def __init__(self, folder: Path, config: dict[str, t.Any], state: Row | None = None) -> None:
        command = [sys.executable, "-m", "tap_acumatica"]
        for name, content in (("config", config), ("state", state)):
            if content is not None:
                path = folder / f"{name}.json"
                path.write_text(json.dumps(content), encoding="utf-8")
                command += [f"--{name}", str(path)]
        self.popen = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )

    def lines(self) -> Iterator[str]:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:  # noqa: UP028  yield from would close it when left
            yield line

    def read_to_bookmark(self, rows: int = 1) -> list[str]:
        """Lines up to the first STATE that holds a bookmark, behind so many rows."""
        lines: list[str] = []
        for line in self.lines():
            lines.append(line)
            rows -= line.startswith('{"type":"RECORD"')
            bookmark = line.startswith('{"type":"STATE"') and "replication_key_value" in line
            if bookmark and rows <= 0:
                return lines
        pytest.fail("no bookmark was written")

    def end(self, number: int) -> tuple[int, list[str]]:
        """Send a signal; exit code and the lines that came after it."""
        self.popen.send_signal(number)
        rest = list(self.lines())
        with self.popen:
            return self.popen.wait(30), rest


def held_back(service: ODataService, page: int) -> threading.Event:
    """Let the service wait before its answer to a page until the event is set."""
    released = threading.Event()

    def wait(_request: Request) -> None:
        if len(service.requests("Rows")) == page:
            released.wait(30)

    service.before_answer = wait
    return released


def test_a_killed_run_is_resumed_without_a_loss(tmp_path: Path, run_tap: RunTap) -> None:
    service = ODataService(simple("Rows", 50))
    released = held_back(service, 4)
    with service.running():
        config = {"url": service.url, "page_size": 10, "batch_size": 5, "time_offset": 0}
        process = Process(tmp_path, config)
        lines = process.read_to_bookmark()
        exit_code, rest = process.end(signal.SIGKILL)
        released.set()
        assert exit_code == -signal.SIGKILL
        whole = [json.loads(line) for line in lines + rest if line.endswith("\n")]
        state = [message["value"] for message in whole if message["type"] == "STATE"][-1]
        written = {message["record"]["Id"] for message in whole if message["type"] == "RECORD"}
        resumed = run_tap(config, state=state)
    again = {row["Id"] for row in resumed.records("Rows")}
    assert written | again == set(range(50))
    assert len(again) < 50


def test_sigterm_ends_a_run_with_its_exit_code_and_whole_lines(tmp_path: Path) -> None:
    service = ODataService(simple("Rows", 50))
    released = held_back(service, 4)
    with service.running():
        config = {"url": service.url, "page_size": 10, "batch_size": 5}
        process = Process(tmp_path, config)
        lines = process.read_to_bookmark(10)  # those of the page before the one held back
        threading.Timer(0.2, released.set).start()
        exit_code, rest = process.end(signal.SIGTERM)
    assert exit_code == 143
    kinds = [json.loads(line)["type"] for line in lines + rest]
    assert set(kinds) <= {"SCHEMA", "RECORD", "STATE"}
    assert kinds[-1] == "STATE"


def test_five_thousand_rows_of_one_stamp_arrive_once(run_tap: RunTap) -> None:
    ties = Table(
        "Ties",
        {"Code": "Edm.String", "Line": "Edm.Int32", "LastModified": "Edm.DateTimeOffset"},
        ["Code", "Line"],
        [
            {"Code": f"C{number // 40:04d}", "Line": number % 40, "LastModified": stamp(5)}
            for number in range(5000)
        ]
        + [{"Code": "after", "Line": line, "LastModified": stamp(6 + line)} for line in range(150)],
    )
    service = ODataService(ties, simple("Rows", 12))
    with service.running():
        result = run_tap({"url": service.url, "page_size": 100, "entity_sets": ["Ties"]})
        single = run_tap({"url": service.url, "page_size": 1, "entity_sets": ["Rows"]})
    keys = [(row["Code"], row["Line"]) for row in result.records("Ties")]
    assert set(keys) == {(row["Code"], row["Line"]) for row in ties.contents()}
    assert len(keys) <= 5150 + 200
    assert {row["Id"] for row in single.records("Rows")} == set(range(12))


def test_rows_without_stamp_are_read_at_the_first_load_only(run_tap: RunTap) -> None:
    table = simple("Rows", 30)
    for number in range(0, 30, 2):
        table.update(number, LastModified=None)
    service = ODataService(table)
    with service.running():
        config = {"url": service.url, "page_size": 7, "time_offset": 0}
        first = run_tap(config)
        second = run_tap(config, state=first.state)
        late = run_tap({**config, "start_date": stamp(21)})
    assert {row["Id"] for row in first.records("Rows")} == set(range(30))
    assert {row["Id"] for row in second.records("Rows")} == {29}
    dated = [row["Id"] for row in late.records("Rows") if row["LastModified"]]
    assert sorted(dated) == [21, 23, 25, 27, 29]


def test_a_table_of_one_row_and_one_of_none_are_read_however_they_are_keyed(
    run_tap: RunTap,
) -> None:
    one = Table("One", {"At": "Edm.DateTimeOffset", "Text": "Edm.String"}, ["At"])
    one.insert({"At": stamp(1), "Text": "x"})
    keyless = Table("Keyless", {"Text": "Edm.String"}, [], [{"Text": "x"}])
    none = Table("Nothing", {"At": "Edm.DateTimeOffset"}, ["At"])
    service = ODataService(one, keyless, none, simple("Rows", 1))
    with service.running():
        result = run_tap({"url": service.url})
    counts = {name: len(result.records(name)) for name in service.tables}
    assert counts == {"One": 1, "Keyless": 1, "Nothing": 0, "Rows": 1}


def test_only_selected_columns_keys_and_the_tracking_field_are_asked_for(run_tap: RunTap) -> None:
    service = ODataService(ledger())
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        for entry in catalog["streams"][0]["metadata"]:
            if entry["breadcrumb"] in (["properties", "Note"], ["properties", "Owner"]):
                entry["metadata"]["selected"] = False
        service.log.clear()
        result = run_tap(config, catalog=catalog)
    asked = {request.query.get("$select") for request in service.requests("Ledger")}
    assert asked == {"Company,Entry,Amount,Closed,Paid,Open,LastModified"}
    assert set(result.records("Ledger")[0]) == set(str(asked.pop()).split(","))


def test_a_service_that_may_not_be_asked_for_pages_is_read_by_its_links(run_tap: RunTap) -> None:
    service = ODataService(ledger())
    service.page_limit, service.relative = 7, True
    with service.running():
        result = run_tap({"url": service.url, "client_side_paging": False, "tracking_type": "none"})
    assert len(result.records("Ledger")) == 60
    assert not any("$top" in request.query for request in service.requests("Ledger"))
