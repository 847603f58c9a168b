"""An OData 4.0 server that costs almost nothing, with only the options that the taps use.

It has two entity sets, whose rows are found by arithmetic and rendered a block at a time. The
service root ``/any`` has only these; the root of an Acumatica site has thousands more. The path
``/answers`` gives the number of answers with rows so far.
"""

from __future__ import annotations

import argparse
import bisect
import email.utils
import functools
import re
import socketserver
import subprocess
import sys
import threading
import time
import typing as t
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from typing_extensions import override

from benchmarks.dataset import KEYS, LINES, ORDER_LINES, TRACKING, Rows, comparable
from benchmarks.metadata import full_metadata, small_metadata

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SMALL = "/any"
LARGE = "/t/Company/api/odata/dac"
PAGE = 2000
ANSWERS = "/answers"

_TERM = re.compile(r"\(?(\w+) (eq|ne|ge|gt|le|lt) ('(?:[^']|'')*'|[^\s()']+)\)?")
_FILTER_COLUMNS = frozenset({TRACKING, "OrderNbr", "EntryID"})
_OPTIONS = frozenset({"filter", "orderby", "top", "skip", "select", "count", "format"})


class RefusedError(Exception):
    """The server does not support this request."""


class Query:
    """The positions of the rows that match a query."""

    def __init__(self, rows: Rows, options: dict[str, str]) -> None:
        """Parse the query options.

        Raises:
            RefusedError: If the server does not support an option.
        """
        if unknown := {name.removeprefix("$") for name in options} - _OPTIONS:
            raise RefusedError(f"unknown option {min(unknown)}")
        self._rows = rows
        self._options = options
        self.start, self.stop = 0, rows.count
        for column, operator, value in _terms(options.get("$filter", "")):
            self._restrict(column, operator, value)
        self.total = max(self.stop - self.start, 0)
        self.counts = options.get("$count") == "true"
        self.backwards = self._descending(options.get("$orderby", ""))
        self.skip = int(options.get("$skip", 0))
        value_sought = options.get("$top")
        self.top = min(int(value_sought) if value_sought else PAGE, max(self.total - self.skip, 0))
        # A page limited by $top has no next link; one limited by the server has.
        self.has_next = value_sought is None and self.skip + self.top < self.total

    def _restrict(self, column: str, operator: str, value: str) -> None:
        if value == "null":
            self.stop = self.stop if operator == "ne" else self.start
            return
        value_sought = comparable(column, value.strip("'").replace("''", "'"))
        low, high = self._range_of(column, value_sought)
        if operator in {"ge", "eq"}:
            self.start = max(self.start, low)
        if operator == "gt":
            self.start = max(self.start, high)
        if operator in {"le", "eq"}:
            self.stop = min(self.stop, high)
        if operator == "lt":
            self.stop = min(self.stop, low)
        if operator == "ne":
            raise RefusedError("ne is supported with null only")

    def _range_of(self, column: str, value_sought: t.Any) -> tuple[int, int]:
        """The range of positions of the rows with this value."""
        if column == "LineNbr":
            order = self.start // ORDER_LINES
            if self.start < self.stop and (self.stop - 1) // ORDER_LINES != order:
                raise RefusedError("LineNbr can be compared only within one order")
            first = order * ORDER_LINES
            return first + value_sought - 1, first + value_sought
        if column not in _FILTER_COLUMNS:
            raise RefusedError(f"{column} cannot be filtered")
        value = functools.partial(self._rows.value, column)
        places = range(self._rows.count)
        low = bisect.bisect_left(places, value_sought, key=value)
        return low, bisect.bisect_right(places, value_sought, lo=low, key=value)

    def _descending(self, orderby: str) -> bool:
        terms = [term.split() for term in orderby.split(",") if term.strip()]
        if any(term[0] not in {*_FILTER_COLUMNS, "LineNbr"} for term in terms):
            raise RefusedError(f"rows cannot be sorted by {orderby}")
        return bool(terms) and terms[0][-1] == "desc"

    def page(self) -> bytes:
        """The rows, with commas between them."""
        if not self.backwards:
            first = self.start + self.skip
            return b"".join(self._rows.between(first, first + self.top))
        last = self.stop - self.skip
        places = range(last - 1, last - self.top - 1, -1)
        return b",".join(b"".join(self._rows.between(place, place + 1)) for place in places)

    def next_options(self) -> str:
        """Query options of the next page."""
        following = {**self._options, "$skip": str(self.skip + self.top)}
        return "&".join(f"{name}={quote(value)}" for name, value in following.items())


