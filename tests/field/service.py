"""A strict little OData 4.0 service, to be made odd in a few lines.

Its ``$filter``, ``$orderby``, ``$top``, ``$skip`` and ``$select`` work as the standard says and
take nothing else: an unknown option, an unknown column or a literal of another type is answered by
400. What is odd about it is for the test to say: ``spoil`` sees each request for rows and may
change the reply, ``before`` acts between two requests as other people would.
"""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import itertools
import re
import socket
import threading
import typing as t
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

from typing_extensions import override

from tap_acumatica.sandbox import exchange
from tap_acumatica.sandbox.exchange import Reply, Row, as_json

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = [
    "BadRequestError",
    "InternalHost",
    "Reply",
    "Request",
    "Row",
    "Service",
    "Table",
    "Term",
    "as_json",
    "instant",
    "internal_host",
    "shown",
    "terms",
]

UTC = dt.timezone.utc

OPTIONS = frozenset({"$filter", "$orderby", "$top", "$skip", "$select", "$count", "$format"})

_MOST = 120
"""After so many requests nobody writes any more: a run that chases what is written ends, too."""


class BadRequestError(Exception):
    """The service does not take what it was asked."""


# Values


def instant(text: str) -> int:
    """A date-time in units of 100 nanoseconds."""
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(Z|[+-]\d\d:\d\d)", text, re.ASCII
    )
    if match is None:
        raise BadRequestError(f"Unrecognized 'Edm.DateTimeOffset' literal '{text}'.")
    offset = "+00:00" if match[3] == "Z" else match[3]
    moment = dt.datetime.fromisoformat(f"{match[1]}{offset}") - dt.datetime(1, 1, 1, tzinfo=UTC)
    seconds = moment.days * 86_400 + moment.seconds
    return seconds * 10_000_000 + int((match[2] or "").ljust(7, "0"))


def shown(moment: dt.datetime) -> str:
    """A moment as the service writes it, with three digits of fraction."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _quoted(text: str) -> str:
    if not re.fullmatch(r"'(?:[^']|'')*'", text):
        raise BadRequestError(f"Syntax error: {text} is not a string.")
    return text[1:-1].replace("''", "'")


def _number(pattern: str) -> Callable[[str], Decimal]:
    def parse(text: str) -> Decimal:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise BadRequestError(f"A binary operator with incompatible types was detected: {text}")
        return Decimal(text)

    return parse


def _matching(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise BadRequestError(f"Unrecognized literal '{text}'.")
        return text

    return parse


def _guid(text: str) -> int:
    return uuid.UUID(_matching(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")(text)).int


def _of_number(value: t.Any) -> Decimal:
    return Decimal(str(value))


_WHOLE = _number(r"-?\d+")
_REAL = _number(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
LITERALS: dict[str, Callable[[str], t.Any]] = {
    "Edm.String": _quoted,
    "Edm.Boolean": lambda text: _matching("true|false")(text) == "true",
    "Edm.Guid": _guid,
    "Edm.Date": _matching(r"\d{4}-\d\d-\d\d"),
    "Edm.DateTimeOffset": instant,
    **{f"Edm.{name}": _WHOLE for name in ("Byte", "SByte", "Int16", "Int32", "Int64")},
    **{f"Edm.{name}": _REAL for name in ("Decimal", "Double", "Single")},
}
COMPARABLE: dict[str, Callable[[t.Any], t.Any]] = {
    "Edm.String": str,
    "Edm.Boolean": bool,
    "Edm.Guid": _guid,
    "Edm.Date": str,
    "Edm.DateTimeOffset": instant,
}


# Tables


class Table:
    """One entity set.

    Attributes:
        rows: What it holds, in the order of an answer that is not sorted otherwise.
        cap: The most rows that one answer holds; the rest is behind a next link.
        link: Option by which that link counts the rows before it; None: the link says nothing of
            the kind, it goes on behind the last row by value; empty: there is no link.
        sorted_by: What texts are sorted by.
        compared_by: What texts are compared by in ``$filter``.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, str],
        key: Iterable[str],
        rows: Iterable[Row] = (),
    ) -> None:
        """Keep the rows; a column's type may be followed by further attributes of its metadata."""
        self.name = name
        self.columns = {column: kind.split(" ")[0] for column, kind in columns.items()}
        self.attributes = {column: kind.partition(" ")[2] for column, kind in columns.items()}
        self.key = tuple(key)
        self.rows = [dict(row) for row in rows]
        self.cap: int | None = None
        self.link: str | None = "$skiptoken"
        self.sorted_by: Callable[[str], t.Any] = str
        self.compared_by: Callable[[str], t.Any] = str

    def row(self, **values: t.Any) -> Row:
        """The first row that holds these values."""
        return next(r for r in self.rows if all(r[name] == v for name, v in values.items()))

    def column(self, name: str) -> str:
        """The type of a column."""
        if name not in self.columns:
            raise BadRequestError(
                f"Could not find a property named '{name}' on type 'Field.{self.name}Row'."
            )
        return self.columns[name]

    def comparable(self, name: str, value: t.Any, texts: Callable[[str], t.Any]) -> t.Any:
        """A value of a row, to be compared."""
        if value is None:
            return None
        kind = self.columns[name]
        convert: Callable[[t.Any], t.Any] = COMPARABLE.get(kind, _of_number)
        return texts(value) if kind == "Edm.String" else convert(value)


