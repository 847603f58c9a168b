"""Which rows are the same one, where a declared key is only advice.

The key of an inquiry lists the keys of some of the tables that it joins, and views declare keys
that are none. In a full read, rows of one key are numbered in the order of their content, and the
number joins the hash in ``_key``; the first one has none, so a row that is alone keeps its hash. In
an incremental read a number would not last: two rows of one key fail the stream.
"""

from __future__ import annotations

import copy
import hashlib
import typing as t
from array import array

from typing_extensions import override

from tap_acumatica.errors import IdentityError
from tap_acumatica.records.codec import content
from tap_acumatica.records.compiled_row import CompiledRow, column_of
from tap_acumatica.records.record_maker import hashed_key
from tap_acumatica.records.schema import KEY_COLUMN, ROW_KEY

if t.TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from tap_acumatica.records.schema import RecordShape

Row = t.Any
"""A row in wire values: a dict or a compiled row."""

_LONGEST = 60
_FEWEST_SLOTS = 1 << 10
_LAST = 200
"""Rows of a page that are compared with those of the next one: two of one key stand together."""
_MOST_KEYS = 20_000
"""Keys of a read that are remembered to its end: a key that is none shows among them."""
_DIGEST = (1 << 64) - 1


class KeyTable:
    """A number for each key that was met, in 16 to 32 bytes a key.

    Keys are kept as digests of 64 bits. That two keys share one happens once in ten million runs of
    two million rows; one of them is then taken for the other.
    """

    def __init__(self) -> None:
        """Begin with no keys."""
        self._clear(_FEWEST_SLOTS)

    def __len__(self) -> int:
        """How many keys were met."""
        return self._used

    def add(self, key: Hashable, amount: int) -> int:
        """Add to the number of a key, and return what it was: 0 for a new key."""
        place = self._place(key)
        before = self._values[place]
        self._values[place] = before + amount
        return before

    def _clear(self, slots: int) -> None:
        self._digests = array("Q", bytes(8 * slots))
        self._values = array("I", bytes(4 * slots))
        self._mask = slots - 1
        self._used = 0

    def _place(self, key: Hashable) -> int:
        """The slot of a key, taken for it if it is new."""
        digest = hash(key) & _DIGEST or 1
        place = self._slot(digest)
        if not self._digests[place]:
            if (self._used + 1) * 4 > len(self._digests) * 3:
                self._grow()
                place = self._slot(digest)
            self._digests[place] = digest
            self._used += 1
        return place

    def _slot(self, digest: int) -> int:
        digests, mask = self._digests, self._mask
        place = digest & mask
        while digests[place] not in {0, digest}:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        digests, values, used = self._digests, self._values, self._used
        self._clear(2 * len(digests))
        for digest, value in zip(digests, values, strict=True):
            if digest:
                place = self._slot(digest)
                self._digests[place], self._values[place] = digest, value
        self._used = used


class Identity:
    """Rows of a set whose key is known to be one: only nulls in it are refused."""

    numbered = 0
    """How many rows share their key with another one, and got a number."""
    doubtful = 0
    """How many rows look as if they shared their key with another one."""

    def __init__(self, stream: str, key: Sequence[str], *, hashed: bool) -> None:
        """Prepare.

        Args:
            stream: What to call the stream in errors.
            key: The columns that identify a row; empty where there are none.
            hashed: Whether they are hashed into ``_key``, so that they may be null.
        """
        self.stream = stream
        self.key = tuple(key)
        self.hashed = hashed

    def checked(self, rows: Sequence[Row], *, again: bool = False) -> Sequence[Row]:
        """The rows, as they are to be emitted; those given are not changed.

        Args:
            rows: The rows that were read together.
            again: Whether the result begins anew with them.

        Raises:
            IdentityError: If the key does not identify them.
        """
        del again
        if not self.hashed:
            self._refuse_nulls(rows)
        return rows

    def keys(self, rows: Sequence[Row]) -> list[t.Any]:
        """What identifies each of the rows."""
        if not self.hashed:
            return list(zip(*(column_of(rows, name) for name in self.key), strict=True))
        if isinstance(rows[0], CompiledRow):
            return column_of(rows, KEY_COLUMN)
        return [hashed_key(row, self.key) for row in rows]

    def not_unique(self, row: Row) -> IdentityError:
        """The error for a row whose key another row has as well."""
        ways = "name the columns that identify a row in 'keys'"
        if self.hashed:
            ways += ", or read the stream with the replication method FULL_TABLE"
        else:
            ways += ", or none ([]) to have rows of one key numbered in full reads"
        held = ", ".join(f"{name} = {_shown(row[name])}" for name in self.key)
        return IdentityError(
            f"{self.stream}: several rows have the key {held}, so a loader would keep one of them; "
            f"{ways}"
        )

    def _refuse_nulls(self, rows: Sequence[Row]) -> None:
        for name in self.key:
            if rows and None in column_of(rows, name):
                msg = (
                    f"{self.stream}: the key column {name} holds a null, which the service "
                    "declares impossible and no loader takes; name other columns in 'keys', or "
                    "none ([]) to have the key hashed"
                )
                raise IdentityError(msg)


class NumberedRows(Identity):
    """Rows of a full read, each with a ``_key`` of its own; no row is given twice."""

    def __init__(self, stream: str, key: Sequence[str]) -> None:
        """Prepare.

        Args:
            stream: What to call the stream in errors.
            key: The declared key.
        """
        super().__init__(stream, key, hashed=True)
        self._met = KeyTable()

    @override
    def checked(self, rows: Sequence[Row], *, again: bool = False) -> Sequence[Row]:
        if again:
            self._met, self.numbered = KeyTable(), 0
        if not rows:
            return rows
        found = list(rows)
        for key, places in _grouped(self.keys(rows), rows):
            first = self._met.add(key, len(places))
            self.numbered += len(places) - (not first)
            for number, place in enumerate(places, first):
                if number:
                    found[place] = _with_key(rows[place], numbered_key(key, number))
        return found


