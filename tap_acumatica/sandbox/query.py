"""Runs query options: one SQL statement per page."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import errors, filters, projection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .source import Joiner, Source

_OPTIONS = frozenset(
    (
        "$filter",
        "$orderby",
        "$top",
        "$skip",
        "$select",
        "$expand",
        "$count",
        "$skiptoken",
        "$format",
    )
)


@dataclass(frozen=True)
class QueryHabits:
    """The habits that affect a query."""

    projection: projection.ProjectionOptions = field(default_factory=projection.ProjectionOptions)
    max_page: int | None = None
    binary_order: bool = False
    ignore_order: bool = False
    count: bool = False
    shuffle: int = 0


@dataclass(frozen=True)
class Page:
    """Rows as JSON texts; if the page was cut, `token` leads to the next one."""

    rows: list[str]
    selected: str
    more: bool
    token: str
    count: int | None
    not_null: bool


@dataclass(frozen=True)
class _OrderTerm:
    sql: str
    descending: bool = False


def read(source: Source, options: Mapping[str, str], joiner: Joiner, habits: QueryHabits) -> Page:
    """Return the rows of a query.

    Raises:
        QueryError: if an option cannot be applied.
    """
    for option in options:
        if option.startswith("$") and option not in _OPTIONS:
            raise errors.option_not_allowed(option[1:].capitalize())
    if source.inquiry and options.get("$expand"):
        raise errors.option_not_allowed("Expand")
    if options.get("$count", "false") == "true" and not habits.count:
        raise errors.option_not_allowed("Count")
    projected = projection.project(
        source, options.get("$select"), options.get("$expand"), joiner, habits.projection
    )
    where, parameters, not_null = _where(source, options.get("$filter"), joiner)
    terms = _order_terms(source, options.get("$orderby"), habits)
    total = None
    if options.get("$count") == "true":
        sql = f"SELECT count(*) FROM {source.tables} WHERE {where}"  # noqa: S608 - compiled, with parameters
        total = joiner.store.fetch(sql, parameters)[0][0]
    token = options.get("$skiptoken")
    if token:
        after, values = _after_row(terms, _decode_token(token))
        where, parameters = f"{where} AND {after}", [*parameters, *values]
    top = _whole_number(options, "$top")
    size = habits.max_page if _is_capped(top, habits) else top
    sql = _statement(source, projected, where, terms, keyset=habits.max_page is not None)
    # Fetch one more row than fits in the page, to see whether another page follows.
    ask = -1 if size is None else size + 1
    found = joiner.store.fetch(sql, [*parameters, ask, _whole_number(options, "$skip") or 0])
    more = size is not None and len(found) > size
    rows = found if size is None else found[:size]
    last = _encode_token(rows[-1][1:]) if more and rows and habits.max_page is not None else ""
    return Page(
        [row[0] for row in rows], projected.selected, more and size != top, last, total, not_null
    )


def _is_capped(top: int | None, habits: QueryHabits) -> bool:
    return habits.max_page is not None and (top is None or top > habits.max_page)


def _where(source: Source, text: str | None, joiner: Joiner) -> tuple[str, list[object], bool]:
    parameters = list(source.parameters)
    if not text:
        return f"({source.condition})", parameters, False
    condition = filters.compile_filter(text, source, joiner)
    own = source.condition
    if any(source.columns[name].appended for name in condition.columns if name in source.columns):
        # Seen live: such a filter returns rows that the unfiltered inquiry does not contain.
        own, parameters = "1", []
    return f"({own}) AND {condition.sql}", [*parameters, *condition.parameters], condition.not_null


def _order_terms(source: Source, text: str | None, habits: QueryHabits) -> list[_OrderTerm]:
    terms = []
    for item in projection.split(text or "", ","):
        found = re.fullmatch(r"(\w+)(?:\s+(asc|desc))?", item)
        if found is None:
            msg = f"Syntax error at position {len(item)} in '{item}'."
            raise errors.QueryError(msg)
        source.filterable(found[1], "$orderby")
        terms.append(_OrderTerm(_order_expression(source, found[1], habits), found[2] == "desc"))
    if habits.ignore_order:
        terms = []
    if habits.shuffle and source.inquiry:
        first = source.order[0]
        terms.append(_OrderTerm(f"({first} * {habits.shuffle} % 1000003)"))
    rest = [_order_expression(source, name, habits) for name in source.key] if source.entity else ()
    known = {term.sql for term in terms}
    terms += [_OrderTerm(sql) for sql in (rest or source.order) if sql not in known]
    return terms or [_OrderTerm("rowid")]


def _order_expression(source: Source, name: str, habits: QueryHabits) -> str:
    if habits.binary_order and source.columns[name].edm == "String":
        return f"{source.expressions[name]} COLLATE BINARY"
    return source.comparable(name)


def _statement(
    source: Source,
    projected: projection.Projection,
    where: str,
    terms: Sequence[_OrderTerm],
    *,
    keyset: bool,
) -> str:
    columns = [projected.sql, *(term.sql for term in terms)] if keyset else [projected.sql]
    order = ", ".join(f"{term.sql} {'DESC' if term.descending else 'ASC'}" for term in terms)
    return (
        f"SELECT {', '.join(columns)} FROM {source.tables} WHERE {where}"  # noqa: S608 - compiled, with parameters
        f" ORDER BY {order} LIMIT ? OFFSET ?"
    )


def _after_row(terms: Sequence[_OrderTerm], values: Sequence[Any]) -> tuple[str, list[object]]:
    """Return the condition for the rows after the one with these values; nulls come first."""
    choices, parameters = [], []
    for index, (term, value) in enumerate(zip(terms, values, strict=True)):
        same = [f"{t.sql} IS ?" for t in terms[:index]]
        if term.descending:
            beyond = "0" if value is None else f"({term.sql} < ? OR {term.sql} IS NULL)"
        else:
            beyond = f"{term.sql} IS NOT NULL" if value is None else f"{term.sql} > ?"
        choices.append(" AND ".join([*same, beyond]))
        parameters += [*values[:index], *([value] if "?" in beyond else [])]
    return "(" + " OR ".join(f"({choice})" for choice in choices) + ")", parameters


def _whole_number(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        msg = f"Invalid value '{text}' for {name} query option found. The {name} query option \
requires a non-negative integer value."
        raise errors.QueryError(msg)
    return int(text)


def _encode_token(values: Sequence[object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def _decode_token(token: str) -> list[Any]:
    try:
        values: list[Any] = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        msg = "The skiptoken is not valid."
        raise errors.QueryError(msg) from error
    return values
