"""The entity set that most tests read, and what they expect of a run."""

from __future__ import annotations

import datetime as dt
import json
import typing as t
from decimal import Decimal

from tests.field.service import Row, Service, Table, instant, shown

if t.TYPE_CHECKING:
    from tests.conftest import TapRun

FIRST = dt.datetime(2024, 3, 1, 8, tzinfo=dt.timezone.utc)
COLUMNS = {
    "Id": 'Edm.Int32 Nullable="false"',
    "Note": "Edm.String",
    "Total": 'Edm.Decimal Precision="19" Scale="4"',
    "LastModifiedDateTime": "Edm.DateTimeOffset",
}


def stamp(minutes: float) -> str:
    """A time, so many minutes after the first order's."""
    return shown(FIRST + dt.timedelta(minutes=minutes))


def order(number: int) -> Row:
    """One order; each was changed a minute after the one before."""
    return {
        "Id": number,
        "Note": f'Order {number}, it\'s "äöü" & more',
        "Total": Decimal(number) + Decimal("0.1250"),
        "LastModifiedDateTime": stamp(number),
    }


def orders(rows: int = 25, *, name: str = "Orders") -> Table:
    """The table."""
    return Table(name, COLUMNS, ["Id"], [order(number) for number in range(1, rows + 1)])


def service_of(rows: int = 25, *, cap: int | None = None) -> tuple[Service, Table]:
    """A service with this table alone; ``cap`` is the most rows it gives in one answer."""
    table = orders(rows)
    table.cap = cap
    return Service(table), table


def value(record: Row) -> Row:
    """A row or a record in values that can be compared; times in microseconds."""
    found = dict(record)
    if found.get("Total") is not None:
        found["Total"] = Decimal(str(found["Total"]))
    if found.get("LastModifiedDateTime") is not None:
        found["LastModifiedDateTime"] = instant(found["LastModifiedDateTime"]) // 10
    return found


def latest(*runs: TapRun, stream: str = "Orders", key: str = "Id") -> dict[t.Any, Row]:
    """What a warehouse holds after these runs: the last record of each key."""
    return {record[key]: value(record) for run in runs for record in run.records(stream)}


def held(table: Table, key: str = "Id") -> dict[t.Any, Row]:
    """What the table holds, in the same form."""
    return {row[key]: value(row) for row in table.rows}


def missed(table: Table, *runs: TapRun, key: str = "Id") -> list[t.Any]:
    """Keys of rows that these runs did not bring, or not as they are now."""
    found, wanted = latest(*runs, stream=table.name, key=key), held(table, key)
    return [key for key, row in wanted.items() if found.get(key) != row]


def assert_complete(run: TapRun, table: Table) -> None:
    """The run succeeded and every row came with its values."""
    assert run.exit_code == 0, run.errors
    assert latest(run, stream=table.name) == held(table)


def lines(run: TapRun, *levels: str) -> list[str]:
    """Lines of the log of some level."""
    return [line for line in run.errors.splitlines() if any(level in line for level in levels)]


def warnings(run: TapRun) -> list[str]:
    """The warnings of a run."""
    return lines(run, "WARNING")


def assert_one_error(run: TapRun, *words: str, exit_code: int = 1) -> None:
    """The run failed, and one line says all these words; at most one more sums the run up."""
    assert run.exit_code == exit_code, run.errors
    assert "Traceback" not in run.errors, run.errors
    errors = lines(run, "ERROR", "CRITICAL")
    assert len(errors) <= 2, run.errors
    said = [e for e in errors if all(word.casefold() in e.casefold() for word in words)]
    assert said, errors


def schema(run: TapRun, stream: str = "Orders") -> dict[str, t.Any]:
    """The SCHEMA message of a stream that its rows are loaded by: the last one."""
    found = [m for m in run.messages if m["type"] == "SCHEMA" and m["stream"] == stream]
    return found[-1]


def bookmark(run: TapRun, stream: str = "Orders") -> str:
    """The bookmark of a stream in the last STATE."""
    found: str = run.state["bookmarks"][stream]["replication_key_value"]
    return found


def assert_bookmarked(run: TapRun, table: Table) -> None:
    """The bookmark stands at the newest row."""
    newest = max(instant(row["LastModifiedDateTime"]) for row in table.rows)
    assert instant(bookmark(run, table.name)) == newest


def assert_asks_as_usual(service: Service, name: str = "Orders") -> None:
    """The last request for a page still names its columns, sorts by time, and begins somewhere."""
    asked = service.asked(name)
    assert all(request.select for request in asked), [request.target for request in asked]
    assert any(request.orderby[:1] == ["LastModifiedDateTime"] for request in asked)


def metric(run: TapRun, name: str, stream: str = "Orders") -> dict[str, t.Any]:
    """The last metric of that name for a stream."""
    points = [
        json.loads(line.partition("METRIC: ")[2])
        for line in run.errors.splitlines()
        if "METRIC: " in line
    ]
    found: dict[str, t.Any] = [
        point for point in points if point["metric"] == name and point["tags"]["stream"] == stream
    ][-1]
    return found
