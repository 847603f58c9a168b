"""A service that leads elsewhere: nothing secret follows, and the answer is not taken."""

from __future__ import annotations

import threading
import typing as t
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RunTap


@contextmanager
def serving(location: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """A server that redirects or answers with nothing: its port, and the headers it received."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(f"{self.path}\n{self.headers}")
            self.send_response(302 if location else 200)
            if location:
                self.send_header("Location", f"{location}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, *_: t.Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_redirect_to_another_host_takes_no_secret_along_and_is_refused(run_tap: RunTap) -> None:
    with (
        serving() as (other, received),
        serving(f"http://localhost:{other}") as (port, asked),
    ):
        run = run_tap(
            {
                "url": f"http://127.0.0.1:{port}/odata",
                "username": "admin",
                "password": "open sesame",
                "secret_additional_properties": [
                    {"name": "X-Key", "value": "a-secret-key", "in": "header"},
                    {"name": "key", "value": "another-key", "in": "query"},
                ],
                "max_retries": 1,
            },
            "--discover",
            check=False,
        )

    assert run.exit_code == 1
    assert "redirected to another host" in run.errors
    assert any("Authorization: Basic" in headers for headers in asked)
    assert "a-secret-key" in asked[0]
    for headers in received:
        assert "Authorization" not in headers
        assert "a-secret-key" not in headers
