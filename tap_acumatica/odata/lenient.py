"""Reads values that are not in the form of their type, where only one thing can be meant.

``types.py`` says what OData asks for; this is the second reading, of values that are not like that:
texts where numbers are declared, bare dates where date-times are, GUIDs in braces. What could mean
two things (``1,234``, ``03/04/2024``) is not read.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from decimal import Decimal, InvalidOperation

import msgspec

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata.payload import iso_date_time
from tap_acumatica.odata.types import edm_type, integer_range, is_timestamp

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.odata.types import WireValue

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:(?:[Tt]|\s+)(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r"\s*(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_GUID = re.compile(
    r"(?P<open>[{(])?(?:urn:uuid:)?([0-9a-fA-F]{8})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})"
    r"-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{12})(?(open)[})])",
    re.ASCII | re.IGNORECASE,
)
_TIME_SPAN = re.compile(r"(-)?(?:(\d+)\.)?(\d\d):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)
_UTC = frozenset({"Z", "z", "UTC", "GMT"})
_HOURS_ONLY = 3
_LATEST = "9999-12-31T23:59:59.999999"
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class NotFiniteError(ValueMismatchError):
    """NaN or an infinity: a value of its type, perhaps, but not one that JSON has."""


def lenient_parser(name: str) -> Callable[[t.Any], WireValue]:
    """A function that reads a value of a primitive type in another form.

    It raises ``ValueMismatchError`` where the value is not one of the type, and ``NotFiniteError``
    for NaN and infinities. Date-times become a text for :func:`times.to_canonical`.
    """
    if is_timestamp(name):
        return date_time_in_utc if name == "Edm.DateTimeOffset" else date_time
    limits = integer_range(name)
    if limits:
        return integer(*limits)
    return _PARSERS.get(name, edm_type(name).parse)


def described(name: str) -> str:
    """What a value of a primitive type is, for people."""
    if is_timestamp(name):
        return "a date-time"
    return "a whole number" if integer_range(name) else _DESCRIBED.get(name, "a text")


def text(value: t.Any) -> str:
    """Any JSON value as a text: numbers digit for digit, objects as JSON."""
    return value if isinstance(value, str) else _ENCODER.encode(value).decode()


def number(value: t.Any) -> Decimal:
    """A number, or a text that can only be one."""
    if isinstance(value, str):
        stripped = value.strip()
        if stripped.lstrip("+-").casefold() in _NOT_FINITE:
            msg = "is not a finite number"
            raise NotFiniteError(msg)
        if not _NUMBER.fullmatch(stripped):
            _raise_mismatch("a number")
        value = stripped
    elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        _raise_mismatch("a number")
    try:
        return Decimal(str(value))
    except InvalidOperation:  # an exponent beyond all measure
        _raise_mismatch("a number")


def integer(minimum: int, maximum: int) -> Callable[[t.Any], int]:
    """A function that reads whole numbers within limits, however they are written."""

    def read(value: t.Any) -> int:
        found = number(value)
        if found and found.adjusted() > len(str(maximum)):
            _raise_mismatch(f"an integer between {minimum} and {maximum}")
        if found != found.to_integral_value():
            _raise_mismatch("an integer")
        if not minimum <= found <= maximum:
            _raise_mismatch(f"an integer between {minimum} and {maximum}")
        return int(found)

    return read


def boolean(value: t.Any) -> bool:
    """A boolean, as a text in any case, or as 1 or 0."""
    if isinstance(value, bool):
        return value
    said = str(value).strip().casefold() if isinstance(value, str | int | Decimal) else ""
    if said not in _TRUE | _FALSE:
        _raise_mismatch("a boolean")
    return said in _TRUE


def date_time(value: t.Any) -> str:
    """A date-time in a form that :func:`times.to_canonical` takes, if it is one in any form.

    A date alone is its midnight. The 24th hour and a leap second are the moment that follows.
    """
    said = iso_date_time(value.strip()) if isinstance(value, str) else ""
    match = _DATE_TIME.fullmatch(said)
    if match is None:
        _raise_mismatch("a date-time")
    date, hour, minute, second, fraction, offset = match.groups()
    hour, minute, second = hour or "00", minute or "00", second or "00"
    later = dt.timedelta()
    if second == "60":
        second, later = "59", dt.timedelta(seconds=1)
    elif (hour, minute, second) == ("24", "00", "00") and not (fraction or "").strip("0"):
        hour, later = "00", dt.timedelta(days=1)
    try:
        moment = dt.datetime.fromisoformat(f"{date}T{hour}:{minute}:{second}")
    except ValueError:
        _raise_mismatch("a valid date-time")
    try:
        local = (moment + later).isoformat()
    except OverflowError:
        local, fraction = _LATEST, None
    return f"{local}{f'.{fraction}' if fraction else ''}{_offset(offset)}"


def date_time_in_utc(value: t.Any) -> str:
    """The same, where milliseconds since 1970 count UTC unless they have an offset."""
    found = date_time(value)
    return f"{found}Z" if value.strip().startswith("/") and found[-6:-5] not in "+-" else found


def date(value: t.Any) -> str:
    """A date, or that of a date-time, whatever its time and offset."""
    try:
        return date_time(value)[:10]
    except ValueMismatchError as error:
        msg = str(error).replace("date-time", "date")
        raise ValueMismatchError(msg) from None


def guid(value: t.Any) -> str:
    """A GUID in braces, without hyphens or as a URN."""
    match = _GUID.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        _raise_mismatch("a GUID")
    return "-".join(match.groups()[1:])


def duration(value: t.Any) -> str:
    """A duration, or .NET's ``[-][d.]hh:mm:ss[.fffffff]``."""
    said = value.strip() if isinstance(value, str) else value
    match = _TIME_SPAN.fullmatch(said) if isinstance(said, str) else None
    if match is None:
        return t.cast("str", edm_type("Edm.Duration").parse(said))
    sign, days, hours, minutes, seconds = match.groups()
    return f"{sign or ''}P{f'{days}D' if days else ''}T{hours}H{minutes}M{seconds}S"


def _stripped(name: str) -> Callable[[t.Any], WireValue]:
    """A function that reads a text with white space around it, or within Base64."""
    return lambda value: edm_type(name).parse(
        "".join(value.split()) if isinstance(value, str) else value
    )


def _offset(said: str | None) -> str:
    if said is None:
        return ""
    if said in _UTC:
        return "Z"
    return f"{said}:00" if len(said) == _HOURS_ONLY else said


def _raise_mismatch(expected: str) -> t.NoReturn:
    msg = f"is not {expected}"
    raise ValueMismatchError(msg)


_PARSERS: dict[str, Callable[[t.Any], WireValue]] = {
    "Edm.String": text,
    "Edm.Boolean": boolean,
    "Edm.Decimal": number,
    "Edm.Double": number,
    "Edm.Single": number,
    "Edm.Guid": guid,
    "Edm.Date": date,
    "Edm.TimeOfDay": _stripped("Edm.TimeOfDay"),
    "Edm.Duration": duration,
    "Edm.Time": duration,
    "Edm.Binary": _stripped("Edm.Binary"),
}
_DESCRIBED = {
    "Edm.Boolean": "a boolean",
    "Edm.Decimal": "a number",
    "Edm.Double": "a number",
    "Edm.Single": "a number",
    "Edm.Guid": "a GUID",
    "Edm.Date": "a date",
    "Edm.TimeOfDay": "a time of day",
    "Edm.Duration": "a duration",
    "Edm.Time": "a duration",
    "Edm.Binary": "Base64",
}
