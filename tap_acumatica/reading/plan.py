"""What will be asked of a service for one stream, and what to ask instead when it refuses."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from tap_acumatica.odata.model import EDM
from tap_acumatica.odata.query import QueryOptions, compare
from tap_acumatica.odata.time_zone import ServiceTimeZone
from tap_acumatica.odata.types import edm_type
from tap_acumatica.records.codec import content
from tap_acumatica.records.compiled_row import column_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_ORDER_CHARACTERS = 400
LOCAL_TYPES = frozenset({"Edm.DateTime", "Edm.DateTimeOffset"})
"""Types whose values may be local times, which come twice when clocks go back."""

Row = t.Any
"""A row in wire values, read by column name."""


class Page(t.Protocol):
    """Rows in wire values, and the next link, if the answer has one; or its next part."""

    @property
    def rows(self) -> list[Row]: ...  # noqa: D102
    @property
    def next_link(self) -> str | None: ...  # noqa: D102
    @property
    def next_part(self) -> Callable[[], Page] | None: ...  # noqa: D102


class Source(t.Protocol):
    """What reading needs of a service: one entity set, asked with options or by its next links."""

    def get(self, options: QueryOptions) -> Page:
        """Answer a query."""

    def follow(self, link: str) -> Page:
        """Answer what a next link names."""

    def at_most(self, top: int | None) -> int | None:
        """How many rows are asked for where ``top`` are wanted."""


@dataclass(frozen=True, slots=True)
class Column:
    """A property used to order and to seek by."""

    name: str
    type: str
    nullable: bool = False

    def term(
        self, operator: str, value: object, version: str, time_zone: ServiceTimeZone | None = None
    ) -> str:
        """One comparison with a wire value."""
        return compare(self.name, operator, self.type, value, version=version, time_zone=time_zone)

    @property
    def orderable(self) -> bool:
        """Whether ``$orderby`` takes it; so it does enumerations."""
        return edm_type(self.type).orderable or not self.type.startswith(EDM)

    @property
    def is_text(self) -> bool:
        """Whether its values sort and compare by rules that only the service knows."""
        return self.type in {"Edm.String", "Edm.Guid"} or not self.type.startswith(EDM)

    @property
    def seekable(self) -> bool:
        """Whether comparing with a value read divides what was read from what was not."""
        return edm_type(self.type).seekable


class Term(t.NamedTuple):
    """One comparison of a column with a wire value."""

    column: Column
    operator: str
    value: t.Any


@dataclass(frozen=True, slots=True)
class Plan:
    """How one stream is read; weaker plans ask for less and cost more.

    Attributes:
        keys: The entity's key, all of it, in the order to sort by: seekable columns first.
        seek: The leading part of ``keys`` whose values may be compared with; empty: page by
        ``$skip``.
        unique: Whether the values of ``seek`` are those of one row only.
        distinct: Whether no two rows have the same values of ``keys``.
        columns: All columns that may be sorted by.
        tracking: The last-modified column to read incrementally by, None for a full read.
        select: Properties to ask for; empty: whole rows.
        expand: Value of ``$expand``.
        page_size: Rows to ask for; None: no ``$top``, the service decides.
        order: Whether ``$orderby`` may be sent.
        time_order: Whether it may name the tracking column.
        reversible: Whether it may sort from the last to the first.
        clauses: The most names of it, None for no limit.
        terms: The most comparisons of one filter, None for no limit.
        both_sides: Whether keys may be compared by ``le``.
        skip: Whether ``$skip`` may be sent.
        null_rows: Whether rows without tracking value can be asked for.
        inquiry: Name of the entity set where it is an inquiry, which may have habits of its own.
        until: Start of the run, as a canonical date-time: reading by time ends with the page that
        crosses it. None where it is not known.
        version: OData version, for literals.
        time_zone: The service's clock.
        custom: Further query options, such as parameter aliases.
        condition: A filter that people have set, in OData's words.
        end: Canonical date-time before which the tracking values of all rows must lie.
    """

    keys: tuple[Column, ...] = ()
    seek: tuple[Column, ...] = ()
    unique: bool = True
    distinct: bool = True
    columns: tuple[Column, ...] = ()
    tracking: Column | None = None
    select: tuple[str, ...] = ()
    expand: str | None = None
    page_size: int | None = 2000
    order: bool = True
    time_order: bool = True
    reversible: bool = True
    clauses: int | None = None
    terms: int | None = None
    both_sides: bool = True
    skip: bool = True
    null_rows: bool = True
    inquiry: str | None = None
    until: str | None = None
    version: str = "4.0"
    time_zone: ServiceTimeZone = field(default_factory=ServiceTimeZone)
    custom: tuple[tuple[str, str], ...] = ()
    condition: str | None = None
    end: str | None = None

    def options(
        self,
        terms: Sequence[Term] = (),
        order: Sequence[Column] = (),
        *,
        reverse: bool = False,
        skip: int | None = None,
        top: int | None = None,
    ) -> QueryOptions:
        """Query options for the rows that meet all ``terms``.

        Args:
            terms: Comparisons.
            order: Columns to sort by.
            reverse: Whether to sort from the last to the first.
            skip: Rows to pass over.
            top: Rows to ask for instead of a page; 0 for all.
        """
        names = dict.fromkeys(column.name for column in order[: self.clauses] if self.order)
        return QueryOptions(
            filter=tuple(self._spelled(term) for term in (*terms, *self._end_of(terms))),
            orderby=tuple(f"{name} desc" if reverse else name for name in names),
            select=self.select,
            expand=self.expand,
            top=(self.page_size if top is None else top) or None if self.page_size else None,
            skip=skip or None,
            condition=self.condition,
            custom=dict(self.custom),
        )

    def _end_of(self, terms: Sequence[Term]) -> Iterator[Term]:
        """The comparison with :attr:`end`, but for rows that have no tracking value."""
        if self.tracking is None or self.end is None:
            return
        if not any(term.column == self.tracking and term.value is None for term in terms):
            yield Term(self.tracking, "lt", self.time_zone.safe_floor(self.end))

    @property
    def further_page(self) -> int | None:
        """Rows to ask for where a page begins with a row that is known; None as ``page_size``.

        One more shows whether rows follow, so that a last page that is full is known as such.
        """
        return None if self.page_size is None else self.page_size + 2

    def _spelled(self, term: Term) -> str:
        return term.column.term(term.operator, term.value, self.version, self.time_zone)

    @property
    def time_columns(self) -> tuple[Column, ...]:
        """The columns to sort by where rows are read in the order of their tracking values."""
        if self.tracking is None:
            return self.keys
        rest = (column for column in self.keys if column.name != self.tracking.name)
        return (self.tracking, *rest)

    def place(self, row: Row, order: Sequence[Column]) -> tuple[t.Any, ...]:
        """The values that decide where a row stands, as far as they are sent."""
        return tuple(row[column.name] for column in order[: self.clauses])

    def identity(self, row: Row) -> t.Any:
        """What tells a row from all others: its key, or all of it where it has none."""
        if self.keys:
            return tuple(row[column.name] for column in self.keys)
        return content(row)

    @property
    def described(self) -> str:
        """How a stream is read, for people."""
        names = ", ".join(column.name for column in self.keys) or "nothing"
        way = "by value" if self.seek else "by position"
        pages = f"{self.page_size} rows per page" if self.page_size else "pages as the service cuts"
        full = f"sorted by {names}, {way}, {pages}"
        return f"what changed by {self.tracking.name}, else {full}" if self.tracking else full

    def stamps(self, rows: Sequence[Row]) -> list[str | None]:
        """The tracking values of rows, by which the service's order ascends."""
        if self.tracking is None:
            return [None] * len(rows)
        found = column_of(rows, self.tracking.name)
        if self.time_zone.is_utc:
            return found
        order = self.time_zone.sort_value
        return [None if stamp is None else order(stamp) for stamp in found]


