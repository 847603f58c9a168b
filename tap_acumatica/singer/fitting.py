"""Puts what an expression gives into the type that SCHEMA declares for its column."""

from __future__ import annotations

import datetime as dt
import typing as t
from decimal import Decimal

from singer_sdk.singerlib.json import serialize_json

if t.TYPE_CHECKING:
    from collections.abc import Callable


def _text(value: t.Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bool | dict | list | tuple):
        return serialize_json(value)
    return str(value)


def _number(value: t.Any) -> t.Any:
    if isinstance(value, bool):
        raise TypeError
    return value if isinstance(value, int | float | Decimal) else Decimal(str(value))


def _whole(value: t.Any) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _boolean(value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


FITTING: dict[str | None, Callable[[t.Any], t.Any]] = {
    "string": _text,
    "number": _number,
    "integer": _whole,
    "boolean": _boolean,
}
"""By type: the value in it; TypeError, ValueError or ArithmeticError if it cannot be."""
