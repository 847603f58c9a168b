"""A small OData 4.0 service over tables in memory, written from the OASIS standard alone.

What it can do it does as OData 4.0 Parts 1 and 2 and the JSON Format say: ``$filter`` with
comparisons, ``and``, ``or``, ``not`` and brackets, ``$orderby``, ``$top``, ``$skip``, ``$select``,
``$count``, and server-driven paging. What it cannot do it refuses. How it may go wrong is for the
test to say.
"""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import functools
import json
import re
import threading
import typing as t
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from typing_extensions import override

from tap_acumatica.sandbox import exchange

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tap_acumatica.sandbox.exchange import Spoil

Row = dict[str, t.Any]
"""Values as they travel: text for dates and GUIDs, ``Decimal`` and ``int``, None for null."""

NAMESPACE = "Plain.Model"
NOT_SUPPORTED = '{"error":{"code":"","message":"The query option is not supported."}}'
_SYSTEM_OPTIONS = frozenset(
    {"$filter", "$orderby", "$top", "$skip", "$select", "$count", "$skiptoken", "$format"}
)
_TICKS = 10_000_000


class Refused(Exception):  # noqa: N818  what the service does, not what went wrong in it
    """A request that is answered with an error."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


# Tables


@dataclass(frozen=True)
class Column:
    """A property: its Edm type and what the metadata says of it."""

    type: str
    nullable: bool = True
    precision: int | None = None
    scale: int | None = None


class Table:
    """An entity set: rows in the order of insertion, each with a number never used again.

    ``ignores`` holds the system query options that have no effect.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, str | Column],
        key: Iterable[str],
        rows: Iterable[Row] = (),
    ) -> None:
        self.name = name
        self.key = tuple(key)
        self.ignores: set[str] = set()
        self.columns = {
            name: Column(column, nullable=name not in self.key)
            if isinstance(column, str)
            else column
            for name, column in columns.items()
        }
        self.rows: dict[int, Row] = {}
        self._next = 0
        for row in rows:
            self.insert(row)

    def insert(self, row: Row) -> None:
        """Add a row; columns it lacks are null."""
        unknown = set(row) - set(self.columns)
        if unknown:
            msg = f"{self.name} has no {unknown}"
            raise KeyError(msg)
        self.rows[self._next] = {name: row.get(name) for name in self.columns}
        self._next += 1

    def number(self, **key: t.Any) -> int:
        """The number of the row that has these values."""
        for number, row in self.rows.items():
            if all(row[name] == value for name, value in key.items()):
                return number
        raise KeyError(key)

    def update(self, number: int, **values: t.Any) -> None:
        """Change a row."""
        self.rows[number].update(values)

    def delete(self, number: int) -> None:
        """Remove a row."""
        del self.rows[number]

    def contents(self) -> list[Row]:
        """Copies of all rows."""
        return [dict(row) for row in self.rows.values()]


# Values: how they compare, and how they travel


def _ticks(text: str) -> int:
    """An ``Edm.DateTimeOffset`` in units of 100 ns since year 1, UTC."""
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(Z|[+-]\d\d:\d\d)", text, re.ASCII
    )
    if match is None:
        msg = f"{text} is no date-time with an offset"
        raise Refused(msg)
    minutes, seconds, fraction, offset = match.groups()
    moment = dt.datetime.fromisoformat(f"{minutes}:{seconds or '00'}")
    since = moment - dt.datetime(1, 1, 1)  # noqa: DTZ001  the offset is taken off below
    ticks = (since.days * 86400 + since.seconds) * _TICKS + int((fraction or "0")[:7].ljust(7, "0"))
    if offset != "Z":
        shift = int(offset[1:3]) * 3600 + int(offset[4:6]) * 60
        ticks -= (shift if offset[0] == "+" else -shift) * _TICKS
    return ticks


def _number(value: t.Any) -> Decimal:
    return Decimal(str(value))


