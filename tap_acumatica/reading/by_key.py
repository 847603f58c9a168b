"""Reading in the order of the key, going on by its values.

A row that changes, comes or goes while the rows are read moves no other row across the place where
reading stands, as it would with ``$skip``. No ``or`` across columns is needed: with a key of
several columns, rows are read from ``K1 ge x`` on, leaving out those of value x that were seen
already; where one value of K1 fills half a page or more, its rows are read by ``K1 eq x and K2 gt
y``, then all behind it by ``K1 gt x``.
"""

from __future__ import annotations

import typing as t

import msgspec

from tap_acumatica.errors import AnswerError
from tap_acumatica.reading.by_skip import read_by_skip
from tap_acumatica.reading.pages import PagedResult, ShiftedError, check_order, row_behind

if t.TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from tap_acumatica.reading.plan import Plan, Row, Source

Bound = tuple[str, t.Any]
_HALF = 2
_DIFFERENCES = 3
_MOST_TIES = 10_000
"""Rows remembered, so that they are not emitted twice; more rows of one value are read by the next
column."""


class OrderDisagreesError(Exception):
    """The service sorts keys in one way and compares them in another."""


class NullKeyError(Exception):
    """A key column that should hold no nulls holds one."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


def content(row: Row) -> bytes:
    """The content of a row, to recognize it again."""
    return msgspec.json.encode(row)


class KeyReader:
    """Reads the rows of a filter in key order; one reader serves one stream."""

    def __init__(
        self,
        source: Source,
        plan: Plan,
        *,
        largest: int = 0,
        last: tuple[t.Any, ...] | None = None,
    ) -> None:
        """Prepare.

        Args:
            source: The entity set.
            plan: A plan whose ``seek`` is not empty.
            largest: Rows of the largest answer of a service that is known to sort and to seek.
            last: Key values of the last row, where it is known.
        """
        self._source = source
        self._plan = plan
        self._largest = largest
        self._last = last
        self._sorts = largest > 0
        self._check = _SeekCheck(tuple(column.name for column in plan.keys), passed=largest > 0)

    @property
    def settled(self) -> bool:
        """Whether the service was seen to sort and to seek as it should."""
        return self._sorts and self._check.settled

    def read(self, terms: Sequence[str] = (), *, depth: int = 0) -> Iterator[list[Row]]:
        """All rows that meet ``terms``, page by page.

        Args:
            terms: Comparisons.
            depth: How many of the leading key columns they fix to one value.

        Raises:
            OrderDisagreesError: If seeking meets other rows than counting does.
            NullKeyError: If a key value is null that should not be.
            AnswerError: If pages repeat themselves.
        """
        yield from self._range(tuple(terms), depth, None, frozenset())
        self._check.finish()

    def _range(
        self, terms: tuple[str, ...], depth: int, bound: Bound | None, seen: frozenset[bytes]
    ) -> Iterator[list[Row]]:
        """Rows within ``terms`` from ``bound`` of one column on, without those in ``seen``."""
        plan = self._plan
        column = plan.seek[depth]
        last_column = depth == len(plan.seek) - 1
        if bound is None and column.nullable:
            yield from self._group(terms, depth, None)
            bound = ("ne", None)
        while True:
            bounded = (*terms, plan.term(column, *bound)) if bound else terms
            result = PagedResult(self._source, plan.options(bounded), seeks=True)
            first, last, ties = yield from self._rows(result, column.name, seen)
            if first is None or last is None:
                self._check.nothing_came()
                return
            if not self._goes_on(result, last):
                return
            if not self._sorts:
                check_order(self._source, plan, bounded, first)
                self._sorts = True
            self._refuse_nulls(last)
            value = last[column.name]
            stuck = self._check.stuck(first)
            if last_column and plan.unique:
                if stuck:
                    msg = "a page repeats itself"
                    raise AnswerError(msg)
                bound, seen = ("gt", value), frozenset()
            elif stuck or len(ties) * _HALF >= result.total or len(ties) >= _MOST_TIES:
                if last_column:
                    yield from self._group(terms, depth, value)
                else:
                    yield from self._rest_of_group(terms, depth, last, ties)
                bound, seen = ("gt", value), frozenset()
            else:
                bound, seen = ("ge", value), frozenset(content(row) for row in ties)

    def _rows(
        self, result: PagedResult, name: str, seen: frozenset[bytes]
    ) -> Generator[list[Row], None, tuple[Row | None, Row | None, list[Row]]]:
        """The rows of one answer; returns first and last, and those that share the last's value."""
        first: Row | None = None
        last: Row | None = None
        ties: list[Row] = []
        for rows in result:
            if not rows:
                continue
            fresh = [row for row in rows if content(row) not in seen] if seen else rows
            if first is None:
                first = rows[0]
                self._refuse_nulls(first)
                self._check.first_row(fresh)
            result.found = self._plan.page_size is not None
            if fresh:
                yield fresh
            last = rows[-1]
            ties = _ties(ties, rows, name)
        return first, last, ties

    def _group(self, terms: tuple[str, ...], depth: int, value: t.Any) -> Iterator[list[Row]]:
        """All rows of one value of the column at ``depth``, from the first."""
        self._check.suspend()
        inner = (*terms, self._plan.term(self._plan.seek[depth], "eq", value))
        if depth < len(self._plan.seek) - 1:
            yield from self._range(inner, depth + 1, None, frozenset())
        else:
            yield from read_by_skip(self._source, self._plan, inner)

    def _rest_of_group(
        self, terms: tuple[str, ...], depth: int, last: Row, ties: list[Row]
    ) -> Iterator[list[Row]]:
        """The rows behind ``last`` among those of its value of the column at ``depth``."""
        plan = self._plan
        inner = (*terms, plan.term(plan.seek[depth], "eq", last[plan.seek[depth].name]))
        column = plan.seek[depth + 1]
        value = last[column.name]
        if value is None:
            yield from self._range(inner, depth + 1, None, frozenset(map(content, ties)))
            return
        if column.nullable:  # whether nulls sort first is not known; twice is better than never
            yield from self._group(inner, depth + 1, None)
        if plan.unique and depth + 1 == len(plan.seek) - 1:
            yield from self._range(inner, depth + 1, ("gt", value), frozenset())
            return
        seen = frozenset(content(row) for row in ties if row[column.name] == value)
        yield from self._range(inner, depth + 1, ("ge", value), seen)

    def _goes_on(self, result: PagedResult, last: Row) -> bool:
        """Whether rows may follow an answer.

        A short page does not mean the end, since a service may cap pages; an empty one does.
        """
        if self._last and self._last == tuple(last[column.name] for column in self._plan.seek):
            return False
        full = result.more or result.total == self._largest
        self._largest = max(self._largest, result.total)
        if not self._plan.skip or (full and self._check.passed):
            return True
        try:
            behind = row_behind(result, last, self._largest)
        except ShiftedError:
            return True
        if behind is not None:
            self._check.expect(behind)
        return behind is not None

    def _refuse_nulls(self, row: Row) -> None:
        for column in self._plan.seek:
            if not column.nullable and row[column.name] is None:
                raise NullKeyError(column.name)


