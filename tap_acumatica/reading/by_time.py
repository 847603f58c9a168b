"""Reading in the order of the tracking column, going on by its values.

Each query asks for ``T ge`` the last value seen, less a margin, and leaves out the rows of that
stretch that were seen already. The margin is for the precision of time stamps: ``eq`` or ``gt``
with the value shown may miss rows of the same stamp.

Mass updates stamp more rows alike than a page holds. Such a stretch, as wide as stamps are shown,
is read in key order; then reading goes on from its very end.

Reading ends with the page that crosses the start of the run by the service's clock; that page is
passed on whole, and what changed later is the next run's. No upper bound is asked for: a row that
changes all the time would slip behind it in each run.
"""

from __future__ import annotations

import bisect
import itertools
import typing as t
from collections import Counter

from tap_acumatica.odata import times
from tap_acumatica.reading.batches import RowBatch
from tap_acumatica.reading.by_key import not_yet
from tap_acumatica.reading.evidence import FilterIgnoredError, OrderIgnoredError
from tap_acumatica.reading.order import are_nulls_first, prove_order
from tap_acumatica.reading.pages import MARGIN_SECONDS, SECOND
from tap_acumatica.reading.plan import Term
from tap_acumatica.records.codec import content

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_acumatica.reading.pages import Pages
    from tap_acumatica.reading.plan import Plan, Row

CLOCK_ERROR_SECONDS = 900.0
"""By which the service's clock may be ahead of its database's."""
_MOST_RECENT = 10_000
"""Rows remembered, so that they are not emitted twice, where one page holds fewer."""
EARLIEST = "1753-01-01T00:00:00.000000+00:00"
"""Before all tracking values that a service can hold."""
"""The earliest SQL Server ``datetime``."""