_COMPARABLE: dict[str, Callable[[t.Any], t.Any]] = {
    "Edm.String": str,
    "Edm.Boolean": bool,
    "Edm.Guid": lambda value: uuid.UUID(value).int,
    "Edm.DateTimeOffset": _ticks,
    "Edm.DateTime": lambda value: _ticks(f"{value}Z"),
    "Edm.Date": str,
    "Edm.TimeOfDay": str,
    **{
        f"Edm.{name}": _number
        for name in ("Byte", "SByte", "Int16", "Int32", "Int64", "Decimal", "Double", "Single")
    },
}
_NUMERIC = frozenset(name for name, convert in _COMPARABLE.items() if convert is _number)


def _json(value: t.Any, *, numbers_as_text: bool) -> str:
    if isinstance(value, Decimal):
        text = format(value, "f")
        return f'"{text}"' if numbers_as_text else text
    if numbers_as_text and isinstance(value, int) and not isinstance(value, bool):
        return f'"{value}"'
    return json.dumps(value, ensure_ascii=False)


# $filter


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^']|'')*')
    | (?P<guid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})(?![\w-])
    | (?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d))
    | (?P<date>\d{4}-\d\d-\d\d)(?![\w-])
    | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.-])
    | (?P<bracket>[()])
    | (?P<word>[^\W\d]\w*)
    )""",
    re.VERBOSE | re.ASCII,
)
_OPERATORS: dict[str, Callable[[t.Any, t.Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: a is not None and b is not None and bool(a > b),
    "ge": lambda a, b: a is not None and b is not None and bool(a >= b),
    "lt": lambda a, b: a is not None and b is not None and bool(a < b),
    "le": lambda a, b: a is not None and b is not None and bool(a <= b),
}
_LITERAL_TYPES: dict[str, Callable[[str], bool]] = {
    "string": lambda name: name == "Edm.String",
    "guid": lambda name: name == "Edm.Guid",
    "instant": lambda name: name == "Edm.DateTimeOffset",
    "date": lambda name: name == "Edm.Date",
    "number": lambda name: name in _NUMERIC,
    "boolean": lambda name: name == "Edm.Boolean",
}
Predicate = t.Callable[[Row], bool]


class FilterParser:
    """Recursive descent over ``or``, ``and``, ``not``, comparisons and brackets."""

    tokens = _TOKEN
    literal_types = _LITERAL_TYPES

    def __init__(self, text: str, table: Table, fold: Callable[[str], str]) -> None:
        self._table = table
        self._fold = fold
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = self.tokens.match(text, position)
            if match is None or not match.lastgroup:
                msg = f"syntax error at position {position} in '{text}'"
                raise Refused(msg)
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def parse(self) -> Predicate:
        predicate = self._or()
        if self._tokens:
            msg = f"syntax error at {self._tokens[0][1]}"
            raise Refused(msg)
        return predicate

    def _peek(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _take(self) -> tuple[str, str]:
        if not self._tokens:
            msg = "syntax error at the end"
            raise Refused(msg)
        return self._tokens.pop(0)

    def _or(self) -> Predicate:
        parts = [self._and()]
        while self._peek() == "or":
            self._take()
            parts.append(self._and())
        return (lambda row: any(part(row) for part in parts)) if len(parts) > 1 else parts[0]

    def _and(self) -> Predicate:
        parts = [self._term()]
        while self._peek() == "and":
            self._take()
            parts.append(self._term())
        return (lambda row: all(part(row) for part in parts)) if len(parts) > 1 else parts[0]

    def _term(self) -> Predicate:
        if self._peek() == "not":
            self._take()
            inner = self._term()
            return lambda row: not inner(row)
        if self._peek() == "(":
            self._take()
            inner = self._or()
            if self._take()[1] != ")":
                msg = "syntax error: a bracket is not closed"
                raise Refused(msg)
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        kind, name = self._take()
        column = self._table.columns.get(name) if kind == "word" else None
        if column is None:
            msg = f"could not find a property named '{name}' on {self._table.name}"
            raise Refused(msg)
        _, operator = self._take()
        if operator not in _OPERATORS:
            msg = f"syntax error at {operator}"
            raise Refused(msg)
        compare = _OPERATORS[operator]
        value = self._literal(column.type)
        of_row = comparer(column.type, self._fold)
        return lambda row: compare(of_row(row[name]), value)

    def _literal(self, type_name: str) -> t.Any:
        kind, text = self._take()
        if kind == "word" and text == "null":
            return None
        if kind == "word" and text in {"true", "false"}:
            kind = "boolean"
        fits = self.literal_types.get(kind)
        if fits is None or not fits(type_name):
            msg = f"incompatible types: {text} is no {type_name}"
            raise Refused(msg)
        if kind == "string":
            return comparer(type_name, self._fold)(text[1:-1].replace("''", "'"))
        return text == "true" if kind == "boolean" else comparer(type_name, self._fold)(text)


def comparer(type_name: str, fold: Callable[[str], str] = str) -> Callable[[t.Any], t.Any]:
    """What values of a type compare by; null stays null."""
    convert = fold if type_name == "Edm.String" else _COMPARABLE.get(type_name)
    if convert is None:
        msg = f"values of {type_name} cannot be compared"
        raise Refused(msg)
    return lambda value: None if value is None else convert(value)


# Requests and what the test may do to them


@dataclass
class Request:
    """One request, its query decoded."""

    path: str
    query: dict[str, str]
    credentials: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def entity_set(self) -> str:
        """Last segment of the path."""
        return self.path.rpartition("/")[2]


@dataclass
class Answer:
    """What is sent; ``declared`` is the length announced where it is not the body's."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json;odata.metadata=minimal"
    headers: dict[str, str] = field(default_factory=dict)
    declared: int | None = None


