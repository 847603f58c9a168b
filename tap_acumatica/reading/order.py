"""Whether rows come in the order asked for, and where nulls stand in it."""

from __future__ import annotations

import typing as t

from tap_acumatica.errors import EmptyAnswerError, RefusedError
from tap_acumatica.reading.evidence import OrderIgnoredError
from tap_acumatica.records.codec import content
from tap_acumatica.records.compiled_row import whole_rows

_MOST_BETWEEN = 2
_OVERLAP = 40

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_acumatica.reading.pages import Answer, Pages
    from tap_acumatica.reading.plan import Column, Row, Term


def prove_order(
    pages: Pages,
    terms: Sequence[Term],
    order: Sequence[Column],
    answer: Answer,
    *,
    from_both_ends: bool = False,
) -> list[Row] | None:
    """Make sure that rows come sorted: in reverse, a row comes first that was not on the page.

    Rows that come or go between the two requests may feign an order. So two rows are asked
    for, a page of one row proves nothing, and an answer that speaks against it is asked for
    again. Of the first page of an inquiry, a page in reverse is asked for: that is its proof
    and, where the two meet, the rest of its rows as well.

    Args:
        pages: Pages of the entity set.
        terms: Comparisons of the query.
        order: Its order.
        answer: Its answer.
        from_both_ends: Whether that is the first page, with no end to its rows.

    Returns:
        The rows of both pages in order where they meet; then they are all rows.

    Raises:
        OrderIgnoredError: If they do not.
    """
    plan, evidence = pages.plan, pages.evidence
    if pages.is_proved or len(answer.rows) < 2 or not (order and plan.order):  # noqa: PLR2004
        return None
    page = [plan.identity(row) for row in answer.rows]
    places = {plan.identity(row): plan.place(row, order) for row in answer.rows}
    first, last = plan.place(answer.rows[0], order), plan.place(answer.rows[-1], order)
    if not plan.reversible:
        evidence.sorted(plan.inquiry)  # it sorts one way only; the pages ascend
        return None
    for again in (False, True):
        size = plan.page_size if from_both_ends and plan.inquiry else 2
        behind_all = pages.ask(terms, order, top=size, reverse=True).rows
        rows = behind_all[:2]
        # A row that was changed meanwhile stands elsewhere, which says nothing.
        rows = [row for row in rows if _stays(places, plan.identity(row), plan.place(row, order))]
        if not rows:
            return None
        found = [plan.identity(row) for row in rows]
        off = [one not in page for one in found]
        reached = plan.place(rows[0], order)
        behind = off == [True, True] or (off == [True, False] and found[1] == page[-1])
        alike = not again and len(page) > 2 and first != last == reached  # noqa: PLR2004
        if behind or alike or found == page[:-3:-1]:
            evidence.sorted(plan.inquiry)
            return _every_row(pages, terms, order, answer, behind_all[::-1])
        if off[0] or last in (first, reached):
            return None  # nothing can be told yet
    raise OrderIgnoredError


def _every_row(
    pages: Pages,
    terms: Sequence[Term],
    order: Sequence[Column],
    first: Answer,
    last: list[Row],
) -> list[Row] | None:
    """All rows of a result of few pages, each of which overlaps with the one before.

    Args:
        pages: Pages of the entity set.
        terms: Comparisons of the query.
        order: Its order.
        first: Its first page.
        last: Its last page, if a whole page was asked for from the end.

    Returns:
        The rows; None where they are too many, or pages do not meet.
    """
    plan = pages.plan
    if not plan.inquiry or len(last) < len(first.rows):
        return None
    rows = first.rows

    def place(row: Row) -> t.Any:
        return plan.place(row, order)

    for _ in range(_MOST_BETWEEN + 1):
        found = met(rows, last, place)
        if found is not None or not (plan.skip and pages.evidence.skips):
            return found
        skip = max(1, len(rows) - max(2, len(last) // _OVERLAP))
        between = pages.ask(terms, order, skip=skip)
        rows = met(rows, between.rows, place) or []
        if not rows:
            return None
    return None


def are_nulls_first(pages: Pages, rows: list[Row]) -> bool:
    """Whether nulls come before all other values: known, or found out by one small request.

    Args:
        pages: Pages of the entity set.
        rows: A page of them; a column that is null in some of them, and not in others, tells.
    """
    plan, evidence = pages.plan, pages.evidence
    if evidence.nulls_first is None and plan.order:
        whole = whole_rows(rows)
        column = next((c for c in plan.columns if _is_mixed(whole, c.name)), None)
        if column is not None:
            first = _first_by(pages, column)
            evidence.nulls_first = bool(first) and first[0][column.name] is None
    return bool(evidence.nulls_first)


def met(first: list[Row], last: list[Row], place: Callable[[Row], t.Any]) -> list[Row] | None:
    """All rows of a sorted result, where its first and its last page overlap.

    They overlap where the end of the first is the beginning of the last, row by row. Rows that tie
    may come in another order each time, so the overlap must be more than rows of one place: then
    those of the place that the last page begins with are on the first one, all of them.

    Args:
        first: The first page.
        last: The last page, in the same order.
        place: What decides where a row stands.

    Returns:
        The rows; None where the pages do not meet.
    """
    if not first or not last or place(last[0]) == place(first[-1]):
        return None
    start, head = content(last[0]), [content(row) for row in first]
    tail = [content(row) for row in last[: len(first)]]
    for begin, row in enumerate(head):
        if row == start and head[begin:] == tail[: len(head) - begin]:
            return [*first, *last[len(head) - begin :]]
    return None


def _first_by(pages: Pages, column: Column) -> list[Row]:
    """The first row by a column; none where the service does not sort by it."""
    try:
        return pages.ask((), (column,), top=1).rows
    except (RefusedError, EmptyAnswerError):
        return []


def _is_mixed(rows: Sequence[Row], name: str) -> bool:
    """Whether a column is null in some rows and not in others."""
    nulls = [row[name] is None for row in rows]
    return any(nulls) and not all(nulls)


def _stays(places: dict[t.Any, t.Any], identity: t.Any, place: t.Any) -> bool:
    return bool(places.get(identity, place) == place)
