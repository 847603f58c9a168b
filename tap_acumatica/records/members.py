"""Which member of a received row holds which column, and which columns an answer lacks."""

from __future__ import annotations

import typing as t
from collections import Counter

if t.TYPE_CHECKING:
    from collections.abc import Mapping

Row = dict[str, t.Any]


class Members:
    """The members of one answer's rows; a name in another case is the same where that is clear.

    >>> members = Members({"Id": "Id", "Note": "Note"})
    >>> members.named({"id": 1})["Id"], members.absent
    (1, frozenset({'Note'}))
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        """Begin with no row.

        Args:
            names: Name of the member that holds each column.
        """
        self._columns = {member: column for column, member in names.items()}
        self._expected = frozenset(self._columns)
        self._absent: frozenset[str] | None = None
        self._lacking: frozenset[str] = frozenset()

    def named(self, raw: Row) -> Row:
        """The row, with the names that are expected."""
        lacking = self._expected.difference(raw)
        if lacking:
            raw = _in_another_case(raw, lacking, self._expected)
            lacking = lacking.difference(raw)
        self._absent = lacking if self._absent is None else self._absent & lacking
        self._lacking |= lacking
        return raw

    @property
    def absent(self) -> frozenset[str]:
        """Columns that none of the rows has; empty if there was no row."""
        return frozenset(self._columns[member] for member in self._absent or ())

    @property
    def lacking(self) -> frozenset[str]:
        """Columns that at least one of the rows lacks."""
        return frozenset(self._columns[member] for member in self._lacking)


def _in_another_case(raw: Row, lacking: frozenset[str], expected: frozenset[str]) -> Row:
    """The row with members added that it has in another case, where only one can be meant."""
    wanted = Counter(name.casefold() for name in expected)
    offered: dict[str, list[str]] = {}
    for member in raw:
        if member not in expected:
            offered.setdefault(member.casefold(), []).append(member)
    found = {}
    for name in lacking:
        folded = name.casefold()
        members = offered.get(folded, [])
        if wanted[folded] == 1 and len(members) == 1:
            found[name] = raw[members[0]]
    return {**raw, **found} if found else raw
