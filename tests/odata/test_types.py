"""Values keep their meaning from the response to the record, and as literals in URLs."""

# ruff: noqa: E501  documents and tables of cases are best read line by line

from __future__ import annotations

import base64
import datetime as dt
import typing as t
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata import times
from tap_acumatica.odata.model import Facets
from tap_acumatica.odata.types import edm_type, json_schema, literal, xml_parser
from tests.odata3_service import LITERAL

LITERALS: list[tuple[str, t.Any, str, str]] = [
    ("Edm.String", "it's 100%", "'it''s 100%'", "'it''s 100%'"),
    ("Edm.String", "", "''", "''"),
    ("Edm.Boolean", True, "true", "true"),
    ("Edm.Int32", -5, "-5", "-5"),
    ("Edm.Int64", 2**53 + 1, "9007199254740993", "9007199254740993L"),
    ("Edm.Decimal", Decimal("-0.00000001"), "-0.00000001", "-0.00000001M"),
    ("Edm.Decimal", Decimal("1E+3"), "1000", "1000M"),
    (
        "Edm.Guid",
        "5ae2b6a0-0000-0000-0000-00000000000f",
        "5ae2b6a0-0000-0000-0000-00000000000f",
        "guid'5ae2b6a0-0000-0000-0000-00000000000f'",
    ),
    (
        "Edm.DateTimeOffset",
        "2024-02-29T01:02:03.120000+00:00",
        "2024-02-29T01:02:03.120Z",
        "datetimeoffset'2024-02-29T01:02:03.120Z'",
    ),
    (
        "Edm.DateTime",
        "2024-02-29T01:02:03.000000+00:00",
        "2024-02-29T01:02:03.000Z",
        "datetime'2024-02-29T01:02:03.000'",
    ),
    ("Edm.Date", "2024-02-29", "2024-02-29", "2024-02-29"),
    ("Edm.Duration", "P1DT2H", "duration'P1DT2H'", "duration'P1DT2H'"),
    ("Edm.Time", "PT2H", "duration'PT2H'", "time'PT2H'"),
    ("Edm.Binary", "AAECAw==", "binary'AAECAw=='", "binary'00010203'"),
    ("Edm.Double", Decimal("1.5"), "1.5", "1.5d"),
    ("N.S.Color", "Red", "N.S.Color'Red'", "N.S.Color'Red'"),
]


@pytest.mark.parametrize(("name", "value", "four", "three"), LITERALS)
def test_literals_of_both_versions(name: str, value: t.Any, four: str, three: str) -> None:
    assert literal(name, value) == four
    assert literal(name, value, version="3.0") == three
    assert literal(name, None) == literal(name, None, version="3.0") == "null"


VALUES: list[tuple[str, st.SearchStrategy[t.Any]]] = [
    ("Edm.String", st.text(st.characters(exclude_categories=["Cs"]))),
    ("Edm.Int32", st.integers(-(2**31), 2**31 - 1)),
    ("Edm.Int64", st.integers(-(2**63), 2**63 - 1)),
    ("Edm.Decimal", st.decimals(allow_nan=False, allow_infinity=False)),
    ("Edm.Guid", st.uuids().map(str)),
    ("Edm.Boolean", st.booleans()),
    (
        "Edm.DateTime",
        st.datetimes().map(lambda m: times.canonical(m.replace(tzinfo=dt.timezone.utc))),
    ),
    ("Edm.Binary", st.binary().map(lambda value: base64.b64encode(value).decode())),
]


@given(st.one_of([st.tuples(st.just(name), values) for name, values in VALUES]))
def test_a_service_of_version_3_reads_a_literal_as_the_same_value(case: tuple[str, t.Any]) -> None:
    name, value = case
    spelled = literal(name, value, version="3.0")
    match = LITERAL.fullmatch(spelled)
    assert match is not None, spelled
    text = match[match.lastgroup or 0]
    read: dict[str, t.Callable[[str], t.Any]] = {
        "string": lambda text: text[1:-1].replace("''", "'"),
        "local": lambda text: times.to_canonical(f"{text}Z"),
        "long": int,
        "number": int,
        "decimal": Decimal,
        "binary": lambda text: base64.b64encode(bytes.fromhex(text)).decode(),
        "guid": str,
        "word": lambda text: text == "true",
    }
    assert read[match.lastgroup or ""](text) == value


