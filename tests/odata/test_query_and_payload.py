"""URLs are encoded once; responses that are not what was requested are errors."""

# ruff: noqa: E501  documents and tables of cases are best read line by line

from __future__ import annotations

import datetime as dt
import json
import typing as t
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.errors import EmptyPayloadError, ExpandError, PayloadError
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.expand import as_paths, parse_expand, render
from tap_acumatica.odata.model import FunctionImport, Parameter
from tap_acumatica.odata.payload import error_text, parse_collection, parse_entity
from tap_acumatica.odata.query import QueryOptions, build_url, compare, function_call, path_segment
from tests.odata_service import csdl, parse_target

if t.TYPE_CHECKING:
    from tap_acumatica.odata.model import Model

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(TEXTS, TEXTS)
def test_a_service_decodes_the_same_options(first: str, second: str) -> None:
    terms = (compare("A", "eq", "Edm.String", first), compare("B", "gt", "Edm.String", second))
    options = QueryOptions(
        filter=terms, orderby=("A", "B"), select=("A",), top=5, skip=0, custom={"@p q": first}
    )
    path, query = parse_target(build_url("http://h/o", path_segment("Rows"), options))
    assert path == "http://h/o/Rows".removeprefix("http://h")
    assert query["$filter"] == " and ".join(terms)
    assert query["$orderby"] == "A,B"
    assert query["$skip"] == "0"
    assert query["@p q"] == first


@pytest.mark.parametrize(
    "sign", ["+", "%", "#", "&", " ", "/", "?", "=", "''", "ü", "💶", "\\", '"', ";"]
)
def test_reserved_characters_are_encoded(sign: str) -> None:
    options = QueryOptions(filter=(compare("A", "eq", "Edm.String", f"x{sign}y"),))
    target = build_url("http://h/o", path_segment(f"PM-{sign}"), options)
    assert target.isascii()
    path, query = parse_target(target)
    assert path == f"/o/PM-{sign}"
    assert query == {"$filter": f"A eq 'x{sign.replace(chr(39), chr(39) * 2)}y'"}


@given(TEXTS)
def test_function_parameters_arrive_complete(value: str) -> None:
    function = FunctionImport("Rows_WithParameters", (Parameter("P", "Edm.String"),), "Rows", None)
    path, aliases = function_call(function, {"P": value})
    spelled = "'" + value.replace("'", "''") + "'"
    decoded, query = parse_target(build_url("http://h/o", path, QueryOptions(custom=aliases)))
    assert decoded.removeprefix("/o/Rows_WithParameters") in {f"(P={spelled})", "(P=@P)"}
    assert spelled in {query.get("@P"), decoded.partition("=")[2][:-1]}


@pytest.mark.parametrize(
    ("document", "link"),
    [
        ({"@odata.nextLink": "L", "value": []}, "L"), ({"@nextLink": "L", "value": []}, "L"), ({"odata.nextLink": "L", "value": []}, "L"),
        ({"d": {"results": [], "__next": "L"}}, "L"), ({"d": []}, None), ({"value": []}, None), ({"value": [], "@odata.nextLink": ""}, None),
        ({"value": [], "@odata.nextLink": None}, None),
    ],
)  # fmt: skip
def test_next_links_are_found_under_each_name(document: dict[str, t.Any], link: str | None) -> None:
    assert parse_collection(json.dumps(document).encode()).next_link == link


def test_numbers_are_never_rounded() -> None:
    body = b'{"value":[{"a":123456789012345678901234567890.1234500,"b":9007199254740993,"c":1.10,"d":123456789012345678901234567890}]}'
    row = parse_collection(body).rows[0]
    assert row == {
        "a": Decimal("123456789012345678901234567890.1234500"),
        "b": 9007199254740993,
        "c": Decimal("1.10"),
        "d": 123456789012345678901234567890,
    }
    assert str(row["c"]) == "1.10"


@pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf"])
def test_an_empty_response_has_its_own_error(body: bytes) -> None:
    with pytest.raises(EmptyPayloadError):
        parse_collection(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<html></html>", b"<feed/>", b'{"value":[{"a":1},{"a', b'{"value":[{"a":1}]', b"[]", b"null", b'{"value":{}}', b'{"value":[1]}',
        b'{"error":{"message":"no"}}', b"{}", b'"text"', b'{"value":[{"a":NaN}]}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_anything_but_a_collection_is_an_error(body: bytes) -> None:
    with pytest.raises(PayloadError):
        parse_collection(body)


@given(st.integers(1, 10**6))
def test_a_response_that_is_cut_off_is_an_error(cut: int) -> None:
    body = json.dumps({"value": [{"Id": number, "Text": "x}]}"} for number in range(5)]}).encode()
    with pytest.raises(PayloadError):
        parse_collection(body[: cut % len(body)])


def test_an_entity_may_be_missing() -> None:
    assert parse_entity(b'{"@odata.context":"c","Id":1}').rows[0]["Id"] == 1
    assert parse_entity(b"null").rows == []
    assert parse_entity(b'{"d":{"Id":1}}').rows[0]["Id"] == 1
    assert parse_entity(b'{"Id":1,"value":"plain"}').rows[0]["value"] == "plain"


def test_verbose_json_is_reduced_to_its_values() -> None:
    row = {
        "__metadata": {"uri": "u", "type": "N.Row"},
        "Id": 1,
        "Lines": {"__deferred": {"uri": "u/Lines"}},
        "Items": {
            "results": [{"__metadata": {}, "N": 1, "More": {"__deferred": {}}}],
            "__count": "1",
        },
        "Tags": {"__metadata": {"type": "Collection(Edm.String)"}, "results": ["a", None]},
        "Address": {"__metadata": {"type": "N.Address"}, "City": "B"},
        "results": "a column",
    }
    plain = {
        "Id": 1,
        "Items": [{"N": 1}],
        "Tags": ["a", None],
        "Address": {"City": "B"},
        "results": "a column",
    }
    for document in ({"d": {"results": [row], "__next": "L"}}, {"d": [row]}):
        assert parse_collection(json.dumps(document).encode()).rows == [plain]
    assert parse_entity(json.dumps({"d": row}).encode()).rows == [plain]


def test_a_column_named_d_is_not_an_envelope() -> None:
    body = b'{"odata.metadata":"m","d":{"results":[]},"Id":1}'
    assert parse_entity(body).rows[0]["d"] == {"results": []}


@given(
    st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)),  # noqa: DTZ001  what a clock shows
    st.none() | st.integers(-14 * 60, 14 * 60),
)
def test_dates_in_milliseconds_are_local_time(moment: dt.datetime, minutes: int | None) -> None:
    shown = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    milliseconds = (shown - dt.datetime(1970, 1, 1)) // dt.timedelta(milliseconds=1)  # noqa: DTZ001
    offset = "" if minutes is None else f"{minutes:+05d}"
    body = f'{{"d":[{{"At":"\\/Date({milliseconds}{offset})\\/"}}]}}'.encode()
    text = parse_collection(body).rows[0]["At"]
    zone = None if minutes is None else dt.timezone(dt.timedelta(minutes=minutes))
    assert dt.datetime.fromisoformat(text) == shown.replace(tzinfo=zone)


