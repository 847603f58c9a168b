"""The fast record path and the SDK's own write the same messages."""

from __future__ import annotations

import datetime as dt
import json
import typing as t
import uuid
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_acumatica.odata.clock import Clock, zone_named
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.errors import PayloadError, ValueMismatchError
from tap_acumatica.records.codec import RecordMaker, RowCodec
from tap_acumatica.records.compiled import CompiledCodec, CompiledRow, RecordLines, column_of
from tap_acumatica.records.schema import shape_of

local_times = st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2100, 1, 1)).flatmap(  # noqa: DTZ001
    lambda moment: st.sampled_from(["", "Z", "+05:30"]).map(moment.isoformat().__add__)
)
KINDS = {
    "Edm.String": st.text(st.characters(codec="utf-8"), max_size=8),
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
SHAPE = shape_of(MODEL, "S.T", tenant=True, hashed_key=True)
NAMES = list(SHAPE.schema["properties"])


def _codecs(clock: Clock | None = None) -> tuple[RowCodec, RecordMaker, CompiledCodec]:
    exact = RowCodec(MODEL, SHAPE.properties, key=SHAPE.key, clock=clock, dates=["Day"])
    maker = RecordMaker(NAMES, key=SHAPE.key, tenant="Co")
    return exact, maker, CompiledCodec(exact, NAMES, SHAPE.properties, key=SHAPE.key, tenant="Co")


def _page(rows: list[dict[str, t.Any]], **more: t.Any) -> bytes:
    encoder = msgspec.json.Encoder(decimal_format="number")
    return encoder.encode({"@odata.context": "c", "value": rows, **more})


def _lines(records: t.Iterable[t.Any]) -> list[dict[str, t.Any]]:
    lines = RecordLines("T", version=7).encode(records, extracted="2024-01-01T00:00:00+00:00")
    return [json.loads(line, parse_float=str) for line in lines.splitlines()]


COLUMN_OF = {kind: name for name, kind in COLUMNS.items()}
CLOCKS = [
    Clock(),
    Clock(zone_named("America/New_York")),
    Clock(zone_named("Eastern Standard Time"), convert_to_utc=False),
]
rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={name: st.none() | KINDS[kind] for name, kind in COLUMNS.items()},
    ),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows, st.sampled_from(CLOCKS))
def test_both_paths_write_the_same_messages_for_every_type(
    held: list[dict[str, t.Any]], clock: Clock
) -> None:
    exact, maker, compiled = _codecs(clock)
    body = _page([{**row, "@odata.etag": "x", "Unknown": 1.5} for row in held])
    slow = [maker.record(row) for row in exact.decode(body).rows]
    fast = compiled.decode(body).rows
    assert all(isinstance(row, CompiledRow) for row in fast)
    assert _lines(fast) == _lines(slow)
    for row, record in zip(fast, slow, strict=True):
        assert [row[name] for name in NAMES] == [record[name] for name in NAMES]
    assert column_of(fast, "P4") == column_of(slow, "P4")


def test_times_leave_as_the_clock_has_them_and_dates_as_they_came() -> None:
    clock = Clock(zone_named("Eastern Standard Time"), convert_to_utc=False)
    row = {
        "P11": "2024-07-01T10:00:00Z",
        COLUMN_OF["Edm.DateTime"]: "2024-01-01T10:00:00",
        "Day": "2024-03-01T00:00:00+13:00",
        "Inner": {"At": "2024-01-01T10:00:00"},
    }
    exact, _, compiled = _codecs(clock)
    for codec in (exact, compiled):
        (found,) = codec.decode(_page([row])).rows
        assert found["P11"] == "2024-07-01T06:00:00.000000-04:00"
        assert found[COLUMN_OF["Edm.DateTime"]] == "2024-01-01T10:00:00.000000-05:00"
        assert found["Day"] == "2024-03-01"
        assert found["Inner"]["At"] == "2024-01-01T10:00:00.000000-05:00"


def test_a_message_holds_what_the_singer_specification_asks_for() -> None:
    (line,) = _lines([{"a": Decimal("1999.000000")}])
    assert line == {
        "type": "RECORD",
        "stream": "T",
        "record": {"a": "1999.000000"},
        "version": 7,
        "time_extracted": "2024-01-01T00:00:00+00:00",
    }


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
        b'{"value": [], "error": {"message": "no"}}',
    ],
)
def test_both_paths_refuse_what_is_no_answer(body: bytes) -> None:
    exact, _, compiled = _codecs()
    for codec in (exact, compiled):
        with pytest.raises(PayloadError):
            codec.decode(body)


def test_other_spellings_of_an_answer_are_taken() -> None:
    _, _, compiled = _codecs()
    page = compiled.decode(b'\xef\xbb\xbf{"d": {"results": [{"P0": "x"}], "__next": "y"}}')
    assert page.rows[0]["P0"] == "x"
    assert page.next_link == "y"
    assert compiled.decode(_page([], **{"@odata.nextLink": "z"})).next_link == "z"


def test_identifiers_of_rows_are_those_of_the_source() -> None:
    _, _, compiled = _codecs()
    guid = str(uuid.UUID(int=5))
    assert compiled.decode(_page([{"P10": guid}])).rows[0]["P10"] == guid
