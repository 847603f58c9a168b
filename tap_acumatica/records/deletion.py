"""Rows that Acumatica keeps and marks as deleted: they are emitted with the time of deletion.

Tables with such a flag keep deleted rows, and hide them by default (Studio Developer Guide,
"Preservation of Deleted Records").
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Container

DELETED_COLUMN = "_sdc_deleted_at"
_FLAGS = ("DeletedDatabaseRecord", "UsrDeletedDatabaseRecord")


def deletion_flag(columns: Container[str]) -> str | None:
    """The column that marks deleted rows, or None."""
    return next((name for name in _FLAGS if name in columns), None)


class Deletion(t.NamedTuple):
    """How to tell when a row was deleted.

    Attributes:
        flag: Name of the column that marks deleted rows; None if there is none.
        stamp: Name of the column with the time of the last change, which for a deleted row is its
            deletion; None if there is none.
        default: Time of deletion for rows without that value.
        name: What the time of deletion is called in rows; a property of the service may be called
            as the column is.
    """

    flag: str | None
    stamp: str | None
    default: str
    name: str = DELETED_COLUMN

    def deleted_at(self, row: t.Any) -> str | None:
        """The time at which a row was deleted; None if it is not deleted."""
        if self.flag is None or row[self.flag] is not True:
            return None
        when: str | None = row[self.stamp] if self.stamp else None
        return when or self.default
