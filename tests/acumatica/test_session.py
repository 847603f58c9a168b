"""Tries, waits and what is not tried again."""

from __future__ import annotations

import base64
import threading
import traceback
import typing as t
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typing_extensions import override

from tap_acumatica.acumatica.addresses import Service
from tap_acumatica.acumatica.limits import Limits
from tap_acumatica.acumatica.session import Session
from tap_acumatica.auth.authenticators import Authenticator, BasicAuthenticator, OAuthAuthenticator
from tap_acumatica.auth.token_store import Tokens
from tap_acumatica.errors import (
    AccessError,
    AnswerError,
    BusyError,
    EmptyAnswerError,
    ExitCode,
    PageSizeError,
    RefusedError,
    SeatsTakenError,
    SignInError,
    SlowAnswerError,
    TapError,
    UnreachableError,
)
from tap_acumatica.http import retry as module
from tap_acumatica.odata.payload import parse_collection

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_acumatica.odata.payload import Payload

Answer = tuple[int, dict[str, str], bytes]
FINE: Answer = (200, {}, b'{"value": [{"a": 1}]}')


@contextmanager
def _site(
    *answers: Answer | Callable[[list[str]], Answer],
    tries: int = 4,
    auth: Authenticator | None = None,
) -> Iterator[tuple[Session, list[str]]]:
    """A server that gives these answers in turn, the last one again and again."""
    log: list[str] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            log.append(self.path)
            answer = answers[min(len(log), len(answers)) - 1]
            status, headers, body = answer(log) if callable(answer) else answer
            if "X-Close" in headers:
                return
            if "X-Wait" in headers:
                ended.wait(10)
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
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
            ended.set()
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


def test_temporary_failures_are_tried_again_after_the_time_the_service_asks_for(
    waits: list[float],
) -> None:
    with _site((503, {"Retry-After": "7"}, b""), (429, {}, b"busy"), FINE) as (session, log):
        assert _get(session) == [{"a": 1}]
    assert len(log) == 3
    assert waits[0] == 7
    assert 0 < waits[1] <= module.LONGEST_WAIT_SECONDS


def test_tries_end(waits: list[float]) -> None:
    down = _site((503, {}, b"down"), tries=3)
    with down as (session, log), pytest.raises(BusyError, match="given up after 3 tries"):
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
def test_final_answers_are_not_tried_again(answer: Answer, error: type[Exception]) -> None:
    with _site(answer) as (session, log), pytest.raises(error):
        _get(session)
    assert len(log) == 1


def test_an_unexplained_failure_that_lasts_may_be_a_refusal(waits: list[float]) -> None:
    failing = _site((500, {}, b'{"error": {"message": "oops"}}'), tries=8)
    with failing as (session, log), pytest.raises(RefusedError, match="oops"):
        _get(session)
    assert len(log) == len(waits) + 1 == 3


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504, 507, 509, 520, 522, 524, 529])
def test_a_service_that_stays_busy_is_a_temporary_failure(status: int, waits: list[float]) -> None:
    with _site((status, {}, b""), tries=2) as (session, _), pytest.raises(BusyError) as error:
        _get(session)
    assert error.value.exit_code == ExitCode.TEMPORARY
    assert len(waits) == 1


def test_a_site_that_goes_away_after_it_was_reached_is_a_temporary_failure(
    waits: list[float],
) -> None:
    with _site(FINE, tries=2) as (session, _):
        _get(session)
        url = "http://127.0.0.1:9/svc/X"
        with pytest.raises(BusyError, match="given up after 2 tries") as error:
            session.fetch(url, parse_collection, what="X")
    assert error.value.exit_code == ExitCode.TEMPORARY
    assert len(waits) == 1


def test_a_site_that_closes_each_connection_without_an_answer_is_not_busy(
    waits: list[float],
) -> None:
    with _site(FINE, (200, {"X-Close": "yes"}, b""), tries=2) as (session, _):
        _get(session)
        with pytest.raises(AnswerError, match="closed without an answer") as error:
            _get(session)
    assert error.value.exit_code == ExitCode.FAILED
    assert len(waits) == 1