class TimeReader:
    """Reads rows from one tracking value on, oldest first.

    Attributes:
        crossed: Whether reading ended at the start of the run, so that rows may lie behind it.
    """

    def __init__(
        self,
        pages: Pages,
        read_matching: Callable[[Sequence[Term]], Iterator[list[Row]]],
        *,
        stop: str | None,
    ) -> None:
        """Prepare.

        Args:
            pages: Pages of the entity set; its plan has a tracking column.
            read_matching: Reads all rows of a filter, whatever their order.
            stop: The start of the run, canonical; None where the end of the rows is the end.
        """
        if pages.plan.tracking is None:
            msg = "a plan without tracking column cannot be read by time"
            raise ValueError(msg)
        self._pages = pages
        self._plan = pages.plan
        self._column = pages.plan.tracking
        self._read_matching = read_matching
        self._stop = stop
        self._order = pages.plan.time_columns
        self._recent: list[tuple[str, bytes]] = []
        self._hold: str | None = None
        self.crossed = False

    def remember(self, rows: list[Row]) -> None:
        """Take rows for passed on, so that the first page does not give them again."""
        if rows:
            self._remember(rows, self._plan.stamps(rows))

    def read(self, start: str | None) -> Iterator[RowBatch]:  # noqa: C901  it is the loop
        """All rows with a tracking value of at least ``start``.

        Args:
            start: Canonical date-time; None for all rows, those without a value among them.

        Raises:
            UntrustedError: If the service cannot be read in this way.
        """
        bound, several = start, False
        while True:
            terms = (Term(self._column, "ge", bound),) if bound else ()
            top = self._plan.page_size if bound == start else self._plan.further_page
            answer = self._pages.seek(terms, self._order, bool, top=top)
            rows, stamps = answer.rows, self._plan.stamps(answer.rows)
            if bound and None in stamps:
                raise FilterIgnoredError(self._column.name)
            if self._pages.is_end(answer) or self._pages.settle_end(terms, self._order, answer):
                if several:
                    prove_order(self._pages, terms, self._order, answer)
                    self._pages.refuse_unproved(self._order, several=True)
                yield self._whole(rows, stamps)
                return
            if not rows:
                return
            several = several or answer.more or len(rows) > 1
            known = self._refuse_descent(stamps)
            every = prove_order(
                self._pages, terms, self._order, answer, from_both_ends=bound == start
            )
            if every is not None:
                yield self._whole(every, self._plan.stamps(every))
                return
            if not bound:
                yield from self._without_stamp(rows, stamps)
            yield self._batch(rows, stamps)
            if not known:
                bound = EARLIEST
                continue
            newest = known[-1]
            if self._stop is not None and newest > self._stop:
                self._pages.refuse_unproved(self._order, several=several)
                self.crossed = True
                return
            further = self._plan.time_zone.safe_floor(
                times.shifted(newest, seconds=-MARGIN_SECONDS)
            )
            if bound is None or further > bound:
                bound = further
            else:
                bound = yield from self._stretch(bound, newest)
                if self._plan.terms == 1:
                    return  # without an upper bound, all rows behind it were read as well

    # One answer

    def _whole(self, rows: list[Row], stamps: list[str | None]) -> RowBatch:
        """Rows that arrived whole: whatever order they came in, they are sorted here."""
        places = sorted(range(len(rows)), key=lambda place: stamps[place] or "")
        ordered = [rows[place] for place in places]
        return self._batch(ordered, [stamps[place] for place in places], whole=True)

    def _batch(self, rows: list[Row], stamps: list[str | None], *, whole: bool = False) -> RowBatch:
        """A batch of the rows that were not passed on before."""
        fresh = self._fresh(rows, stamps)
        return RowBatch(fresh, ascending=whole or self._pages.is_proved, hold=self._hold)

    def _refuse_descent(self, stamps: list[str | None]) -> list[str]:
        """The stamps of a page, which must ascend; nulls may stand at either end.

        Raises:
            OrderIgnoredError: If they do not.
        """
        known = [stamp for stamp in stamps if stamp is not None]
        if any(behind < before for before, behind in itertools.pairwise(known)):
            raise OrderIgnoredError
        return known

    def _fresh(self, rows: list[Row], stamps: list[str | None]) -> list[Row]:
        """The rows not passed on yet; remembers those that the next query may answer with."""
        fresh, kept = rows, stamps
        if self._recent and stamps:
            seen = Counter(held for _, held in self._recent)
            last = self._recent[-1][0]
            count = bisect.bisect_right([stamp or "" for stamp in stamps], last)
            fresh = not_yet(rows[:count], seen) + rows[count:]
            kept = self._plan.stamps(fresh)
        self._remember(fresh, kept)
        return fresh

    def _remember(self, rows: list[Row], stamps: list[str | None]) -> None:
        newest = max((stamp for stamp in stamps if stamp), default=None)
        if newest is None:
            return
        horizon = times.shifted(newest, seconds=-2 * MARGIN_SECONDS)
        horizon = self._plan.time_zone.safe_floor(horizon)
        kept = [entry for entry in self._recent if entry[0] >= horizon]
        added = [
            (stamp, content(row))
            for row, stamp in zip(rows, stamps, strict=True)
            if stamp is not None and stamp >= horizon
        ]
        self._recent = sorted(kept + added)[-max(_MOST_RECENT, len(rows)) :]

    # Rows without a stamp

    def _without_stamp(self, rows: list[Row], stamps: list[str | None]) -> Iterator[RowBatch]:
        """Rows without a stamp that the first page of all rows does not show."""
        if not self._column.nullable or stamps[-1] is None or not self._pages.is_proved:
            lacking = self._column.nullable
        else:  # nulls that come first are all on this page
            lacking = stamps[0] is not None and not are_nulls_first(self._pages, rows)
        if not lacking:
            return
        shown = {content(row) for row, stamp in zip(rows, stamps, strict=True) if stamp is None}
        for batch in rows_without_stamp(self._plan, self._read_matching):
            yield batch._replace(rows=[row for row in batch.rows if content(row) not in shown])

    # A stretch of one stamp

    def _stretch(self, bound: str, newest: str) -> t.Generator[RowBatch, None, str]:
        """Read the rows of a stretch that fills more than a page, by key; returns its end."""
        zone = self._plan.time_zone
        grain = SECOND if self._pages.coarse else 0.0
        end = zone.safe_ceiling(times.shifted(newest, seconds=grain + MARGIN_SECONDS))
        if end <= bound:
            raise FilterIgnoredError(self._column.name)  # the same page again
        if self._stop is not None:
            sure = times.shifted(self._stop, seconds=-CLOCK_ERROR_SECONDS)
            if end > sure:  # rows of this stamp may still come: the bookmark stays at it
                self._hold = newest if self._hold is None else min(self._hold, newest)
        seen = Counter(held for _, held in self._recent)
        terms = (Term(self._column, "ge", bound), Term(self._column, "lt", end))
        for rows in self._read_matching(terms[: self._plan.terms]):
            fresh = not_yet(rows, seen)
            if fresh:
                yield RowBatch(fresh, ascending=False, hold=self._hold, counts=False)
        self._recent = []
        return end


def rows_without_stamp(
    plan: Plan, read_matching: Callable[[Sequence[Term]], Iterator[list[Row]]]
) -> Iterator[RowBatch]:
    """Rows that have no tracking value; where that cannot be asked for, those among all rows.

    Args:
        plan: A plan with a tracking column.
        read_matching: Reads all rows of a filter, whatever their order.
    """
    if plan.tracking is None:
        return
    name = plan.tracking.name
    terms = (Term(plan.tracking, "eq", None),) if plan.null_rows else ()
    for rows in read_matching(terms):
        found = [row for row in rows if row[name] is None]
        yield RowBatch(found, ascending=False, counts=False)
