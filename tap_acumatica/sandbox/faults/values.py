"""Values and columns: one bad value in one row, and columns in another form."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tap_acumatica.sandbox.exchange import RawJson

from .registry import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.sandbox.exchange import Reply, Request, Row, Spoil

BARE_DATE = "2024-03-15"
_TEXT, _DECIMAL, _MOMENT = "Edm.String", "Edm.Decimal", "Edm.DateTimeOffset"
_UTC = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")
_STAMP = re.compile(r"(Last)?(Modified|Created)", re.IGNORECASE)


# One bad value in one row


@named
def text_as_number() -> Spoil:
    """In one row, a text comes as the number 5."""
    return _bad_value(_TEXT, lambda _value: 5)


@named
def half_surrogate() -> Spoil:
    r"""In one row, a text ends with half an emoji: \ud83d."""
    return _bad_value(_TEXT, lambda value: f"{value or ''}\ud83d")


@named
def nul() -> Spoil:
    r"""In one row, a text has a NUL in it: \u0000."""
    return _bad_value(_TEXT, lambda value: f"{value or ''}\0")


@named
def invalid_utf8() -> Spoil:
    """In one row, a text has a byte that is not UTF-8."""
    return _bad_value(_TEXT, lambda _value: RawJson('"caf\udce9"'))


@named
def bare_date() -> Spoil:
    """In one row, a date-time comes as 2024-03-15."""
    return _bad_value(_MOMENT, lambda _value: BARE_DATE)


@named
def nan() -> Spoil:
    """In one row, a decimal is NaN, which is not JSON."""
    return _bad_value(_DECIMAL, lambda _value: RawJson("NaN"))


@named
def number_as_text() -> Spoil:
    """In one row, a decimal comes as text."""
    return _bad_value(_DECIMAL, lambda value: format(Decimal(str(value or 0)), "f"))


@named
def wrong_type() -> Spoil:
    """In one row, a decimal is the text 'n/a'."""
    return _bad_value(_DECIMAL, lambda _value: "n/a")


# Columns


@named
def absent_column(name: str = "") -> Spoil:
    """A column is missing from every row; by default the first text."""
    names: dict[str, str] = {}

    def spoil(request: Request, reply: Reply) -> None:
        found = name or names.get(request.entity_set) or _column(reply, _TEXT)
        names[request.entity_set] = found
        for row in reply.rows or ():
            row.pop(found, None)

    return spoil


@named
def other_case() -> Spoil:
    """Names of columns begin with a small letter."""

    def spoil(_request: Request, reply: Reply) -> None:
        if reply.rows is not None:
            reply.rows = [{k[:1].lower() + k[1:]: v for k, v in r.items()} for r in reply.rows]

    return spoil


@named
def offset_times(offset: str = "+03:00") -> Spoil:
    """Date-times have an offset in place of Z [doc]."""
    zone = datetime.fromisoformat(f"2024-01-01T00:00:00{offset}").tzinfo or timezone.utc

    def local(value: Any) -> Any:
        found = _UTC.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return value
        moment = datetime.fromisoformat(f"{found[1]}+00:00").astimezone(zone)
        return f"{moment:%Y-%m-%dT%H:%M:%S}{found[2] or ''}{offset}"

    def spoil(_request: Request, reply: Reply) -> None:
        if reply.rows is not None:
            reply.rows = [{k: local(v) for k, v in row.items()} for row in reply.rows]

    return spoil


@named
def padded_codes(width: int = 10) -> Spoil:
    """Codes in keys are padded with blanks [live]."""

    def spoil(_request: Request, reply: Reply) -> None:
        for row in reply.rows or ():
            for name in reply.key:
                if isinstance(row.get(name), str) and reply.columns.get(name) == _TEXT:
                    row[name] = row[name].ljust(width)

    return spoil


def _bad_value(edm: str, change: Callable[[Any], Any]) -> Spoil:
    """Change one value of the first row that was sent; it is the same row in every reply."""
    keys: dict[str, tuple[Any, ...]] = {}
    names: dict[str, str] = {}

    def key_of(row: Row, reply: Reply) -> tuple[Any, ...]:
        return tuple(row[name] for name in reply.key)

    def spoil(request: Request, reply: Reply) -> None:
        rows = [row for row in reply.rows or () if all(name in row for name in reply.key)]
        if not rows:
            return
        bad = keys.setdefault(request.entity_set, key_of(rows[0], reply))
        name = names.get(request.entity_set) or _column(reply, edm)
        names[request.entity_set] = name
        for row in rows:
            if key_of(row, reply) == bad and name in row:
                row[name] = change(row[name])

    return spoil


def _column(reply: Reply, edm: str) -> str:
    """Return the first column of a type that is neither part of the key nor a stamp."""
    sent = reply.rows[0] if reply.rows else {}
    return next(
        (
            name
            for name, kind in reply.columns.items()
            if kind == edm and name in sent and name not in reply.key and not _STAMP.match(name)
        ),
        "",
    )
