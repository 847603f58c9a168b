"""Reads one stream of one tenant by the strongest plan that the service takes.

What a service refuses (a filter, an order, a column) shows with the first request that needs it. It
is then found out by single small requests, logged with what it means, and the stream is read again
from where it began by the next best safe plan. Rows may then be emitted twice; none is missed.
"""

from __future__ import annotations

import logging
import re
import typing as t
from dataclasses import replace

from tap_acumatica.errors import (
    AccessError,
    AnswerError,
    ColumnsRefusedError,
    EmptyAnswerError,
    RefusedError,
)
from tap_acumatica.odata.query import QueryOptions
from tap_acumatica.reading.by_key import KeyReader, NullKeyError, OrderDisagreesError
from tap_acumatica.reading.by_skip import read_by_skip
from tap_acumatica.reading.by_time import (
    FilterIgnoredError,
    RowBatch,
    read_by_time,
)
from tap_acumatica.reading.pages import OrderIgnoredError
from tap_acumatica.reading.plan import without_seek
from tap_acumatica.records.compiled import column_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_acumatica.reading.plan import Column, Page, Plan, Row, Source

logger = logging.getLogger(__name__)

_MOST_PLANS = 12
_NAMED = re.compile(r"'([A-Za-z_]\w*)'")


def read_matching(source: Source, plan: Plan, terms: Sequence[str]) -> Iterator[list[Row]]:
    """All rows that meet ``terms``, by key where that is possible, else by position."""
    if plan.seek and plan.order:
        return KeyReader(source, plan).read(terms)
    return read_by_skip(source, plan, terms)


