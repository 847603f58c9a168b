"""Rows that Acumatica keeps as deleted, or in its archive, arrive where they are asked for."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from tests.odata_service import ODataService, Table

if t.TYPE_CHECKING:
    from tests.conftest import RunTap
    from tests.odata_service import Request, Row

HIDDEN = {"PX-ApiDeleted": [3, 5], "PX-ApiArchive": [7]}


def stamp(number: int) -> str:
    return f"2024-03-01T00:00:{number:02d}.000Z"


def orders() -> tuple[ODataService, Table]:
    """A service that shows deleted and archived rows only where a header asks for them."""
    table = Table(
        "Orders",
        {
            "Id": "Edm.Int32",
            "DeletedDatabaseRecord": "Edm.Boolean",
            "LastModifiedDateTime": "Edm.DateTimeOffset",
        },
        ["Id"],
    )
    rows: dict[int, Row] = {
        number: {
            "Id": number,
            "DeletedDatabaseRecord": number in HIDDEN["PX-ApiDeleted"],
            "LastModifiedDateTime": None if number == 5 else stamp(number),
        }
        for number in range(10)
    }
    service = ODataService(table)

    def show(request: Request) -> None:
        asked = {name.lower() for name, value in request.headers.items() if value == "SHOW"}
        hidden = [n for name, ns in HIDDEN.items() if name.lower() not in asked for n in ns]
        table.rows = {number: row for number, row in rows.items() if number not in hidden}

    service.before_answer = show
    return service, table


@pytest.mark.parametrize("own_path", [False, True])
def test_deleted_rows_arrive_with_the_time_of_their_deletion(
    run_tap: RunTap, *, own_path: bool
) -> None:
    service, _ = orders()
    more = {"stream_maps": {"Orders": {"Id": "Id"}}} if own_path else {}
    began = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")[:19]
    with service.running():
        config = {"url": service.url, "page_size": 4, **more}
        before = run_tap(config)
        catalog = run_tap(config, "--discover").document
        run = run_tap({**config, "deleted_records": "soft"}, catalog=catalog)
    assert "_sdc_deleted_at" not in str(before.messages)
    assert sorted(row["Id"] for row in before.records("Orders")) == [0, 1, 2, 4, 6, 8, 9]
    found = {row["Id"]: row["_sdc_deleted_at"] for row in run.records("Orders")}
    assert found.pop(3) == "2024-03-01T00:00:03.000Z"
    assert found.pop(5) >= began  # it does not say when; the run's own time is taken
    assert found == dict.fromkeys([0, 1, 2, 4, 6, 8, 9])
    schema = next(m["schema"] for m in run.messages if m["type"] == "SCHEMA")
    assert schema["properties"]["_sdc_deleted_at"] == {
        "type": ["string", "null"],
        "format": "date-time",
    }


def test_archived_rows_arrive_where_that_is_wished(run_tap: RunTap) -> None:
    service, _ = orders()
    with service.running():
        without = run_tap({"url": service.url})
        run = run_tap({"url": service.url, "archived_records": True})
    assert 7 not in {row["Id"] for row in without.records("Orders")}
    assert 7 in {row["Id"] for row in run.records("Orders")}
    assert not any("PX-ApiDeleted" in request.headers for request in service.log)