@dataclass
class Fault:
    """What goes wrong: at which requests, how, and how often.

    Attributes:
        when: Picks requests.
        spoil: Makes the wrong answer from the right one; None closes the connection without any.
        times: How often, None for always.
        unlocked: Whether other requests are answered while the wrong answer is made.
    """

    when: Callable[[Request], bool]
    spoil: Callable[[Answer], Answer | None]
    times: int | None = None
    unlocked: bool = False


def answer(
    status: int = 200, body: bytes | str = b"", content_type: str = "application/json"
) -> Callable[[Answer], Answer]:
    """A fault's answer, whatever the right one."""
    encoded = body.encode() if isinstance(body, str) else body
    return lambda _right: Answer(status, encoded, content_type)


def cut_off(share: float = 0.5) -> Callable[[Answer], Answer]:
    """The first part of the right answer, its length announced as that of the part."""
    return lambda right: Answer(right.status, right.body[: int(len(right.body) * share)])


def broken_off(share: float = 0.5) -> Callable[[Answer], Answer]:
    """The first part of the right answer, announced as the whole."""
    return lambda right: Answer(
        right.status, right.body[: int(len(right.body) * share)], declared=len(right.body)
    )


def with_next_link(link: str) -> Callable[[Answer], Answer]:
    """The right answer with this next link."""

    def spoil(right: Answer) -> Answer:
        document = json.loads(right.body, parse_float=Decimal)
        document["@odata.nextLink"] = link
        return Answer(right.status, json.dumps(document, default=str).encode())

    return spoil


def once_more(earlier: Callable[[], bytes]) -> Callable[[Answer], Answer]:
    """An answer that was sent before."""
    return lambda right: Answer(right.status, earlier())


# The service


class Part(t.NamedTuple):
    """Some rows of a result, as sent, and the query for the rows behind them."""

    rows: list[Row]
    behind: dict[str, str] | None
    counted: int | None = None


