"""One query and all its parts: next links followed, circles refused, ends made sure of."""

from __future__ import annotations

import logging
import typing as t
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from tap_acumatica.errors import AnswerError, BrokenOffError, EmptyAnswerError, RefusedError

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_acumatica.odata.query import QueryOptions
    from tap_acumatica.reading.plan import Plan, Row, Source


logger = logging.getLogger(__name__)


class OrderIgnoredError(Exception):
    """The service does not sort, although it was asked to."""


class ShiftedError(Exception):
    """Rows were added or removed, so a position means nothing."""


class PagedResult:
    """The answer to one query: its rows, part by part.

    After the last part, ``total`` is the number of rows and ``more`` says whether rows surely
    follow.

    A next link counts from the start of a result that may have shifted since: openly by ``$skip``,
    or in a token that looks opaque. Where the caller can go on by value, it sets ``found`` as soon
    as an answer brought rows, and no link is followed: it only says that there is more. Where an
    answer brought nothing to go on from, the link leads on.
    """

    def __init__(self, source: Source, options: QueryOptions, *, seeks: bool) -> None:
        self.options = options
        self.total = 0
        self.more = False
        self.found = False
        self._source = source
        self._seeks = seeks

    def __iter__(self) -> Iterator[list[Row]]:
        """The rows of each part.

        Raises:
            AnswerError: If a next link leads in a circle.
        """
        visited: set[int] = set()
        page = self._source.get(self.options)
        while True:
            self.total += len(page.rows)
            yield page.rows
            if page.next_part is not None:
                try:
                    page = page.next_part()
                except BrokenOffError as error:
                    if not self._seeks:
                        raise
                    logger.info("Going on behind the rows that came: %s", error)
                    self.more = True
                    return
                continue
            link = page.next_link
            if link is None:
                self.more = self.total == self.options.top  # more than that: $top has no effect
                return
            if self._seeks and (self.found or _counts(link)):
                self.more = True
                return
            if hash(link) in visited:
                msg = "the next link leads in a circle; report it to the owner of the service"
                raise AnswerError(msg)
            visited.add(hash(link))
            page = self._source.follow(link)

    def has_rows_behind(self) -> bool:
        """Whether there are rows at positions behind this answer: one small request."""
        position = self.total + (self.options.skip or 0)
        page = self._source.get(replace(self.options, skip=position, top=1))
        return bool(page.rows or page.next_link)

    def rows_from_last(self) -> list[Row]:
        """The last row of this answer and the one behind it, by position: one small request.

        Where the first of the two is not the last row, rows before it came or went meanwhile, and
        the position says nothing.
        """
        position = self.total + (self.options.skip or 0) - 1
        top = None if self.options.top is None else 2
        options = replace(self.options, skip=position or None, top=top)
        return [row for part in PagedResult(self._source, options, seeks=False) for row in part]


def check_order(
    source: Source, plan: Plan, terms: Sequence[str], first: Row, *, by_time: bool = False
) -> bool:
    """Make sure, by one small request, that the service sorts: in reverse, another row comes first.

    Args:
        source: The entity set.
        plan: The plan it is read by.
        terms: Comparisons of the query whose first row is known.
        first: That row, where at least one more follows.
        by_time: Whether the tracking column leads the order.

    Returns:
        Whether that is known; not so where an answer holds one row and ``$skip`` is of no use.

    Raises:
        OrderIgnoredError: If it does not.
    """
    options = plan.options(terms, by_time=by_time, top=2 if plan.page_size else None)
    reverse = tuple(f"{name} desc" for name in options.orderby)
    if not reverse:
        return False
    try:
        rows = _first_two(source, replace(options, orderby=reverse))
    except (RefusedError, EmptyAnswerError):
        return True  # it sorts one way only; the pages themselves must show that they ascend
    if not rows or rows[0] != first:
        return bool(rows)
    known = len(rows) > 1
    if not known and plan.skip:
        # Some services cap pages at one row: whether there is another shows by its position.
        rows_behind = _first_two(source, replace(options, skip=1))
        known = bool(rows_behind) and rows_behind[0] != first
        if not rows_behind:
            return True
    # A row that was changed meanwhile may be first in both orders; it is not the same any more.
    if known and _first_two(source, options) == rows:
        raise OrderIgnoredError
    return known


def _first_two(source: Source, options: QueryOptions) -> list[Row]:
    rows: list[Row] = []
    for part in PagedResult(source, options, seeks=False):
        rows += part
        if len(rows) > 1:
            break
    return rows[:2]


def row_behind(result: PagedResult, last: Row, largest: int) -> Row | None:
    """The row behind an answer that may not be the end.

    A page may be short because the service caps pages, so a short page does not mean the end.

    Args:
        result: The answer.
        last: Its last row.
        largest: The most rows that any answer of this stream held: what the service surely gives.

    Returns:
        The row; None if there surely is none.

    Raises:
        ShiftedError: If that cannot be known.
    """
    rows = result.rows_from_last()
    if not rows or rows[0] != last or (len(rows) == 1 and largest == 1):
        raise ShiftedError
    return rows[1] if len(rows) > 1 else None


def _counts(link: str) -> bool:
    names = {name.lower() for name, _ in parse_qsl(urlsplit(link).query, keep_blank_values=True)}
    return "$skip" in names and "$skiptoken" not in names
