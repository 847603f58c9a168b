"""Reads one stream of one tenant by the strongest plan that the service takes.

What a service refuses (a filter, an order, a column) shows with the first request that needs it;
see ``narrowing.py``. What it ignores shows in its answers; see ``evidence.py``. Either way the
stream is read again from where it began by the next best safe plan. Rows may then be emitted twice;
none is missed.
"""

from __future__ import annotations

import logging
import typing as t
from dataclasses import replace

from tap_acumatica.errors import AccessError, EmptyAnswerError, RefusedError
from tap_acumatica.odata import times
from tap_acumatica.reading.batches import RowBatch
from tap_acumatica.reading.by_key import KeyReader
from tap_acumatica.reading.by_position import PositionReader
from tap_acumatica.reading.by_time import (
    CLOCK_ERROR_SECONDS,
    EARLIEST,
    TimeReader,
    rows_without_stamp,
)
from tap_acumatica.reading.evidence import (
    Evidence,
    FilterIgnoredError,
    OrderDisagreesError,
    UntrustedError,
)
from tap_acumatica.reading.narrowing import Narrowing
from tap_acumatica.reading.pages import Pages
from tap_acumatica.reading.plan import Term, without_seek
from tap_acumatica.reading.unpaged import UnpagedReader

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_acumatica.odata.query import QueryOptions
    from tap_acumatica.reading.plan import Page, Plan, Row, Source
    from tap_acumatica.reading.window import Window

logger = logging.getLogger(__name__)

_MOST_PLANS = 24


class Reader:
    """Reads a stream.

    Attributes:
        plan: How it is read; what it came to.
    """

    def __init__(
        self, source: Source, plan: Plan, *, name: str, evidence: Evidence | None = None
    ) -> None:
        """Prepare.

        Args:
            source: The entity set.
            plan: The strongest plan for it.
            name: Name of the stream, for messages.
            evidence: What is known of the service.
        """
        self._source = _Watched(source)
        self._evidence = evidence or Evidence()
        self._name = name
        self._doubts: set[str] = set()
        self.plan = plan

    def read(self, window: Window) -> Iterator[RowBatch]:
        """What the window asks for: all rows, or those that changed.

        Args:
            window: Where to begin.

        Raises:
            AccessError: If the service refuses every plan.
            AnswerError: If what it sends is not an answer.
        """
        narrowing = Narrowing(self._source, self._evidence, name=self._name)
        for _ in range(_MOST_PLANS):
            try:
                yield from self._read(window)
            except UntrustedError as error:
                self._doubt(error)
            except (RefusedError, EmptyAnswerError) as error:
                self.plan = narrowing.narrowed(self.plan, self._source.asked, error)
            else:
                return
            yield RowBatch([], ascending=False, rewind=True)
        msg = f"{self._name}: no way of reading it is left"
        raise AccessError(msg)

    def _read(self, window: Window) -> Iterator[RowBatch]:
        plan = self.plan = self._within_limits()
        pages = Pages(self._source, plan, self._evidence)
        column = plan.tracking
        if column is None:
            yield from self._full(pages)
            return
        begin = window.start or (EARLIEST if plan.end else None)
        start = plan.time_zone.safe_floor(begin) if begin else None
        nulls = column.nullable and window.is_look_back_due and (start is not None)
        if nulls:
            yield from rows_without_stamp(plan, self._matching(pages))
        terms = (Term(column, "ge", start),) if start else ()
        if plan.page_size is None:
            yield from UnpagedReader(self._source, plan).read(terms)
            return
        in_time_order = plan.order and plan.time_order
        if not in_time_order:
            for rows in self._matching(pages)(terms):
                yield RowBatch(rows, ascending=False)
            return
        reader = TimeReader(pages, self._matching(pages), stop=plan.until)
        yield from reader.read(start)
        if window.is_look_back_due and reader.crossed:
            yield from self.behind_the_start(pages)

    def _within_limits(self) -> Plan:
        """The plan, within what is known of the service."""
        clauses = self._evidence.clauses
        if clauses is None or clauses >= (self.plan.clauses or clauses + 1):
            return self.plan
        return replace(self.plan, clauses=clauses)

    def behind_the_start(self, pages: Pages) -> Iterator[RowBatch]:
        """What lies behind the start of the run, less the possible clock error, by key.

        Rows that were met by time before others were written between them may have been passed
        over; in the order of the key they are not.
        """
        column, until = self.plan.tracking, self.plan.until
        if column is None or until is None:
            return
        floor = self.plan.time_zone.safe_floor(times.shifted(until, seconds=-CLOCK_ERROR_SECONDS))
        for rows in self._matching(pages)((Term(column, "ge", floor),)):
            yield RowBatch(rows, ascending=False, counts=False)

    def _full(self, pages: Pages) -> Iterator[RowBatch]:
        plan = self.plan
        if plan.page_size is None:
            yield from UnpagedReader(self._source, plan).read()
            return
        if not (plan.seek and plan.order):
            for rows in PositionReader(pages, once=True).read():
                yield RowBatch(rows, ascending=False)
            return
        for rows in KeyReader(pages, _in_groups(pages)).read():
            yield RowBatch(rows, ascending=False)

    @staticmethod
    def _matching(pages: Pages) -> t.Callable[[Sequence[Term]], Iterator[list[Row]]]:
        """Reads all rows of a filter while they may change and leave it."""
        return KeyReader(pages, PositionReader(pages).read, live=True).read

    # Finding out what is ignored

    def _doubt(self, error: UntrustedError) -> None:
        """Plan without what the answers have refuted; once may be chance, so it is tried again."""
        kind = f"{type(error).__name__} {error.args}"
        if kind not in self._doubts:
            self._doubts.add(kind)
            return
        plan, tracking = self.plan, self.plan.tracking
        if isinstance(error, FilterIgnoredError):
            if tracking and error.column == tracking.name:
                self.plan, meaning = replace(plan, tracking=None), _NO_TIME
            else:
                self.plan, meaning = without_seek(plan), _BY_POSITION
        elif isinstance(error, OrderDisagreesError) or not (tracking and plan.time_order):
            self.plan, meaning = without_seek(plan), _BY_POSITION
        else:
            self.plan, meaning = replace(without_seek(plan), time_order=False), _BOOKMARK_LAST
        logger.warning("%s: %s; %s.", self._name, error, meaning)


_NO_TIME = "changes cannot be asked for, so the whole stream is read"
_BOOKMARK_LAST = "rows are read by position, and the bookmark is written at the end only"
_BY_POSITION = "pages are read by position"


def _in_groups(pages: Pages) -> t.Callable[[Sequence[Term]], Iterator[list[Row]]]:
    """Reads rows by position and passes them on together, once two looks agree.

    They are those of one key value, which a full read numbers.
    """

    def read(terms: Sequence[Term]) -> Iterator[list[Row]]:
        looks = PositionReader(pages, once=True).read(terms)
        yield [row for rows in looks for row in rows]

    return read


class _Watched:
    """A source that remembers what it was asked last."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.asked: QueryOptions | None = None

    def get(self, options: QueryOptions) -> Page:
        self.asked = options
        return self._source.get(options)

    def follow(self, link: str) -> Page:
        return self._source.follow(link)

    def at_most(self, top: int | None) -> int | None:
        return self._source.at_most(top)