class ODataService:
    """An OData 4.0 service.

    Attributes:
        page_limit: Rows a page holds at most, None for no limit.
        links: ``token``: next links carry an opaque ``$skiptoken`` that goes on behind the last row
            by value; ``skip``: they carry ``$skip``; ``none``: pages are capped and nobody is told.
        relative: Whether next links are relative to the service root's folder.
        numbers_as_text: Whether numbers are sent as ``IEEE754Compatible=true`` has them.
        faults: What goes wrong, tried in order.
        spoil: Called with each request for rows and the right reply, which it may change.
        before_answer: Called before each answer is worked out.
        password: User name and password asked for, None for none.
        fold: What strings are compared by: ``str.casefold`` for a collation that knows no case.
        nulls_last: Whether nulls sort behind values instead of before them.
    """

    parser = FilterParser
    system_options = _SYSTEM_OPTIONS

    def __init__(
        self, *tables: Table, metadata: str | None = None, path: str = "/some/odata"
    ) -> None:
        self.tables = {table.name: table for table in tables}
        self.path = path
        self.page_limit: int | None = None
        self.links: t.Literal["token", "skip", "none"] = "token"
        self.relative = False
        self.numbers_as_text = False
        self.faults: list[Fault] = []
        self.spoil: Spoil | None = None
        self.before_answer: Callable[[Request], None] = lambda _request: None
        self.password: tuple[str, str] | None = None
        self.fold: Callable[[str], str] = str
        self.nulls_last = False
        self.log: list[Request] = []
        self.bodies: dict[str, list[bytes]] = {}
        self.lock = threading.Lock()
        self.host = ""
        self.connections = 0
        self._metadata = metadata
        self._tokens: dict[str, tuple[str, dict[str, str], tuple[t.Any, ...], int | None]] = {}

    # Over HTTP

    @contextmanager
    def running(self) -> Iterator[ODataService]:
        """Listen on a free port of loopback."""
        server = _Server(("127.0.0.1", 0), _Handler)
        server.service = self
        self.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    @property
    def url(self) -> str:
        """The service root."""
        return f"http://{self.host}{self.path}"

    def requests(self, entity_set: str | None = None) -> list[Request]:
        """The requests for one entity set, or for all but the metadata."""
        return [
            request
            for request in self.log
            if request.entity_set != "$metadata" and entity_set in {None, request.entity_set}
        ]

    def refuse(
        self, entity_set: str, option: str, status: int = 400, body: str = NOT_SUPPORTED
    ) -> None:
        """Answer requests of an entity set that carry this system query option in this way."""
        self.faults.append(
            Fault(
                lambda request: request.entity_set == entity_set and option in request.query,
                answer(status, body),
            )
        )

    def fail(
        self,
        entity_set: str,
        spoil: Callable[[Answer], Answer | None],
        *,
        page: int = 1,
        times: int | None = None,
        unlocked: bool = False,
    ) -> None:
        """Answer requests for an entity set wrongly, from its ``page``-th request on."""
        seen = 0

        def when(request: Request) -> bool:
            nonlocal seen
            seen += request.entity_set == entity_set
            return request.entity_set == entity_set and seen >= page

        self.faults.append(Fault(when, spoil, times, unlocked))

    # One request

    def respond(self, request: Request) -> Answer | None:
        """The answer to a request, right or wrong; None closes the connection."""
        with self.lock:
            self.log.append(request)
            self.before_answer(request)
            right = self._right(request)
            fault = next((f for f in self.faults if f.times != 0 and f.when(request)), None)
            if fault is None:
                self.bodies.setdefault(request.entity_set, []).append(right.body)
                return right if self.spoil is None else self._spoiled(self.spoil, request, right)
            fault.times = None if fault.times is None else fault.times - 1
            if not fault.unlocked:
                return fault.spoil(right)
        return fault.spoil(right)

    def _spoiled(self, spoil: Spoil, request: Request, right: Answer) -> Answer | None:
        """The answer as a fault of the sandbox changes it; None closes the connection."""
        table = self.tables.get(request.entity_set)
        if table is None:
            return right
        reply = exchange.Reply(
            status=right.status,
            body=right.body,
            content_type=right.content_type,
            headers=dict(right.headers),
            columns={name: column.type for name, column in table.columns.items()},
            key=table.key,
        )
        reply.take_rows()
        asked = exchange.Request(
            path=request.path,
            query=request.query,
            headers=request.headers,
            number=len(self.requests(request.entity_set)),
        )
        spoil(asked, reply)
        if reply.closed:
            return None
        body = reply.encoded()
        declared = None if reply.cut_at is None else len(body)
        sent = body[: reply.cut_at]
        return Answer(reply.status, sent, reply.content_type, reply.headers, declared)

    def _right(self, request: Request) -> Answer:
        if self.password is not None and request.credentials != ":".join(self.password):
            challenge = {"WWW-Authenticate": 'Basic realm="rows"'}
            return Answer(401, b'{"error":{"message":"who are you"}}', headers=challenge)
        if request.path == f"{self.path}/$metadata":
            return Answer(200, (self._metadata or self.csdl()).encode(), "application/xml")
        try:
            name = request.path.removeprefix(f"{self.path}/")
            if name not in self.tables:
                msg = f"there is no resource {name}"
                raise Refused(msg, 404)  # noqa: TRY301  all errors are answered alike
            part = self.query(self.tables[name], request.query)
            return Answer(200, self.document(name, part).encode())
        except Refused as error:
            document = {"error": {"code": str(error.status), "message": str(error)}}
            return Answer(error.status, json.dumps(document).encode())

    def document(self, name: str, part: Part) -> str:
        """A result in the JSON format."""
        context = json.dumps(f"{self.url}/$metadata#{name}")
        members = [f'"@odata.context":{context}']
        if part.counted is not None:
            members.append(f'"@odata.count":{part.counted}')
        rows = ",".join(
            "{"
            + ",".join(
                f"{json.dumps(key)}:{_json(value, numbers_as_text=self.numbers_as_text)}"
                for key, value in [("@odata.etag", 'W/"1"'), *row.items()]
            )
            + "}"
            for row in part.rows
        )
        members.append(f'"value":[{rows}]')
        if part.behind is not None:
            query = "&".join(
                f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in part.behind.items()
            )
            link = f"{name}?{query}" if self.relative else f"{self.url}/{name}?{query}"
            members.append(f'"@odata.nextLink":{json.dumps(link)}')
        return "{" + ",".join(members) + "}"

    # Queries

    def query(self, table: Table, asked: Mapping[str, str]) -> Part:
        """Answer a query with one page."""
        for option in asked:
            if option.startswith("$") and option not in self.system_options:
                msg = f"the query option {option} is not supported"
                raise Refused(msg, 501)
        behind: tuple[t.Any, ...] | None = None
        query = {option: value for option, value in asked.items() if option not in table.ignores}
        top = _count_of(query, "$top")
        skip = _count_of(query, "$skip") or 0
        if (token := query.get("$skiptoken")) is not None:
            if token not in self._tokens or self._tokens[token][0] != table.name:
                msg = "the skip token is not known"
                raise Refused(msg)
            _, query, behind, top = self._tokens[token]
            skip = 0
        rows = self._rows(table, query)
        count = len(rows) if query.get("$count") == "true" else None
        if behind is not None:
            rows = [entry for entry in rows if entry[0] > behind]
        rows = rows[skip:] if top is None else rows[skip : skip + top]
        limit = self.page_limit
        following: dict[str, str] | None = None
        if limit is not None and len(rows) > limit:
            rows = rows[:limit]
            left = None if top is None else top - limit
            if self.links == "skip":
                following = {**query, "$skip": str(skip + limit)}
                following |= {} if left is None else {"$top": str(left)}
            elif self.links == "token":
                token = f"{table.name} {len(self._tokens)}+'%2B&/="
                self._tokens[token] = (table.name, dict(query), rows[-1][0], left)
                following = {"$skiptoken": token}
        names = self._selected(table, query)
        return Part([{name: row[name] for name in names} for _, row in rows], following, count)

    def _rows(self, table: Table, query: Mapping[str, str]) -> list[tuple[tuple[t.Any, ...], Row]]:
        """Rows that meet the filter, each behind what it sorts by, sorted."""
        meets: Predicate = lambda _row: True  # noqa: E731
        if text := query.get("$filter"):
            meets = self.parser(text, table, self.fold).parse()
        order = [
            (name, comparer(table.columns[name].type, self.fold), descending)
            for name, descending in _ordering(table, query.get("$orderby", ""))
        ]

        def place(number: int, row: Row) -> tuple[t.Any, ...]:
            keys: list[t.Any] = []
            for name, of, descending in order:
                value = of(row[name])
                rank = (value is None) == self.nulls_last
                held = (rank, 0 if value is None else value)
                keys.append(_Reversed(held) if descending else held)
            return (*keys, number)

        return sorted(
            ((place(number, row), row) for number, row in table.rows.items() if meets(row)),
            key=lambda entry: entry[0],
        )

    @staticmethod
    def _selected(table: Table, query: Mapping[str, str]) -> list[str]:
        names = [name.strip() for name in query.get("$select", "").split(",") if name.strip()]
        for name in names:
            if name not in table.columns:
                msg = f"could not find a property named '{name}' on {table.name}"
                raise Refused(msg)
        return names or list(table.columns)

    # Metadata

    def csdl(self) -> str:
        """The metadata of the tables."""
        types = "".join(
            f"<EntityType Name={quoteattr(table.name + 'Row')}>"
            + (
                "<Key>"
                + "".join(f"<PropertyRef Name={quoteattr(k)}/>" for k in table.key)
                + "</Key>"
                if table.key
                else ""
            )
            + "".join(_property(name, column) for name, column in table.columns.items())
            + "</EntityType>"
            for table in self.tables.values()
        )
        sets = "".join(
            f"<EntitySet Name={quoteattr(name)} EntityType={quoteattr(f'{NAMESPACE}.{name}Row')}/>"
            for name in self.tables
        )
        return csdl(f"{types}<EntityContainer Name='Container'>{sets}</EntityContainer>")


