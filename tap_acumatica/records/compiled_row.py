"""Rows as structs whose fields are the columns, and their columns."""

from __future__ import annotations

import typing as t
from decimal import Decimal
from operator import attrgetter

import msgspec

if t.TYPE_CHECKING:
    from collections.abc import Sequence


class CompiledRow(msgspec.Struct):
    """Base of the compiled rows: read by column name, like a dict."""

    def __getitem__(self, name: str) -> t.Any:
        """The wire value of a column; a number that was kept as text is one."""
        value = getattr(self, self.fields_by_name()[name])
        return _number(value) if type(value) is msgspec.Raw else value

    def whole(self) -> CompiledRow:
        """The row with all its columns: itself, if it was not only skimmed."""
        return self

    @classmethod
    def fields_by_name(cls) -> dict[str, str]:
        """Attribute names by column name."""
        raise NotImplementedError  # each compiled class defines it


def column_of(rows: Sequence[t.Any], name: str) -> list[t.Any]:
    """The values of one column, from dicts or from compiled rows."""
    if rows and isinstance(rows[0], CompiledRow):
        field = rows[0].fields_by_name().get(name)
        try:
            if field is not None:
                return list(map(attrgetter(field), rows))
        except AttributeError:
            pass  # some of them were only skimmed
    return [row[name] for row in rows]


def whole_rows(rows: Sequence[t.Any]) -> Sequence[t.Any]:
    """The rows with all their columns, where some were only skimmed."""
    codec = next((row.codec for row in rows if hasattr(row, "codec")), None)
    return t.cast("Sequence[t.Any]", codec.whole(rows)) if codec else rows


def _number(raw: msgspec.Raw) -> Decimal | None:
    text = bytes(raw).decode()
    return None if text == "null" else Decimal(text)