def test_an_internal_error_that_lasts_is_not_temporary(waits: list[float]) -> None:
    with _site((500, {}, b""), tries=2) as (session, _), pytest.raises(RefusedError) as error:
        _get(session)
    assert error.value.exit_code == ExitCode.FAILED
    assert len(waits) == 1


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
def test_an_invalid_answer_is_an_error(
    body: bytes, error: type[Exception], waits: list[float]
) -> None:
    with _site((200, {}, body)) as (session, log), pytest.raises(error):
        _get(session)
    assert len(log) == 2
    assert len(waits) == 1


SEATS = (
    "API Login Limit",
    "The maximum number of API users has been reached.",
    "Maximum number of allowed logins reached",
    "License_LoginLimitExceeded",
    "at PX.Licensing.CheckApiUsersLimits()",
    "ApiLoginLimitReached",
    "No further concurrent session is allowed",
    "You have exceeded the number of licensed users",
    "The number of concurrent API logins for the user has been reached.",
    "at PX.LicensePolicy.PXLicensePolicy.Check(String user)",
    "Sign out of other clients: Users (SM201010).",
)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [201, 202, 204, 205, 206, 304])
def test_a_status_that_brings_no_rows_is_no_empty_collection(
    status: int, waits: list[float], *, stream: bool
) -> None:
    def parse(body: t.Any) -> Payload:
        return parse_collection(body.read() if stream else body)

    body = b"" if status in {204, 304} else FINE[2].replace(b'{"a": 1}', b"")
    with (
        _site((status, {}, body)) as (session, log),
        pytest.raises(AnswerError, match=f"HTTP {status}|no content"),
    ):
        session.fetch(f"{session.service.root}/X", parse, what="X", stream=stream)
    assert len(log) == 2
    assert waits


def test_a_session_remembers_that_nulls_are_left_out() -> None:
    applied = {"Preference-Applied": "omit-values=nulls"}
    with _site(FINE, (200, applied, FINE[2]), FINE) as (session, _):
        _get(session)
        assert not session.omits_nulls
        _get(session)
        _get(session)
        assert session.omits_nulls


@pytest.mark.parametrize("status", [429, 500, 401, 403, 503])
@pytest.mark.parametrize("text", SEATS)
def test_taken_seats_are_recognized(text: str, status: int, waits: list[float]) -> None:
    body = f'{{"message": "An error has occurred.", "exceptionMessage": "{text}"}}'.encode()
    full = _site((status, {"Retry-After": "9"}, body), tries=5)
    with full as (session, log), pytest.raises(SeatsTakenError, match="all license seats") as error:
        _get(session)
    assert len(log) == 1  # the pool waits, see test_pool.py and test_patience.py
    assert not waits
    assert error.value.wait == 9
    assert error.value.exit_code == ExitCode.TEMPORARY
    assert all(word in str(error.value) for word in ("SM201010", "1 by default", "SM604000"))


def test_ordinary_throttling_is_not_a_lack_of_seats(waits: list[float]) -> None:
    busy = _site((429, {}, b"Too Many Requests"), tries=2)
    with busy as (session, _), pytest.raises(BusyError, match="'requests_per_minute'"):
        _get(session)
    assert len(waits) == 1


def test_a_limit_without_words_is_one_of_seats_until_a_session_is_open(waits: list[float]) -> None:
    wordless: Answer = (429, {}, b"The custom error module does not recognize this error.")
    with _site(wordless, tries=2) as (session, _), pytest.raises(SeatsTakenError):
        _get(session)
    assert not waits
    with _site(FINE, wordless, tries=2) as (session, _):
        _get(session)
        with pytest.raises(BusyError) as error:
            _get(session)
    assert not isinstance(error.value, SeatsTakenError)
    assert len(waits) == 1


def test_nothing_is_sent_after_the_sign_out() -> None:
    with _site(FINE) as (session, log):
        _get(session)
        session.close()
        with pytest.raises(UnreachableError, match="the run is ending"):
            _get(session)
    assert len(log) == 1


@pytest.mark.parametrize("status", [400, 403, 500])
def test_an_answer_that_repeats_the_request_reveals_no_secret(
    status: int, waits: list[float]
) -> None:
    auth = BasicAuthenticator("me", "correct horse")
    sent = base64.b64encode(b"me:correct horse").decode()
    body = f"You sent Authorization: Basic {sent}, that is correct horse".encode()
    chatty = _site((status, {}, body), auth=auth, tries=1)
    with chatty as (session, _), pytest.raises(TapError, match="You sent Auth") as error:
        _get(session)
    shown = "".join(traceback.format_exception(error.value))
    assert sent not in shown
    assert "correct horse" not in shown
    assert not waits


