"""Query options to rows: one SQL statement a page."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import errors, filters, shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .source import Joiner, Source

_KNOWN = frozenset(
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
class Limits:
    """What habits change about a query."""

    switches: shapes.Switches = field(default_factory=shapes.Switches)
    max_page: int | None = None
    binary_order: bool = False
    ignore_order: bool = False
    count: bool = False
    shuffle: int = 0


@dataclass(frozen=True)
class Page:
    """Rows as JSON texts; `token` leads to the next page where the server cut this one short."""

    rows: list[str]
    selected: str
    more: bool
    token: str
    count: int | None
    not_null: bool


@dataclass(frozen=True)
class _Term:
    sql: str
    descending: bool = False


def read(source: Source, options: Mapping[str, str], joiner: Joiner, limits: Limits) -> Page:
    """Return the rows a query asks for.

    Raises:
        QueryError: the query cannot be carried out.
    """
    for option in options:
        if option.startswith("$") and option not in _KNOWN:
            raise errors.option_not_allowed(option[1:].capitalize())
    if source.inquiry and options.get("$expand"):
        raise errors.option_not_allowed("Expand")
    if options.get("$count", "false") == "true" and not limits.count:
        raise errors.option_not_allowed("Count")
    shape = shapes.shape(
        source, options.get("$select"), options.get("$expand"), joiner, limits.switches
    )
    where, parameters, not_null = _where(source, options.get("$filter"), joiner)
    terms = _order(source, options.get("$orderby"), limits)
    total = None
    if options.get("$count") == "true":
        sql = f"SELECT count(*) FROM {source.tables} WHERE {where}"  # noqa: S608 - compiled, with parameters
        total = joiner.store.fetch(sql, parameters)[0][0]
    token = options.get("$skiptoken")
    if token:
        after, values = _after(terms, _decode(token))
        where, parameters = f"{where} AND {after}", [*parameters, *values]
    top = _number(options, "$top")
    size = limits.max_page if _cut(top, limits) else top
    sql = _statement(source, shape, where, terms, keyset=limits.max_page is not None)
    # One more row than the page holds tells whether another page follows.
    ask = -1 if size is None else size + 1
    found = joiner.store.fetch(sql, [*parameters, ask, _number(options, "$skip") or 0])
    more = size is not None and len(found) > size
    rows = found if size is None else found[:size]
    last = _encode(rows[-1][1:]) if more and rows and limits.max_page is not None else ""
    return Page(
        [row[0] for row in rows], shape.selected, more and size != top, last, total, not_null
    )


def _cut(top: int | None, limits: Limits) -> bool:
    return limits.max_page is not None and (top is None or top > limits.max_page)


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


def _order(source: Source, text: str | None, limits: Limits) -> list[_Term]:
    terms = []
    for item in shapes.split(text or "", ","):
        found = re.fullmatch(r"(\w+)(?:\s+(asc|desc))?", item)
        if found is None:
            msg = f"Syntax error at position {len(item)} in '{item}'."
            raise errors.QueryError(msg)
        source.filterable(found[1], "$orderby")
        terms.append(_Term(_ordered(source, found[1], limits), found[2] == "desc"))
    if limits.ignore_order:
        terms = []
    if limits.shuffle and source.inquiry:
        first = source.order[0]
        terms.append(_Term(f"({first} * {limits.shuffle} % 1000003)"))
    rest = [_ordered(source, name, limits) for name in source.key] if source.entity else ()
    known = {term.sql for term in terms}
    terms += [_Term(sql) for sql in (rest or source.order) if sql not in known]
    return terms or [_Term("rowid")]


def _ordered(source: Source, name: str, limits: Limits) -> str:
    if limits.binary_order and source.columns[name].edm == "String":
        return f"{source.expressions[name]} COLLATE BINARY"
    return source.comparable(name)


def _statement(
    source: Source, shape: shapes.Shape, where: str, terms: Sequence[_Term], *, keyset: bool
) -> str:
    columns = [shape.sql, *(term.sql for term in terms)] if keyset else [shape.sql]
    order = ", ".join(f"{term.sql} {'DESC' if term.descending else 'ASC'}" for term in terms)
    return (
        f"SELECT {', '.join(columns)} FROM {source.tables} WHERE {where}"  # noqa: S608 - compiled, with parameters
        f" ORDER BY {order} LIMIT ? OFFSET ?"
    )


def _after(terms: Sequence[_Term], values: Sequence[Any]) -> tuple[str, list[object]]:
    """Return the condition of the rows behind the one with these values; nulls come first."""
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


def _number(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        msg = f"Invalid value '{text}' for {name} query option found. The {name} query option \
requires a non-negative integer value."
        raise errors.QueryError(msg)
    return int(text)


def _encode(values: Sequence[object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def _decode(token: str) -> list[Any]:
    try:
        values: list[Any] = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        msg = "The skiptoken is not valid."
        raise errors.QueryError(msg) from error
    return values
