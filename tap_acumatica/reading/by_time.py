"""Reading in the order of the tracking field, going on by its values.

Each query asks for ``T ge`` the last value seen, less a margin, and leaves out the rows of that
stretch that were seen already. The margin is for the precision of time stamps: SQL Server keeps
ticks of 3.33 ms and shows three digits, so a stored value may lie a little below or above the one
shown, and ``eq`` or ``gt`` with the shown one may miss rows of the same stamp.

Mass updates stamp more rows alike than a page holds. Such a stretch, from the margin before to the
margin behind, is read in key order; then reading goes on by ``T gt`` its end, which is exactly what
``T le`` that end left out.
"""

from __future__ import annotations

import bisect
import operator
import typing as t

from tap_acumatica.errors import AnswerError
from tap_acumatica.odata import times
from tap_acumatica.reading.by_key import content
from tap_acumatica.reading.pages import (
    OrderIgnoredError,
    PagedResult,
    ShiftedError,
    check_order,
    row_behind,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from tap_acumatica.reading.plan import Plan, Row, Source

MARGIN_SECONDS = 0.01
_TICK_SECONDS = 0.001
_COARSE_SECONDS = 1.0
"""How far before what was asked for a row may lie: some services compare by whole seconds."""
_MOST_RECENT = 10_000
"""Rows remembered, so that they are not emitted twice, where one page holds fewer."""
EARLIEST = "1753-01-01T00:00:00.000000+00:00"
"""The earliest SQL Server ``datetime``."""


class FilterIgnoredError(Exception):
    """The service answers with rows outside the filter."""


class RangeMark(t.NamedTuple):
    """Which of several ranges, read in parallel, a batch belongs to.

    Attributes:
        first: Tracking value at which the first of the ranges begins.
        start: The one at which this range begins.
        done: Whether the range is read to its end.
        stop: Where it ended, which is where the next one begins; None for the last one.
    """

    first: str
    start: str
    done: bool = False
    stop: str | None = None


class RowBatch(t.NamedTuple):
    """Rows that were read.

    Attributes:
        rows: The rows.
        ascending: Whether their tracking values ascend, from one to the next and from earlier
        stretches.
        rewind: Whether earlier batches did not ascend after all, so that reading starts again.
        mark: The range it belongs to, where several are read in parallel; it ascends within that.
    """

    rows: list[Row]
    ascending: bool
    rewind: bool = False
    mark: RangeMark | None = None


def read_by_time(  # noqa: PLR0913  the last two spare what is known already
    source: Source,
    plan: Plan,
    start: str | None,
    read_matching: Callable[[Sequence[str]], Iterator[list[Row]]],
    *,
    largest: int = 0,
    checked: bool = False,
) -> Iterator[RowBatch]:
    """All rows with a tracking value of at least ``start``, oldest first.

    Args:
        source: The entity set.
        plan: A plan with a tracking column.
        start: Canonical date-time to begin at, None for all rows that have a value.
        read_matching: Reads all rows of a filter in any safe order.
        largest: Rows of the largest answer known of the service.
        checked: Whether the service is known to sort.

    Raises:
        OrderIgnoredError: If the rows do not ascend.
        FilterIgnoredError: If a row lies before what was asked for.
        AnswerError: If pages repeat themselves.
    """
    reader = _TimeReader(source, plan, read_matching, largest=largest, checked=checked)
    yield from reader.read(start)


class _TimeReader:
    def __init__(
        self,
        source: Source,
        plan: Plan,
        read_matching: Callable[[Sequence[str]], Iterator[list[Row]]],
        *,
        largest: int,
        checked: bool,
    ) -> None:
        if plan.tracking is None:
            msg = "a plan without tracking column cannot be read by time"
            raise ValueError(msg)
        self._source = source
        self._plan = plan
        self._column = plan.tracking
        self._read_matching = read_matching
        self._largest = largest
        self._newest = ""
        self._recent: list[tuple[str, bytes]] = []
        self._seeks = 0
        self._sorts = checked
        self._ascends = True
        self._held: list[Row] = []
        self._floor = ""

    def read(self, start: str | None) -> Iterator[RowBatch]:
        start = start or (None if self._plan.not_null else EARLIEST)
        operator, bound = ("ge", start) if start else ("ne", None)
        self._floor = times.shifted(start, seconds=-_COARSE_SECONDS) if start else ""
        while True:
            terms = (self._plan.term(self._column, operator, bound),)
            result = PagedResult(self._source, self._plan.options(terms, by_time=True), seeks=True)
            first, last = yield from self._rows(result, terms)
            goes_on = first is not None and self._goes_on(result, last)
            if goes_on:
                self._make_sure_of_order(terms, first)
            yield from self._ordered([], hold=False)
            if not goes_on or self._is_past_the_start_of_the_run():
                return
            time_zone = self._plan.time_zone
            margin_start = time_zone.safe_floor(
                times.shifted(self._newest, seconds=-MARGIN_SECONDS)
            )
            if bound is None or margin_start > bound:
                operator, bound = "ge", margin_start
                self._seeks += 1
                self._floor = times.shifted(bound, seconds=-_COARSE_SECONDS)
                continue
            margin_end = time_zone.safe_ceiling(times.shifted(self._newest, seconds=MARGIN_SECONDS))
            seen = {held for _, held in self._recent}
            for rows in self._read_matching(self._between(bound, margin_end)):
                fresh = [row for row in rows if content(row) not in seen]
                if fresh:
                    yield RowBatch(fresh, ascending=False)
            operator, bound = "gt", margin_end
            self._recent = []
            self._floor = times.shifted(self._newest, seconds=_TICK_SECONDS)

    def _is_past_the_start_of_the_run(self) -> bool:
        """Whether what follows changed after the run began, so that it is the next run's.

        A table that changes with each answer would be chased for ever. No filter says so: a row
        that changes all the time would be behind it in each run.
        """
        return self._plan.until is not None and self._newest > self._plan.until

    def _rows(
        self, result: PagedResult, terms: Sequence[str]
    ) -> Generator[RowBatch, None, tuple[Row | None, Row | None]]:
        """The new rows of one answer; returns its first and last row."""
        first: Row | None = None
        last: Row | None = None
        for rows in filter(None, result):
            if first is None:
                first = rows[0]
            else:
                self._make_sure_of_order(terms, first)
                self._refuse_descent(last, rows[0])
            last = rows[-1]
            fresh = self._fresh(rows)
            result.found = self._plan.page_size is not None
            yield from self._ordered(fresh, hold=not self._sorts)
        return first, last

    def _ordered(self, rows: list[Row], *, hold: bool) -> Iterator[RowBatch]:
        """Rows held back and these, unless they are to be held as well.

        The first page is held until it is known whether the service sorts, or there is no other:
        its bookmark would lie if it did not.
        """
        self._held += rows
        if self._held and not hold:
            held, self._held = self._held, []
            yield RowBatch(held, ascending=self._ascends)

    def _make_sure_of_order(self, terms: Sequence[str], first: Row) -> None:
        if not self._sorts:
            self._ascends = check_order(self._source, self._plan, terms, first, by_time=True)
            self._sorts = True

    def _refuse_descent(self, last: Row, first: Row) -> None:
        """From one part of an answer to the next, rows ascend as they do within it."""
        before, behind = self._plan.stamps([last, first])
        if before is not None and behind is not None and behind < before:
            raise OrderIgnoredError

    def _between(self, start: str, end: str) -> tuple[str, str]:
        return self._plan.term(self._column, "ge", start), self._plan.term(self._column, "le", end)

    def _fresh(self, rows: list[Row]) -> list[Row]:
        """The rows not seen yet; remembers those that the next query may answer with again."""
        found = self._plan.stamps(rows)
        stamps = [stamp for stamp in found if stamp is not None]
        if len(stamps) < len(found) or min(stamps) < self._floor:
            self._outside()
        if not all(map(operator.le, stamps, stamps[1:])):
            raise OrderIgnoredError
        self._newest = max(self._newest, stamps[-1])
        fresh = rows
        if self._recent and stamps[0] <= self._recent[-1][0]:
            seen = {held for _, held in self._recent}
            known = bisect.bisect_right(stamps, self._recent[-1][0])
            kept = [place for place in range(known) if content(rows[place]) not in seen]
            fresh = [rows[place] for place in kept] + rows[known:]
            stamps = [stamps[place] for place in kept] + stamps[known:]
        self._remember(fresh, stamps)
        return fresh

    def _outside(self) -> t.NoReturn:
        """A row lies before what was asked for: no filter here, or one bad answer."""
        if self._seeks <= 1:
            raise FilterIgnoredError
        msg = "the service answers with rows that were not asked for, or a page repeats itself"
        raise AnswerError(msg)

    def _remember(self, fresh: list[Row], stamps: list[str]) -> None:
        horizon = times.shifted(self._newest, seconds=-MARGIN_SECONDS)
        kept = [entry for entry in self._recent if entry[0] >= horizon]
        added = []
        for row, stamp in zip(reversed(fresh), reversed(stamps), strict=True):
            if stamp < horizon:
                break
            added.append((stamp, content(row)))
        self._recent = sorted(kept + added)[-max(_MOST_RECENT, len(fresh)) :]

    def _goes_on(self, result: PagedResult, last: Row) -> bool:
        """Whether rows may follow; a page may be short because the service caps pages."""
        full = result.more or result.total == self._largest > 1
        self._largest = max(self._largest, result.total)
        if full and (self._sorts or result.total > 1):
            return True
        if not self._plan.skip:
            return True  # an answer of nothing new may be a page of one row: the stretch is read
        try:
            behind = row_behind(result, last, self._largest)
        except ShiftedError:
            return True
        return behind is not None
