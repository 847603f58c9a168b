"""One table of the Edm types: JSON Schema, wire value and literal of each, for OData 1.0 to 4.x.

Nothing else in the project writes literals or knows what a type looks like in a response.

Sources: OData 4.01 ABNF and Part 2 section 5.1.1.14 (literals), CSDL XML 4.01 section 3.3
(primitive types), OData JSON Format 4.01 section 7.1 (values), OData 3.0 section 6.2.3 (literals of
the older versions).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import typing as t
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import msgspec

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata import times
from tap_acumatica.odata.model import NO_FACETS, Facets

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_acumatica.odata.time_zone import ServiceTimeZone

Schema = dict[str, t.Any]
WireValue = t.Any
"""A value as emitted in a record: str, int, Decimal, bool, list, dict or None."""

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(T00:00:00(\.0+)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_DURATION = re.compile(r"-?P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", re.ASCII)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==|[A-Za-z0-9+/]=))?", re.ASCII)
_FROM_URL_SAFE = str.maketrans("-_", "+/")
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})
_MOST_DIGITS = 4000
_NOT_FINITE = frozenset({"INF", "-INF", "NaN"})


@dataclass(frozen=True, slots=True)
class EdmType:
    """One row of the table.

    Attributes:
        schema: JSON Schema of a value that is not null.
        parse: Converts a JSON value to the wire value; raises ``ValueMismatchError``.
        literal: Converts a wire value to its literal in an OData 4 URL.
        literal_v3: The same for OData 1.0 to 3.0.
        orderable: Whether ``$orderby`` accepts the type.
        seekable: Whether ``eq`` and ``gt`` with a value from the service reliably separate rows
            already read from the others. Not true of floating-point numbers, of date-times (SQL
            databases round them to their own ticks) and of booleans (they have no ``gt``).
    """

    schema: Mapping[str, t.Any]
    parse: Callable[[t.Any], WireValue]
    literal: Callable[[WireValue], str]
    literal_v3: Callable[[WireValue], str]
    orderable: bool = True
    seekable: bool = True


def edm_type(name: str) -> EdmType:
    """The row of a primitive type; values of unknown types are emitted as JSON text."""
    return _EDM_TYPES.get(name, _UNKNOWN)


def is_primitive(name: str) -> bool:
    """Whether the table has a primitive type with this name."""
    return name in _EDM_TYPES


def is_timestamp(name: str) -> bool:
    """Whether values of the type are date-times."""
    return name in {"Edm.DateTimeOffset", "Edm.DateTime"}


def integer_range(name: str) -> tuple[int, int] | None:
    """The least and the greatest value of a type of integers; None for other types."""
    schema = edm_type(name).schema
    return (schema["minimum"], schema["maximum"]) if schema["type"] == "integer" else None


def json_schema(name: str, facets: Facets = NO_FACETS) -> Schema:
    """JSON Schema of a primitive type.

    Null is always allowed, as services send null for properties that they declare not nullable.
    """
    row = edm_type(name)
    schema: Schema = {**row.schema, "type": [row.schema["type"], "null"]}
    if name == "Edm.Decimal" and facets.precision is not None and facets.scale is not None:
        schema |= {"precision": facets.precision, "scale": facets.scale}
    return schema


def literal(
    name: str, value: WireValue, *, version: str = "4.0", time_zone: ServiceTimeZone | None = None
) -> str:
    """Write a wire value as a literal for ``$filter`` or a function call, not percent-encoded.

    Args:
        name: Qualified type name; the name of an enumeration becomes the literal's prefix.
        value: The wire value, None for null.
        version: OData version of the service.
        time_zone: Time zone of the service, for literals in local time; UTC if None.
    """
    if value is None:
        return "null"
    if name not in _EDM_TYPES:
        return f"{name}{_quoted(str(value))}"
    row = _EDM_TYPES[name]
    if version.startswith("4"):
        return row.literal(value)
    if name == "Edm.DateTime" and time_zone:
        value = f"{time_zone.to_local(value)}+00:00"
    return row.literal_v3(value)


def xml_parser(name: str) -> Callable[[t.Any], WireValue]:
    """A function that converts the text of an XML element to the wire value.

    It raises ``ValueMismatchError``, as :attr:`EdmType.parse` does for JSON. An empty element is an
    empty string or an empty binary, or null for other types.
    """
    row = edm_type(name)
    if name == "Edm.String" or row.parse in {_object, _json_text}:
        return row.parse
    parse = _xml_boolean if name == "Edm.Boolean" else row.parse

    def parse_text(text: t.Any) -> WireValue:
        if not isinstance(text, str):
            return parse(text)
        if name == "Edm.Binary":
            return parse("".join(text.split()))
        stripped = text.strip()
        return parse(stripped) if stripped else None

    return parse_text


def _xml_boolean(value: t.Any) -> bool:
    """A boolean in XML Schema."""
    known = isinstance(value, str) and value in _TRUE | _FALSE
    return value in _TRUE if known else _boolean(value)


def _raise_mismatch(expected: str) -> t.NoReturn:
    msg = f"is not {expected}"
    raise ValueMismatchError(msg)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# WireValue values


def _string(value: t.Any) -> str:
    return value if isinstance(value, str) else _raise_mismatch("a string")


def _boolean(value: t.Any) -> bool:
    return value if isinstance(value, bool) else _raise_mismatch("a boolean")


def _integer(minimum: int, maximum: int) -> Callable[[t.Any], int]:
    def parse(value: t.Any) -> int:
        number = _whole_number(value)
        if not minimum <= number <= maximum:
            _raise_mismatch(f"an integer between {minimum} and {maximum}")
        return number

    return parse


def _whole_number(value: t.Any) -> int:
    """An integer sent as a number, as a string (``IEEE754Compatible=true``) or as ``5.0``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    number = _decimal(value)
    if number.adjusted() > _MOST_DIGITS:
        _raise_mismatch("an integer")  # its digits would fill the memory
    return int(number) if number == number.to_integral_value() else _raise_mismatch("an integer")