@pytest.mark.parametrize(
    ("name", "text", "wire"),
    [
        ("Edm.String", " a ", " a "), ("Edm.String", "", ""), ("Edm.Boolean", "true", True), ("Edm.Boolean", "0", False), ("Edm.Boolean", "", None),
        ("Edm.Decimal", " 1.50 ", Decimal("1.50")), ("Edm.Int64", "9007199254740993", 2**53 + 1), ("Edm.Double", "INF", None), ("Edm.Int16", "", None),
        ("Edm.Double", "-1.5E-7", Decimal("-1.5E-7")), ("Edm.Binary", "AAEC\n AwQ=", "AAECAwQ="), ("Edm.Time", "PT2H", "PT2H"),
    ],
)  # fmt: skip
def test_xml_texts_mean_the_same_as_json_values(name: str, text: str, wire: t.Any) -> None:
    assert xml_parser(name)(text) == wire


@pytest.mark.parametrize(
    ("name", "text"),
    [("Edm.Boolean", "yes"), ("Edm.Int32", "1.5"), ("Edm.Boolean", {}), ("Edm.Decimal", [])],
)
def test_xml_texts_that_do_not_fit_are_refused(name: str, text: t.Any) -> None:
    with pytest.raises(ValueMismatchError):
        xml_parser(name)(text)


