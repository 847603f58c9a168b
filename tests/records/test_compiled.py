"""The fast path and the exact codec write the same messages."""

from __future__ import annotations

import datetime as dt
import io
import json
import typing as t
import uuid
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_acumatica.errors import PayloadError, ValueMismatchError
from tap_acumatica.odata.atom import ResponseBody
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.time_zone import ServiceTimeZone, zone_named
from tap_acumatica.records.codec import RowCodec
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.compiled_row import CompiledRow, column_of
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.record_maker import RecordMaker
from tap_acumatica.records.schema import record_shape

if t.TYPE_CHECKING:
    from tap_acumatica.records.codec import Page

local_times = st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2100, 1, 1)).flatmap(  # noqa: DTZ001
    lambda moment: st.sampled_from(["", "Z", "+05:30"]).map(moment.isoformat().__add__)
)
KINDS = {
    "Edm.String": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    "Edm.Boolean": st.booleans(),
    "Edm.Byte": st.integers(0, 255),
    "Edm.SByte": st.integers(-128, 127),
    "Edm.Int16": st.integers(-(2**15), 2**15 - 1),
    "Edm.Int32": st.integers(-(2**31), 2**31 - 1),
    "Edm.Int64": st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**63), 2**63 - 1).map(str),
    "Edm.Decimal": st.decimals(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=6).map(str),
    "Edm.Double": st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["INF", "-INF", "NaN"]),
    "Edm.Single": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "Edm.Guid": st.uuids().map(str),
    "Edm.DateTimeOffset": st.datetimes()
    .filter(lambda moment: 1 < moment.year < dt.MAXYEAR)
    .flatmap(
        lambda moment: st.sampled_from(["Z", "+05:30", "-08:00"]).map(moment.isoformat().__add__)
    ),
    "Edm.Date": st.dates().map(str),
    "Edm.TimeOfDay": st.times().map(lambda moment: moment.isoformat("seconds")),
    "Edm.Duration": st.sampled_from(["PT1H", "P1DT2H3.5S"]),
    "Edm.Binary": st.binary(max_size=6).map(lambda held: held.hex()),
    "S.Colour": st.sampled_from(["Red", "Green"]),
    "S.Inner": st.fixed_dictionaries(
        {"Amount": st.decimals(0, 10, places=2), "At": st.none() | local_times}
    ),
    "Collection(Edm.String)": st.lists(st.text(max_size=3), max_size=3),
    "Edm.DateTime": local_times,
}
COLUMNS = {f"P{number}": kind for number, kind in enumerate(KINDS)} | {
    "Day": "Edm.DateTimeOffset",
    "Inner": "S.Inner",
}
MODEL = parse_metadata(
    (
        '<Edmx Version="4.0"><DataServices><Schema Namespace="S">'
        '<EnumType Name="Colour"/><ComplexType Name="Inner">'
        '<Property Name="Amount" Type="Edm.Decimal"/>'
        '<Property Name="At" Type="Edm.DateTimeOffset"/></ComplexType>'
        '<EntityType Name="T"><Key><PropertyRef Name="P4"/><PropertyRef Name="P0"/></Key>'
        + "".join(f'<Property Name="{name}" Type="{kind}"/>' for name, kind in COLUMNS.items())
        + '</EntityType><EntityContainer><EntitySet Name="Ts" EntityType="S.T"/></EntityContainer>'
        "</Schema></DataServices></Edmx>"
    ).encode()
)
SHAPE = record_shape(MODEL, "S.T", tenant=True, hashed_key=True)
NAMES = list(SHAPE.schema["properties"])


def _codecs(
    time_zone: ServiceTimeZone | None = None, *, omits_nulls: bool = True
) -> tuple[RowCodec, RecordMaker, CompiledCodec]:
    exact = RowCodec(
        MODEL,
        SHAPE.properties,
        key=SHAPE.key,
        time_zone=time_zone,
        dates=["Day"],
        omits_nulls=lambda: omits_nulls,
    )
    maker = RecordMaker(NAMES, key=SHAPE.key, tenant="Co")
    return exact, maker, CompiledCodec(exact, NAMES, SHAPE.properties, key=SHAPE.key, tenant="Co")


def _page(rows: list[dict[str, t.Any]], **more: t.Any) -> bytes:
    encoder = msgspec.json.Encoder(decimal_format="number")
    return encoder.encode({"@odata.context": "c", "value": rows, **more})


