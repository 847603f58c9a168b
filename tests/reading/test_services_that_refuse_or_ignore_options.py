"""What a service refuses or ignores costs a warning, never a row."""

from __future__ import annotations

import datetime as dt
import logging
import typing as t
from decimal import Decimal

import pytest

from tap_acumatica.errors import AnswerError
from tests.odata_service import NOT_SUPPORTED, ODataService, Table
from tests.tap_process import Warehouse, run

if t.TYPE_CHECKING:
    from tests.conftest import RunTap

BEGAN = dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc)


def stamp(second: int) -> str:
    moment = dt.datetime(2024, 2, 28, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=second)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def shuffled(name: str = "Rows", rows: int = 31) -> Table:
    """Rows in the order of neither their key nor their stamp."""
    return Table(
        name,
        {"Id": "Edm.Int32", "LastModified": "Edm.DateTimeOffset", "Text": "Edm.String"},
        ["Id"],
        [
            {"Id": number * 7 % rows, "LastModified": stamp(number * 11 % rows), "Text": "x"}
            for number in range(rows)
        ],
    )


def read_twice(
    table: Table, service: ODataService, tracking: str | None, page_size: int = 10
) -> Warehouse:
    """Two runs, rows changed between them."""
    warehouse = Warehouse(table.key)
    options: dict[str, t.Any] = {
        "tracking": tracking,
        "page_size": page_size,
        "select": tuple(table.columns),
    }
    run(service, table.name, warehouse, began=BEGAN, **options)
    before = len(warehouse.rows)
    assert before == len(table.rows)
    if "Text" in table.columns:
        for number in (0, 17):
            table.update(number, LastModified=stamp(1000 + number), Text="changed")
        run(service, table.name, warehouse, began=BEGAN, **options)
        assert [row["Text"] for row in warehouse.rows.values()].count("changed") == 2
    return warehouse


@pytest.mark.parametrize("tracking", [None, "LastModified"])
@pytest.mark.parametrize("status", [400, 501])
def test_a_service_that_refuses_top_is_read_by_its_links(tracking: str | None, status: int) -> None:
    table = shuffled()
    service = ODataService(table)
    service.refuse("Rows", "$top", status, NOT_SUPPORTED)
    read_twice(table, service, tracking)


@pytest.mark.parametrize("tracking", [None, "LastModified"])
@pytest.mark.parametrize("option", ["$filter", "$orderby", "$select", "$skip"])
@pytest.mark.parametrize(
    ("status", "body"), [(400, NOT_SUPPORTED), (501, NOT_SUPPORTED), (200, "")]
)
def test_an_option_that_is_refused_loses_no_row(
    tracking: str | None, option: str, status: int, body: str
) -> None:
    table = shuffled()
    service = ODataService(table)
    service.refuse("Rows", option, status, body)
    read_twice(table, service, tracking)


@pytest.mark.parametrize("tracking", [None, "LastModified"])
@pytest.mark.parametrize("option", ["$filter", "$orderby", "$select", "$skip"])
@pytest.mark.parametrize("page_size", [1, 3, 10, 100])
def test_an_option_that_is_ignored_loses_no_row(
    tracking: str | None, option: str, page_size: int
) -> None:
    table = shuffled()
    table.ignores.add(option)
    read_twice(table, ODataService(table), tracking, page_size)


def test_an_ignored_order_is_noticed_although_each_page_ascends() -> None:
    stamps = [10, 20, 500, 30, 40, 50, 600, 700, 800]
    table = Table(
        "Rows",
        {"Id": "Edm.Int32", "LastModified": "Edm.DateTimeOffset"},
        ["Id"],
        [{"Id": number, "LastModified": stamp(second)} for number, second in enumerate(stamps)],
    )
    table.ignores.add("$orderby")
    read_twice(table, ODataService(table), "LastModified", page_size=3)


def test_an_ignored_order_is_noticed_although_the_first_pages_ascend() -> None:
    numbers = [1, 2, 3, 4, 5, 6, 7, 8, 20, 10, 11, 12, 9, 13]
    table = Table("Rows", {"Id": "Edm.Int32"}, ["Id"], [{"Id": number} for number in numbers])
    table.ignores.add("$orderby")
    read_twice(table, ODataService(table), None, page_size=3)