def _decimal(value: t.Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        _raise_mismatch("a number")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        _raise_mismatch("a number")
    return number if number.is_finite() else _raise_mismatch("a finite number")


def _floating(value: t.Any) -> Decimal | None:
    """A floating-point number; infinities and NaN become null, as JSON has no such numbers."""
    return None if isinstance(value, str) and value in _NOT_FINITE else _decimal(value)


def _guid(value: t.Any) -> str:
    return value if isinstance(value, str) and _GUID.fullmatch(value) else _raise_mismatch("a GUID")


def _date_time(value: t.Any) -> str:
    return times.to_canonical(value) if isinstance(value, str) else _raise_mismatch("a date-time")


def _date(value: t.Any) -> str:
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        _raise_mismatch("a date")
    try:
        dt.date.fromisoformat(match[1])
    except ValueError:
        _raise_mismatch("a valid date")
    return match[1]


def _matching(pattern: re.Pattern[str], kind: str) -> Callable[[t.Any], str]:
    def parse(value: t.Any) -> str:
        return (
            value if isinstance(value, str) and pattern.fullmatch(value) else _raise_mismatch(kind)
        )

    return parse


def _object(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else _raise_mismatch("an object")


def _binary(value: t.Any) -> str:
    """Base64 of RFC 2045, as the schema promises; OData sends the URL-safe alphabet."""
    text = _string(value).translate(_FROM_URL_SAFE)
    text += "=" * (-len(text) % 4)
    return text if _BASE64.fullmatch(text) else _raise_mismatch("Base64")


def _json_text(value: t.Any) -> str:
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()


# Literals


def _number(value: WireValue) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _suffixed(suffix: str) -> Callable[[WireValue], str]:
    return lambda value: f"{_number(value)}{suffix}"


def _prefixed(prefix: str) -> Callable[[WireValue], str]:
    return lambda value: f"{prefix}{_quoted(str(value))}"


def _hexadecimal(value: str) -> str:
    """A binary literal in OData 1.0 to 3.0, from a value in Base64."""
    try:
        return f"binary'{base64.b64decode(value, validate=True).hex().upper()}'"
    except binascii.Error:
        _raise_mismatch("Base64")


def _utc_literal(value: str) -> str:
    """``…Z`` with three or seven fraction digits: parsers may refuse other numbers."""
    head, _, micros = value[:-6].partition(".")
    fraction = micros.removesuffix("000") if micros.endswith("000") else f"{micros}0"
    return f"{head}.{fraction}Z"


def _edm_type(  # noqa: PLR0913  one argument per column of the table
    schema: Mapping[str, t.Any],
    parse: Callable[[t.Any], WireValue],
    literal: Callable[[WireValue], str],
    literal_v3: Callable[[WireValue], str] | None = None,
    *,
    orderable: bool = True,
    seekable: bool = True,
) -> EdmType:
    return EdmType(schema, parse, literal, literal_v3 or literal, orderable, orderable and seekable)


def _integer_type(bits: int, *, signed: bool = True, suffix_v3: str = "") -> EdmType:
    minimum = -(2 ** (bits - 1)) if signed else 0
    maximum = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    return _edm_type(
        {"type": "integer", "minimum": minimum, "maximum": maximum},
        _integer(minimum, maximum),
        str,
        _suffixed(suffix_v3),
    )


_TEXT = {"type": "string"}
_FLOATING = {"type": "number"}
_UNKNOWN = _edm_type(_TEXT, _json_text, _quoted, orderable=False)
_GEO = _edm_type({"type": "object"}, _object, str, orderable=False)

_EDM_TYPES: dict[str, EdmType] = {
    "Edm.String": _edm_type(_TEXT, _string, _quoted),
    "Edm.Boolean": _edm_type(
        {"type": "boolean"}, _boolean, lambda value: str(value).lower(), seekable=False
    ),
    "Edm.Byte": _integer_type(8, signed=False),
    "Edm.SByte": _integer_type(8),
    "Edm.Int16": _integer_type(16),
    "Edm.Int32": _integer_type(32),
    "Edm.Int64": _integer_type(64, suffix_v3="L"),
    "Edm.Decimal": _edm_type({"type": "number"}, _decimal, _number, _suffixed("M")),
    "Edm.Double": _edm_type(_FLOATING, _floating, _number, _suffixed("d"), seekable=False),
    "Edm.Single": _edm_type(_FLOATING, _floating, _number, _suffixed("f"), seekable=False),
    "Edm.Guid": _edm_type({"type": "string", "format": "uuid"}, _guid, str, _prefixed("guid")),
    "Edm.DateTimeOffset": _edm_type(
        {"type": "string", "format": "date-time"},
        _date_time,
        _utc_literal,
        lambda value: f"datetimeoffset'{_utc_literal(value)}'",
        seekable=False,
    ),
    "Edm.DateTime": _edm_type(
        {"type": "string", "format": "date-time"},
        _date_time,
        _utc_literal,
        lambda value: f"datetime'{_utc_literal(value)[:-1]}'",
        seekable=False,
    ),
    "Edm.Date": _edm_type({"type": "string", "format": "date"}, _date, str),
    # No format: "time" asks for an offset, "duration" for whole numbers without a sign.
    "Edm.TimeOfDay": _edm_type(_TEXT, _matching(_TIME, "a time of day"), str, seekable=False),
    "Edm.Time": _edm_type(
        _TEXT,
        _matching(_DURATION, "a duration"),
        _prefixed("duration"),
        _prefixed("time"),
        seekable=False,
    ),
    "Edm.Duration": _edm_type(
        _TEXT,
        _matching(_DURATION, "a duration"),
        _prefixed("duration"),
        seekable=False,
    ),
    "Edm.Binary": _edm_type(
        {"type": "string", "contentEncoding": "base64"},
        _binary,
        _prefixed("binary"),
        _hexadecimal,
        orderable=False,
    ),
} | {
    f"Edm.{kind}{shape}": _GEO
    for kind in ("Geography", "Geometry")
    for shape in (
        "",
        "Point",
        "LineString",
        "Polygon",
        "MultiPoint",
        "MultiLineString",
        "MultiPolygon",
        "Collection",
    )
}
