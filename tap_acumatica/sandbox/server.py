"""An HTTP/1.1 server, based on the standard library."""

from __future__ import annotations

import contextlib
import gzip
import socket
import sys
import threading
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from .exchange import Reply
    from .site import Site

COMPRESSION_THRESHOLD = 860
"""Bytes; the `compressionThreshold` of Acumatica's web.config."""


class Handler(BaseHTTPRequestHandler):
    """Reads the requests of one connection, and writes the site's responses."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-IIS/10.0"
    sys_version = ""
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - the names are http.server's

    @override
    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time by the sandbox's clock, for the header `Date`."""
        if timestamp is not None:
            return super().date_time_string(timestamp)
        return format_datetime(self.server.site.clock.now(), usegmt=True)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Do not log: the request log is in memory."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        body = self.rfile.read(int(length)) if length.isdecimal() else b""
        if "chunked" in headers.get("transfer-encoding", ""):
            self.close_connection = True
        host = headers.get("host") or f"127.0.0.1:{self.server.server_port}"
        reply, _ = self.server.site.answer(self.command, self.path, headers, host, body)
        self._write(reply, compress="gzip" in headers.get("accept-encoding", ""))

    def _write(self, reply: Reply, *, compress: bool) -> None:
        if reply.closed:
            self.close_connection = True
            return
        body = reply.encoded()
        self.send_response(reply.status)
        if reply.content_type:
            self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        for cookie in reply.cookies:
            self.send_header("Set-Cookie", cookie)
        whole = reply.cut_at is None and "Content-Encoding" not in reply.headers
        if compress and whole and len(body) > COMPRESSION_THRESHOLD:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        if reply.status != 204:  # noqa: PLR2004 - No Content
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: reply.cut_at])
        if reply.cut_at is not None:
            self.wfile.flush()
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """A server with one thread per connection; `stop` ends them all."""

    request_queue_size = 64

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site = site
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        super().__init__(address, Handler)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a daemon thread, and remember it for `stop`."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._guard:
            self._connections[request] = thread
        thread.start()

    @override
    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._guard:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Stop serving, close all connections and join their threads."""
        self.site.stopping.set()
        self.shutdown()
        with self._guard:
            open_now = dict(self._connections)
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in open_now.values():
            thread.join()
        self.server_close()
