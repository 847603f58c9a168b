"""Whatever comes for a column of whatever type: all paths agree, and records obey their SCHEMA."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import typing as t
from decimal import Decimal
from xml.sax.saxutils import escape

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata.atom import ResponseBody
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.time_zone import ServiceTimeZone, zone_named
from tap_acumatica.records.codec import RowCodec, join_parts
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.record_maker import RecordMaker
from tap_acumatica.records.schema import record_shape
from tap_acumatica.records.second_reading import Policy, Repairs
from tap_acumatica.records.skimming import SkimmingCodec

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.odata.model import Model
    from tap_acumatica.records.codec import Page
    from tap_acumatica.records.schema import RecordShape

TYPES = [
    *(f"Edm.{name}" for name in ("String", "Boolean", "Byte", "SByte", "Int16", "Int32", "Int64")),
    *(f"Edm.{name}" for name in ("Decimal", "Double", "Single", "Guid", "Binary", "Date")),
    *(f"Edm.{name}" for name in ("DateTimeOffset", "DateTime", "TimeOfDay", "Duration", "Time")),
    *("Edm.GeographyPoint", "Edm.Untyped", "S.Colour", "S.Inner"),
    *("Collection(Edm.Int32)", "Collection(S.Inner)"),
]
ATOM_TYPES = [name for name in TYPES if name.startswith("Edm.") and "Geo" not in name]

CLOCKS = [
    ServiceTimeZone(),
    ServiceTimeZone(zone_named("America/New_York")),
    ServiceTimeZone(zone_named("Asia/Kathmandu"), convert_to_utc=False),
]

RAW = [
    *("null", "true", "false", "0", "1", "-1", "5", "1.50", "12.0", "12.5", "1.2e1", "-0", "-0.0"),
    *("1e400", "1e-400", "1e999999999", "-1e99999999999999999999", str(2**31), str(2**63)),
    *(str(-(2**63)), str(2**70), "9" * 5000, "NaN", "-Infinity", "Infinity", "INF", "-INF", "nan"),
    *("True", "undefined", ".5", "+5", "007", "[]", "{}", "[1,2.0]", '["1",null]', '[{"A":"x"}]'),
    *('{"A":"1","At":"2024-03-15"}', '{"A":NaN}', '{"type":"Point","coordinates":[1.50,2]}'),
    *(r'"\u0000"', r'"a\u0000b"', r'"ok \ud83d"', r'"\udc00"', r'"\ud83d\ude00"', '"\t\x01"'),
]
TEXTS = [
    *("n/a", "soon", "perhaps", "yes", "true", "True", "FALSE", "0", "1", "12", "12.0", "12.5"),
    *("1.50", " 1.5 ", "+1", ".5", "5.", "1e3", "1,234.50", "1,5", "1 000", "0x1F", "1_000", "٣"),
    *("NaN", "nan", "sNaN", "INF", "-INF", "Infinity", "-infinity", "NaN123", "1e999999999"),
    *("2024-03-15", "2024-03-15Z", "2024-03-15T08:00", "2024-03-15 08:00:00", "20240315"),
    *("2024-03-15T08:00:00", "2024-03-15t08:00:00z", "2024-03-15T08:00:00,5Z"),
    *("2024-03-15T08:00:00 +0300", "2024-03-15T08:00:00+03", "2024-03-15T08:00:00.1234567Z"),
    *("2024-03-15T24:00:00Z", "2016-12-31T23:59:60Z", "9999-12-31T24:00:00Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.9999999-14:00"),
    *("0000-01-01T00:00:00Z", "2024-02-30", "2024-02-30T00:00:00Z", "2024-03-15T08:00:00+99:99"),
    *("/Date(1710489600000)/", "/Date(1710489600000+0180)/", "/Date(99999999999999999999)/"),
    *("03/04/2024", "5ae2b6a0-0000-0000-0000-00000000000f", "5AE2B6A0-0000-0000-0000-00000000000F"),
    *("{5ae2b6a0-0000-0000-0000-00000000000f}", "5ae2b6a000000000000000000000000f", "no guid"),
    *("zae2b6a0-0000-0000-0000-00000000000f", "5ae2b6a00-000-0000-0000-00000000000f", "-" * 36),
    *("urn:uuid:5ae2b6a0-0000-0000-0000-00000000000f", "23:59:59.9999999", "24:00:00", "25"),
    *("P1D", "-P1DT2H3M4.5S", "PT0.1234567S", "1.02:03:04.5", "02:03:04", "1h", "P"),
    *("AAECAw==", "AAECAw", "_-8=", "AA=A", "A", "====", "not Base64!", "AAEC AwQ="),
    *("5 is a text", "\ufffd", "\ufdd1x", "😀", "\u2028", "a" * 36),
]
SCALARS = (
    st.sampled_from(RAW)
    | st.sampled_from(TEXTS).map(json.dumps)
    | st.text(max_size=40).map(json.dumps)
    | st.integers().map(str)
    | st.decimals(allow_nan=False, allow_infinity=False).map(lambda n: str(n).lower())
    | st.datetimes().map(lambda moment: json.dumps(moment.isoformat()))
    | st.uuids().map(lambda guid: json.dumps(str(guid)))
)


def model_of(kind: str) -> Model:
    return parse_metadata(
        (
            '<Edmx Version="4.0"><DataServices><Schema Namespace="S"><EnumType Name="Colour"/>'
            '<ComplexType Name="Inner"><Property Name="A" Type="Edm.Decimal"/>'
            '<Property Name="At" Type="Edm.DateTimeOffset"/>'
            '<Property Name="Deeper" Type="S.Inner"/></ComplexType>'
            '<EntityType Name="T"><Key><PropertyRef Name="K"/></Key>'
            f'<Property Name="K" Type="Edm.Int32"/><Property Name="V" Type="{kind}"/></EntityType>'
            '<EntityContainer><EntitySet Name="Ts" EntityType="S.T"/></EntityContainer></Schema>'
            "</DataServices></Edmx>"
        ).encode()
    )


MODELS = {kind: model_of(kind) for kind in TYPES}


class Path(t.NamedTuple):
    """One way from bytes to records."""

    shape: RecordShape
    decode: Callable[[bytes], Page]
    finish: Callable[[t.Any], t.Any]
    repairs: Repairs

    def record(self, body: bytes) -> dict[str, t.Any]:
        """The record of the one row, as it is written."""
        rows = join_parts(self.decode(body)).rows
        lines = RecordLines("T").encode([self.finish(row) for row in rows], time_extracted="")
        (line,) = lines.splitlines()
        found = json.loads(line, parse_float=Decimal, parse_int=_integer, parse_constant=_refuse)
        return t.cast("dict[str, t.Any]", found["record"])

    @property
    def warnings(self) -> list[str]:
        """What the path has to say of values."""
        said: list[str] = []
        self.repairs.tell("T", said.append)
        return said


def _integer(token: str) -> int | Decimal:
    return int(token) if len(token) < 4000 else Decimal(token)


def _refuse(token: str) -> t.NoReturn:
    raise AssertionError(token)


def paths(
    kind: str,
    *,
    hashed: bool = False,
    clock: ServiceTimeZone | None = None,
    policy: Policy = Policy.FAIL,
) -> list[Path]:
    """The exact codec, the compiled one, that for streamed answers, and in two steps."""
    found = []
    for fast in (False, True):
        repairs = Repairs()
        model = MODELS[kind]
        shape = record_shape(model, "S.T", hashed_key=hashed)
        exact = RowCodec(
            model,
            shape.properties,
            key=shape.key,
            time_zone=clock,
            policy=policy,
            repairs=repairs,
        )
        names = list(shape.schema["properties"])
        maker = RecordMaker(names, key=shape.key)
        if fast:
            codec = CompiledCodec(exact, names, shape.properties, key=shape.key)
            found.append(Path(shape, codec.decode, lambda row: row, repairs))
            found.append(Path(shape, _streamed(codec), lambda row: row, repairs))
            found.append(Path(shape, *_in_two_steps(codec), repairs))
        else:
            found.append(Path(shape, exact.decode, maker.record, repairs))
    return found


def _streamed(codec: CompiledCodec) -> Callable[[bytes], Page]:
    return lambda body: codec.decode_stream(ResponseBody(io.BytesIO(body)))


def _in_two_steps(
    codec: CompiledCodec,
) -> tuple[Callable[[bytes], Page], Callable[[t.Any], t.Any]]:
    skimming = SkimmingCodec(codec, ["K"], omits_nulls=lambda: False, found_lacking=lambda: None)
    return skimming.skim, lambda row: skimming.whole([row])[0]


def outcome(path: Path, body: bytes) -> tuple[t.Any, ...]:
    """A record, or an error in words; with what is said of it."""
    try:
        record = path.record(body)
    except ValueMismatchError as error:
        path.repairs.tell("T", lambda _: None)
        return ("error", str(error))
    obeys(path.shape, record)
    return ("record", record, path.warnings)


RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_rfc3339(value: object) -> bool:
    """As ``rfc3339-validator`` has it, with no more digits than databases take."""
    if not isinstance(value, str):
        return True
    match = RFC3339.fullmatch(value)
    return match is not None and dt.datetime.fromisoformat(value).year > 0


def obeys(shape: RecordShape, record: dict[str, t.Any]) -> None:
    """Check a record as a strict loader does, and as a database's driver does."""
    jsonschema.Draft202012Validator(shape.schema, format_checker=FORMATS).validate(record)
    assert "\\u0000" not in json.dumps(record, default=str)
    json.dumps(record, default=str, ensure_ascii=False).encode()


