"""Whatever JSON value comes for whatever type: one meaning on all paths, and SCHEMA is obeyed."""

from __future__ import annotations

import json
import re
import typing as t
import uuid
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.records.codec import RowCodec
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.record_maker import RecordMaker
from tap_acumatica.records.schema import record_shape
from tap_acumatica.records.second_reading import Policy, Repairs
from tap_acumatica.records.skimming import SkimmingCodec

TYPES = [
    *("String", "Boolean", "Byte", "SByte", "Int16", "Int32", "Int64", "Decimal", "Double"),
    *("Single", "Guid", "DateTimeOffset", "DateTime", "Date", "TimeOfDay", "Time", "Duration"),
    "Binary",
]
MODEL = parse_metadata(
    (
        '<Edmx Version="4.0"><DataServices><Schema Namespace="S">'
        '<EntityType Name="T"><Key><PropertyRef Name="Id"/></Key>'
        '<Property Name="Id" Type="Edm.Int32" Nullable="false"/>'
        + "".join(f'<Property Name="{name}" Type="Edm.{name}"/>' for name in TYPES)
        + '</EntityType><EntityContainer><EntitySet Name="Ts" EntityType="S.T"/></EntityContainer>'
        "</Schema></DataServices></Edmx>"
    ).encode()
)
SHAPE = record_shape(MODEL, "S.T")
NAMES = list(SHAPE.schema["properties"])
FORMATS = FormatChecker(["date", "uuid"])
_RFC3339 = re.compile(
    r"\d{4}-(0\d|1[0-2])-[0-3]\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)

WORDS = [
    *('"5"', "5", "1.50", "true", '"true"', '"TRUE"', "1", "0", '"0"', '"perhaps"', '""', '" "'),
    *("12.0", "1.2e1", "12.5", '"12"', '"1,234.50"', "1e400", '"1e400"', str(2**63), str(-(2**31))),
    *("NaN", "-Infinity", '"NaN"', '"INF"', '"-INF"', "undefined", '"n/a"', '"soon"'),
    *('"2024-03-15"', '"2024-03-15T08:00:00"', '"2024-03-15 08:00"', '"2024-03-15T08:00:00+0300"'),
    *('"2024-02-30"', '"0001-01-01T00:00:00"', '"9999-12-31T23:59:59.9999999Z"', '"03/04/2024"'),
    *('"2024-03-15T24:00:00Z"', '"2024-12-31T23:59:60Z"', '"/Date(1710460800000)/"'),
    *('"2024-03-15T08:00:00.1234567Z"', '"2024-03-15T08:00:00.1234567+05:45"'),
    *(f'"{uuid.UUID(int=7)}"', f'"{{{uuid.UUID(int=7)}}}"', f'"{uuid.UUID(int=7).hex.upper()}"'),
    *('"0000000000000000000000000000000000zz"', '"00000000-0000-0000-0000-00000000000g"'),
    *(r'"ok \ud83d"', r'"\udc00"', r'"a\u0000b"', '"tab\there"', r'"\ud83d\ude00"', '"PT1H"'),
    *('"-P1DT2H3.5S"', '"1.02:03:04"', '"08:30"', '"AAE="', '"AA_-"', '"not base64!"', "[1]", "{}"),
]
SCALARS = st.one_of(
    st.sampled_from(WORDS),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
    st.text(max_size=6).map(json.dumps),
    st.text("0123456789.-+:TZe", max_size=12).map(json.dumps),
)


def codec(policy: Policy = Policy.FAIL) -> RowCodec:
    return RowCodec(MODEL, SHAPE.properties, key=SHAPE.key, policy=policy)


def body_of(name: str, raw: str) -> bytes:
    values = dict.fromkeys(NAMES, "null") | {"Id": "1", name: raw}
    members = ",".join(f'"{column}":{value}' for column, value in values.items())
    return f'{{"value":[{{{members}}}]}}'.encode("utf-8", "surrogatepass")


def lines(records: t.Iterable[t.Any]) -> list[dict[str, t.Any]]:
    encoded = RecordLines("T").encode(records, time_extracted="2024-01-01T00:00:00+00:00")
    return [json.loads(line)["record"] for line in encoded.splitlines()]


def exactly(body: bytes, policy: Policy) -> t.Any:
    maker = RecordMaker(NAMES, key=SHAPE.key)
    try:
        return lines(maker.record(row) for row in codec(policy).decode(body).rows)
    except ValueMismatchError as error:
        return str(error)


def fast(body: bytes, policy: Policy) -> t.Any:
    compiled = CompiledCodec(codec(policy), NAMES, SHAPE.properties, key=SHAPE.key)
    try:
        return lines(compiled.decode(body).rows)
    except ValueMismatchError as error:
        return str(error)


def in_two_steps(body: bytes, policy: Policy) -> t.Any:
    compiled = CompiledCodec(codec(policy), NAMES, SHAPE.properties, key=SHAPE.key)
    skimming = SkimmingCodec(
        compiled, ["Id"], omits_nulls=lambda: False, found_lacking=lambda: None
    )
    try:
        return lines(skimming.whole(skimming.skim(body).rows))
    except ValueMismatchError as error:
        return str(error)


def assert_obeys_schema(record: dict[str, t.Any]) -> None:
    Draft202012Validator(SHAPE.schema, format_checker=FORMATS).validate(record)
    for name, column in SHAPE.schema["properties"].items():
        if column.get("format") == "date-time" and record[name] is not None:
            assert _RFC3339.fullmatch(record[name]), (name, record[name])
    assert "\x00" not in json.dumps(record, ensure_ascii=False)


@pytest.mark.parametrize("name", TYPES)
@given(raw=SCALARS, policy=st.sampled_from([Policy.FAIL, Policy.NULL]))
@example(raw='"a\\u0000b"', policy=Policy.FAIL)
@example(raw="NaN", policy=Policy.FAIL)
@example(raw='"NaN"', policy=Policy.FAIL)
def test_all_paths_read_alike_and_obey_the_schema(name: str, raw: str, policy: Policy) -> None:
    body = body_of(name, raw)
    found = exactly(body, policy)
    assert fast(body, policy) == found
    assert in_two_steps(body, policy) == found
    if isinstance(found, str):
        assert policy is Policy.FAIL
        assert "Id=1" in found
        assert name in found
        assert "on_value_error" in found
    else:
        assert_obeys_schema(found[0])


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("raw", WORDS)
def test_a_value_is_read_leniently_only_with_a_word(name: str, raw: str) -> None:
    repairs = Repairs()
    reader = RowCodec(MODEL, SHAPE.properties, key=SHAPE.key, repairs=repairs, policy=Policy.NULL)
    row = reader.decode(body_of(name, raw)).rows[0]
    told: list[str] = []
    repairs.tell("T", told.append)
    if row[name] is None:
        assert len(told) == 1, "a value became null without a word"
    if told:
        assert told[0].startswith(f"T: column {name}: ")
        assert "Id=1" in told[0]


def feed(name: str, text: str) -> bytes:
    """An entry in ATOM."""
    metadata = "http://schemas.microsoft.com/ado/2007/08/dataservices"
    nulls = "".join(f'<d:{n} m:null="true"/>' for n in NAMES if n not in {"Id", name})
    return (
        f'<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
        f'xmlns:d="{metadata}" xmlns:m="{metadata}/metadata"><entry><content><m:properties>'
        f"<d:Id>1</d:Id>{nulls}<d:{name}>{text}</d:{name}></m:properties></content></entry></feed>"
    ).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a\x01b", "a\ufffdb"),
        ("a&#x0;b", "a\ufffdb"),
        ("a&#31;b&#10;", "a\ufffdb\n"),
        ("half &#xD83D;", "half \ufffd"),
        ("half \ud83d", "half \ufffd"),
        ("pair &#xD83D;&#xDE00;", "pair \U0001f600"),
        ("good \U0001f600 &amp; &#x1F600;", "good \U0001f600 & \U0001f600"),
    ],
)
def test_texts_in_atom_are_repaired(text: str, read: str) -> None:
    assert codec().decode(feed("String", text)).rows[0]["String"] == read


def test_bytes_in_atom_that_are_not_utf8_are_repaired() -> None:
    body = feed("String", "caf@").replace(b"caf@", b"caf\xe9")
    assert codec().decode(body).rows[0]["String"] == "caf\ufffd"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), max_size=200))
def test_texts_in_atom_that_are_whole_stay_as_they_are(text: str) -> None:
    assert codec().decode(feed("String", escape(text) or "x")).rows[0]["String"] == (text or "x")


@pytest.mark.parametrize("name", ["Int32", "Decimal", "Boolean", "DateTimeOffset", "Guid"])
@pytest.mark.parametrize("raw", ['"n/a"', "NaN", r'"5\u0000"', '"\ufffd"'])
def test_a_key_that_is_none_always_fails(name: str, raw: str) -> None:
    reader = RowCodec(MODEL, SHAPE.properties, key=SHAPE.key, certain=[name], policy=Policy.NULL)
    with pytest.raises(ValueMismatchError, match=f"the value of {name}"):
        reader.decode(body_of(name, raw))
