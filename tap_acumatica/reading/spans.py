"""A stream divided by values of its cursor, so that several sessions read it in parallel.

Where the values lie is not known beforehand, and asking for it at depth is dear. So division begins
with one open range and goes on while it is read: whoever has nothing to do asks for the page that
lies some pages behind where another one is reading, and takes over from there. Neighbouring ranges
overlap rather than leave a gap.
"""

from __future__ import annotations

import bisect
import itertools
import math
import threading
import typing as t

from tap_acumatica.odata import times
from tap_acumatica.reading.batches import RangeMark, RowBatch
from tap_acumatica.reading.by_key import KeyReader
from tap_acumatica.reading.by_position import PositionReader
from tap_acumatica.reading.by_time import TimeReader
from tap_acumatica.reading.evidence import OrderIgnoredError
from tap_acumatica.reading.pages import MARGIN_SECONDS, Pages
from tap_acumatica.reading.plan import Term

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_acumatica.reading.evidence import Evidence
    from tap_acumatica.reading.plan import Plan, Row, Source

PAGES_APART = 16
FIRST_PAGES_APART = 4
FEWEST_PAGES = 3
_SHORTEST_RANGE = 2
_TIE_FACTOR = 4
_NEW = 0.99
_MOST_TIES = 3


class Range(t.Protocol):
    """A range that one worker reads."""

    def read(self, source: Source) -> Iterator[RowBatch]:
        """Its rows."""


class Division(t.Protocol):
    """Hands out the ranges of one stream; safe for threads."""

    def take(self, source: Source) -> Range | None:
        """A range to read, found with few small requests; None if nothing is worth dividing."""


class _Span:
    """A range of tracking values; its end may come nearer while it is read."""

    def __init__(self, start: str, stop: str | None = None, room: float = math.inf) -> None:
        self.start = start
        self.stop = stop
        self.newest = start
        self.room = room
        self.read = 0
        self.finished = False
        self.probes = 0

    @property
    def left(self) -> float:
        """Most rows that are still to be read, as far as is known."""
        return 0 if self.finished else max(0.0, self.room - self.read)