@pytest.mark.parametrize("page_size", range(2, 9))
def test_a_collation_that_knows_no_case_loses_no_row(page_size: int) -> None:
    keys = [(kind, line) for kind in "bcdef" for line in (1, 2)]
    keys += [("G" if line == 4 else "g", line) for line in range(1, 8)] + [("h", 1)]
    table = Table(
        "Rows",
        {"Kind": "Edm.String", "Line": "Edm.Int32"},
        ["Kind", "Line"],
        [{"Kind": kind, "Line": line} for kind, line in keys],
    )
    service = ODataService(table)
    service.fold = str.casefold
    read_twice(table, service, None, page_size)


@pytest.mark.parametrize("limit", [2, 5])
def test_a_silent_cap_is_noticed_also_without_client_side_paging(limit: int) -> None:
    table = shuffled()
    service = ODataService(table)
    service.page_limit, service.links = limit, "none"
    warehouse = Warehouse(table.key)
    run(service, "Rows", warehouse, began=BEGAN, page_size=None)
    assert len(warehouse.rows) == len(table.rows)


@pytest.mark.parametrize("page_size", [None, 1, 7])
@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("tracking", [None, "LastModified"])
def test_one_row_per_answer_is_refused(
    page_size: int | None,
    tracking: str | None,
    *,
    skips: bool,
) -> None:
    table = shuffled()
    service = ODataService(table)
    service.page_limit, service.links = 1, "none"
    if not skips:
        service.refuse("Rows", "$skip")
    warehouse = Warehouse(table.key)
    options: dict[str, t.Any] = {"tracking": tracking, "page_size": page_size}
    try:
        run(service, "Rows", warehouse, began=BEGAN, **options)
    except AnswerError as error:
        assert "row per answer" in str(error) or "only a part" in str(error)  # noqa: PT017
    else:
        assert len(warehouse.rows) == len(table.rows)


@pytest.mark.parametrize("links", ["token", "skip", "none"])
@pytest.mark.parametrize("key", ["Edm.Double", "Edm.DateTimeOffset"])
def test_keys_that_cannot_be_sought_by_are_read_by_position(
    links: t.Literal["token", "skip", "none"], key: str
) -> None:
    for rows in (0, 1, 2, 3, 10, 11):
        values: list[t.Any] = [
            stamp(number) if key == "Edm.DateTimeOffset" else Decimal(number) / 4
            for number in range(rows)
        ]
        table = Table("Rows", {"At": key}, ["At"], [{"At": value} for value in values])
        service = ODataService(table)
        service.page_limit, service.links = 3, links
        read_twice(table, service, None, page_size=10)


def test_each_refusal_is_one_warning_that_says_what_it_means(run_tap: RunTap) -> None:
    tables = {
        option: shuffled(f"No{option[1:].title()}")
        for option in ("$filter", "$orderby", "$select", "$skip")
    }
    deaf = {option: shuffled(f"Deaf{option[1:].title()}") for option in ("$filter", "$orderby")}
    service = ODataService(*tables.values(), *deaf.values())
    for option, table in tables.items():
        service.refuse(table.name, option)
    for option, table in deaf.items():
        table.ignores.add(option)
    with service.running():
        result = run_tap({"url": service.url, "page_size": 10, "tracking_type": "none"})
    warnings = [line for line in result.errors.splitlines() if logging.getLevelName(30) in line]
    for name, words in (
        ("NoFilter", "pages are read by position"),
        ("NoOrderby", "read by position"),
        ("NoSelect", "whole rows are asked for"),
        ("NoSkip", ""),
        ("DeafFilter", "by position"),
        ("DeafOrderby", ""),
    ):
        assert {row["Id"] for row in result.records(name)} == set(range(31)), name
        said = [line for line in warnings if name in line]
        assert len(said) == (name != "NoSkip"), name  # which is never asked for in vain
        assert words in "".join(said)
