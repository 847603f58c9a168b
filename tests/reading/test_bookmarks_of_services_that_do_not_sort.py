"""Where a service does not sort, a run that is cut off leaves no bookmark that passes rows over."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from tests.odata_service import ODataService, Table
from tests.tap_process import Warehouse, run

BEGAN = dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc)


def stamp(second: int) -> str:
    moment = dt.datetime(2024, 2, 28, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=second)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("links", ["token", "skip", "none"])
@pytest.mark.parametrize("page_limit", [1, 2, 5, None])
@pytest.mark.parametrize("page_size", [2, 4, None])
@pytest.mark.parametrize("killed_after", [1, 2, 3, 4, 7, 11])
def test_a_run_cut_off_leaves_a_bookmark_before_all_that_was_not_read(
    links: t.Literal["token", "skip", "none"],
    page_limit: int | None,
    page_size: int | None,
    killed_after: int,
) -> None:
    seconds = [5, 8, 9, 11, 1, 2, 3, 4, 12, 13, 6, 7]
    table = Table(
        "Rows",
        {"Id": "Edm.Int32", "LastModified": "Edm.DateTimeOffset"},
        ["Id"],
        [{"Id": number, "LastModified": stamp(at)} for number, at in enumerate(seconds)],
    )
    table.ignores = {"$orderby"}
    service = ODataService(table)
    service.links, service.page_limit = links, page_limit
    warehouse = Warehouse(table.key)
    options: dict[str, t.Any] = {"tracking": "LastModified", "page_size": page_size}
    try:
        run(service, "Rows", warehouse, began=BEGAN, killed_after=killed_after, **options)
    except Exception:  # noqa: BLE001  a service that cannot be read may be refused
        assert warehouse.bookmark is None
        return
    table.ignores = set()
    run(service, "Rows", warehouse, began=BEGAN, **options)
    assert len(warehouse.rows) == len(seconds)
