"""A reverse proxy that counts what a tap asks for, outside the tap.

It forwards requests and answers unchanged, each connection over one connection of its own. The
header ``Host`` stays that of the client, so that the links of an answer lead back to the proxy.
"""

from __future__ import annotations

import enum
import threading
import typing as t
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 600
_SIGN_OUT = "/entity/auth/logout"
_METADATA = "$metadata"
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_BODILESS = {204, 304}


class Kind(enum.Enum):
    """What a request asks for."""

    ROWS = "rows"
    METADATA = "metadata"
    SIGN_OUT = "sign-out"
    OTHER = "other"


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        kind: What it asks for.
        name: The entity set or the inquiry, if it asks for rows; else the path.
        options: The query options.
        status: Status of the answer.
    """

    kind: Kind
    name: str
    options: dict[str, str] = field(default_factory=dict)
    status: int = 0

    @override
    def __str__(self) -> str:
        """The query options that decide which rows are asked for, in a fixed order."""
        words = ("$filter", "$orderby", "$top", "$skip", "$skiptoken", "$count", "$apply")
        found = [f"{word}={self.options[word]}" for word in words if word in self.options]
        return " ".join(found) or "no options"


def classify(method: str, target: str, root: str, status: int = 0) -> Asked:
    """What a request asks for.

    Args:
        method: Its method.
        target: Its path and query.
        root: Path of the OData service that has the rows, such as ``/t/Company/api/odata/dac``.
        status: Status of the answer.
    """
    parts = urlsplit(target)
    path = unquote(parts.path)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if method == "POST" and path.lower().endswith(_SIGN_OUT):
        return Asked(Kind.SIGN_OUT, path, options, status)
    if method != "GET" or not path.startswith(f"{root}/"):
        return Asked(Kind.OTHER, path, options, status)
    name = path[len(root) :].strip("/")
    if name == _METADATA:
        return Asked(Kind.METADATA, path, options, status)
    if not name:
        return Asked(Kind.OTHER, path, options, status)
    return Asked(Kind.ROWS, name.partition("(")[0], options, status)


class CountingProxy:
    """What was asked for since the proxy was started, or since ``take`` was last called.

    Attributes:
        url: URL of the proxy, to be asked in place of the site.
        upstream: URL of the site.
        root: Path of the OData service that has the rows.
    """

    def __init__(self, url: str, upstream: str, root: str) -> None:
        self.url = url
        self.upstream = upstream
        self.root = root
        self._asked: list[Asked] = []
        self._guard = threading.Lock()

    def take(self) -> list[Asked]:
        """Return the requests in the order of their answers, and begin to count again."""
        with self._guard:
            found, self._asked = self._asked, []
        return found

    def note(self, method: str, target: str, status: int) -> None:
        """Count a request."""
        with self._guard:
            self._asked.append(classify(method, target, self.root, status))


def counts(asked: t.Iterable[Asked]) -> dict[Kind, int]:
    """The number of requests by what they ask for."""
    found = Counter(one.kind for one in asked)
    return {kind: found[kind] for kind in Kind}


def by_name(asked: t.Iterable[Asked]) -> dict[str, list[Asked]]:
    """The requests for rows by entity set."""
    found: dict[str, list[Asked]] = {}
    for one in asked:
        if one.kind is Kind.ROWS:
            found.setdefault(one.name, []).append(one)
    return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    @override
    def setup(self) -> None:
        super().setup()
        address = urlsplit(self.server.proxy.upstream)
        self._upstream = HTTPConnection(
            address.hostname or "", address.port or 80, timeout=_SECONDS
        )

    @override
    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def do_GET(self) -> None:
        """Forward a GET."""
        self._forward()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  http.server's names

    @override
    def log_message(self, format: str, *args: t.Any) -> None:
        """Log nothing: the requests are counted."""

    def _forward(self) -> None:
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else None
        try:
            self._upstream.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                self._upstream.putheader(name, value)
            self._upstream.endheaders(body)
            answer = self._upstream.getresponse()
            content = answer.read()
        except (HTTPException, OSError):
            # The client sees a connection that was closed, too.
            self.server.proxy.note(self.command, self.path, 0)
            self._upstream.close()
            self.close_connection = True
            return
        # Counted before the client has the answer: what it has seen has been counted.
        self.server.proxy.note(self.command, self.path, answer.status)
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if answer.status not in _BODILESS:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: CountingProxy

    @override
    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """Ignore clients that close the connection early."""


@contextmanager
def counting(upstream: str, root: str) -> Iterator[CountingProxy]:
    """Run a proxy on the loopback interface until the block ends.

    Args:
        upstream: URL of the site it stands in front of, without a path.
        root: Path of the OData service that has the rows, such as ``/t/Company/api/odata/dac``.
    """
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.proxy = CountingProxy(f"http://127.0.0.1:{server.server_port}", upstream, root)
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()
