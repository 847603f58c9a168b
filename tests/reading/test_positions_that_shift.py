"""An end that is found by position is believed only where the position did not shift."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.odata_service import ODataService, Request, Table
from tests.tap_process import Warehouse, run

BEGAN = dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc)
DAYS = [f"2024-01-0{day}T00:00:00Z" for day in range(1, 9)]


@pytest.mark.parametrize("request_number", range(1, 19))
def test_a_row_deleted_before_the_end_hides_no_row_behind_it(request_number: int) -> None:
    table = Table("Days", {"At": "Edm.DateTimeOffset"}, ["At"], [{"At": day} for day in DAYS])
    service = ODataService(table)
    service.page_limit, service.links = 2, "none"
    asked = 0

    def delete_first(_request: Request) -> None:
        nonlocal asked
        asked += 1
        if asked == request_number:
            table.delete(0)

    service.before_answer = delete_first
    warehouse = Warehouse(table.key)
    run(service, "Days", warehouse, began=BEGAN)
    read = {row["At"][:10] for row in warehouse.rows.values()}
    assert read >= {day[:10] for day in DAYS[1:]}