@settings(deadline=None, max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(TYPES),
    raw=SCALARS,
    hashed=st.booleans(),
    clock=st.sampled_from(CLOCKS),
    policy=st.sampled_from([Policy.FAIL, Policy.NULL]),
)
def test_every_path_makes_the_same_record_or_the_same_error(
    kind: str, raw: str, *, hashed: bool, clock: ServiceTimeZone, policy: Policy
) -> None:
    body = f'{{"value":[{{"K":1,"V":{raw}}}]}}'.encode()
    exact, *others = (
        outcome(p, body) for p in paths(kind, hashed=hashed, clock=clock, policy=policy)
    )
    for other in others:
        assert other == exact
    if policy is Policy.NULL:
        assert exact[0] == "record"
    elif exact[0] == "error":
        assert "row K=1: the value of V" in exact[1]
        assert "'on_value_error'" in exact[1]


@pytest.mark.parametrize("kind", TYPES)
def test_the_same_for_each_value_that_we_thought_of(kind: str) -> None:
    for raw in [*RAW, *map(json.dumps, TEXTS)]:
        body = f'{{"value":[{{"K":1,"V":{raw}}}]}}'.encode()
        for policy in (Policy.FAIL, Policy.NULL):
            exact, *others = (outcome(path, body) for path in paths(kind, policy=policy))
            assert [other == exact for other in others] == [True] * 3, (raw, exact, others)
            assert policy is Policy.FAIL or exact[0] == "record", (raw, exact)


