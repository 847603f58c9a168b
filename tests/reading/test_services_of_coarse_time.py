"""Services that compare times by the second, and bookmarks that lie ahead of time."""

from __future__ import annotations

import datetime as dt
import logging
import typing as t

import pytest

from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.window import Window, reached_by
from tests import odata_service
from tests.odata_service import ODataService, Table
from tests.tap_process import Warehouse, run

BEGAN = dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc)
_SECOND = 10_000_000


def rows_of(stamps: t.Iterable[str]) -> Table:
    return Table(
        "Rows",
        {"Id": "Edm.Int32", "LastModified": "Edm.DateTimeOffset"},
        ["Id"],
        [{"Id": number, "LastModified": at} for number, at in enumerate(stamps)],
    )


@pytest.mark.parametrize(
    ("fraction", "page_size"),
    [("", 1), ("", 3), ("", 7), (".25", 3), (".25", 7), (".9999999", 3), (".9999999", 7)],
)
def test_a_service_that_compares_by_the_second_is_read_by_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fraction: str, page_size: int
) -> None:
    exact = odata_service.FilterParser._literal

    def by_the_second(parser: t.Any, type_name: str) -> t.Any:
        value = exact(parser, type_name)
        whole = type_name == "Edm.DateTimeOffset" and value is not None
        return value - value % _SECOND if whole else value

    monkeypatch.setattr(odata_service.FilterParser, "_literal", by_the_second)
    table = rows_of(f"2024-02-01T00:00:{second:02d}{fraction}Z" for second in range(20))
    service, warehouse = ODataService(table), Warehouse(table.key)
    options: dict[str, t.Any] = {"tracking": "LastModified", "page_size": page_size}
    with caplog.at_level(logging.WARNING):
        run(service, "Rows", warehouse, began=BEGAN, **options)
        table.update(3, LastModified=f"2024-02-01T00:01:00{fraction}Z")
        warehouse.records.clear()
        run(service, "Rows", warehouse, began=BEGAN, **options)
    assert len(warehouse.rows) == 20
    assert 3 in {row["Id"] for row in warehouse.records}
    assert len({row["Id"] for row in warehouse.records}) < 5
    assert not caplog.records


@pytest.mark.parametrize("equal", [1, 4])
def test_without_skip_pages_of_two_rows_are_read_to_their_end(equal: int) -> None:
    table = rows_of(f"2024-02-01T00:00:{second // equal:02d}Z" for second in range(12))
    service, warehouse = ODataService(table), Warehouse(table.key)
    service.page_limit, service.links = 2, "none"
    service.refuse("Rows", "$skip")
    run(service, "Rows", warehouse, began=BEGAN, tracking="LastModified", page_size=5)
    assert len(warehouse.rows) == 12


def test_a_bookmark_ahead_of_time_is_taken_back_to_the_start_of_the_run() -> None:
    reached = reached_by({"replication_key_value": "2099-01-01T00:00:00Z"}, "Rows")
    window = Window(reached, "2024-03-01T00:00:00.000000+00:00")
    assert Progress(window).bookmark == "2024-03-01T00:00:00.000000+00:00"