def _lines(records: t.Iterable[t.Any]) -> list[dict[str, t.Any]]:
    lines = RecordLines("T", version=7).encode(records, time_extracted="2024-01-01T00:00:00+00:00")
    return [json.loads(line, parse_float=str) for line in lines.splitlines()]


COLUMN_OF = {kind: name for name, kind in COLUMNS.items()}
CLOCKS = [
    ServiceTimeZone(),
    ServiceTimeZone(zone_named("America/New_York")),
    ServiceTimeZone(zone_named("Eastern Standard Time"), convert_to_utc=False),
]
rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={name: st.none() | KINDS[kind] for name, kind in COLUMNS.items()},
    ),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(held=rows, time_zone=st.sampled_from(CLOCKS), omits_nulls=st.booleans())
def test_both_paths_write_the_same_messages_for_every_type(
    held: list[dict[str, t.Any]], time_zone: ServiceTimeZone, *, omits_nulls: bool
) -> None:
    exact, maker, compiled = _codecs(time_zone, omits_nulls=omits_nulls)
    body = _page([{**row, "@odata.etag": "x", "Unknown": 1.5} for row in held])
    slow = [maker.record(row) for row in exact.decode(body).rows]
    fast = compiled.decode(body).rows
    assert all(isinstance(row, CompiledRow) for row in fast)
    assert _lines(fast) == _lines(slow)
    for row, record in zip(fast, slow, strict=True):
        assert [row[name] for name in NAMES] == [record[name] for name in NAMES]
    assert column_of(fast, "P4") == column_of(slow, "P4")


def test_times_are_emitted_in_the_zone_and_dates_as_received() -> None:
    time_zone = ServiceTimeZone(zone_named("Eastern Standard Time"), convert_to_utc=False)
    row = {
        "P11": "2024-07-01T10:00:00Z",
        COLUMN_OF["Edm.DateTime"]: "2024-01-01T10:00:00",
        "Day": "2024-03-01T00:00:00+13:00",
        "Inner": {"At": "2024-01-01T10:00:00"},
    }
    exact, _, compiled = _codecs(time_zone)
    for codec in (exact, compiled):
        (found,) = codec.decode(_page([row])).rows
        assert found["P11"] == "2024-07-01T06:00:00.000000-04:00"
        assert found[COLUMN_OF["Edm.DateTime"]] == "2024-01-01T10:00:00.000000-05:00"
        assert found["Day"] == "2024-03-01"
        assert found["Inner"]["At"] == "2024-01-01T10:00:00.000000-05:00"


def test_a_message_has_the_members_of_the_singer_specification() -> None:
    (line,) = _lines([{"a": Decimal("1999.000000")}])
    assert line == {
        "type": "RECORD",
        "stream": "T",
        "record": {"a": "1999.000000"},
        "version": 7,
        "time_extracted": "2024-01-01T00:00:00+00:00",
    }


COMPLETE: dict[str, t.Any] = {**dict.fromkeys(COLUMNS), "P0": "a", "P4": 1}


@pytest.mark.parametrize("rename", [str, str.lower, str.upper])
@pytest.mark.parametrize("omits_nulls", [False, True])
def test_both_paths_match_names_in_another_case(
    rename: t.Callable[[str], str], *, omits_nulls: bool
) -> None:
    held = [{**COMPLETE, "P1": True}, {**COMPLETE, "P0": "b", "P7": Decimal("1.50")}]
    body = _page([{rename(name): value for name, value in row.items()} for row in held])
    exact, maker, compiled = _codecs(omits_nulls=omits_nulls)
    page = compiled.decode(body)
    assert _lines(page.rows) == _lines([maker.record(row) for row in exact.decode(body).rows])
    assert column_of(page.rows, "P1") == [True, None]
    assert page.absent == page.lacking == frozenset()


@pytest.mark.parametrize("name", ["P1", "P7"])
def test_one_column_in_another_case_is_found_where_nulls_are_left_out(name: str) -> None:
    value: t.Any = {"P1": True, "P7": Decimal("1.50")}[name]
    body = _page([{"P0": "a", "P4": 1}, {"P0": "b", "P4": 1, name.lower(): value}])
    (_, row) = _codecs()[2].decode(body).rows
    assert row[name] == value


def test_complete_rows_take_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, compiled = _codecs(omits_nulls=False)
    monkeypatch.setattr(RowCodec, "decode", None)
    page = compiled.decode(_page([{**COMPLETE, "@odata.etag": "x", "Unknown": 1}]))
    assert page.rows[0]["P4"] == 1
    assert page.absent == frozenset()