def plan_for(  # noqa: PLR0913  each is something else that decides
    *,
    keys: Sequence[Column],
    not_comparable: frozenset[str] = frozenset(),
    not_sortable: frozenset[str] = frozenset(),
    tracking: Column | None = None,
    columns: Sequence[Column] = (),
    unique: bool = True,
    **others: t.Any,
) -> Plan:
    """The strongest plan for an entity set.

    Args:
        keys: Its key columns in declared order.
        not_comparable: Names of columns that must not be filtered by.
        not_sortable: Names of columns that must not be sorted by either.
        tracking: Column to read incrementally by, if any.
        columns: Columns to sort by as well where the key is none or cannot be sorted by.
        unique: Whether no two rows have the same key.
        others: Further fields of the plan.
    """
    orderable = [c for c in keys if c.orderable and c.name not in not_sortable]
    seek = tuple(c for c in orderable if c.seekable and c.name not in not_comparable)
    rest = tuple(column for column in orderable if column not in seek)
    if not keys or len(orderable) < len(keys):
        names = {column.name for column in keys}
        rest += tuple(_within_an_address(c for c in columns if c.name not in names))
    distinct = unique and bool(keys) and len(orderable) == len(keys)
    unique = distinct and len(seek) == len(keys)
    return Plan(
        keys=(*seek, *rest),
        seek=seek,
        unique=unique,
        distinct=distinct,
        columns=tuple(columns),
        tracking=tracking,
        **others,
    )


def _within_an_address(columns: Iterable[Column]) -> Iterator[Column]:
    """As many columns as an address has room for."""
    room = _ORDER_CHARACTERS
    for column in columns:
        room -= len(column.name) + 1
        if room < 0:
            return
        yield column


def without_seek(plan: Plan) -> Plan:
    """The plan with no comparison of key values: pages by ``$skip``."""
    return replace(plan, seek=(), unique=False)
