"""Reading in the order of the key, going on by its values.

A row that changes, comes or goes while the rows are read moves no other row across the place where
reading stands, as it would with ``$skip``. No ``or`` across columns is needed: with a key of
several columns, rows are read from ``K1 ge x`` on; where one value of K1 fills half a page or more,
its rows are read by ``K1 eq x and K2 ge y``, then all behind it by ``K1 gt x``.

A page begins with the value that was sought, which shows that nothing was passed over. Reading ends
at the largest key that was met when it was under way: what is added behind it is the next run's.
"""

from __future__ import annotations

import itertools
import typing as t
from collections import Counter

from tap_acumatica.reading.evidence import OrderDisagreesError, OrderIgnoredError
from tap_acumatica.reading.order import are_nulls_first, prove_order
from tap_acumatica.reading.pages import refuse_one_row
from tap_acumatica.reading.plan import LOCAL_TYPES, Term
from tap_acumatica.records.codec import content

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_acumatica.reading.pages import Answer, Pages
from tap_acumatica.reading.plan import Column, Row

_HALF = 2
_FIRST_LOOK_AHEAD = 4
_MOST_TIES = 10_000
"""Rows remembered, so that they are not emitted twice."""


class KeyReader:
    """Reads the rows that meet some terms, in the order of their key."""

    def __init__(
        self,
        pages: Pages,
        by_position: Callable[[Sequence[Term]], Iterator[list[Row]]],
        *,
        live: bool = False,
        last: tuple[t.Any, ...] | None = None,
    ) -> None:
        """Prepare.

        Args:
            pages: Pages of the entity set.
            by_position: Reads all rows of a filter that cannot be sought by.
            live: Whether a row may leave the terms by being changed, so that it is passed on when
                first met. Else the rows of the last value of a page are left to the next page,
                and all rows of one value come in one batch.
            last: Key of the last row, where it is known; reading ends there.
        """
        self._pages = pages
        self._plan = pages.plan
        self._by_position = by_position
        self._live = live
        self._last = last

    def read(self, terms: Sequence[Term] = (), depth: int = 0) -> Iterator[list[Row]]:
        """All rows that meet ``terms``, page by page.

        Args:
            terms: Comparisons.
            depth: How many of the leading key columns they fix to one value.

        Raises:
            UntrustedError: If the service cannot be read in this way.
        """
        plan = self._plan
        too_many = plan.terms is not None and len(terms) >= plan.terms
        if depth >= len(plan.seek) or not plan.order or too_many:
            yield from self._by_position(terms)
        else:
            yield from _Level(self, self._pages, tuple(terms), depth).read()

    def group(self, terms: Sequence[Term], depth: int, value: t.Any) -> Iterator[list[Row]]:
        """All rows of one value of the key column at ``depth``."""
        term = Term(self._plan.seek[depth], "eq", value)
        yield from self.read((*terms, term), depth + 1)

    @property
    def is_live(self) -> bool:
        """Whether rows are passed on when first met."""
        return self._live

    def is_last(self, row: Row) -> bool:
        """Whether a row is known to be the last one."""
        if self._last is None:
            return False
        return self._last == tuple(row[column.name] for column in self._plan.seek)


def not_yet(rows: list[Row], passed_on: Counter[bytes]) -> list[Row]:
    """The rows that were not passed on before, each as often as there are more of it.

    Args:
        rows: Rows, some of which come again.
        passed_on: How often contents were passed on; those that come again are taken off.
    """
    if not passed_on:
        return rows
    found = []
    for row in rows:
        held = content(row)
        if passed_on.get(held, 0) > 0:
            passed_on[held] -= 1
        else:
            found.append(row)
    return found


