"""Rows that Acumatica keeps as deleted: they leave with the time of their deletion.

Tables with such a flag keep rows that were deleted, and hide them unless asked default (Studio
Developer Guide, "Preservation of Deleted Records").
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Container

DELETED_COLUMN = "_sdc_deleted_at"
_FLAGS = ("DeletedDatabaseRecord", "UsrDeletedDatabaseRecord")


def deletion_flag(columns: Container[str]) -> str | None:
    """The column that says whether a row is deleted, None where there is none."""
    return next((name for name in _FLAGS if name in columns), None)


class Deletion(t.NamedTuple):
    """When a row was deleted.

    Attributes:
        flag: The column that says whether it is; None where there is none.
        stamp: The column of its last change, which then is its deletion.
        default: The time to take where it has no such value.
    """

    flag: str | None
    stamp: str | None
    default: str

    def deleted_at(self, row: t.Any) -> str | None:
        """The time of a row's deletion, None where it is not deleted."""
        if self.flag is None or row[self.flag] is not True:
            return None
        when: str | None = row[self.stamp] if self.stamp else None
        return when or self.default