def _terms(text: str) -> Iterator[tuple[str, str, str]]:
    for term in text.split(" and ") if text else ():
        match = _TERM.fullmatch(term.strip())
        if match is None:
            raise RefusedError(f"the filter {term} is not supported")
        yield match[1], match[2], match[3]


class Site:
    """Answers the requests of the server."""

    def __init__(self, rows: int, delay: float, *, large: bool) -> None:
        """Create the site.

        Args:
            rows: Number of rows in each entity set.
            delay: Seconds that each answer with rows takes until it is sent.
            large: Whether to have the metadata of a complete Acumatica as well.
        """
        self.rows = Rows(rows)
        self.delay = delay
        self._answers = 0
        self._guard = threading.Lock()
        self.metadata = {SMALL: small_metadata()}
        if large:
            self.metadata[LARGE], self.origin = full_metadata()

    def answer(self, host: str, target: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body for a request target."""
        parts = urlsplit(target)
        if parts.path == ANSWERS:
            return HTTPStatus.OK, "text/plain", b"%d" % self._answers
        root, _, name = unquote(parts.path).rpartition("/")
        if root not in self.metadata:
            return HTTPStatus.NOT_FOUND, "text/plain", b"no such service"
        if name == "$metadata":
            return HTTPStatus.OK, "application/xml", self.metadata[root]
        if name not in KEYS:
            return HTTPStatus.NOT_FOUND, "text/plain", b"no such entity set"
        try:
            query = Query(self.rows, dict(parse_qsl(parts.query)))
        except (RefusedError, ValueError) as error:
            return HTTPStatus.BAD_REQUEST, "text/plain", str(error).encode()
        begun = time.monotonic()
        address = f"http://{host}{root}"
        head = f'{{"@odata.context":"{address}/$metadata#{name}",'
        if query.counts:
            head += f'"@odata.count":{query.total},'
        tail = b"]}"
        if query.has_next:
            link = f"{address}/{name}?{query.next_options()}"
            tail = f'],"@odata.nextLink":"{link}"}}'.encode()
        body = b'%b"value":[%b%b' % (head.encode(), query.page(), tail)
        with self._guard:
            self._answers += 1
        time.sleep(max(0.0, begun + self.delay - time.monotonic()))
        return HTTPStatus.OK, "application/json;odata.metadata=minimal", body


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    @override
    def handle(self) -> None:
        while request := self.rfile.readline():
            method, target, _ = request.decode("latin-1").split(" ", 2)
            headers: dict[str, str] = {}
            while line := self.rfile.readline().decode("latin-1").strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            if length := int(headers.get("content-length", 0)):
                self.rfile.read(length)
            if method == "GET":
                site = t.cast("_Server", self.server).site
                self._send(*site.answer(headers.get("host", ""), target))
            else:  # signing out
                self._send(HTTPStatus.NO_CONTENT, "text/plain", b"")

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Date: {email.utils.formatdate(usegmt=True)}\r\n"
            f"Content-Type: {kind}\r\nOData-Version: 4.0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.request.sendall(head.encode())
        self.request.sendall(body)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    site: Site

    @override
    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """Ignore clients that close the connection early."""


@contextmanager
def serving(rows: int, *, delay: float = 0.0, large: bool = False) -> Iterator[str]:
    """Run a server as a separate process until the block ends.

    Args:
        rows: Number of rows in each entity set.
        delay: Seconds that each answer with rows takes until it is sent.
        large: Whether to have the metadata of a complete Acumatica as well.

    Yields:
        Its URL, without a path.
    """
    command = [sys.executable, "-m", "benchmarks.server", f"--rows={rows}", f"--delay={delay}"]
    with subprocess.Popen(
        [*command, *(["--large"] if large else [])], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.kill()


def answers(address: str) -> int:
    """The number of answers with rows that a server has given.

    Args:
        address: Its URL, without a path.
    """
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=10)) as connection:
        connection.request("GET", ANSWERS)
        return int(connection.getresponse().read())


def rows_per_second(address: str, rows: int) -> float:
    """How fast a server gives rows to a client that does nothing with them.

    Args:
        address: Its URL, without a path.
        rows: Number of rows in each entity set.
    """
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=10)) as connection:
        start = time.perf_counter()
        for skip in range(0, rows, PAGE):
            connection.request("GET", f"{SMALL}/{LINES}?$top={PAGE}&$skip={skip}")
            connection.getresponse().read()
        return rows / (time.perf_counter() - start)


def main(arguments: t.Sequence[str] | None = None) -> None:
    """Serve until killed; the first line of standard output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args(arguments)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.site = Site(options.rows, options.delay, large=options.large)
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main()
