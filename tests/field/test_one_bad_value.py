"""One bad value holds no table up: it is read leniently, and a warning says where it was."""

from __future__ import annotations

import typing as t
from decimal import Decimal

import pytest

from tests.field.orders import (
    COLUMNS,
    assert_complete,
    assert_one_error,
    latest,
    missed,
    order,
    service_of,
    value,
    warnings,
)
from tests.field.service import Service, Table, as_json

if t.TYPE_CHECKING:
    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request, Row

BAD = 7
"""The key of the row that holds the value."""


def sending(service: Service, column: str, raw: str) -> None:
    """Let the service send one value of one row in these characters."""

    def spoil(_request: Request, reply: Reply) -> None:
        mark = "the value that is put in its place"
        for row in reply.rows or ():
            if row.get("Id") == BAD and column in row:
                row[column] = mark
        reply.body = as_json({**reply.members, "value": reply.rows}).replace(f'"{mark}"', raw)

    service.spoil = spoil


def sent(run: TapRun) -> Row:
    return next(record for record in run.records("Orders") if record["Id"] == BAD)


def assert_warned(run: TapRun, *words: str) -> None:
    """One warning, however many rows, that says these words."""
    found = [line for line in warnings(run) if all(word in line for word in words)]
    assert len(found) == 1, run.errors


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("5", "5"),
        ("1.50", "1.50"),
        ("true", "true"),
        (r'"ok \ud83d"', "ok \ufffd"),
        (r'"\udc00 ok"', "\ufffd ok"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
    ],
)
def test_a_text_that_is_none_becomes_one(run_tap: RunTap, raw: str, text: str) -> None:
    service, table = service_of()
    sending(service, "Note", raw)
    with service.running():
        run = run_tap({"url": service.url})
    table.row(Id=BAD)["Note"] = text
    assert_complete(run, table)
    assert_warned(run, "Orders", "Note")


def test_bytes_that_are_no_utf8_become_replacement_characters(run_tap: RunTap) -> None:
    service, table = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        note = b"Order 7,"
        reply.body = reply.encoded().replace(note, b"Order \xe9,")

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    row = table.row(Id=BAD)
    row["Note"] = row["Note"].replace("Order 7,", "Order \ufffd,")
    assert_complete(run, table)
    assert_warned(run, "Orders", "Note")


@pytest.mark.parametrize(
    ("column", "kind", "raw", "read"),
    [
        ("Due", "Edm.DateTimeOffset", '"2024-03-15"', "2024-03-15"),
        ("Due", "Edm.DateTimeOffset", '"2024-03-15T08:00:00"', "2024-03-15T08:00:00"),
        ("Due", "Edm.Date", '"2024-03-15T00:00:00Z"', "2024-03-15"),
        ("Count", "Edm.Int32", '"12"', "12"),
        ("Count", "Edm.Int64", "12.0", "12"),
        ("Total", "Edm.Decimal", '"12.50"', "12.50"),
        ("Total", "Edm.Decimal", "1.25e1", "12.5"),
        ("Open", "Edm.Boolean", '"true"', "True"),
        ("Open", "Edm.Boolean", "1", "True"),
    ],
)
def test_a_value_in_another_form_is_read_all_the_same(
    run_tap: RunTap, column: str, kind: str, raw: str, read: str
) -> None:
    rows = [{**order(number), column: None} for number in range(1, 26)]
    service = Service(Table("Orders", {**COLUMNS, column: kind}, ["Id"], rows))
    sending(service, column, raw)
    with service.running():
        run = run_tap({"url": service.url})
    assert len(latest(run)) == 25
    found = str(sent(run)[column])
    if column == "Total":
        assert Decimal(found) == Decimal(read)
    else:
        assert found.startswith(read)


NONE_AT_ALL = [
    ("Total", "Edm.Decimal", '"n/a"'),
    ("Count", "Edm.Int64", str(2**63)),
    ("Count", "Edm.Int32", "12.5"),
    ("Due", "Edm.DateTimeOffset", '"soon"'),
    ("Open", "Edm.Boolean", '"perhaps"'),
]


@pytest.mark.parametrize(("column", "kind", "raw"), NONE_AT_ALL)
def test_what_is_no_value_of_its_column_fails_the_stream_and_says_where(
    run_tap: RunTap, column: str, kind: str, raw: str
) -> None:
    rows = [{**order(number), column: None} for number in range(1, 26)]
    service = Service(Table("Orders", {**COLUMNS, column: kind}, ["Id"], rows))
    sending(service, column, raw)
    with service.running():
        run = run_tap({"url": service.url}, check=False)
        lenient = run_tap({"url": service.url, "on_value_error": "null"}, check=False)
    assert_one_error(run, "Orders", column, "on_value_error", str(BAD))
    assert lenient.exit_code == 0, lenient.errors
    assert len(latest(lenient)) == 25
    assert sent(lenient)[column] is None
    assert_warned(lenient, "Orders", column, str(BAD))


@pytest.mark.parametrize("column", ["Id", "LastModifiedDateTime"])
def test_a_key_or_a_stamp_that_is_no_value_always_fails(run_tap: RunTap, column: str) -> None:
    service, _ = service_of()
    sending(service, column, '"n/a"')
    with service.running():
        run = run_tap({"url": service.url, "on_value_error": "null"}, check=False)
    assert all(value(record)[column] is not None for record in run.records("Orders"))
    assert_one_error(run, "Orders", column)


def test_the_type_that_the_catalog_says_is_the_one_that_values_are_read_by(
    run_tap: RunTap,
) -> None:
    rows = [{**order(number), "Count": number} for number in range(1, 26)]
    service = Service(Table("Orders", {**COLUMNS, "Count": "Edm.Int32"}, ["Id"], rows))
    sending(service, "Count", '"a dozen"')
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        catalog["streams"][0]["schema"]["properties"]["Count"] = {"type": ["string", "null"]}
        run = run_tap(config, catalog=catalog)
    counts = {record["Id"]: record["Count"] for record in run.records("Orders")}
    assert counts == {n: "a dozen" if n == BAD else str(n) for n in range(1, 26)}


def test_a_whole_number_of_any_length_fits_a_decimal(run_tap: RunTap) -> None:
    service, table = service_of()
    table.row(Id=BAD)["Total"] = Decimal(123456789012345678901234567890)
    table.row(Id=8)["Total"] = Decimal("-0.000000000000000000000000001")
    with service.running():
        run = run_tap({"url": service.url})
    assert missed(table, run) == []