@pytest.mark.parametrize(
    "text", ["/Date(x)/", "/Date(1)", "/Date(99999999999999999999)/", "/Date/"]
)
def test_texts_that_only_look_like_dates_are_unchanged(text: str) -> None:
    assert parse_collection(json.dumps({"d": [{"A": text}]}).encode()).rows == [{"A": text}]


def test_parameters_of_functions_are_query_options_in_older_versions() -> None:
    function = FunctionImport(
        "Find", (Parameter("At", "Edm.DateTime"), Parameter("N", "Edm.Int64")), "Rows", None
    )
    values = {"At": "2024-02-29T01:02:03.000000+00:00", "N": 5}
    assert function_call(function, values, version="3.0") == (
        "Find",
        {"At": "datetime'2024-02-29T01:02:03.000'", "N": "5L"},
    )


def test_expansions_are_paths_in_older_versions(orders: Model) -> None:
    items = ["Lines($select=Nbr,Qty;$expand=Item($select=Code))"]
    assert as_paths(parse_expand(items, "N.Order", orders)) == (
        "Lines,Lines/Item",
        ("Lines/Nbr", "Lines/Qty", "Lines/Item/Code"),
    )
    assert as_paths(parse_expand(["Lines"], "N.Order", orders)) == ("Lines", ("Lines",))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"odata.error":{"code":"","message":{"lang":"en-US","value":"No column"}}}', "No column"),
        ('{"error":{"code":"","message":{"lang":"en-US","value":"No column"}}}', "No column"),
        ('<m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:code/><m:message xml:lang="en-US">No\n column</m:message></m:error>', "No column"),
        ('<error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><message>Outer</message><innererror><message>Inner</message></innererror></error>', "Inner"),
        ("<error", ""), ("<x/>", ""),
    ],
)  # fmt: skip
def test_errors_of_older_versions_in_json_and_xml(body: str, text: str) -> None:
    assert error_text(body.encode()) == text


def test_the_readable_part_of_errors() -> None:
    nested = b'{"error":{"code":"","message":"Outer","innererror":{"message":"Inner"}}}'
    assert error_text(nested) == "Inner"
    assert error_text(b"<html>") == ""
    assert error_text(b"plain\ntext") == "plain text"
    assert len(error_text(b"x" * 5000)) <= 200


# $expand


@pytest.fixture(scope="module")
def orders() -> Model:
    return parse_metadata(
        csdl(
            '<EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32"/>'
            '<NavigationProperty Name="Lines" Type="Collection(N.Line)"/></EntityType><EntityType Name="Line"><Property Name="Nbr" Type="Edm.Int32"/>'
            '<Property Name="Qty" Type="Edm.Decimal"/><NavigationProperty Name="Item" Type="N.Item"/></EntityType>'
            '<EntityType Name="Item"><Property Name="Code" Type="Edm.String"/></EntityType>'
            '<EntityContainer Name="C"><EntitySet Name="Orders" EntityType="N.Order"/></EntityContainer>',
            'Namespace="N"',
        ).encode()
    )


@pytest.mark.parametrize(
    ("item", "rendered"),
    [
        ("Lines", "Lines"), (" Lines ", "Lines"), ("Lines($select=Nbr,Qty)", "Lines($select=Nbr,Qty)"),
        ("Lines($select=Nbr;$expand=Item($select=Code))", "Lines($select=Nbr;$expand=Item($select=Code))"),
        ("Lines($expand=Item)", "Lines($expand=Item)"), ("Lines( $select = Nbr )", "Lines($select=Nbr)"),
    ],
)  # fmt: skip
def test_expansions_are_read_and_written(orders: Model, item: str, rendered: str) -> None:
    assert render(parse_expand([item], "N.Order", orders)) == rendered


@pytest.mark.parametrize(
    "item",
    [
        "Nothing",
        "Lines(",
        "Lines)",
        "Lines($select=No)",
        "Lines($top=1)",
        "Lines($expand=No)",
        "Lines(Nbr)",
        "",
        "Lines()x",
    ],
)
def test_expansions_that_do_not_fit_are_refused(orders: Model, item: str) -> None:
    with pytest.raises(ExpandError):
        parse_expand([item], "N.Order", orders)