def test_an_answer_that_takes_too_long_has_an_error_of_its_own(waits: list[float]) -> None:
    with _site(FINE, (200, {"X-Wait": "yes"}, b""), tries=2) as (session, _):
        _get(session)
        session.limits = Limits(timeout=0.05, tries=2)
        url = f"{session.service.root}/X"
        with pytest.raises(SlowAnswerError, match="'timeout'"):
            session.fetch(url, parse_collection, what="X", smaller=url)
        assert not waits
        with pytest.raises(BusyError, match="given up after 2 tries"):
            session.fetch(url, parse_collection, what="X")
    assert len(waits) == 1


FEW = "?$top=2"
TOO_LARGE: tuple[Answer, ...] = (
    (400, {}, b'{"error": {"message": "no"}}'),
    (403, {}, b"Too many rows requested"),
    (413, {}, b""),
    (500, {}, b"<html></html>"),
    (500, {}, b"Denial Code 510"),
    (503, {}, b""),
    (504, {}, b""),
    (200, {}, b""),
    (200, {}, b"<html></html>"),
    (200, {"X-Close": "yes"}, b""),
)


def _get_large(session: Session) -> list[t.Any]:
    url = f"{session.service.root}/X"
    return session.fetch(url, parse_collection, what="X", smaller=f"{url}{FEW}").rows


@pytest.mark.parametrize("answer", TOO_LARGE)
def test_a_page_that_fails_where_few_rows_come_is_too_large(
    answer: Answer, waits: list[float]
) -> None:
    def large(log: list[str]) -> Answer:
        return FINE if FEW in log[-1] else answer

    with _site(large) as (session, log), pytest.raises(PageSizeError):
        _get_large(session)
    assert len(log) == 3
    assert sum(FEW in path for path in log) == len(waits) == 1


@pytest.mark.parametrize("answer", TOO_LARGE)
def test_what_few_rows_do_not_mend_is_the_error_that_it_was(
    answer: Answer, waits: list[float]
) -> None:
    with _site(answer) as (session, log), pytest.raises(TapError) as usual:
        _get(session)
    tries = len(log)
    with _site(answer) as (session, log), pytest.raises(TapError) as found:
        _get_large(session)
    assert type(found.value) is type(usual.value)
    assert str(found.value).partition("127")[0] == str(usual.value).partition("127")[0]
    assert len(log) <= tries + 2
    assert len(waits) <= 2 * tries


@pytest.mark.parametrize("answer", TOO_LARGE)
def test_a_failure_that_passes_is_not_blamed_on_the_size(
    answer: Answer, waits: list[float]
) -> None:
    with _site(answer, FINE) as (session, _):
        assert _get_large(session) == [{"a": 1}]
    assert len(waits) == 1


@pytest.mark.parametrize("status", [404, 414, 429])
def test_some_failures_are_never_those_of_the_size(status: int, waits: list[float]) -> None:
    with _site((status, {}, b"")) as (session, log), pytest.raises(TapError) as error:
        _get_large(session)
    assert not isinstance(error.value, PageSizeError)
    assert not any(FEW in path for path in log)
    assert len(waits) == len(log) - 1


def test_a_token_that_is_refused_twice_is_not_renewed_for_ever() -> None:
    issued: list[str] = []

    class Grant:
        shared: t.ClassVar[bool] = False

        def tokens(self, stale: str | None) -> Tokens:
            del stale
            issued.append(f"token-{len(issued)}")
            return Tokens(issued[-1])

    with _site((401, {}, b""), auth=OAuthAuthenticator(Grant())) as (session, log):
        for _ in range(2):
            with pytest.raises(SignInError, match="'client_id'"):
                _get(session)
    assert (len(log), len(issued)) == (2, 2)


def test_a_site_never_reached_fails_within_a_minute(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    session = Session(Service("http://127.0.0.1:9/svc"), limits=Limits(tries=100))
    with pytest.raises(UnreachableError, match=r"connection refused.; check the setting 'url'"):
        _get(session)
    assert len(waits) < 10
