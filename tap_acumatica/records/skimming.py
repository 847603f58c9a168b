"""Reads of an answer only what decides the next request; the rest is decoded when it is written.

One pass over the bytes shows that the JSON is whole, and gives the rows with their keys and their
tracking values. All other columns stay bytes until the rows are written, while the service already
works on the next answer.
"""

from __future__ import annotations

import copy
import threading
import typing as t
import weakref
from collections import Counter
from itertools import repeat
from operator import attrgetter

import msgspec
from typing_extensions import override

from tap_acumatica.records.compiled import NOT_FOR_STRUCTS, CompiledCodec
from tap_acumatica.records.compiled_row import CompiledRow
from tap_acumatica.records.envelope import decoder
from tap_acumatica.records.lines import TOGETHER
from tap_acumatica.records.row_form import compile_maker
from tap_acumatica.records.schema import KEY_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tap_acumatica.odata.atom import ResponseBody
    from tap_acumatica.records.codec import Page

_RAWS = decoder(msgspec.Raw)
_MADE = attrgetter("made")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class SkimmedRow(CompiledRow, rename={"raw": "@raw", "codec": "@codec", "made": "@made"}):
    """A row of which some columns are decoded; reading another one decodes all.

    Attributes:
        raw: The row as it was received; None if it was decoded in another way.
        codec: What decodes it.
        made: The whole row, if it was decoded already.
    """

    raw: t.Any = None
    codec: t.Any = None
    made: t.Any = None

    @override
    def __getitem__(self, name: str) -> t.Any:
        field = self.fields_by_name().get(name)
        return self.whole()[name] if field is None else getattr(self, field)

    @override
    def whole(self) -> CompiledRow:
        return t.cast("CompiledRow", self.codec.whole([self])[0])


class _Received:
    """The rows of one answer, until all of them are decoded."""

    def __init__(self, codec: SkimmingCodec, raws: Sequence[msgspec.Raw]) -> None:
        self._codec = codec
        self.raws = raws
        self.left = len(raws)

    def whole(self, rows: Sequence[t.Any]) -> Sequence[t.Any]:
        """See :meth:`SkimmingCodec.whole`."""
        return self._codec.whole(rows)


class SkimmingCodec:
    """Decodes answers in two steps, or in one where it cannot be done in two."""

    def __init__(
        self,
        codec: CompiledCodec,
        columns: Collection[str],
        *,
        omits_nulls: Callable[[], bool],
        found_lacking: Callable[[], None],
    ) -> None:
        """Compile the type of skimmed rows.

        Args:
            codec: Decodes whole rows.
            columns: Columns that rows are found by.
            omits_nulls: Whether the service is known to leave nulls out.
            found_lacking: Takes note that it does.
        """
        self._codec = codec
        self._skimmed = codec.only(columns, SkimmedRow)
        self._required = codec.required
        self._omits_nulls = omits_nulls
        self._found_lacking = found_lacking
        self._received = weakref.WeakSet[_Received]()
        self._lock = threading.Lock()
        row_type = self._skimmed.row_type
        self._found_by = row_type.fields_by_name()
        self._key_field = self._found_by.get(KEY_COLUMN)
        fields = list(self._found_by.values())
        self._made = compile_maker(row_type, [*fields, "made", "codec"])

    def decode(self, body: bytes) -> Page:
        """Decode an answer; see :meth:`CompiledCodec.decode`."""
        return self._with_places(self._codec.decode(body))

    def decode_stream(self, body: ResponseBody) -> Page:
        """Decode an answer while it arrives; see :meth:`CompiledCodec.decode_stream`."""
        return self._with_places(self._codec.decode_stream(body))

    def skim(self, body: bytes) -> Page:
        """Read the columns that rows are found by.

        Answers that lack a column, hold an error or are odd in another way are decoded at once: so
        whatever makes an answer worth asking for again shows before the next request.

        Raises:
            PayloadError: As :meth:`decode`.
            ValueMismatchError: As :meth:`decode`, of odd answers.
        """
        page = None if self._omits_nulls() else self._skimmed.quick_page(body)
        if page is None or not page.rows:
            return self._with_places(self._codec.decode(body))
        raws = _RAWS.decode(body).value
        if not self._required <= self._members(raws[0]):
            self._look_at_earlier_answers()
            return self._with_places(self._codec.decode(body))
        received = _Received(self, raws)
        with self._lock:
            self._received.add(received)
        for row, raw in zip(page.rows, raws, strict=True):
            row.raw, row.codec = raw, received
        return page

    def _with_places(self, page: Page) -> Page:
        """A page of whole rows, each beside the columns that it is found by."""
        rows: list[t.Any] = []
        if page.rows:
            columns = [self._codec.places(name, page.rows) for name in self._found_by]
            rows = list(map(self._made, *columns, page.rows, repeat(self)))
        following = page.next_part
        next_part = (lambda: self._with_places(following())) if following else None
        return page._replace(rows=rows, next_part=next_part)

    def _look_at_earlier_answers(self) -> None:
        """Find out whether rows that are still to be decoded lack columns: then nulls are left out.

        So a column that this answer lacks is not taken for one that is gone.
        """
        with self._lock:
            waiting = [received for received in self._received if received.left > 0]
        for received in waiting:
            if self._omits_nulls():
                return
            self._decoded(received.raws)

    @staticmethod
    def _members(raw: msgspec.Raw) -> set[str]:
        try:
            return set(_MEMBERS.decode(raw))
        except NOT_FOR_STRUCTS:
            return set()

    def whole(self, rows: Sequence[t.Any]) -> Sequence[t.Any]:
        """The same rows with all columns.

        Args:
            rows: Rows of this codec, skimmed or not.

        Raises:
            ValueMismatchError: If a value does not fit its type.
        """
        try:
            made = list(map(_MADE, rows))
        except AttributeError:
            pass  # some were never skimmed
        else:
            if self._key_field is None and None not in made:
                return made
        waiting = [row for row in rows if isinstance(row, SkimmedRow) and row.made is None]
        decoded = iter(self._decoded([row.raw for row in waiting]))
        for received, count in Counter(row.codec for row in waiting).items():
            received.left -= count
        return [self._keyed(row, decoded) if isinstance(row, SkimmedRow) else row for row in rows]

    def _keyed(self, row: SkimmedRow, decoded: Iterator[t.Any]) -> t.Any:
        """The whole row, under the ``_key`` that it may have been given meanwhile."""
        made = row.made is not None
        whole = row.made if made else next(decoded)
        field = self._key_field
        if field is None or getattr(row, field) == getattr(whole, field):
            return whole
        whole = copy.copy(whole) if made else whole
        setattr(whole, field, getattr(row, field))
        return whole

    def _decoded(self, raws: Sequence[msgspec.Raw]) -> list[t.Any]:
        whole: list[t.Any] = []
        for start in range(0, len(raws), TOGETHER):
            page = self._codec.decode(b'{"value":[%b]}' % b",".join(raws[start : start + TOGETHER]))
            if page.lacking - page.absent:
                self._found_lacking()
            whole += page.rows
        return whole