def entry(text: str) -> bytes:
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:m="http://schemas.microsoft.com/ado/2007/'
        '08/dataservices/metadata"><entry><content><m:properties><K>1</K>'
        f"<V>{escape(text)}</V></m:properties></content></entry></feed>"
    ).encode()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(ATOM_TYPES),
    text=(st.sampled_from(TEXTS) | st.text(max_size=40)).filter(
        lambda text: text.strip() and not set(text) & set("\r\0\ufdd0\ufffe\uffff")
    ),
    clock=st.sampled_from(CLOCKS),
    policy=st.sampled_from([Policy.FAIL, Policy.NULL]),
)
def test_a_text_in_a_feed_means_what_it_means_in_json(
    kind: str, text: str, clock: ServiceTimeZone, policy: Policy
) -> None:
    if any(ord(sign) < 0x20 and sign not in "\t\n" for sign in text):
        text = text.translate(dict.fromkeys(range(0x20), "x"))
    body = json.dumps({"value": [{"K": 1, "V": text}]}).encode()
    for json_path, xml_path in zip(
        paths(kind, clock=clock, policy=policy),
        paths(kind, clock=clock, policy=policy),
        strict=True,
    ):
        found, other = outcome(json_path, body), outcome(xml_path, entry(text))
        assert found[:2] == other[:2]