class DistinctRows(Identity):
    """Rows of one answer, or of an incremental read, of which no two may share a key.

    The same row may come twice, and in a newer version where it was changed during the run.
    """

    def __init__(
        self,
        stream: str,
        key: Sequence[str],
        *,
        hashed: bool,
        stamps: Callable[[Sequence[Row]], list[str | None]] | None = None,
        settled: str = "",
    ) -> None:
        """Prepare.

        Args:
            stream: What to call the stream in errors.
            key: The declared key.
            hashed: Whether it is hashed into ``_key``.
            stamps: Gives the tracking value of each row; None for a full read.
            settled: The tracking value from which on a row may have been changed during the run.
        """
        super().__init__(stream, key, hashed=hashed)
        self._stamps = stamps
        self._settled = settled
        self._first: dict[t.Any, str | None] = {}
        self._before: dict[t.Any, tuple[Row, str | None]] = {}

    @override
    def checked(self, rows: Sequence[Row], *, again: bool = False) -> Sequence[Row]:
        super().checked(rows)
        if again:
            self._first, self._before, self.doubtful = {}, {}, 0
        if rows:
            self._check(rows)
        return rows

    def _check(self, rows: Sequence[Row]) -> None:
        stamps = self._stamps(rows) if self._stamps else [None] * len(rows)
        keys = self.keys(rows)
        if len(set(keys)) == len(keys) and self._before.keys().isdisjoint(keys):
            self._look_for_doubts(keys, stamps)
        else:
            here = self._compared(keys, rows, stamps)
            keys, stamps = list(here), [stamp for _, stamp in here.values()]
            rows = [row for row, _ in here.values()]
        start = max(len(rows) - _LAST, 0) if self._stamps else len(rows)
        last = zip(rows[start:], stamps[start:], strict=True)
        self._before = dict(zip(keys[start:], last, strict=True))

    def _compared(
        self, keys: Sequence[t.Any], rows: Sequence[Row], stamps: Sequence[str | None]
    ) -> dict[t.Any, tuple[Row, str | None]]:
        """The rows by key, compared with those that have the same one, here or just before.

        Raises:
            IdentityError: If two of them are no versions of one row.
        """
        here: dict[t.Any, tuple[Row, str | None]] = {}
        for key, row, stamp in zip(keys, rows, stamps, strict=True):
            twin, other = here.get(key) or self._before.get(key) or (None, None)
            same = twin is not None and content(twin) == content(row)
            settled = self._is_settled(stamp, other)
            differs = twin is not None and not same
            if differs and settled and (key in here or stamp == other):
                raise self.not_unique(row)
            here[key] = (row, stamp)
            if not same:
                self._look_for_doubts([key], [stamp], settled=settled)
        return here

    def _look_for_doubts(
        self, keys: Sequence[t.Any], stamps: Sequence[str | None], *, settled: bool = True
    ) -> None:
        """Count rows whose key is one of the first ones, with another tracking value."""
        if not self._stamps:
            return
        first = self._first
        if not first.keys().isdisjoint(keys):
            for key, stamp in zip(keys, stamps, strict=True):
                if first.get(key, stamp) != stamp and settled:
                    self.doubtful += self._is_settled(stamp)
                if key in first:
                    first[key] = stamp
        if len(first) < _MOST_KEYS:
            first.update(zip(keys, stamps, strict=True))

    def _is_settled(self, stamp: str | None, other: str | None = None) -> bool:
        """Whether a row cannot have been changed during the run."""
        return self._stamps is None or max(stamp or "", other or "") < self._settled


def identity_of(
    stream: str,
    shape: RecordShape,
    *,
    proved: bool,
    stamps: Callable[[Sequence[Row]], list[str | None]] | None,
    settled: str,
) -> Identity:
    """What tells the rows of a stream apart.

    Args:
        stream: What to call the stream in errors.
        shape: Their key, and whether it is hashed.
        proved: Whether the key is known to be one.
        stamps: Gives the tracking value of each row; None for a full read.
        settled: The tracking value from which on a row may have been changed during the run.
    """
    if proved or not shape.key:
        return Identity(stream, shape.key, hashed=shape.hashed)
    if stamps is None and shape.hashed:
        return NumberedRows(stream, shape.key)
    return DistinctRows(stream, shape.key, hashed=shape.hashed, stamps=stamps, settled=settled)


def numbered_key(key: str, number: int) -> str:
    """The ``_key`` of a further row of one key.

    Args:
        key: That of the first.
        number: How many rows of the key come before it.
    """
    return hashlib.blake2b(f"{key} {number}".encode(), digest_size=16).hexdigest()


def _grouped(keys: Sequence[str], rows: Sequence[Row]) -> list[tuple[str, Sequence[int]]]:
    """The places of each key's rows, in the order of their content."""
    if len(set(keys)) == len(keys):
        return [(key, (place,)) for place, key in enumerate(keys)]
    groups: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    for places in groups.values():
        if len(places) > 1:
            places.sort(key=lambda place: content(rows[place]))
    return list(groups.items())


def _with_key(row: Row, key: str) -> Row:
    """A copy of a row under another ``_key``: the reader knows its rows again by their content."""
    if isinstance(row, dict):
        return {**row, ROW_KEY if KEY_COLUMN in row else KEY_COLUMN: key}
    kept = copy.copy(row)
    setattr(kept, row.fields_by_name()[KEY_COLUMN], key)
    return kept


def _shown(value: t.Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