@given(st.text())
def test_no_text_breaks_out_of_its_literal(text: str) -> None:
    spelled = literal("Edm.String", text)
    assert spelled[0] == spelled[-1] == "'"
    assert spelled[1:-1].replace("''", "").count("'") == 0
    assert spelled[1:-1].replace("''", "'") == text


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=12)
    | st.decimals(allow_nan=False, allow_infinity=False)
)
def test_decimals_keep_every_digit(number: Decimal) -> None:
    parse = edm_type("Edm.Decimal").parse
    assert parse(number).as_tuple() == number.as_tuple()
    assert parse(str(number)).as_tuple() == number.as_tuple()
    assert Decimal(literal("Edm.Decimal", number)) == number
    assert "E" not in literal("Edm.Decimal", number)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("Edm.Byte", 0, 255),
        ("Edm.SByte", -128, 127),
        ("Edm.Int16", -(2**15), 2**15 - 1),
        ("Edm.Int32", -(2**31), 2**31 - 1),
        ("Edm.Int64", -(2**63), 2**63 - 1),
    ],
)
def test_integers_arrive_as_numbers_or_as_text_and_within_their_range(
    name: str, low: int, high: int
) -> None:
    parse = edm_type(name).parse
    validator = Draft202012Validator(json_schema(name))
    for number in (low, 0, high):
        assert parse(number) == parse(str(number)) == number
        assert validator.is_valid(number)
    for number in (low - 1, high + 1):
        assert not validator.is_valid(number)
        with pytest.raises(ValueMismatchError):
            parse(number)
    assert parse(Decimal("5.0")) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Edm.Int32", "five"), ("Edm.Int32", True), ("Edm.Int32", Decimal("1.5")), ("Edm.Boolean", "true"), ("Edm.Boolean", 1),
        ("Edm.Decimal", "1,5"), ("Edm.Decimal", "NaN"), ("Edm.Guid", "5ae2"), ("Edm.DateTimeOffset", "2024-02-30T00:00:00Z"),
        ("Edm.DateTimeOffset", "yesterday"), ("Edm.DateTimeOffset", 0), ("Edm.Date", "2024-02-29T10:00:00Z"), ("Edm.TimeOfDay", "25"),
        ("Edm.Duration", "1h"), ("Edm.String", 5), ("Edm.Date", "2024-13-45"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused(name: str, value: t.Any) -> None:
    with pytest.raises(ValueMismatchError):
        edm_type(name).parse(value)


@pytest.mark.parametrize(
    ("name", "value", "wire"),
    [
        ("Edm.Date", "2024-02-29T00:00:00Z", "2024-02-29"), ("Edm.TimeOfDay", "23:59:59.9999999", "23:59:59.9999999"),
        ("Edm.Duration", "-P1DT2H3M4.5S", "-P1DT2H3M4.5S"), ("Edm.Double", "INF", None), ("Edm.Double", "NaN", None),
        ("Edm.Double", "-1.5e10", Decimal("-1.5e10")), ("Edm.Guid", str(uuid.UUID(int=7)), str(uuid.UUID(int=7))),
    ],
)  # fmt: skip
def test_values_that_fit(name: str, value: t.Any, wire: t.Any) -> None:
    assert edm_type(name).parse(value) == wire


def test_facets_and_formats_reach_the_schema() -> None:
    assert json_schema("Edm.Decimal", Facets(19, 4))["scale"] == 4
    assert json_schema("Edm.DateTimeOffset")["format"] == "date-time"
    assert json_schema("Edm.Guid")["format"] == "uuid"
    assert json_schema("Not.Known")["type"] == ["string", "null"]


# Times

OFFSETS = st.integers(-14 * 60, 14 * 60)
MOMENTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001  the offset follows


@given(moment=MOMENTS, minutes=OFFSETS, digits=st.integers(0, 7), colon=st.booleans())
def test_any_offset_and_fraction_is_converted_to_the_canonical_form(
    moment: dt.datetime, minutes: int, digits: int, *, colon: bool
) -> None:
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    fraction = f"{moment.microsecond:06d}7"[:digits]
    text = f"{moment.replace(microsecond=0).isoformat()}{'.' + fraction if fraction else ''}{sign}{hours:02d}{':' if colon else ''}{rest:02d}"
    micros = int(fraction[:6].ljust(6, "0"))
    expected = moment.replace(microsecond=micros, tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    canonical = times.to_canonical(text)
    assert times.parse(canonical) == expected
    assert len(canonical) == 32
    assert times.to_canonical(canonical) == canonical
    assert times.to_canonical(literal("Edm.DateTimeOffset", canonical)) == canonical


@given(MOMENTS, MOMENTS)
def test_canonical_texts_compare_as_their_times(first: dt.datetime, second: dt.datetime) -> None:
    one, other = (moment.replace(tzinfo=dt.timezone.utc) for moment in (first, second))
    assert (times.canonical(one) < times.canonical(other)) == (one < other)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.9999999-14:00"])
def test_times_stay_within_the_calendar(text: str) -> None:
    held = times.to_canonical(text)
    for seconds in (-3600, 0, 3600):
        assert times.canonical(times.parse(times.shifted(held, seconds=seconds)))[0] in "09"


def test_a_year_is_always_four_digits() -> None:
    assert times.to_canonical("0999-01-01T00:00:00+01:00") == "0998-12-31T23:00:00.000000+00:00"


@pytest.mark.parametrize("offset", ["+99:99", "+24:00"])
def test_offsets_that_do_not_exist_are_refused(offset: str) -> None:
    with pytest.raises(ValueMismatchError):
        times.to_canonical(f"2024-01-01T00:00:00{offset}")


def test_url_safe_binary_is_emitted_as_the_schema_promises() -> None:
    parse = edm_type("Edm.Binary").parse
    assert [parse(text) for text in ("_-8", "_-8=", "AAECAw", "+/8=", "")] == [
        "/+8=",
        "/+8=",
        "AAECAw==",
        "+/8=",
        "",
    ]


def test_values_of_unknown_types_keep_their_digits() -> None:
    parse = edm_type("Edm.Untyped").parse
    number = Decimal("1.500000000000000000001")
    assert parse(number) == "1.500000000000000000001"
    assert (
        parse({"a": [number, None, "é", True]}) == '{"a":[1.500000000000000000001,null,"é",true]}'
    )
    assert parse("text") == "text"