@pytest.mark.parametrize("policy", [Policy.FAIL, Policy.NULL])
@pytest.mark.parametrize(
    "raw", ['"n/a"', "12.5", str(2**31), "NaN", '"NaN"', "true", "[]", '"2024-03-15"']
)
def test_what_is_not_a_value_of_a_key_is_always_an_error(raw: str, policy: Policy) -> None:
    body = f'{{"value":[{{"K":{raw},"V":"x"}}]}}'.encode()
    for path in paths("Edm.String", policy=policy):
        with pytest.raises(ValueMismatchError, match=r"the value of K .* does not apply"):
            path.record(body)


@pytest.mark.parametrize("raw", ["7", '"7"', "7.0", '" 7 "', "07", "7e0"])
def test_a_key_is_read_leniently_where_its_meaning_is_certain(raw: str) -> None:
    body = f'{{"value":[{{"K":{raw},"V":"x"}}]}}'.encode()
    for path in paths("Edm.String"):
        assert path.record(body) == {"K": 7, "V": "x"}


@pytest.mark.parametrize(
    ("kind", "raw", "wire"),
    [
        ("Edm.String", "1.50", "1.50"),
        ("Edm.String", '{"a":[1.50,null]}', '{"a":[1.50,null]}'),
        ("Edm.String", "NaN", "NaN"),
        ("Edm.Int32", '"12.0"', 12),
        ("Edm.Int64", "1.2e1", 12),
        ("Edm.Decimal", '" 12.50 "', Decimal("12.50")),
        ("Edm.Decimal", ".5", Decimal("0.5")),
        ("Edm.Decimal", "-INF", None),
        ("Edm.Boolean", '"1"', True),
        ("Edm.Boolean", "True", True),
        ("Edm.Boolean", "0", False),
        ("Edm.Date", '"2024-03-15T23:00:00-05:00"', "2024-03-15"),
        ("Edm.Date", r'"\/Date(1710489600000)\/"', "2024-03-15"),
        ("Edm.DateTimeOffset", '"2024-03-15"', "2024-03-15T00:00:00.000000+00:00"),
        ("Edm.DateTimeOffset", '"2024-03-15 08:00"', "2024-03-15T08:00:00.000000+00:00"),
        ("Edm.DateTimeOffset", '"2024-03-15T08:00:00+0300"', "2024-03-15T05:00:00.000000+00:00"),
        ("Edm.DateTimeOffset", '"2024-03-15T08:00:00 +03"', "2024-03-15T05:00:00.000000+00:00"),
        ("Edm.DateTimeOffset", r'"\/Date(1710489600000)\/"', "2024-03-15T08:00:00.000000+00:00"),
        ("Edm.DateTimeOffset", '"2024-03-15T24:00:00Z"', "2024-03-16T00:00:00.000000+00:00"),
        ("Edm.DateTimeOffset", '"2016-12-31T23:59:60Z"', "2017-01-01T00:00:00.000000+00:00"),
        ("Edm.DateTimeOffset", '"9999-12-31T24:00:00Z"', "9999-12-31T23:59:59.999999+00:00"),
        (
            "Edm.DateTimeOffset",
            '"9999-12-31T23:59:59.9999999Z"',
            "9999-12-31T23:59:59.999999+00:00",
        ),
        ("Edm.Guid", f'"{{{"5AE2B6A0" + "-0000" * 3 + "-00000000000F"}}}"', None),
        ("Edm.Duration", '"-1.02:03:04.5"', "-P1DT02H03M04.5S"),
        ("Edm.Binary", '"_-8"', "/+8="),
        ("Collection(Edm.Int32)", '["1",2.0,null]', [1, 2, None]),
    ],
)
def test_a_value_in_another_form_is_the_value(kind: str, raw: str, wire: t.Any) -> None:
    if kind == "Edm.Guid":
        wire = "5AE2B6A0-0000-0000-0000-00000000000F"
    body = f'{{"value":[{{"K":1,"V":{raw}}}]}}'.encode()
    for path in paths(kind):
        found = path.record(body)["V"]
        assert (found, str(found)) == (wire, str(wire))


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("Edm.Decimal", '"1,234.50"'),
        ("Edm.Decimal", '"1,5"'),
        ("Edm.Decimal", '"1 000"'),
        ("Edm.DateTimeOffset", '"03/04/2024"'),
        ("Edm.DateTimeOffset", "1710489600"),
        ("Edm.Date", "20240315"),
        ("Edm.Boolean", '"yes"'),
        ("Edm.Boolean", "2"),
        ("Edm.Int32", "true"),
        ("Edm.Int32", '""'),
        ("Edm.Guid", '"{5ae2b6a0-0000-0000-0000-00000000000f"'),
        ("Collection(Edm.Int32)", '"1"'),
    ],
)
def test_what_could_mean_two_things_is_not_read(kind: str, raw: str) -> None:
    body = f'{{"value":[{{"K":1,"V":{raw}}}]}}'.encode()
    for path in paths(kind):
        with pytest.raises(ValueMismatchError):
            path.record(body)
    for path in paths(kind, policy=Policy.NULL):
        assert path.record(body)["V"] is None
        (said,) = path.warnings
        assert "'on_value_error'" in said