def test_both_paths_say_which_columns_no_row_has_and_which_one_lacks() -> None:
    without = {name: value for name, value in COMPLETE.items() if name != "P3"}
    body = _page([without, {name: value for name, value in without.items() if name != "P9"}])
    exact, _, compiled = _codecs(omits_nulls=False)
    for codec in (exact, compiled):
        page = codec.decode(body)
        assert page.absent == {"P3"}
        assert page.lacking == {"P3", "P9"}


@pytest.mark.parametrize("omits_nulls", [False, True])
def test_a_key_that_a_row_lacks_is_seen_whether_or_not_nulls_are_left_out(
    *, omits_nulls: bool
) -> None:
    body = _page([COMPLETE, {"P0": "b"}])
    assert "P4" in _codecs(omits_nulls=omits_nulls)[2].decode(body).lacking


@pytest.mark.parametrize(
    "row",
    [
        {"P4": 2**15},
        {"P5": 1.5},
        {"P1": "yes"},
        {"P10": "no guid"},
        {"P11": "yesterday"},
        {"P7": "much"},
        {"P18": "x"},
        {"Day": "2024-02-30T00:00:00Z"},
    ],
)
def test_both_paths_refuse_the_same_values_in_the_same_words(row: dict[str, t.Any]) -> None:
    exact, _, compiled = _codecs()
    body = _page([{"P0": "k"}, row])
    with pytest.raises(ValueMismatchError) as slow:
        exact.decode(body)
    with pytest.raises(ValueMismatchError) as fast:
        compiled.decode(body)
    assert str(fast.value) == str(slow.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"value": [{"P0": "x"}',
        b'{"valu": []}',
        b"null",
        b"{}",
        b'{"value": null}',
        b'{"value": {}}',
        b'{"value": [], "error": {"message": "no"}}',
        b'{"value": [], "error": "no"}',
        b'{"value": [], "odata.error": "no"}',
        b'{"value": [], "@odata.error": {}}',
        b'{"d": {"results": [], "error": "no"}}',
    ],
)
def test_both_paths_refuse_an_invalid_response(body: bytes) -> None:
    exact, _, compiled = _codecs()
    for codec in (exact, compiled):
        with pytest.raises(PayloadError):
            codec.decode(body)


def test_an_error_that_is_null_is_none() -> None:
    exact, _, compiled = _codecs()
    for codec in (exact, compiled):
        assert codec.decode(b'{"error": null, "value": []}').rows == []


def test_other_forms_of_a_response_are_accepted() -> None:
    _, _, compiled = _codecs()
    page = compiled.decode(b'\xef\xbb\xbf{"d": {"results": [{"P0": "x"}], "__next": "y"}}')
    assert page.rows[0]["P0"] == "x"
    assert page.next_link == "y"
    assert compiled.decode(_page([], **{"@odata.nextLink": "z"})).next_link == "z"


LIGHT = {"odata.metadata": "m", "odata.nextLink": "L"}


def _older_codec() -> CompiledCodec:
    exact, _, _ = _codecs()
    return CompiledCodec(
        exact, NAMES, SHAPE.properties, key=SHAPE.key, tenant="Co", int64_as_text=True
    )