@dataclass(frozen=True)
class Term:
    """One comparison of a filter."""

    name: str
    operator: str
    literal: str


@dataclass(kw_only=True)
class Request(exchange.Request):
    """One GET for rows, decoded."""

    @property
    def terms(self) -> list[Term]:
        return terms(self.query.get("$filter", ""))


# Filters

_TOKEN = re.compile(r"'(?:[^']|'')*'|[()]|[^\s()']+")
_COMPARISONS: dict[str, Callable[[t.Any, t.Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: None not in (a, b) and bool(a > b),
    "ge": lambda a, b: None not in (a, b) and bool(a >= b),
    "lt": lambda a, b: None not in (a, b) and bool(a < b),
    "le": lambda a, b: None not in (a, b) and bool(a <= b),
}


def terms(text: str) -> list[Term]:
    """The comparisons of a filter: ``Name operator literal``, joined by ``and``.

    Some of them may stand in parentheses, which mean nothing where there is no ``or``.
    """
    if not text:
        return []
    words, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        after = text[match.end() : match.end() + 1] if match else ""
        if match is None or (match[0] != "(" and after not in {"", " ", "(", ")"}):
            raise BadRequestError(f"Syntax error at position {place} in '{text}'.")
        words.append(match[0])
        place = match.end() + (text[match.end() : match.end() + 1] == " ")
    depths = list(itertools.accumulate((w == "(") - (w == ")") for w in words))
    if min(depths) < 0 or depths[-1]:
        raise BadRequestError(f"Parentheses do not match in '{text}'.")
    words = [word for word in words if word not in {"(", ")"}]
    found = []
    for number in range(0, len(words), 4):
        part = words[number : number + 4]
        ends = number + 3 == len(words)
        if len(part) < 3 or part[1] not in _COMPARISONS or (not ends and part[3:] != ["and"]):
            raise BadRequestError(f"Syntax error in '{text}'.")
        found.append(Term(part[0], part[1], part[2]))
    if words[-1] == "and":
        raise BadRequestError(f"Syntax error at the end of '{text}'.")
    return found


def _meets(table: Table, row: Row, term: Term) -> bool:
    kind = table.column(term.name)
    wanted = None if term.literal == "null" else LITERALS[kind](term.literal)
    if wanted is not None and kind == "Edm.String":
        wanted = table.compared_by(wanted)
    held = table.comparable(term.name, row[term.name], table.compared_by)
    return _COMPARISONS[term.operator](held, wanted)


# The service


class Service:
    """Tables over HTTP.

    Attributes:
        spoil: Called with each request for rows and the right reply, which it may change.
        before: Called before each request for rows is worked out.
        now: What the service's clock shows; it goes on with each request by ``tick``.
        requests: The requests for rows.
        targets: Everything that was asked for, as it was written.
        metadata: The metadata document; None for that of the tables.
        link_root: What next links begin with.
    """

    def __init__(self, *tables: Table, path: str = "/odata", namespace: str = "Field") -> None:
        """Offer the tables."""
        self.tables = {table.name: table for table in tables}
        self.path = path
        self.namespace = namespace
        self.spoil: Callable[[Request, Reply], None] = lambda _request, _reply: None
        self.before: Callable[[Request], None] = lambda _request: None
        self.now = dt.datetime.now(UTC).replace(microsecond=0)
        self.tick = dt.timedelta(seconds=1)
        self.requests: list[Request] = []
        self.targets: list[str] = []
        self.metadata: str | None = None
        self.link_root: str | None = None
        self.port = 0
        self._places: dict[str, tuple[t.Any, ...]] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The service root."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def asked(self, name: str) -> list[Request]:
        """The requests for rows of one entity set."""
        return [request for request in self.requests if request.entity_set == name]

    @contextmanager
    def running(self) -> Iterator[Service]:
        """Listen on a free port of loopback."""
        server = _Server(("127.0.0.1", 0), _Handler)
        server.service = self
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        """The reply to one request, and its ``Date``."""
        with self._lock:
            self.targets.append(target)
            self.now += self.tick
            try:
                reply = self._reply(target, headers)
            except BadRequestError as error:
                reply = Reply()
                reply.refuse(str(error))
            reply.headers.setdefault("Date", email.utils.format_datetime(self.now, usegmt=True))
            return reply

    def _reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        raw_path, _, raw_query = target.partition("?")
        path, query = unquote(raw_path, errors="strict"), _query(raw_query)
        if path == f"{self.path}/$metadata":
            return Reply(body=self.metadata or self.csdl(), content_type="application/xml")
        name = path.removeprefix(f"{self.path}/")
        if name not in self.tables or not path.startswith(f"{self.path}/"):
            reply = Reply()
            reply.refuse("Resource not found.", 404)
            return reply
        request = Request(
            path=path,
            query=query,
            headers=headers,
            target=target,
            number=len(self.asked(name)) + 1,
        )
        self.requests.append(request)
        if len(self.requests) <= _MOST:
            self.before(request)
        try:
            reply = self.answer(self.tables[name], query)
        except BadRequestError as error:
            reply = Reply()
            reply.refuse(str(error))
        self.spoil(request, reply)
        return reply

    def answer(self, table: Table, query: Mapping[str, str]) -> Reply:
        """The right answer to a query.

        Raises:
            BadRequestError: If the query is not understood.
        """
        own = {table.link} if table.link else {"$skiptoken"}
        for option in query:
            if option not in OPTIONS | own:
                raise BadRequestError(f"The query option '{option}' is not supported.")
        comparisons = terms(query.get("$filter", ""))
        for term in comparisons:
            _meets(table, dict.fromkeys(table.columns), term)  # literals are checked without rows
        rows = [row for row in table.rows if all(_meets(table, row, term) for term in comparisons)]
        counted = len(rows)
        sorting = _sorting(table, query.get("$orderby", ""))
        numbers = {id(row): number for number, row in enumerate(table.rows)}

        def place(row: Row) -> tuple[t.Any, ...]:
            return (*sorting(row), numbers[id(row)])

        rows.sort(key=place)
        if "$skiptoken" in query and table.link is None:
            behind = self._places[query["$skiptoken"]]
            rows = [row for row in rows if place(row) > behind]
        first = _count(query, "$skip")
        if table.link not in {None, "", "$skip"}:
            first += _count(query, str(table.link))
        rows = rows[first:]
        top = _count(query, "$top", len(rows))
        rows, more = rows[:top], False
        if table.cap is not None and len(rows) > table.cap:
            rows, more = rows[: table.cap], True
        names = _selected(table, query.get("$select", ""))
        members: dict[str, t.Any] = {"@odata.context": f"{self.url}/$metadata#{table.name}"}
        if query.get("$count") == "true":
            members["@odata.count"] = counted
        if more and table.link != "":
            members["@odata.nextLink"] = self._link(table, query, first, top, place(rows[-1]))
        return Reply(
            [{name: row[name] for name in names} for row in rows],
            members,
            columns=table.columns,
            key=table.key,
        )

    def _link(
        self,
        table: Table,
        query: Mapping[str, str],
        first: int,
        top: int,
        last: tuple[t.Any, ...],
    ) -> str:
        following = {name: value for name, value in query.items() if name != "$skip"}
        if "$top" in query:
            following["$top"] = str(top - (table.cap or 0))
        if table.link:
            following[table.link] = str(first + (table.cap or 0))
        else:
            token = base64.urlsafe_b64encode(str(len(self._places)).encode()).decode()
            self._places[token] = last
            following["$skiptoken"] = token
        options = "&".join(f"{k}={quote(v, safe='')}" for k, v in following.items())
        return f"{self.link_root or self.url}/{quote(table.name)}?{options}"

    def link_to_the_same(self, request: Request) -> str:
        """A next link to what a request asked for, under a token of its own."""
        place = self._places.get(request.query.get("$skiptoken", ""), ())
        token = f"again-{len(self._places)}"
        self._places[token] = place
        query = {**request.query, "$skiptoken": token}
        options = "&".join(f"{k}={quote(v, safe='')}" for k, v in query.items())
        return f"{self.url}/{quote(request.entity_set)}?{options}"

    def csdl(self) -> str:
        """The metadata document."""
        types = "".join(
            f"<EntityType Name={quoteattr(table.name + 'Row')}>"
            + ("<Key>" if table.key else "")
            + "".join(f"<PropertyRef Name={quoteattr(name)}/>" for name in table.key)
            + ("</Key>" if table.key else "")
            + "".join(
                f"<Property Name={quoteattr(name)} Type={quoteattr(kind)} "
                f"{table.attributes[name]}/>"
                for name, kind in table.columns.items()
            )
            + "</EntityType>"
            for table in self.tables.values()
        )
        sets = "".join(
            f"<EntitySet Name={quoteattr(name)} "
            f"EntityType={quoteattr(f'{self.namespace}.{name}Row')}/>"
            for name in self.tables
        )
        return (
            '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" '
            'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
            f'<Schema Namespace="{self.namespace}" '
            'xmlns="http://docs.oasis-open.org/odata/ns/edm">'
            f'{types}<EntityContainer Name="Container">{sets}</EntityContainer></Schema>'
            "</edmx:DataServices></edmx:Edmx>"
        )


def _query(text: str) -> dict[str, str]:
    """The options of a query, each once; a bare plus sign means two things, so it is refused."""
    found: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        name, _, value = pair.partition("=")
        name = unquote(name, errors="strict")
        if name in found or "+" in pair:
            raise BadRequestError(f"The query option '{name}' is not well formed.")
        found[name] = unquote(value, errors="strict")
    return found


def _count(query: Mapping[str, str], option: str, default: int = 0) -> int:
    text = query.get(option, str(default))
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise BadRequestError(f"Invalid value '{text}' for {option} query option found.")
    return int(text)


def _selected(table: Table, text: str) -> list[str]:
    names = text.split(",") if text else list(table.columns)
    for name in names:
        table.column(name)
    if len(names) != len(set(names)):
        raise BadRequestError("A column is selected twice.")
    return names


class _Backwards:
    """A value that sorts the other way round."""

    def __init__(self, value: t.Any) -> None:
        self.value = value

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and bool(self.value == other.value)

    def __lt__(self, other: _Backwards) -> bool:
        return bool(other.value < self.value)

    def __gt__(self, other: _Backwards) -> bool:
        return bool(other.value > self.value)

    @override
    def __hash__(self) -> int:
        return hash(self.value)


def _sorting(table: Table, text: str) -> Callable[[Row], tuple[t.Any, ...]]:
    """What rows are sorted by; nulls come first, ties keep their order."""
    order: list[tuple[str, bool]] = []
    for item in text.split(",") if text else ():
        name, *direction = item.split(" ")
        table.column(name)
        if direction not in ([], ["asc"], ["desc"]) or name in dict(order):
            raise BadRequestError(f"Syntax error in '{text}'.")
        order.append((name, direction == ["desc"]))

    def place(row: Row) -> tuple[t.Any, ...]:
        found = []
        for name, descending in order:
            value = table.comparable(name, row[name], table.sorted_by)
            held = (value is not None, "" if value is None else value)
            found.append(_Backwards(held) if descending else held)
        return tuple(found)

    return place


# HTTP


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    service: Service

    @override
    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        reply = self.server.service.reply(self.path, dict(self.headers.items()))
        if reply.closed:
            self.close_connection = True
            return
        body = reply.encoded()
        headers = {
            "Content-Type": reply.content_type,
            "OData-Version": "4.0",
            "Content-Length": str(len(body)),
            **reply.headers,
        }
        lines = [f"HTTP/1.1 {reply.status} -", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        if reply.cut_at is not None and reply.cut_at < len(body):
            body, self.close_connection = body[: reply.cut_at], True
        self.wfile.write("\r\n".join(lines).encode() + body)

    def do_POST(self) -> None:
        self.wfile.write(b"HTTP/1.1 204 -\r\nContent-Length: 0\r\n\r\n")

    @override
    def log_message(self, format: str, *args: t.Any) -> None:
        """The service keeps its own log."""


class InternalHost:
    """A host that must never be contacted."""

    def __init__(self, address: tuple[str, int]) -> None:
        """Tell where it listens."""
        self.name = f"{address[0]}:{address[1]}"
        self.contacts = 0


@contextmanager
def internal_host(address: str = "127.0.0.2") -> Iterator[InternalHost]:
    """Listen where nobody outside should ask, and count who does."""
    with socket.create_server((address, 0)) as listening:
        host = InternalHost(listening.getsockname())

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                host.contacts += 1
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
