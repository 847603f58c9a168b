"""Reading without ``$top``, where the service alone decides how many rows an answer has.

Rows are passed on while an answer arrives, however many they are, and next links are followed. What
people change meanwhile may be passed over where links count rows, so the bookmark is written at the
end only, and the setting (``client_side_paging``) says so.
"""

from __future__ import annotations

import logging
import typing as t
from collections import Counter

from tap_acumatica.errors import AnswerError, BrokenOffError
from tap_acumatica.odata import times
from tap_acumatica.reading.batches import RowBatch
from tap_acumatica.reading.by_key import not_yet
from tap_acumatica.reading.evidence import FilterIgnoredError
from tap_acumatica.reading.pages import MARGIN_SECONDS, refuse_circle
from tap_acumatica.reading.plan import Term
from tap_acumatica.records.codec import content

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_acumatica.reading.plan import Page, Plan, Row, Source

logger = logging.getLogger(__name__)


class UnpagedReader:
    """Reads all rows that meet some terms by one request and its next links."""

    def __init__(self, source: Source, plan: Plan) -> None:
        """Prepare.

        Args:
            source: The entity set.
            plan: How it is read; without a page size.
        """
        self._source = source
        self._plan = plan
        self._newest = ""
        self._rows: list[Row] = []
        self._seen: Counter[bytes] = Counter()
        self._has_link = self._may_be_cut = False

    def read(self, terms: Sequence[Term] = ()) -> Iterator[RowBatch]:
        """All rows that meet ``terms``.

        Raises:
            AnswerError: If a link leads in a circle, or an answer breaks off for good.
            FilterIgnoredError: If rows come that do not meet the terms.
        """
        total = 0
        while True:
            position = total
            try:
                for rows in self._answer(terms, position):
                    total += len(rows)
                    yield RowBatch(not_yet(rows, self._seen), ascending=False)
            except BrokenOffError as error:
                if not self._newest:
                    raise
                logger.info("Going on behind the rows that came: %s", error)
                self._seen = Counter(map(content, self._rows))
                terms, total = self._behind(), 0
                continue
            if total == position or not self._may_be_cut:
                self._refuse_a_part(terms, total)
                return

    def _answer(self, terms: Sequence[Term], position: int) -> Iterator[list[Row]]:
        plan = self._plan
        order = plan.time_columns if plan.time_order else plan.keys
        self._may_be_cut = plan.skip and plan.order and bool(order)
        visited: set[int] = set()
        page: Page = self._source.get(plan.options(terms, order, skip=position))
        while True:
            self._look_at(terms, page.rows)
            self._rows = page.rows or self._rows
            yield page.rows
            if page.next_part is not None:
                page = page.next_part()
                continue
            if page.next_link is None:
                return
            self._may_be_cut, self._has_link = False, True  # it would say so
            refuse_circle(page.next_link, visited)
            page = self._source.follow(page.next_link)

    def _refuse_a_part(self, terms: Sequence[Term], total: int) -> None:
        """Make sure by value that nothing is left, where a position cannot tell.

        Raises:
            AnswerError: If more rows are there, and no link to them.
        """
        plan = self._plan
        order = plan.time_columns if plan.time_order else plan.keys
        if plan.skip or self._has_link or not (total and plan.order and order):
            return
        last = self._rows[-1][order[0].name]
        if last is None or not (order[0].seekable or order[0] == plan.tracking):
            return
        behind = Term(order[0], "gt", self._newest if order[0] == plan.tracking else last)
        if self._source.get(plan.options((*terms, behind), order)).rows:
            msg = (
                "the service gives only a part of the rows, with no next link; set "
                "'client_side_paging' to true"
            )
            raise AnswerError(msg)

    def _look_at(self, terms: Sequence[Term], rows: list[Row]) -> None:
        """Make sure that rows meet the terms, and note how far they reach."""
        tracking = self._plan.tracking
        if tracking is None:
            return
        stamps = [stamp for stamp in self._plan.stamps(rows) if stamp is not None]
        least = times.shifted(terms[0].value, seconds=-1) if terms else ""
        if terms and (len(stamps) < len(rows) or any(stamp < least for stamp in stamps)):
            raise FilterIgnoredError(tracking.name)
        if self._plan.order and self._plan.time_order:
            self._newest = max(self._newest, max(stamps, default=""))

    def _behind(self) -> tuple[Term, ...]:
        """The terms of what lies behind the rows that came."""
        tracking, zone = self._plan.tracking, self._plan.time_zone
        if tracking is None:
            return ()
        start = zone.safe_floor(times.shifted(self._newest, seconds=-MARGIN_SECONDS))
        return (Term(tracking, "ge", start),)
