"""Values that no standard foresees, on their whole way: none holds up a table, none changes."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.field.orders import (
    COLUMNS,
    assert_complete,
    assert_one_error,
    bookmark,
    latest,
    order,
    service_of,
    warnings,
)
from tests.field.service import Service, Table, as_json

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunTap
    from tests.field.service import Reply, Request


def changing(service: Service, change: Callable[[bytes], bytes], content_type: str = "") -> None:
    """Let the service send other bytes than it should."""

    def spoil(_request: Request, reply: Reply) -> None:
        reply.body = change(reply.encoded())
        reply.content_type = content_type or reply.content_type

    service.spoil = spoil


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8-sig", "application/json"),
        ("utf-16", "application/json"),
        ("utf-16-le", "application/json;charset=utf-8"),
        ("utf-16-be", "application/json;charset=utf-16be"),
        ("latin-1", "application/json;charset=iso-8859-1"),
        ("cp1252", 'application/json;odata.metadata=minimal;charset="windows-1252"'),
        ("utf-8", "application/json;charset=iso-8859-1"),
        ("utf-8", "application/json;charset=no-such"),
    ],
)
def test_bodies_are_read_in_the_encoding_that_they_have(
    run_tap: RunTap, encoding: str, content_type: str
) -> None:
    service, table = service_of()

    def change(body: bytes) -> bytes:
        document = json.dumps(json.loads(body, parse_float=str), ensure_ascii=False)
        return document.encode(encoding)

    changing(service, change, content_type)
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert not warnings(run)


def test_nul_and_control_characters_stop_no_table(run_tap: RunTap) -> None:
    service, table = service_of()

    def change(body: bytes) -> bytes:
        return body.replace(b"Order 7,", b"Order\\u00007,").replace(b"Order 8,", b"Order\t8,")

    changing(service, change)
    with service.running():
        run = run_tap({"url": service.url})
    for number, between in ((7, "\ufffd"), (8, "\t")):
        row = table.row(Id=number)
        row["Note"] = row["Note"].replace(f"Order {number}", f"Order{between}{number}")
    assert_complete(run, table)
    (warning,) = warnings(run)
    assert "Note" in warning
    assert "Id=7" in warning


def test_many_bad_values_are_one_warning(run_tap: RunTap) -> None:
    service, table = service_of()
    changing(service, lambda body: body.replace(b"Order 1", b"Order \xff1"))
    with service.running():
        run = run_tap({"url": service.url, "page_size": 10})
    for row in table.rows:
        row["Note"] = row["Note"].replace("Order 1", "Order \ufffd1")
    assert_complete(run, table)
    (warning,) = warnings(run)
    assert "and 10 more rows" in warning  # 1, and 10 to 19


@pytest.mark.parametrize("word", ["NaN", "-Infinity", '"INF"', '"NaN"'])
def test_what_is_not_finite_is_null_with_a_warning(run_tap: RunTap, word: str) -> None:
    rows = [{**order(number), "Rate": 1} for number in range(1, 26)]
    rows[6]["Rate"] = 777
    service = Service(Table("Orders", {**COLUMNS, "Rate": "Edm.Double"}, ["Id"], rows))
    changing(service, lambda body: body.replace(b"777", word.encode()))
    with service.running():
        run = run_tap({"url": service.url})
    assert latest(run)[7]["Rate"] is None
    (warning,) = warnings(run)
    assert "Rate" in warning
    assert "Id=7" in warning


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"value":[{"Id":1,"Note":"x"', "cut off"),
        ('{"value":[{"Id":1,"Note":"x', "cut off"),
        ('{"value":[{"Id":1,"Note":"x",}]}', "not valid JSON"),
        ('{"value":[{"Id":1}]}{"error":{"message":"late"}}', "not valid JSON"),
        ('{"value":[{"Id":1 "Note":"x"}]}', "not valid JSON"),
    ],
)
def test_cut_off_is_said_of_bodies_that_end_early_only(
    run_tap: RunTap, body: str, said: str
) -> None:
    service, _ = service_of()
    changing(service, lambda _: body.encode())
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 2}, check=False)
    assert_one_error(run, "Orders", said)
    assert ("cut off" in run.errors) == (said == "cut off")


def test_a_value_error_ends_its_stream_only(run_tap: RunTap) -> None:
    bad = [{**order(number), "Count": number} for number in range(1, 26)]
    service = Service(
        Table("Bad", {**COLUMNS, "Count": "Edm.Int32"}, ["Id"], bad),
        Table("Good", COLUMNS, ["Id"], [order(number) for number in range(1, 6)]),
    )

    def spoil(_request: Request, reply: Reply) -> None:
        for row in reply.rows or ():
            if row.get("Count") == 9:
                row["Count"] = 12.5
        reply.body = as_json({**reply.members, "value": reply.rows})

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "Bad", "Count", "Id=9", "on_value_error")
    assert len(run.records("Good")) == 5


def test_columns_that_differ_in_case_only_are_said_beforehand(run_tap: RunTap) -> None:
    rows = [{**order(number), "NOTE": "other"} for number in range(1, 6)]
    service = Service(Table("Orders", {**COLUMNS, "NOTE": "Edm.String"}, ["Id"], rows))
    with service.running():
        found = run_tap({"url": service.url}, "--discover")
        run = run_tap({"url": service.url})
    (warning,) = warnings(found)
    assert "Note and NOTE" in warning
    assert "'selected': false" in warning
    assert {(r["Note"][:5], r["NOTE"]) for r in run.records("Orders")} == {("Order", "other")}


@pytest.mark.parametrize(
    ("kind", "raw", "read"),
    [
        ({"type": ["string", "null"]}, "1.50", "1.50"),
        ({"type": ["string", "null"]}, "true", "true"),
        ({"type": ["string", "null"]}, '{"a":[1]}', '{"a":[1]}'),
        ({"type": ["integer", "null"]}, '"12"', 12),
        ({"type": ["boolean", "null"]}, '"TRUE"', True),
        ({"type": ["string", "null"], "format": "date"}, '"2024-03-15T08:00:00Z"', "2024-03-15"),
    ],
)
def test_the_catalog_decides_how_a_value_is_read(
    run_tap: RunTap, kind: dict[str, t.Any], raw: str, read: t.Any
) -> None:
    rows = [{**order(number), "Free": 0} for number in range(1, 4)]
    rows[1]["Free"] = 777
    service = Service(Table("Orders", {**COLUMNS, "Free": "Edm.Int32"}, ["Id"], rows))

    def change(body: bytes) -> bytes:
        return body.replace(b'"Free":777', f'"Free":{raw}'.encode()).replace(
            b'"Free":0', b'"Free":null'
        )

    changing(service, change)
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        catalog["streams"][0]["schema"]["properties"]["Free"] = kind
        run = run_tap(config, catalog=catalog)
    found = {record["Id"]: record["Free"] for record in run.records("Orders")}
    assert found == {1: None, 2: read, 3: None}


FORMS = ["2024-03-01T08:07:00Z", "2024-03-01T08:08:00.5Z", "2024-03-01T08:09:00.123456Z"]
"""Instants in UTC as services write them."""
EVENTS = {
    "At": 'Edm.DateTimeOffset Nullable="false"',
    "Nbr": 'Edm.Int32 Nullable="false"',
    "Note": "Edm.String",
    "LastModifiedDateTime": "Edm.DateTimeOffset",
}


MAPS = {"Events": {"Twice": "Nbr * 2"}}


@pytest.mark.parametrize("note", ["n", 5], ids=["as declared", "read one by one"])
@pytest.mark.parametrize("settings", [{}, {"stream_maps": MAPS}], ids=["as they are", "mapped"])
def test_instants_in_utc_leave_as_they_came_also_where_rows_are_found_by_them(
    run_tap: RunTap, settings: dict[str, t.Any], note: t.Any
) -> None:
    rows = [
        {"At": form, "Nbr": number, "Note": note, "LastModifiedDateTime": form}
        for number, form in enumerate(FORMS)
    ]
    service = Service(Table("Events", EVENTS, ["At", "Nbr"], rows))
    with service.running():
        run = run_tap({"url": service.url, "page_size": 2, **settings})
        again = run_tap({"url": service.url, **settings}, state=run.state)
    found = {
        (record["Nbr"], record["At"], record["LastModifiedDateTime"])
        for record in run.records("Events")
    }
    assert found == {(number, form, form) for number, form in enumerate(FORMS)}
    assert bookmark(run, "Events") == "2024-03-01T08:09:00.123456+00:00"
    assert {record["At"] for record in again.records("Events")} <= {*FORMS}
