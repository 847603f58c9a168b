"""Reading by position, for rows whose key cannot be compared.

Positions shift when rows before them come or go. So each page begins with the last row of the page
before; where it does not, reading goes back until it meets rows it knows. Rows may then be
emitted twice, but none is missed.
"""

from __future__ import annotations

import logging
import typing as t
from dataclasses import replace

import msgspec

from tap_acumatica.errors import AnswerError, EmptyAnswerError, RefusedError
from tap_acumatica.reading.pages import PagedResult

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_acumatica.reading.plan import Plan, Row, Source

logger = logging.getLogger(__name__)

_MOST_SHIFTS = 1000
_MOST_REPEATS = 3


def read_by_skip(source: Source, plan: Plan, terms: Sequence[str] = ()) -> Iterator[list[Row]]:
    """All rows that meet ``terms``, page by page, in total order.

    Without ``$orderby`` or ``$skip`` the rows are asked for in one request instead.

    Raises:
        AnswerError: If a page repeats itself, or rows shift without end.
    """
    if not plan.order or not plan.skip or plan.page_size is None:
        yield from _read_at_once(source, plan, terms)
        return
    names = [column.name for column in plan.keys]
    top = max(2, plan.page_size)  # one of them is the row to overlap by
    position = shifts = repeats = largest = 0
    known: list[bytes] = []
    while True:
        start = max(0, position - 1)
        rows = _page(source, plan, terms, start, top)
        met = _identities(rows, names)
        if position and not set(met).intersection(known):
            shifts = _next_shift(shifts)
            position = max(0, start - len(known))
            continue
        largest = max(largest, len(met))
        overlap = 1 if position and met[0] == known[-1] else 0
        if len(met) == overlap:
            # Where pages hold one row, the one to overlap by says nothing of an end.
            if largest > 1:
                return
            rows = _page(source, plan, terms, position, 1)
            if not rows:
                if not met or _is_last(source, plan, terms, met[0]):
                    return
                shifts = _next_shift(shifts)
                continue
            if _identities(_page(source, plan, terms, start, 1), names) != met:
                continue
            start, overlap, met = position, 0, _identities(rows, names)
        repeats = repeats + 1 if met == known else 0
        if repeats > _MOST_REPEATS:
            msg = "a page repeats itself"
            raise AnswerError(msg)
        yield rows[overlap:]
        position = start + len(rows)
        known = met


def _next_shift(shifts: int) -> int:
    if shifts >= _MOST_SHIFTS:
        msg = "rows keep shifting while they are read by position; read in quieter hours"
        raise AnswerError(msg)
    return shifts + 1


def _is_last(source: Source, plan: Plan, terms: Sequence[str], row: bytes) -> bool:
    """Whether a row comes first in reverse, so that, whatever shifted, none is behind it."""
    options = plan.options(terms, top=1)
    if not options.orderby:
        return True
    reverse = replace(options, orderby=tuple(f"{name} desc" for name in options.orderby))
    try:
        rows = source.get(reverse).rows
    except (RefusedError, EmptyAnswerError):
        return True  # it sorts one way only
    return not rows or _identities(rows, [column.name for column in plan.keys])[0] == row


def _page(source: Source, plan: Plan, terms: Sequence[str], start: int, top: int) -> list[Row]:
    result = PagedResult(source, plan.options(terms, skip=start or None, top=top), seeks=True)
    return [row for part in result for row in part]


def _read_at_once(source: Source, plan: Plan, terms: Sequence[str]) -> Iterator[list[Row]]:
    """Everything in one answer and its next links."""
    result = PagedResult(source, replace(plan.options(terms), top=None), seeks=False)
    yield from result
    if not plan.skip or not result.total:
        return
    if result.has_rows_behind():
        msg = (
            "the service gives only a part of the rows, with no next link and in no order: they "
            "cannot be read without losing some; set 'client_side_paging' to true, or have it sort"
        )
        raise AnswerError(msg)


def _identities(rows: Sequence[Row], names: Sequence[str]) -> list[bytes]:
    return [_identity(row, names) for row in rows]


def _identity(row: Row, names: Sequence[str]) -> bytes:
    """The key of a row where it has one, so that a changed row is known again; else all of it."""
    return msgspec.json.encode([row[name] for name in names] if names else row)