class TimeDivision:
    """Ranges of the tracking column."""

    def __init__(self, plan: Plan, start: str, largest: int, evidence: Evidence) -> None:
        """Begin with all rows from ``start`` on.

        Args:
            plan: How the stream is read; it has a tracking column.
            start: Canonical date-time.
            largest: Rows of a full page.
            evidence: What is known of the service.
        """
        if plan.tracking is None:
            msg = "a plan without tracking column cannot be divided by time"
            raise ValueError(msg)
        self._plan = plan
        self._column = plan.tracking
        self._largest = largest
        self._evidence = evidence
        self._lock = threading.Lock()
        self._start = start
        self._spans = [_Span(start)]
        self._untouched = True

    def take(self, source: Source) -> Range | None:
        """A range to read; the first is all there is."""
        with self._lock:
            if self._untouched:
                self._untouched = False
                return _TimeRange(self, self._spans[0], [])
        widen = 1
        for _ in range(_MOST_TIES * len(self._spans) + PAGES_APART):
            with self._lock:
                span = max(self._spans, key=lambda s: s.left)
                if span.left < FEWEST_PAGES * self._largest:
                    return None
                skip = self._distance(span) * widen
                span.probes += 1
                origin, already, open_ended = span.newest, span.read, span.left == math.inf
            term = Term(self._column, "ge", self._plan.time_zone.safe_floor(origin))
            pages = Pages(source, self._plan, self._evidence)
            try:
                answer = pages.ask((term,), self._plan.time_columns, skip=skip)
            finally:
                with self._lock:
                    span.probes -= 1
            rows = answer.rows
            if len(rows) < self._largest and not (answer.more or answer.is_full):
                with self._lock:
                    # Others may have taken over the end meanwhile: no more lies in theirs either.
                    last = self._spans[-1] if open_ended else span
                    end = skip + len(rows) + (already if last is span else last.read)
                    last.room = min(last.room, end)
            if not rows:
                continue
            if found := self._split(rows, span, already + skip):
                return found
            widen *= _TIE_FACTOR
        return None

    def _distance(self, span: _Span) -> int:
        """How many rows behind the newest one met to look: so many that whole pages reach it."""
        if span.left == math.inf:
            apart = FIRST_PAGES_APART if len(self._spans) == 1 else PAGES_APART
            pages = apart << span.probes
        else:
            share = (span.probes + 1) / (span.probes + 2)
            pages = round(span.left * share / self._largest)
        # A page begins with some rows that are known.
        return max(1, int(pages * self._largest * _NEW))

    def _split(self, rows: list[Row], asked: _Span, place: int) -> _TimeRange | None:
        """A range that begins within rows, taken from the one that they lie in.

        It begins with the first stamp of which all rows are there: those of the page's first stamp
        may have begun before it. None where others have read that far.

        Args:
            rows: Rows in the order of their stamps.
            asked: The range that they were sought in.
            place: How many of its rows come before them.

        Raises:
            OrderIgnoredError: If the rows do not ascend.
        """
        stamps = [stamp or "" for stamp in self._plan.stamps(rows)]
        if any(behind < before for before, behind in itertools.pairwise(stamps)):
            raise OrderIgnoredError
        with self._lock:
            for position, span in enumerate(self._spans):
                if span.stop is not None and span.stop <= stamps[0]:
                    continue
                first = bisect.bisect_right(stamps, max(stamps[0], span.newest, span.start))
                behind = stamps[first:]
                if span.finished or not behind or (span.stop and span.stop <= behind[0]):
                    return None
                guess = span.read + min(span.left / 2, PAGES_APART * self._largest)
                before = place + first if span is asked else guess
                new = _Span(behind[0], span.stop, span.room - before)
                span.stop, span.room = new.start, before
                self._spans.insert(position + 1, new)
                return _TimeRange(self, new, rows[first:])
        return None

    def read_span(self, source: Source, span: _Span, head: list[Row]) -> Iterator[RowBatch]:
        """The rows of a range, up to where it ends by then.

        Args:
            source: The entity set.
            span: The range.
            head: Its first rows, if they were read already.
        """
        mark = RangeMark(self._start, span.start)
        past = False
        if head:
            row_batch, past = self._inside(span, RowBatch(head, ascending=True))
            yield row_batch._replace(mark=mark)
        while True:
            with self._lock:
                known = span.stop
            if not past:
                past = yield from self._read_on(source, span, mark, head)
            head = []
            with self._lock:
                # Where others took over the end behind the last answer, rows may lie before it.
                span.finished = past or span.stop == known
                if span.finished:
                    stop = span.stop
                    break
        yield RowBatch([], ascending=False, mark=mark._replace(done=True, stop=stop))

    def _read_on(
        self, source: Source, span: _Span, mark: RangeMark, known: list[Row]
    ) -> t.Generator[RowBatch, None, bool]:
        """The rows of a range from the newest one met on; whether its end was passed."""
        first = times.shifted(span.newest, seconds=-MARGIN_SECONDS)
        pages = Pages(source, self._plan, self._evidence)
        matching = KeyReader(pages, PositionReader(pages).read, live=True).read
        reader = TimeReader(pages, matching, stop=self._plan.until)
        reader.remember(known)
        for row_batch in reader.read(self._plan.time_zone.safe_floor(first)):
            inside, past = self._inside(span, row_batch)
            yield inside._replace(mark=mark)
            if past:
                return True
        return False

    def _inside(self, span: _Span, row_batch: RowBatch) -> tuple[RowBatch, bool]:
        """What of a batch lies within a range, and whether that ends with it."""
        stamps = [stamp or "" for stamp in self._plan.stamps(row_batch.rows)]
        newest = max(stamps, default="")
        with self._lock:
            span.newest = max(span.newest, newest)
            span.read += len(row_batch.rows)
            stop = span.stop
            past = stop is not None and row_batch.ascending and newest >= stop
            span.finished = past
        if not past:
            return row_batch, False
        count = bisect.bisect_left(stamps, t.cast("str", stop))
        return row_batch._replace(rows=row_batch.rows[:count]), True


class _TimeRange(t.NamedTuple):
    division: TimeDivision
    span: _Span
    head: list[Row]

    def read(self, source: Source) -> Iterator[RowBatch]:
        """The rows of the range."""
        return self.division.read_span(source, self.span, self.head)


Place = tuple[t.Any, ...]
Box = tuple[tuple[Term, ...], int]
"""Comparisons, and how many of the leading key columns they fix to one value."""