def test_within_objects_only_the_wrong_value_becomes_null() -> None:
    body = b'{"value":[{"K":1,"V":[{"A":"n/a","At":"2024-03-15"},{"A":"1.50","At":"soon"},7]}]}'
    for path in paths("Collection(S.Inner)", policy=Policy.NULL):
        first, second, third = path.record(body)["V"]
        assert (first["A"], first["At"][:10]) == (None, "2024-03-15")
        assert (second["A"], second["At"], third) == (Decimal("1.50"), None, None)
        (said,) = path.warnings
        assert said.count("K=1") == 2


def test_objects_deeper_than_the_schema_describes_are_texts() -> None:
    value: t.Any = {"A": 1}
    for _ in range(8):
        value = {"A": 1, "Deeper": value}
    body = json.dumps({"value": [{"K": 1, "V": value}]}).encode()
    for path in paths("S.Inner"):
        record = path.record(body)
        obeys(path.shape, record)
        deepest = record["V"]
        while isinstance(deepest["Deeper"], dict):
            deepest = deepest["Deeper"]
        assert json.loads(deepest["Deeper"])["A"] == 1


def test_rows_are_counted_once_however_often_they_are_read() -> None:
    rows = ",".join(f'{{"K":{number},"V":{number}}}' for number in range(1, 26))
    path = paths("Edm.String")[1]
    for _ in range(3):
        path.decode(f'{{"value":[{rows}]}}'.encode())
    assert path.warnings == [
        "T: column V: a number was read as a text, in row K=1 and 24 more rows"
    ]
    assert path.warnings == []


def test_one_bad_text_does_not_slow_down_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    path = paths("Edm.Decimal", policy=Policy.NULL)[1]
    assert path.record(b'{"value":[{"K":1,"V":"n/a"}]}')["V"] is None
    monkeypatch.setattr(RowCodec, "decode", None)
    assert str(path.record(b'{"value":[{"K":1,"V":1.50}]}')["V"]) == "1.50"
    assert str(path.record(b'{"value":[{"K":1,"V":"1.50"}]}')["V"]) == "1.50"
    assert str(path.record(b'{"value":[{"K":1,"V":1.50}]}')["V"]) == "1.50"
