"""Values of all kinds through the whole process: what comes is read, or named in one line."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from decimal import Decimal

import jsonschema
import pytest

from tests.field.orders import (
    COLUMNS,
    assert_complete,
    assert_one_error,
    latest,
    order,
    schema,
    service_of,
    stamp,
    warnings,
)
from tests.field.service import Service, Table, as_json
from tests.odata3_service import Forms, OData3Service
from tests.odata_service import Table as OlderTable

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request, Row
    from tests.odata_service import Answer

BAD = 7


def sending(service: Service, column: str, raw: str, *, rows: t.Iterable[int] = (BAD,)) -> None:
    """Let the service send a value of some rows in these characters."""
    chosen = set(rows)

    def spoil(_request: Request, reply: Reply) -> None:
        mark = "the value that is put in its place"
        for row in reply.rows or ():
            if row.get("Id") in chosen and column in row:
                row[column] = mark
        reply.body = as_json({**reply.members, "value": reply.rows}).replace(f'"{mark}"', raw)

    service.spoil = spoil


def with_column(column: str, kind: str, value: t.Any = None) -> Service:
    rows = [{**order(number), column: value} for number in range(1, 26)]
    return Service(Table("Orders", {**COLUMNS, column: kind}, ["Id"], rows))


def said_of(run: TapRun, column: str) -> str:
    """The one warning of a column."""
    (line,) = [line for line in warnings(run) if f"column {column}:" in line]
    return line


def sent(run: TapRun, key: int = BAD) -> Row:
    return latest(run)[key]


# Encodings


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-16", "application/json; charset=utf-16"),
        ("utf-16-le", "application/json"),
        ("utf-16-be", "application/json; charset=utf-8"),
        ("iso-8859-1", "application/json; charset=iso-8859-1"),
        ("cp1252", 'application/json; charset="Windows-1252"'),
        ("utf-8-sig", "application/json"),
        ("utf-8", "application/json; charset=iso-8859-1"),
    ],
)
def test_a_body_in_another_encoding_is_read_without_a_word(
    run_tap: RunTap, encoding: str, content_type: str
) -> None:
    service, table = service_of()
    if encoding == "cp1252":
        table.row(Id=BAD)["Note"] = "5 € “quoted”"

    def spoil(_request: Request, reply: Reply) -> None:
        text = json.dumps({**reply.members, "value": reply.rows}, default=float, ensure_ascii=False)
        reply.body, reply.content_type = text.encode(encoding), content_type

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert warnings(run) == []


# What is said


def test_a_value_in_each_row_is_one_warning_that_counts_the_rows(run_tap: RunTap) -> None:
    service, _ = service_of()
    sending(service, "Note", "5", rows=range(1, 26))
    with service.running():
        run = run_tap({"url": service.url})
    assert {record["Note"] for record in run.records("Orders")} == {"5"}
    said = said_of(run, "Note")
    assert "Orders" in said
    assert "24 more rows" in said


def test_null_for_many_values_is_one_warning_that_counts_them(run_tap: RunTap) -> None:
    service, _ = service_of()
    sending(service, "Total", '"n/a"', rows=range(3, 13))
    with service.running():
        run = run_tap({"url": service.url, "on_value_error": "null"})
    nulls = [key for key, record in latest(run).items() if record["Total"] is None]
    assert nulls == list(range(3, 13))
    assert "9 more rows" in said_of(run, "Total")
    assert "Id=3" in said_of(run, "Total")


@pytest.mark.parametrize("raw", ["NaN", "-INF", '"Infinity"', '"nan"'])
def test_a_number_that_json_does_not_have_is_null_and_said(run_tap: RunTap, raw: str) -> None:
    service, _ = service_of()
    sending(service, "Total", raw)
    with service.running():
        run = run_tap({"url": service.url})
    assert len(latest(run)) == 25
    assert sent(run)["Total"] is None
    assert "Id=7" in said_of(run, "Total")


def test_control_characters_in_a_text_arrive(run_tap: RunTap) -> None:
    service, table = service_of()
    sending(service, "Note", '"a\tb\x01c\r\nd"')
    with service.running():
        run = run_tap({"url": service.url})
    table.row(Id=BAD)["Note"] = "a\tb\x01c\r\nd"
    assert_complete(run, table)


def test_a_nul_never_leaves(run_tap: RunTap) -> None:
    service, table = service_of()
    sending(service, "Note", r'"a\u0000b"')
    with service.running():
        run = run_tap({"url": service.url})
    table.row(Id=BAD)["Note"] = "a\ufffdb"
    assert_complete(run, table)
    assert "Id=7" in said_of(run, "Note")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda body: body[: len(body) // 2], "cut off"),
        (lambda body: body.replace(b'"Id": 7,', b'"Id": 7 7,'), "not valid JSON"),
        (lambda body: body.replace(b'"Id": 7,', b'"Id" 7,'), "not valid JSON"),
    ],
    ids=["half a body", "a strange sign", "a sign too few"],
)
def test_only_a_body_that_ends_early_is_called_cut_off(
    run_tap: RunTap, change: Callable[[bytes], bytes], word: str
) -> None:
    service, _ = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.body = change(reply.encoded().replace(b'"Id":7,', b'"Id": 7,'))

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1}, check=False)
    assert_one_error(run, "Orders", word)
    assert ("cut off" in run.errors) == (word == "cut off")


# What fails, and what then helps


def test_a_number_beyond_64_bits_is_read_once_the_catalog_says_number_or_string(
    run_tap: RunTap,
) -> None:
    service = with_column("Count", "Edm.Int64", 5)
    sending(service, "Count", str(2**70))
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        failed = run_tap(config, catalog=catalog, check=False)
        assert_one_error(failed, "Orders", "Count", "Id=7", "on_value_error", "string")
        for kind, read in (("number", 2**70), ("string", str(2**70))):
            catalog["streams"][0]["schema"]["properties"]["Count"] = {"type": [kind, "null"]}
            run = run_tap(config, catalog=catalog)
            assert sent(run)["Count"] == read
            assert len(latest(run)) == 25
            assert warnings(run) == []


@pytest.mark.parametrize(
    ("kind", "raw", "wanted", "read"),
    [
        ("Edm.String", '"12.50"', {"type": ["number", "null"]}, Decimal("12.50")),
        ("Edm.String", '"12"', {"type": ["null", "integer"]}, 12),
        ("Edm.String", '"True"', {"type": ["boolean", "null"]}, True),
        (
            "Edm.String",
            '"2024-03-15T08:00:00Z"',
            {"type": ["string"], "format": "date"},
            "2024-03-15",
        ),
        (
            "Edm.String",
            '"2024-03-15"',
            {"type": ["string", "null"], "format": "date-time"},
            "2024-03-15T00:00:00.000000+00:00",
        ),
        ("Edm.Int32", "12.5", {"type": ["number", "null"]}, Decimal("12.5")),
        (
            "Edm.Int32",
            "3000000000",
            {"type": ["integer", "null"], "minimum": 0, "maximum": 2**32},
            3 * 10**9,
        ),
        ("Edm.Boolean", '"perhaps"', {"type": ["boolean", "string", "null"]}, "perhaps"),
        ("Edm.DateTimeOffset", '"soon"', {"type": ["string", "null"]}, "soon"),
        ("Edm.Guid", '"none"', {"type": ["string", "null"]}, "none"),
        ("Edm.Decimal", '{"a":[1.50]}', {"type": "string"}, '{"a":[1.50]}'),
    ],
)
def test_a_value_is_read_by_the_type_in_the_catalog(
    run_tap: RunTap, kind: str, raw: str, wanted: dict[str, t.Any], read: t.Any
) -> None:
    service = with_column("Held", kind)
    sending(service, "Held", raw)
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        catalog["streams"][0]["schema"]["properties"]["Held"] = wanted
        run = run_tap(config, catalog=catalog)
    found = sent(run)["Held"]
    assert (type(read)(str(found)) if isinstance(read, Decimal) else found) == read
    assert len(latest(run)) == 25
    assert warnings(run) == []


def test_a_type_in_the_catalog_that_a_value_is_not_of_is_for_the_setting_to_decide(
    run_tap: RunTap,
) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        catalog["streams"][0]["schema"]["properties"]["Note"] = {"type": ["number", "null"]}
        failed = run_tap(config, catalog=catalog, check=False)
        run = run_tap({**config, "on_value_error": "null"}, catalog=catalog)
    assert_one_error(failed, "Orders", "Note", "on_value_error", "Id=1")
    assert {record["Note"] for record in run.records("Orders")} == {None}
    assert "24 more rows" in said_of(run, "Note")


def test_only_the_stream_with_the_value_fails(run_tap: RunTap) -> None:
    service, table = service_of()
    other = Table("Zeroes", COLUMNS, ["Id"], [dict(row) for row in table.rows])
    service.tables["Zeroes"] = other
    sending(service, "Total", '"n/a"')
    spoil = service.spoil

    def only_orders(request: Request, reply: Reply) -> None:
        if request.entity_set == "Orders":
            spoil(request, reply)

    service.spoil = only_orders
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "Orders", "Total")
    assert len(run.records("Zeroes")) == 25


@pytest.mark.parametrize(
    ("column", "raw", "read"),
    [
        ("Id", '"7"', 7),
        ("LastModifiedDateTime", '"2024-03-01 08:07"', "2024-03-01T08:07:00.000000+00:00"),
        ("LastModifiedDateTime", r'"\/Date(1709280420000)\/"', "2024-03-01T08:07:00.000000+00:00"),
    ],
)
def test_keys_and_stamps_are_read_leniently_and_bookmarked(
    run_tap: RunTap, column: str, raw: str, read: t.Any
) -> None:
    service, table = service_of()
    sending(service, column, raw)
    with service.running():
        run = run_tap({"url": service.url})
    assert run.exit_code == 0
    assert {record["Id"] for record in run.records("Orders")} == {row["Id"] for row in table.rows}
    assert next(r for r in run.records("Orders") if r["Id"] == BAD)[column] == read


def test_a_key_that_cannot_be_emitted_fails_whatever_the_setting(run_tap: RunTap) -> None:
    rows = [{"Code": f"C{n:02}", "LastModifiedDateTime": stamp(n)} for n in range(1, 26)]
    columns = {"Code": "Edm.String", "LastModifiedDateTime": "Edm.DateTimeOffset"}
    service = Service(Table("Orders", columns, ["Code"], rows))

    def spoil(_request: Request, reply: Reply) -> None:
        reply.body = reply.encoded().replace(b'"C07"', rb'"C07\u0000"')

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "on_value_error": "null"}, check=False)
    assert_one_error(run, "Orders", "Code", "does not apply")


# What loaders take


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("Edm.DateTimeOffset", '"0001-01-01T00:00:00+14:00"'),
        ("Edm.DateTimeOffset", '"9999-12-31T23:59:59.9999999Z"'),
        ("Edm.DateTimeOffset", '"2024-03-15T24:00:00Z"'),
        ("Edm.DateTimeOffset", '"2016-12-31T23:59:60Z"'),
        ("Edm.DateTimeOffset", '"2024-03-15T08:00:00.1234567+05:45"'),
        ("Edm.TimeOfDay", '"23:59:59.9999999"'),
        ("Edm.Duration", '"-P1DT2H3M4.5S"'),
        ("Edm.Guid", '"{5AE2B6A0-0000-0000-0000-00000000000F}"'),
        ("Edm.Double", "1e-7"),
        ("Edm.Int16", "32767"),
        ("Edm.Binary", '"_-8"'),
        ('Edm.String MaxLength="2"', '"longer than that"'),
        ('Edm.Decimal Precision="5" Scale="2"', "123456.789"),
    ],
)
def test_a_record_obeys_its_schema_with_formats(run_tap: RunTap, kind: str, raw: str) -> None:
    service = with_column("Held", kind)
    sending(service, "Held", raw)
    with service.running():
        run = run_tap({"url": service.url})
    checker = jsonschema.Draft202012Validator(
        schema(run)["schema"], format_checker=jsonschema.FormatChecker()
    )
    written = [m for m in map(json.loads, run.output.splitlines()) if m["type"] == "RECORD"]
    for message in written:
        checker.validate(message["record"])
    assert sent(run)["Held"] is not None


def test_columns_that_differ_in_case_only_are_named_beforehand(run_tap: RunTap) -> None:
    service = with_column("NOTE", "Edm.String", "other")
    with service.running():
        config = {"url": service.url}
        run = run_tap(config)
        catalog = run_tap(config, "--discover").document
        for item in catalog["streams"][0]["metadata"]:
            if item["breadcrumb"] == ["properties", "NOTE"]:
                item["metadata"]["selected"] = False
        one = run_tap(config, catalog=catalog)
    (said,) = warnings(run)
    assert all(word in said for word in ("Orders", "Note", "NOTE", "selected"))
    assert warnings(one) == []
    assert len(latest(one)) == 25


# The older generation


def older(form: t.Literal["light", "verbose", "atom"] = "atom") -> OData3Service:
    columns = {
        "Id": "Edm.Int32",
        "Note": "Edm.String",
        "Total": "Edm.Decimal",
        "Due": "Edm.DateTime",
    }
    rows = [
        {
            "Id": n,
            "Note": f"Note {n}!",
            "Total": Decimal(f"777.{n}00"),
            "Due": f"2024-02-{n:02}T00:00:00",
        }
        for n in range(1, 26)
    ]
    forms = Forms(json="light" if form == "atom" else form, ticks=False)
    return OData3Service(OlderTable("Orders", columns, ["Id"], rows), forms=forms)


def replacing(*pairs: tuple[bytes, bytes]) -> Callable[[Answer], Answer]:
    """The right answer, with some bytes replaced."""

    def spoil(right: Answer) -> Answer:
        body = right.body
        for before, after in pairs:
            body = body.replace(before, after)
        return dataclasses.replace(right, body=body)

    return spoil


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a&#x0;b", "a\ufffdb"),
        (b"a\x01b", "a\ufffdb"),
        (b"a&#8;b", "a\ufffdb"),
        (b"a\xe9b", "a\ufffdb"),
        (b"a&#xD83D;&#xDE00;b", "a\U0001f600b"),
        (b"a&#xD83D;b", "a\ufffdb"),
    ],
)
def test_what_xml_forbids_is_replaced_in_feeds(run_tap: RunTap, raw: bytes, text: str) -> None:
    service = older()
    service.fail("Orders", replacing((b"Note 7!", raw)))
    with service.running():
        run = run_tap({"url": service.url, "data_format": "atom"})
    assert {r["Id"]: r["Note"] for r in run.records("Orders")} == {
        n: text if n == BAD else f"Note {n}!" for n in range(1, 26)
    }
    if "\ufffd" in text:
        assert "Id=7" in said_of(run, "Note")


@pytest.mark.parametrize("form", ["light", "verbose", "atom"])
def test_values_of_the_older_generation_are_read_by_the_same_rules(
    run_tap: RunTap, form: t.Literal["light", "verbose", "atom"]
) -> None:
    service = older(form)
    spoil = replacing((b"777.700", b"n/a"), (b"2024-02-07T00:00:00", b"2024-03-15"))
    service.fail("Orders", spoil)
    with service.running():
        config = {"url": service.url, "data_format": "atom" if form == "atom" else "json"}
        failed = run_tap(config, check=False)
        run = run_tap({**config, "on_value_error": "null"})
    assert_one_error(failed, "Orders", "Total", "Id=7", "on_value_error")
    record = next(r for r in run.records("Orders") if r["Id"] == BAD)
    assert record["Total"] is None
    assert record["Due"] == "2024-03-15T00:00:00.000000+00:00"
    assert "Id=7" in said_of(run, "Total")
    assert "Id=7" in said_of(run, "Due")