class _Level:
    """Reads along one key column, the ones before it being fixed."""

    def __init__(
        self, reader: KeyReader, pages: Pages, terms: tuple[Term, ...], depth: int
    ) -> None:
        plan = pages.plan
        self._reader = reader
        self._pages = pages
        self._terms = terms
        self._depth = depth
        self._column = plan.seek[depth]
        self._order: tuple[Column, ...] = plan.keys[depth:]
        self._alone = len(self._order) == 1 and plan.unique
        self._bound: Term | None = None
        self._last_values: list[t.Any] = []
        self._seen: Counter[bytes] = Counter()
        self._nulls_met = False
        self._nulls_first = False

    def read(self) -> Iterator[list[Row]]:
        count = total = 0
        several = False
        while True:
            terms = (*self._terms, self._bound) if self._bound else self._terms
            answer = self._pages.seek(terms, self._order, self._brings, top=self._top)
            rows, values = answer.rows, [row[self._column.name] for row in answer.rows]
            count, total = count + 1, total + self._new(values)
            several = several or answer.more or total > 1
            whole = self._is_whole(terms, answer)
            self._expect_boundary(values)
            if whole or not rows:
                if count > 1 and several:
                    prove_order(self._pages, terms, self._order, answer)
                    self._pages.refuse_unproved(self._order, several=True)
                yield self._fresh(rows)
                yield from self._nulls_at_the_end()
                return
            every = prove_order(self._pages, terms, self._order, answer, from_both_ends=count == 1)
            if every is not None:
                yield every
                return
            self._refuse_descent(values)
            if values[-1] is None:
                self._pages.refuse_unproved(self._order, several=True)
                yield from self._all_null_or_nulls_last(rows, values)
                if self._bound is None:
                    return
                continue
            self._nulls_met = self._nulls_met or values[0] is None
            self._learn_texts(values)
            if count == 1 and self._column.nullable and self._pages.is_proved:
                self._nulls_first = are_nulls_first(self._pages, rows)
            ended = yield from self._end_at_last_key(count, rows, values)
            if ended:
                yield from self._nulls_at_the_end()
                return
            ended = yield from self._step(answer, values)
            if ended:
                yield from self._nulls_at_the_end()
                return
            self._check_other_side(answer)

    def _new(self, values: list[t.Any]) -> int:
        """How many of the rows of a page do not belong to the place it begins at."""
        bound = self._bound.value if self._bound else None
        return len(values) if bound is None else len(values) - values.count(bound)

    @property
    def _top(self) -> int | None:
        """More than a page where it begins with a row that is known."""
        plan, bound = self._pages.plan, self._bound
        return plan.further_page if bound and bound.operator == "ge" else plan.page_size

    def _brings(self, rows: list[Row]) -> bool:
        known = self._bound.value if self._bound and self._bound.operator == "ge" else None
        if not self._alone or known is None:
            return bool(rows)
        return any(row[self._column.name] != known for row in rows)

    def _is_whole(self, terms: Sequence[Term], answer: Answer) -> bool:
        if self._pages.is_end(answer):
            return True
        if answer.rows and self._reader.is_last(answer.rows[-1]):
            return True
        return self._pages.settle_end(terms, self._order, answer)

    # What is passed on

    def _fresh(self, rows: list[Row]) -> list[Row]:
        """The rows that were not passed on before."""
        return not_yet(rows, self._seen.copy())

    def _pass_on(self, rows: list[Row], values: list[t.Any]) -> list[Row]:
        """Those of a page that is not the last: without the rows that come again with the next."""
        value = values[-1]
        start = len(rows)
        while start and values[start - 1] == value:
            start -= 1
        if not self._reader.is_live:
            return rows[:start]
        fresh = self._fresh(rows)
        self._seen = Counter(content(row) for row in rows[start:][-_MOST_TIES:])
        return fresh

    # Going on

    def _step(self, answer: Answer, values: list[t.Any]) -> t.Generator[list[Row], None, bool]:
        """Pass rows on and find the place to go on from; whether that was the end."""
        rows = answer.rows
        value, bound = values[-1], self._bound
        stuck = bound is not None and bound.value == value
        if self._alone:
            if stuck and bound and bound.operator == "ge":
                if len(rows) > 1:
                    # values that the service takes for equal, or a page that repeats itself
                    raise OrderDisagreesError
                self._refuse_single_rows(bound, answer)
                yield self._fresh(rows)
                return True  # the boundary row alone
            yield self._pass_on(rows, values)
            self._bound = Term(self._column, "ge", value)
            return False
        yield self._pass_on(rows, values)
        if stuck or _HALF * values.count(value) >= len(rows):
            for group in self._reader.group(self._terms, self._depth, value):
                if fresh := self._fresh(group):
                    yield fresh
            self._seen = Counter()
            self._bound = Term(self._column, "gt", value)
        else:
            self._bound = Term(self._column, "ge", value)
        return False

    def _end_at_last_key(
        self, count: int, rows: list[Row], values: list[t.Any]
    ) -> t.Generator[list[Row], None, bool]:
        """Whether the largest key known was reached; from the fourth page on it is asked for."""
        if count >= _FIRST_LOOK_AHEAD and not count & (count - 1):
            last = self._pages.first_row(self._terms, self._order, reverse=True)
            if last is not None and last[self._column.name] is not None:
                self._last_values.append(last[self._column.name])
        text = self._column.is_text
        ends = [v for v in self._last_values if (v in values if text else values[-1] >= v)]
        if not ends:
            return False
        end = ends[0]
        if self._alone:
            yield self._fresh(rows)
            return True
        yield self._fresh([row for row, v in zip(rows, values, strict=True) if v != end])
        yield from self._reader.group(self._terms, self._depth, end)
        return True

    # Nulls

    def _all_null_or_nulls_last(self, rows: list[Row], values: list[t.Any]) -> Iterator[list[Row]]:
        """Go on behind a page that ends with nulls: wherever they stand, they are one group."""
        known = [row for row, value in zip(rows, values, strict=True) if value is not None]
        if known:
            yield self._fresh(known)
        yield from self._reader.group(self._terms, self._depth, None)
        self._nulls_met = True
        self._bound = None if known else Term(self._column, "ne", None)

    def _nulls_at_the_end(self) -> Iterator[list[Row]]:
        """Nulls that no comparison has met: behind more than a page, they may stand last."""
        if self._bound is not None and self._column.nullable and not self._nulls_met:
            self._nulls_met = True
            if self._nulls_first:
                return
            for rows in self._reader.group(self._terms, self._depth, None):
                if rows:
                    yield rows

    # What a page must be like

    def _refuse_single_rows(self, bound: Term, answer: Answer) -> None:
        if answer.is_full:
            refuse_one_row()
        behind = (*self._terms, bound._replace(operator="gt"))
        self._pages.refuse_single_rows(
            (*self._terms, bound),
            self._order,
            lambda: self._pages.ask(behind, self._order, top=1).rows,
        )

    def _expect_boundary(self, values: list[t.Any]) -> None:
        """The boundary row comes first, or is gone; this shows what comes twice, not what is lost.

        Raises:
            OrderDisagreesError: If it comes, but not first.
        """
        bound = self._bound
        if bound is None or not values or bound.value is None:
            return
        if bound.operator == "gt":
            if values[0] == bound.value:
                raise OrderDisagreesError
        elif values[0] != bound.value and self._column.is_text:
            term = Term(self._column, "eq", bound.value)
            if bound.value in values or self._pages.first_row((*self._terms, term), self._order):
                raise OrderDisagreesError

    def _refuse_descent(self, values: list[t.Any]) -> None:
        nulls = [value is None for value in values]
        if sum(one != other for one, other in itertools.pairwise(nulls)) > 1:
            raise OrderIgnoredError  # they stand at one end
        known = [value for value in values if value is not None]
        if self._column.is_text or not self._has_order:
            return
        if any(behind < before for before, behind in itertools.pairwise(known)):
            raise OrderIgnoredError

    @property
    def _has_order(self) -> bool:
        """Whether its values are in an order that is known here; local times are not."""
        return self._pages.plan.time_zone.is_utc or self._column.type not in LOCAL_TYPES

    def _learn_texts(self, values: list[t.Any]) -> None:
        """Take note of how the service sorts texts, and how it compares them.

        Raises:
            OrderDisagreesError: If it does the one in another way than the other.
        """
        texts, bound = self._pages.evidence.order_of(self._column.type), self._bound
        if not self._column.is_text or texts.known:
            return
        known = [value for value in values if value is not None]
        if self._pages.is_proved:
            texts.saw_sorted(known)
        if bound is not None and bound.operator == "ge":
            texts.saw_compared(bound.value, known)

    def _check_other_side(self, answer: Answer) -> None:
        """Texts: from the last row back, the place comes first as well.

        Raises:
            OrderDisagreesError: If another row does: it stands behind the place, and would be
                passed over.
        """
        bound, identity = self._bound, self._pages.plan.identity
        checked = self._column.is_text and bound is not None and self._pages.plan.both_sides
        known = self._pages.evidence.order_of(self._column.type).known
        if not checked or bound is None or known:
            return
        term = Term(self._column, "le", bound.value)
        row = self._pages.first_row((*self._terms, term), self._order, reverse=True)
        if row is None or row[self._column.name] == bound.value:
            return
        if identity(row) not in {identity(one) for one in answer.rows}:
            raise OrderDisagreesError
