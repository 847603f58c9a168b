"""Decimals for the time of a mapping: their arithmetic takes floats, by the text people write."""

from __future__ import annotations

import typing as t
from decimal import Decimal

from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable


class Amount(Decimal):
    """A decimal that can be computed and compared with floats.

    A float counts as its shortest text: ``1.19`` is 1.19, not the binary fraction next to it.
    """

    __slots__ = ()

    __hash__ = Decimal.__hash__

    @override
    def __eq__(self, other: object) -> bool:
        return Decimal.__eq__(self, _exact(other))

    @override
    def __ne__(self, other: object) -> bool:
        return not self == other

    @override
    def __round__(self, ndigits: int | None = None) -> t.Any:
        return as_amounts(round(Decimal(self), ndigits))


def _exact(value: t.Any) -> t.Any:
    return Decimal(repr(value)) if isinstance(value, float) else value


def _taking_floats(operation: Callable[..., t.Any]) -> Callable[..., t.Any]:
    def computed(self: Amount, *others: t.Any) -> t.Any:
        return as_amounts(operation(self, *map(_exact, others)))

    return computed


_TWO_SIDED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "divmod")
for _name in (
    *_TWO_SIDED,
    *(f"r{each}" for each in _TWO_SIDED),
    *("neg", "pos", "abs"),
    *("lt", "le", "gt", "ge"),
):
    setattr(Amount, f"__{_name}__", _taking_floats(getattr(Decimal, f"__{_name}__")))


def as_amounts(value: t.Any) -> t.Any:
    """A value whose decimals, also the nested ones, can be computed with."""
    return _replaced(value, Decimal, Amount)


def as_decimals(value: t.Any) -> t.Any:
    """A value whose decimals are plain ones again."""
    return _replaced(value, Amount, Decimal)


def _replaced(value: t.Any, kind: type[Decimal], by: type[Decimal]) -> t.Any:
    if isinstance(value, kind):
        return value if type(value) is by else by(value)
    if isinstance(value, dict):
        return {name: _replaced(member, kind, by) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_replaced(member, kind, by) for member in value)
    return value