def test_light_json_of_version_3_takes_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its decimals and 64-bit integers are strings."""
    row = {"P0": "a", "P4": 1, "P6": "9007199254740993", "P7": "12345678901234567890.10"}
    body = json.dumps({**LIGHT, "value": [row, {**row, "P6": 5, "P7": None}]}).encode()
    by_exact = _older_codec()._exact.decode(body)
    monkeypatch.setattr(RowCodec, "decode", None)
    page = _older_codec().decode(body)
    assert (page.next_link, page.context) == ("L", "m") == (by_exact.next_link, by_exact.context)
    for name in SHAPE.properties:
        assert column_of(page.rows, name) == column_of(by_exact.rows, name)
    assert column_of(page.rows, "P6") == [2**53 + 1, 5]


@pytest.mark.parametrize("value", ["9223372036854775808", "1.5", "x", "null", True, ""])
def test_invalid_long_integers_are_refused_in_version_3(*, value: t.Any) -> None:
    body = json.dumps({**LIGHT, "value": [{"P6": value}]}).encode()
    with pytest.raises(ValueMismatchError, match="P6"):
        _older_codec().decode(body)
    with pytest.raises(PayloadError, match="no column"):
        _older_codec().decode(
            b'{"value":[],"odata.error":{"message":{"lang":"en","value":"no column"}}}'
        )


def _feed(*rows: str) -> bytes:
    entries = "".join(
        f"<entry><content><m:properties>{row}</m:properties></content></entry>" for row in rows
    )
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:m="http://schemas.microsoft.com/ado/2007/'
        f'08/dataservices/metadata">{entries}<link rel="next" href="L"/></feed>'
    ).encode()


def test_a_feed_is_decoded_in_parts_and_the_last_has_the_link() -> None:
    body = _feed(*(f"<P4>{number}</P4><P0>a</P0>" for number in range(2500)))
    codec = _codecs()[2]
    page: Page | None = codec.decode_stream(ResponseBody(io.BytesIO(body)))
    found: list[int] = []
    parts = 0
    while page is not None:
        parts += 1
        found += column_of(page.rows, "P4")
        assert page.next_link == (None if page.next_part else "L")
        page = page.next_part() if page.next_part else None
    assert parts > 2
    assert found == list(range(2500))
    assert column_of(codec.decode(body).rows, "P4") == found
    assert len(set(column_of(codec.decode(body).rows, "_key"))) == 2500


def test_a_feed_is_read_on_until_each_column_was_met() -> None:
    """Before that nobody knows whether its rows lack a null or are not rows at all."""
    names = [name for name in COLUMNS if name != "P9"]
    whole = "".join(f'<{name} m:null="true"/>' for name in names if name not in {"P0", "P4"})
    held = [f"<P4>{number}</P4><P0>a</P0>{whole}" for number in range(2500)]
    held[1700] += '<P9 m:null="true"/>'
    codec = _codecs(omits_nulls=False)[2]
    first = codec.decode_stream(ResponseBody(io.BytesIO(_feed(*held))))
    assert len(first.rows) == 2000
    assert first.absent == frozenset()
    assert first.lacking == {"P9"}
    del held[1700]
    first = codec.decode_stream(ResponseBody(io.BytesIO(_feed(*held))))
    assert len(first.rows) == 2499
    assert first.absent == {"P9"}


def test_an_empty_element_is_an_empty_value_of_texts_and_of_binaries() -> None:
    binary = COLUMN_OF["Edm.Binary"]
    (row,) = _codecs()[2].decode(_feed(f"<P4>1</P4><P0></P0><{binary}/><P9/>")).rows
    assert (row["P0"], row[binary], row["P9"]) == ("", "", None)


def test_a_value_in_a_feed_that_does_not_fit_is_named() -> None:
    body = _feed("<P4>1</P4><P0>a</P0>", "<P4>2</P4><P0>b</P0><P1>perhaps</P1>")
    with pytest.raises(ValueMismatchError, match="row P4=2, P0=b: the value of P1"):
        _codecs()[2].decode(body)


def test_encoded_names_are_the_same_columns_in_every_form() -> None:
    document = (
        '<Edmx Version="1.0"><DataServices><Schema Namespace="S"><EntityType Name="T">'
        '<Property Name="Ship To" Type="Edm.String"/><Property Name="Bill_x0020_To"'
        ' Type="Edm.String"/><Property Name="Max_xref" Type="Edm.String"/></EntityType>'
        '<EntityContainer><EntitySet Name="Ts" EntityType="S.T"/></EntityContainer></Schema>'
        "</DataServices></Edmx>"
    )
    model = parse_metadata(document.encode())
    properties = model.properties("S.T")
    exact = RowCodec(model, properties)
    compiled = CompiledCodec(exact, list(properties), properties)
    bodies = [
        b'{"value":[{"Ship To":"s","Bill To":"b","Max_xref":"m"}]}',
        b'{"value":[{"Ship_x0020_To":"s","Bill_x0020_To":"b","Max_xref":"m"}]}',
        _feed(
            "<Ship_x0020_To>s</Ship_x0020_To><Bill_x0020_To>b</Bill_x0020_To><Max_xref>m</Max_xref>"
        ),
    ]
    for body in bodies:
        for codec in (exact, compiled):
            (row,) = codec.decode(body).rows
            assert [row[name] for name in properties] == ["s", "b", "m"]


def test_guids_are_unchanged() -> None:
    _, _, compiled = _codecs()
    guid = str(uuid.UUID(int=5))
    assert compiled.decode(_page([{"P10": guid}])).rows[0]["P10"] == guid