def csdl(schema: str, attributes: str = f'Namespace="{NAMESPACE}"') -> str:
    """A metadata document around the children of one schema."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
        f'<Schema {attributes} xmlns="http://docs.oasis-open.org/odata/ns/edm">{schema}</Schema>'
        "</edmx:DataServices></edmx:Edmx>"
    )


def _property(name: str, column: Column) -> str:
    facets = f' Precision="{column.precision}"' if column.precision is not None else ""
    facets += f' Scale="{column.scale}"' if column.scale is not None else ""
    facets += "" if column.nullable else ' Nullable="false"'
    return f"<Property Name={quoteattr(name)} Type={quoteattr(column.type)}{facets}/>"


def _count_of(query: Mapping[str, str], option: str) -> int | None:
    text = query.get(option)
    if text is None:
        return None
    if not text.isdecimal():
        msg = f"{option} is no number"
        raise Refused(msg)
    return int(text)


def _ordering(table: Table, text: str) -> Iterator[tuple[str, bool]]:
    for item in text.split(",") if text else ():
        name, *direction = item.split()
        if name not in table.columns or direction not in ([], ["asc"], ["desc"]):
            msg = f"could not find a property named '{name}' on {table.name}"
            raise Refused(msg)
        yield name, direction == ["desc"]


@functools.total_ordering
class _Reversed:
    def __init__(self, value: t.Any) -> None:
        self.value = value

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(self.value == other.value)

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.value < self.value)

    @override
    def __hash__(self) -> int:
        return hash(self.value)


def parse_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of a request, percent-decoded (Part 2, section 2): a plus sign stays one."""
    parts = urlsplit(target)
    query: dict[str, str] = {}
    for pair in parts.query.split("&") if parts.query else ():
        name, _, value = pair.partition("=")
        query[unquote(name, errors="strict")] = unquote(value, errors="strict")
    return unquote(parts.path, errors="strict"), query


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    service: ODataService

    @override
    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    @override
    def setup(self) -> None:
        self.server.service.connections += 1
        super().setup()

    def do_GET(self) -> None:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        credentials = base64.b64decode(encoded).decode() if scheme == "Basic" else None
        path, query = parse_target(self.path)
        sent = self.server.service.respond(
            Request(path, query, credentials, dict(self.headers.items()))
        )
        if sent is None:
            self.close_connection = True
            return
        length = len(sent.body) if sent.declared is None else sent.declared
        headers = {
            "Date": email.utils.formatdate(usegmt=True),
            "Content-Type": sent.content_type,
            "OData-Version": "4.0",
            "Content-Length": str(length),
            **sent.headers,
        }
        lines = [
            f"HTTP/1.1 {sent.status} -",
            *(f"{name}: {value}" for name, value in headers.items() if value),
        ]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + sent.body)
        self.close_connection = length != len(sent.body)

    def do_POST(self) -> None:
        self.server.service.log.append(Request(self.path, {}))
        self.wfile.write(b"HTTP/1.1 204 -\r\nContent-Length: 0\r\n\r\n")

    @override
    def log_message(self, format: str, *args: t.Any) -> None:
        """Tests read the service's own log."""
