"""The callback on loopback: takes one request, then listens no longer (RFC 8252, section 7.3)."""

from __future__ import annotations

import html
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET6
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

from tap_acumatica.errors import CallbackError, LoginError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOOK_SECONDS = 0.05
_READ_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>tap-acumatica: {title}</title>
<style>body {{ font: 1.1em sans-serif; margin: 15vh auto; max-width: 34em; }}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""


class Outcome(t.NamedTuple):
    """What to show in the browser."""

    good: bool
    title: str
    text: str


def listens(callback_url: str) -> bool:
    """Whether a callback to this address reaches this machine, without TLS."""
    parts = urlsplit(callback_url)
    host = parts.hostname or ""
    if parts.scheme != "http":
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parameters(address: str) -> dict[str, str]:
    """The parameters that a callback's address carries."""
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))


class CallbackServer:
    """Waits for the browser to come back."""

    def __init__(self, callback_url: str, take: Callable[[Mapping[str, str]], Outcome]) -> None:
        """Listen.

        Args:
            callback_url: The redirect address; see :func:`listens`.
            take: Takes the callback's parameters and says what to show.

        Raises:
            CallbackError: If the address cannot be listened on.
        """
        parts = urlsplit(callback_url)
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
        port = parts.port or _PORTS[parts.scheme]
        self._take = take
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._shown = threading.Event()
        try:
            self._server = _Server((host, port), _handler(self, parts.path or "/"))
        except OSError as error:
            msg = (
                f"cannot listen on {host}:{port} ({error.strerror}); stop the program that does, "
                "set another 'callback_url' here and in the connected application (SM303010), or "
                "use --no-browser"
            )
            raise CallbackError(msg) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _LOOK_SECONDS}, daemon=True
        )
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until a callback was taken and its outcome shown.

        Args:
            seconds: How long to wait at most.

        Raises:
            LoginError: If none came in time.
        """
        if not self._shown.wait(seconds):
            msg = f"nobody signed in within {seconds:g} seconds; start again, or set --wait"
            raise LoginError(msg)

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, address: str) -> Outcome | None:
        """Take the first callback; None for any other."""
        with self._lock:
            if self._outcome is not None:
                return None
            self._outcome = self._take(parameters(address))
            return self._outcome

    def shown(self) -> None:
        """Record that the browser has received its page."""
        self._shown.set()


def _handler(owner: CallbackServer, path: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Takes the callback, and nothing else that a browser may ask for."""

        timeout = _READ_SECONDS
        server_version = "tap-acumatica"
        sys_version = ""

        def do_GET(self) -> None:
            """Take the callback."""
            outcome = owner.take(self.path) if urlsplit(self.path).path == path else None
            if outcome is None:
                self.send_error(404)
                return
            try:
                self._show(outcome)
            finally:
                owner.shown()

        def _show(self, outcome: Outcome) -> None:
            title, text = html.escape(outcome.title), html.escape(outcome.text)
            body = _PAGE.format(title=title, text=text).encode()
            self.send_response(200 if outcome.good else 400)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        @override
        def log_message(self, format: str, *args: t.Any) -> None:
            """Write nothing: the address holds the code."""

    return Handler


class _Server(ThreadingHTTPServer):
    """A thread for each connection: browsers open some that they do not use."""

    allow_reuse_address = False
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = AF_INET6
        super().__init__(address, handler)

    @override
    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """Ignore it: a browser may go away at any time."""