class Reader:
    """Reads a stream; ``plan`` is what it came to."""

    def __init__(self, source: Source, plan: Plan, *, name: str) -> None:
        """Prepare.

        Args:
            source: The entity set.
            plan: The strongest plan for it.
            name: Name of the stream, for messages.
        """
        self._source = _Watched(source)
        self.plan = plan
        self._name = name
        self._by_key: KeyReader | None = None

    @property
    def seeks(self) -> bool:
        """Whether the service was seen to sort by the key and to compare with it likewise."""
        return self._by_key is not None and self._by_key.settled

    def read(self, start: str | None, *, first_load: bool) -> Iterator[RowBatch]:
        """All rows, or those with a tracking value of at least ``start``.

        Args:
            start: Canonical date-time; None for all.
            first_load: Whether rows without tracking value are to be read as well.

        Yields:
            Stretches of rows; see :class:`RowBatch`.

        Raises:
            AccessError: If the service refuses every plan.
            AnswerError: If what it sends is not an answer.
            ColumnsRefusedError: If it refuses columns by name.
        """
        start = self.plan.time_zone.safe_floor(start) if start else None
        for _ in range(_MOST_PLANS):
            try:
                yield from self._read(start, first_load=first_load)
            except OrderIgnoredError:
                self._weaken("ignores $orderby", replace(self.plan, order=False), _AT_ONCE)
            except FilterIgnoredError:
                plan = without_seek(replace(self.plan, tracking=None))
                self._weaken("ignores $filter", plan, _NO_TIME)
            except OrderDisagreesError:
                self._weaken(
                    "sorts keys in one way and compares them in another",
                    without_seek(self.plan),
                    _BY_POSITION,
                )
            except NullKeyError as error:
                self._weaken(
                    f"holds nulls in key column {error.column}",
                    _with_nulls(self.plan, error.column),
                    "null keys are asked for separately",
                )
            except (RefusedError, EmptyAnswerError) as error:
                self._settle(error)
            else:
                return
            yield RowBatch([], ascending=False, rewind=True)
        msg = f"{self._name}: no way of reading it is left"
        raise AccessError(msg)

    def _read(self, start: str | None, *, first_load: bool) -> Iterator[RowBatch]:
        plan = self.plan
        column = plan.tracking
        if column is None or (first_load and not plan.null_rows):
            yield from self._unordered(())
            return
        in_time_order = plan.order and plan.time_order
        if first_load and (in_time_order or start):
            yield from self._without_stamp(column)
        if in_time_order:
            yield from read_by_time(self._source, plan, start, self._read_matching)
        else:
            yield from self._unordered((plan.term(column, "ge", start),) if start else ())

    def _without_stamp(self, column: Column) -> Iterator[RowBatch]:
        """Rows that have no tracking value.

        Raises:
            FilterIgnoredError: If rows come that have one.
        """
        term = self.plan.term(column, "eq", None)
        many_requests = any(column.nullable for column in self.plan.seek)
        if many_requests and not self._source.get(self.plan.options((term,), top=1)).rows:
            return
        honoured = False
        for rows in self._read_matching((term,)):
            if any(stamp is not None for stamp in column_of(rows, column.name)):
                if not honoured:
                    raise FilterIgnoredError
                msg = "the service answers with rows that were not asked for"
                raise AnswerError(msg)
            honoured = True
            yield RowBatch(rows, ascending=False)

    def _unordered(self, terms: Sequence[str]) -> Iterator[RowBatch]:
        for rows in self._read_matching(terms):
            yield RowBatch(rows, ascending=False)

    def _read_matching(self, terms: Sequence[str]) -> Iterator[list[Row]]:
        if self.plan.seek and self.plan.order:
            self._by_key = KeyReader(self._source, self.plan)
            return self._by_key.read(terms)
        return read_by_skip(self._source, self.plan, terms)

    # Finding out what is refused

    def _settle(self, error: RefusedError | EmptyAnswerError) -> None:
        """Find out which part of the last request is refused, and plan without it.

        Raises:
            AccessError: If the service refuses even the plainest request.
            EmptyAnswerError: If it refuses nothing: then the answer was simply bad.
        """
        asked = self._source.asked
        plain = QueryOptions(top=1 if asked.top else None, custom=asked.custom)
        if not self._takes(plain):
            if isinstance(error, EmptyAnswerError):
                raise error
            raise AccessError(str(error)) from error
        if asked.select and not self._takes(replace(plain, select=asked.select)):
            self._without_columns(asked.select, error)
        elif asked.expand and not self._takes(replace(plain, expand=asked.expand)):
            msg = f"{error}; set 'expand' to what the service takes"
            raise AccessError(msg) from error
        elif asked.orderby and not self._takes(replace(plain, orderby=asked.orderby)):
            self._without_order(asked, plain)
        elif asked.filter and not self._takes(replace(plain, filter=asked.filter)):
            self._without_filter(asked, plain)
        elif asked.skip is not None and not self._takes(replace(plain, skip=1)):
            self._weaken(
                "takes no $skip", replace(self.plan, skip=False), "pages are read by value"
            )
        elif isinstance(error, EmptyAnswerError):
            raise error
        else:
            self._without_combination(asked, error)

    def _takes(self, options: QueryOptions) -> bool:
        """Whether a small request is answered."""
        try:
            self._source.get(options)
        except (RefusedError, EmptyAnswerError):
            return False
        return True

    def _without_columns(self, select: Sequence[str], error: Exception) -> None:
        needed = {column.name for column in self.plan.keys}
        if self.plan.tracking:
            needed.add(self.plan.tracking.name)
        named = [
            name for name in _NAMED.findall(str(error)) if name in select and name not in needed
        ]
        if named:
            raise ColumnsRefusedError(named, str(error)) from error
        self._weaken("takes no $select", replace(self.plan, select=()), _WHOLE_ROWS)

    def _without_order(self, asked: QueryOptions, plain: QueryOptions) -> None:
        refused = [
            name for name in asked.orderby if not self._takes(replace(plain, orderby=(name,)))
        ]
        keys = tuple(column for column in self.plan.keys if column.name not in refused)
        tracking = self.plan.tracking
        if tracking and tracking.name in refused:
            plan = replace(self.plan, time_order=False)
            self._weaken(f"does not sort by {tracking.name}", plan, _BOOKMARK_LAST)
        elif refused and keys:
            seek = tuple(column for column in self.plan.seek if column.name not in refused)
            plan = replace(self.plan, keys=keys, seek=seek, unique=False)
            self._weaken(f"does not sort by {', '.join(refused)}", plan, "the other keys are used")
        else:
            self._weaken("takes no $orderby", replace(self.plan, order=False), _AT_ONCE)

    def _without_filter(self, asked: QueryOptions, plain: QueryOptions) -> None:
        plan, tracking = self.plan, self.plan.tracking
        terms = [term for term in asked.filter if not self._takes(replace(plain, filter=(term,)))]
        on_tracking = [term for term in terms if tracking and term.startswith(f"{tracking.name} ")]
        if tracking and on_tracking:
            if on_tracking[0] == plan.term(tracking, "eq", None):
                weaker, meaning = replace(plan, null_rows=False), "the first load reads all rows"
            elif on_tracking[0] == plan.term(tracking, "ne", None) and plan.not_null:
                weaker, meaning = replace(plan, not_null=False), "a date is compared with instead"
            else:
                weaker, meaning = replace(plan, tracking=None), _NO_TIME
            self._weaken(f"does not take the filter '{on_tracking[0]}'", weaker, meaning)
            return
        kept = tuple(
            column
            for column in plan.seek
            if not any(term.startswith(f"{column.name} ") for term in terms or asked.filter)
        )
        rest = tuple(column for column in plan.keys if column not in kept)
        weaker = replace(plan, keys=(*kept, *rest), seek=kept, unique=False)
        self._weaken("does not take a filter on its key", weaker, _BY_POSITION)

    def _without_combination(self, asked: QueryOptions, error: Exception) -> None:
        """Each part is taken alone, but not all together."""
        if asked.select:
            self._weaken("takes no $select here", replace(self.plan, select=()), _WHOLE_ROWS)
        elif self.plan.tracking and self.plan.time_order:
            plan = replace(self.plan, time_order=False)
            self._weaken("does not take this filter and order together", plan, _BOOKMARK_LAST)
        elif self.plan.seek:
            self._weaken("takes no filter on its key", without_seek(self.plan), _BY_POSITION)
        else:
            raise AccessError(str(error)) from error

    def _weaken(self, found: str, plan: Plan, meaning: str) -> None:
        logger.warning("%s: the service %s; %s.", self._name, found, meaning)
        self.plan = plan


_NO_TIME = "changes cannot be asked for, so the whole stream is read"
_BOOKMARK_LAST = "the bookmark is written at the end of the stream only"
_AT_ONCE = "the stream is read in one request, its bookmark written at the end only"
_BY_POSITION = "pages are read by position"
_WHOLE_ROWS = "whole rows are asked for"


def _with_nulls(plan: Plan, name: str) -> Plan:
    def mark(columns: tuple[Column, ...]) -> tuple[Column, ...]:
        return tuple(replace(c, nullable=True) if c.name == name else c for c in columns)

    return replace(plan, keys=mark(plan.keys), seek=mark(plan.seek))


class _Watched:
    """A source that remembers what it was asked last."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.asked = QueryOptions()

    def get(self, options: QueryOptions) -> Page:
        self.asked = options
        return self._source.get(options)

    def follow(self, link: str) -> Page:
        return self._source.follow(link)
