"""Reads of an answer only what decides the next request; the rest is decoded when it is written.

One pass over the bytes shows that the JSON is whole, and gives the rows with their keys and their
tracking values. All other columns stay bytes until the rows are written, while the service already
works on the next answer.
"""

from __future__ import annotations

import typing as t

import msgspec
from typing_extensions import override

from tap_acumatica.records.compiled import NOT_FOR_STRUCTS, CompiledCodec
from tap_acumatica.records.compiled_row import CompiledRow
from tap_acumatica.records.envelope import decoder
from tap_acumatica.records.lines import TOGETHER

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tap_acumatica.odata.atom import ResponseBody
    from tap_acumatica.records.codec import Page

_RAWS = decoder(msgspec.Raw)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class SkimmedRow(CompiledRow, rename={"raw": "@raw", "codec": "@codec"}):
    """A row of which some columns are decoded; reading another one decodes all.

    Attributes:
        raw: The row as it was received.
        codec: What decodes it.
    """

    raw: t.Any = None
    codec: t.Any = None

    @override
    def __getitem__(self, name: str) -> t.Any:
        field = self.fields_by_name().get(name)
        return self.whole()[name] if field is None else getattr(self, field)

    @override
    def whole(self) -> CompiledRow:
        return t.cast("CompiledRow", self.codec.whole([self])[0])


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

    def decode(self, body: bytes) -> Page:
        """Decode an answer; see :meth:`CompiledCodec.decode`."""
        return self._codec.decode(body)

    def decode_stream(self, body: ResponseBody) -> Page:
        """Decode an answer while it arrives; see :meth:`CompiledCodec.decode_stream`."""
        return self._codec.decode_stream(body)

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
            return self._codec.decode(body)
        raws = _RAWS.decode(body).value
        if not self._required <= self._members(raws[0]):
            return self._codec.decode(body)
        for row, raw in zip(page.rows, raws, strict=True):
            row.raw, row.codec = raw, self
        return page

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
        raws = [row.raw for row in rows if isinstance(row, SkimmedRow)]
        if not raws:
            return rows
        whole: list[t.Any] = []
        for start in range(0, len(raws), TOGETHER):
            page = self._codec.decode(b'{"value":[%b]}' % b",".join(raws[start : start + TOGETHER]))
            if page.lacking - page.absent:
                self._found_lacking()
            whole += page.rows
        if len(raws) == len(rows):
            return whole
        found = iter(whole)
        return [next(found) if isinstance(row, SkimmedRow) else row for row in rows]