class _SeekCheck:
    """Makes sure, once, that seeking meets the row that counting meets.

    Order and comparison can disagree: databases compare by collation, services may sort in memory,
    and some ignore a filter. A row that comes or goes between the two requests looks the same, so
    one difference is not believed before the next page shows it again or there is none.
    """

    def __init__(self, key: tuple[str, ...], *, passed: bool) -> None:
        self._key = key
        self._expected: Row | None = None
        self._differences = 0
        self._first: bytes | None = None
        self.passed = passed

    @property
    def settled(self) -> bool:
        """Whether it was passed, with no difference since."""
        return self.passed and not self._differences

    def expect(self, row: Row) -> None:
        """The next row that is new should be this one."""
        if not self.passed:
            self._expected = row

    def suspend(self) -> None:
        """What comes next is not what stands behind the last answer."""
        self._expected = None

    def first_row(self, fresh: Sequence[Row]) -> None:
        """Look at the rows of an answer that are new."""
        if self._expected is None or not fresh:
            return
        if all(fresh[0][name] == self._expected[name] for name in self._key):
            self.passed, self._differences = True, 0
        else:
            self._differ()
        self._expected = None

    def nothing_came(self) -> None:
        """Where a row was to come, none did."""
        if self._expected is not None:
            self._expected = None
            self._differ()

    def _differ(self) -> None:
        self._differences += 1
        if self._differences >= _DIFFERENCES:
            raise OrderDisagreesError

    def stuck(self, first: Row) -> bool:
        """Whether an answer begins with the same row as the one before.

        So it does where a service repeats a page, but also where it takes more values for equal
        than Python does (upper and lower case): then one has to go on within the group.

        Raises:
            OrderDisagreesError: If seeking was not shown to work.
        """
        held = content(first)
        same = held == self._first
        if same and not self.passed and self._differences:
            raise OrderDisagreesError
        self._first = held
        return same

    def finish(self) -> None:
        """At the end: a difference that was not made good is believed."""
        if self._differences:
            raise OrderDisagreesError


def _ties(ties: list[Row], rows: list[Row], name: str) -> list[Row]:
    """The rows at the end that share the last one's value, across parts; the last of many."""
    value = rows[-1][name]
    start = len(rows)
    while start and rows[start - 1][name] == value:
        start -= 1
    if start == 0 and ties and ties[-1][name] == value:
        return (ties + rows)[-max(_MOST_TIES, len(rows)) :]
    return rows[start:]
