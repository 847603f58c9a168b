"""Tries, waits and what is not tried again."""

from __future__ import annotations

import threading
import typing as t
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tap_acumatica.acumatica import tries as module
from tap_acumatica.acumatica.auth import Authenticator, BasicAuthenticator
from tap_acumatica.acumatica.errors import (
    AccessError,
    AnswerError,
    EmptyAnswerError,
    RefusedError,
    SignInError,
    UnreachableError,
)
from tap_acumatica.acumatica.interface import Service
from tap_acumatica.acumatica.session import Limits, Session
from tap_acumatica.odata.payload import parse_collection

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Answer = tuple[int, dict[str, str], bytes]
FINE: Answer = (200, {}, b'{"value": [{"a": 1}]}')


@contextmanager
def _site(
    *answers: Answer, tries: int = 4, auth: Authenticator | None = None
) -> Iterator[tuple[Session, list[str]]]:
    """A server that gives these answers in turn, the last one again and again."""
    log: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers[min(len(log), len(answers) - 1)]
            log.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        session = Session(
            Service(f"http://127.0.0.1:{server.server_port}/svc"),
            auth=auth,
            limits=Limits(timeout=5, tries=tries),
        )
        try:
            yield session, log
        finally:
            session.close()
            server.shutdown()
            thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr("backoff._sync.time.sleep", waited.append)
    return waited


def _get(session: Session) -> list[t.Any]:
    return session.fetch(f"{session.service.root}/X", parse_collection, what="X").rows


def test_what_passes_is_tried_again_and_waited_for_as_asked(waits: list[float]) -> None:
    with _site((503, {"Retry-After": "7"}, b""), (429, {}, b"busy"), FINE) as (session, log):
        assert _get(session) == [{"a": 1}]
    assert len(log) == 3
    assert waits[0] == 7
    assert 0 < waits[1] <= module.LONGEST_WAIT_SECONDS


def test_tries_end(waits: list[float]) -> None:
    down = _site((503, {}, b"down"), tries=3)
    with down as (session, log), pytest.raises(AnswerError, match="given up after 3 tries"):
        _get(session)
    assert (len(log), len(waits)) == (3, 2)


def test_a_wrong_password_is_sent_once_even_for_later_requests() -> None:
    with _site((401, {}, b""), auth=BasicAuthenticator("me", "wrong")) as (session, log):
        for _ in range(3):
            with pytest.raises(SignInError, match="lock the account"):
                _get(session)
    assert len(log) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((403, {}, b""), AccessError),
        ((404, {}, b""), AccessError),
        ((400, {}, b'{"error": {"message": "no"}}'), RefusedError),
        ((501, {}, b""), RefusedError),
        ((500, {}, b"An unknown function with name 'substringof' was found."), RefusedError),
    ],
)
def test_what_is_decided_is_not_tried_again(answer: Answer, error: type[Exception]) -> None:
    with _site(answer) as (session, log), pytest.raises(error):
        _get(session)
    assert len(log) == 1


def test_an_unexplained_failure_that_lasts_may_be_a_refusal(waits: list[float]) -> None:
    failing = _site((500, {}, b'{"error": {"message": "oops"}}'), tries=8)
    with failing as (session, log), pytest.raises(RefusedError, match="oops"):
        _get(session)
    assert len(log) == len(waits) + 1 == 3


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", EmptyAnswerError),
        (b"<html><body>Sign in</body></html>", AnswerError),
        (b'{"value": [{"a": 1}, {"a"', AnswerError),
        (b'{"d": 5}', AnswerError),
        (b"[1, 2]", AnswerError),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    body: bytes, error: type[Exception], waits: list[float]
) -> None:
    with _site((200, {}, body)) as (session, log), pytest.raises(error):
        _get(session)
    assert len(log) == 2
    assert len(waits) == 1


@pytest.mark.parametrize(
    "text",
    ["API Login Limit", "You have exceeded the number of concurrent users", "ApiLoginLimitReached"],
)
def test_seats_that_are_taken_are_told_apart(text: str, waits: list[float]) -> None:
    full = _site((500, {}, text.encode()), tries=2)
    with full as (session, _), pytest.raises(UnreachableError, match="all license seats"):
        _get(session)
    assert waits


def test_a_site_never_reached_fails_within_a_minute(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    session = Session(Service("http://127.0.0.1:9/svc"), limits=Limits(tries=100))
    with pytest.raises(UnreachableError, match=r"connection refused.; check the setting 'url'"):
        _get(session)
    assert len(waits) < 10