class KeyDivision:
    """Ranges of the key, one behind the other.

    A range lies between two places; a place is the beginning of a key: as few of its leading values
    as distinguish it from the place before. Between them lie boxes, each a conjunction of terms.
    """

    def __init__(self, plan: Plan, last: Row, largest: int, evidence: Evidence) -> None:
        """Begin behind the row ``last``.

        Args:
            plan: How the stream is read; its ``seek`` is the whole key, without nulls.
            last: Row up to which all was read.
            largest: Rows of a full page.
            evidence: What is known of the service.
        """
        self._evidence = evidence
        self._plan = plan
        self._largest = largest
        self._lock = threading.Lock()
        self._place: Place = tuple(last[column.name] for column in plan.seek)
        self._apart = PAGES_APART // 2
        self._operator = "gt"
        self._ended = False
        self._last_key: Place | None = None

    def take(self, source: Source) -> Range | None:
        """The next range."""
        with self._lock:
            if self._ended:
                return None
            before, operator = self._place, self._operator
            place, last = self._next_place(source)
            if place is not None and self._is_added(source, place):
                place = last = None
            self._ended = place is None
            if place is not None:
                self._place, self._operator = place, "ge"
            boxes = self.boxes(before, operator, place)
            return _KeyRange(self._plan, boxes, self._evidence, last)

    def _next_place(self, source: Source) -> tuple[Place | None, Place | None]:
        """Where the next range ends, and the key of its last row where that was seen.

        Towards the end of the stream ranges become shorter, so that all workers have one.
        """
        while True:
            place, last = self._place_at(source, self._apart * self._largest - 1)
            if place is not None or self._apart <= _SHORTEST_RANGE:
                return place, last
            self._apart //= 2

    def _place_at(self, source: Source, distance: int) -> tuple[Place | None, Place | None]:
        for terms, _ in self.boxes(self._place, self._operator, None):
            options = self._plan.options(terms, self._plan.keys, skip=distance, top=2)
            rows = source.get(options).rows
            if len(rows) < 2:  # noqa: PLR2004  the last row within, and the first behind
                continue
            inside, behind = (
                tuple(row[column.name] for column in self._plan.seek) for row in rows[:2]
            )
            for length in range(1, len(behind) + 1):
                place = behind[:length]
                if place != self._place[:length]:
                    return place, None if inside[:length] == place else inside
        return None, None

    def _is_added(self, source: Source, place: Place) -> bool:
        """Whether a place lies behind the last key there was when the division began.

        What was added since is the next run's; only the last range may meet some of it.
        """
        if self._last_key is None:
            pages = Pages(source, self._plan, self._evidence)
            row = pages.first_row((), self._plan.keys, reverse=True)
            names = [column.name for column in self._plan.seek]
            last = () if row is None else tuple(row[name] for name in names)
            self._last_key = self._comparable(last)
        return self._comparable(place) > self._last_key

    def _comparable(self, place: Place) -> Place:
        """Key values as they compare here: nearly enough to know when to stop dividing."""
        folds = self._evidence.order_of("Edm.String").known != "by ordinal"
        return tuple(v.lower() if folds and isinstance(v, str) else v for v in place)

    def boxes(self, start: Place, operator: str, stop: Place | None) -> list[Box]:
        """What lies from ``start`` on and before ``stop``, in the order of the key."""
        shared = 0
        if stop is not None:
            pairs = zip(start, stop, strict=False)
            shared = next((n for n, (one, other) in enumerate(pairs) if one != other), len(start))
        found = []
        for depth in range(len(start) - 1, shared - 1, -1):
            least = operator if depth == len(start) - 1 else "gt"
            terms = [*self._fixed(start[:depth]), self._term(depth, least, start[depth])]
            if stop is not None and depth == shared:
                terms.append(self._term(depth, "lt", stop[depth]))
            found.append((tuple(terms), depth))
        if stop is not None:
            for depth in range(min(shared + 1, len(start)), len(stop)):
                terms = [*self._fixed(stop[:depth]), self._term(depth, "lt", stop[depth])]
                found.append((tuple(terms), depth))
        return found

    def _fixed(self, values: Place) -> list[Term]:
        return [self._term(depth, "eq", value) for depth, value in enumerate(values)]

    def _term(self, depth: int, operator: str, value: t.Any) -> Term:
        return Term(self._plan.seek[depth], operator, value)


class _KeyRange(t.NamedTuple):
    plan: Plan
    boxes: list[Box]
    evidence: Evidence
    last: Place | None

    def read(self, source: Source) -> Iterator[RowBatch]:
        """The rows of the boxes."""
        pages = Pages(source, self.plan, self.evidence)
        for terms, depth in self.boxes:
            reader = KeyReader(pages, PositionReader(pages).read, last=self.last)
            for rows in reader.read(terms, depth=depth):
                yield RowBatch(rows, ascending=False)


def divide(plan: Plan, last: Row, largest: int, evidence: Evidence) -> Division | None:
    """How to read what lies behind ``last`` in several ranges; None if that cannot be.

    Args:
        plan: How the stream is read.
        last: Row up to which all was read in the plan's order.
        largest: Rows of a full page.
        evidence: What is known of the service.
    """
    if not (plan.order and plan.skip and evidence.skips and plan.terms is None):
        return None
    if not evidence.sorts(plan.inquiry):
        return None
    if plan.tracking is not None:
        stamp = plan.stamps([last])[0]
        if not (stamp and plan.time_order):
            return None
        return TimeDivision(plan, stamp, largest, evidence)
    # Where texts sort and compare differently, rows behind the last one may compare before it.
    alike = all(evidence.order_of(c.type).known for c in plan.seek if c.is_text)
    total = plan.clauses is None or len(plan.keys) <= plan.clauses
    if alike and total and plan.unique and not any(column.nullable for column in plan.seek):
        return KeyDivision(plan, last, largest, evidence)
    return None
