"""What stands between: little proxies, TLS with certificates of our own, servers of raw bytes."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import typing as t
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.conftest import TapRun

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TAP = ("-m", "tap_acumatica")
LOGIN = ("-c", "from tap_acumatica.cli.login import login; login()")
_OF_NETWORK = ("_PROXY", "_CA_BUNDLE", "SSL_CERT_FILE")


def run_in(folder: Path, *arguments: str, **variables: str | None) -> TapRun:
    """Run the tap with these variables for the network and no others; None removes a variable."""
    return started_in(folder, TAP, *arguments, **variables)


def started_in(
    folder: Path, command: tuple[str, ...], *arguments: str, **variables: str | None
) -> TapRun:
    """Run a command of the tap; see :func:`run_in`."""
    kept = {
        name: value for name, value in os.environ.items() if not name.upper().endswith(_OF_NETWORK)
    }
    environment = {**kept, **variables}
    done = subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return TapRun(done.returncode, done.stdout, done.stderr)


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of loopback whose connections are served one thread each."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError, ValueError):
                connection.settimeout(10)
                serve(connection)

        def accept() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    connection, _ = server.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def head(connection: socket.socket) -> bytes:
    """The head of a request."""
    received = b""
    while b"\r\n\r\n" not in received and (piece := connection.recv(4096)):
        received += piece
    return received


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """A server that answers everything with these bytes and closes."""

    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(reply)

    with listening(serve) as port:
        yield port


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended."""

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(other, one), daemon=True)
    back.start()
    carry(one, other)
    back.join(10)


class Proxy:
    """A forward proxy, which tunnels by CONNECT as well.

    Attributes:
        asked: The heads of the requests.
        refusal: What it answers instead of passing a request on, None to pass it on.
        most: The most rows that may be asked for: it closes the connection where it is more.
    """

    def __init__(self, refusal: bytes | None = None) -> None:
        self.asked: list[bytes] = []
        self.refusal = refusal
        self.most: int | None = None
        self.port = 0

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        """Listen."""
        with listening(self._serve) as self.port:
            yield self

    def _serve(self, connection: socket.socket) -> None:
        received = head(connection)
        self.asked.append(received)
        if self.refusal is not None:
            connection.sendall(self.refusal)
            return
        top = re.search(rb"top=(\d+)", received)
        if self.most is not None and top and int(top[1]) > self.most:
            return
        method, target, rest = received.split(b" ", 2)
        if method == b"CONNECT":
            host, _, port = target.decode().rpartition(":")
        else:
            parts = urlsplit(target.decode())
            host, port = str(parts.hostname), str(parts.port or 80)
        with socket.create_connection((host, int(port)), timeout=10) as site:
            if method == b"CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = urlsplit(target.decode())._replace(scheme="", netloc="").geturl()
                closing = rest.replace(b"Connection: keep-alive", b"Connection: close")
                site.sendall(b" ".join((method, path.encode(), closing)))
            pump(connection, site)


def response(status: str, *headers: str, body: str | bytes = "") -> bytes:
    """The bytes of an answer."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(content)}", "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + content


@contextmanager
def tls(port: int, certificate: Path) -> Iterator[int]:
    """A port that speaks TLS and passes everything on to another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as safe,
            socket.create_connection(("127.0.0.1", port), timeout=10) as site,
        ):
            pump(safe, site)

    with listening(serve) as front:
        yield front


def certificate(path: Path, *, name: str = "IP:127.0.0.1", expired: bool = False) -> Path:
    """A self-signed certificate with its key, in one file; beside it lies ``cert.pem`` alone."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    names = ["-subj", "/CN=field", "-addext", f"subjectAltName={name}"]
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    commands = [["req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *files]]
    if expired:
        commands.append(
            ["x509", "-in", "cert.pem", "-signkey", "key.pem", "-days", "-1", "-out", "cert.pem"]
        )
    for command in commands:
        subprocess.run([openssl, *command], cwd=path.parent, check=True, capture_output=True)
    path.write_text((path.parent / "key.pem").read_text() + (path.parent / "cert.pem").read_text())
    return path
