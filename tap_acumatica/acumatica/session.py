"""One signed-in session with a site: its cookies, its tries, its sign-out.

Acumatica mints a session, and takes a license seat, for every request that brings no cookies back
("License Restrictions for API Users"). So one session serves a tenant for the whole run, and is
signed out at its end whatever happens.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import time
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

import backoff
import requests
import urllib3
from requests.auth import HTTPBasicAuth

from tap_acumatica.acumatica.body import ACCEPT_JSON, Body
from tap_acumatica.acumatica.errors import (
    SEATS,
    AccessError,
    AddressError,
    AnswerError,
    EmptyAnswerError,
    RefusedError,
    SeatsTakenError,
    ServiceError,
    SignInError,
    UnreachableError,
    diagnose,
    explain,
)
from tap_acumatica.odata.errors import EmptyPayloadError, MetadataError, PayloadError
from tap_acumatica.odata.payload import error_text

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tap_acumatica.acumatica.errors import Symptom
    from tap_acumatica.acumatica.interface import Service

T = t.TypeVar("T")

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 30
NEVER_REACHED_SECONDS = 20
LONGEST_WAIT_SECONDS = 60.0
_ANSWER_TRIES = 2
_EXPLAINED_TRIES = 3
_OVERLOADED = frozenset({408, 425, 429, 502, 503, 504})
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often to ask.

    Attributes:
        timeout: Seconds to wait for an answer.
        tries: Tries of one request.
    """

    timeout: float = 600
    tries: int = 8


class _AgainError(ServiceError):
    """A failure worth another try.

    Attributes:
        wait: Seconds the service asked to wait.
        status: Status of the answer, None where there was no answer.
        tries: The most tries it is worth, None for as many as are set.
        seats: Whether no license seat was free.
    """

    def __init__(
        self,
        message: str,
        *,
        wait: float | None = None,
        status: int | None = None,
        tries: int | None = None,
        seats: bool = False,
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.status = status
        self.tries = tries
        self.seats = seats


class Session:
    """Requests to one service, by one user, over kept-alive connections with the same cookies."""

    def __init__(  # noqa: PLR0913  each may differ from session to session
        self,
        service: Service,
        *,
        username: str | None = None,
        password: str | None = None,
        limits: Limits | None = None,
        user_agent: str = "tap-acumatica",
        waits_for_seat: bool = True,
    ) -> None:
        """Prepare a session; nothing is sent yet.

        Args:
            service: What to read.
            username: User name, None for a service that wants none.
            password: Its password.
            limits: How long and how often to ask.
            user_agent: Name to give.
            waits_for_seat: Whether to try again where the license has no seat left.
        """
        self.service = service
        self.limits = limits or Limits()
        self.requests = 0
        self._seat_tries = None if waits_for_seat else 1
        self.server_time: dt.datetime | None = None
        self._reached = False
        self._signed_in = False
        self._ended = False
        self._failure: SignInError | None = None
        self._http = requests.Session()
        self._http.headers["User-Agent"] = user_agent
        if username is not None:
            self._http.auth = HTTPBasicAuth(username.encode(), (password or "").encode())

    def fetch(
        self,
        url: str,
        parse: Callable[[t.Any], T],
        *,
        what: str,
        headers: Mapping[str, str] = ACCEPT_JSON,
        stream: bool = False,
    ) -> T:
        """Get an address and parse what comes, trying again where that can help.

        Args:
            url: Address, encoded.
            parse: Turns a body into a value; its ``PayloadError`` makes the answer count as none.
            what: What is asked for, for messages.
            headers: What to accept, and further headers of this request.
            stream: Whether ``parse`` gets a :class:`Body` to read from while it arrives, instead
                of all its bytes.

        Returns:
            What ``parse`` made of the body.

        Raises:
            SignInError: If the credentials are refused, now or earlier in this session.
            AccessError: If the user may not read it, or it is not there.
            RefusedError: If the service does not take the request as put.
            AnswerError: If what came is no answer, repeatedly.
            UnreachableError: If the site did not answer, or takes no further session.
        """
        if self._failure:
            raise self._failure
        tries = bad_answers = 0

        def attempt() -> T:
            nonlocal tries, bad_answers
            tries += 1
            body = self._get(url, what, headers, stream=stream)
            try:
                return parse(body)
            except (PayloadError, MetadataError) as error:
                bad_answers += 1
                message = f"{what}: {error}"
                if bad_answers >= min(_ANSWER_TRIES, self.limits.tries):
                    empty = isinstance(error, EmptyPayloadError)
                    raise (EmptyAnswerError if empty else AnswerError)(message) from error
                raise _AgainError(message) from error

        started = time.monotonic()

        def give_up(error: Exception) -> bool:
            if isinstance(error, _AgainError) and error.tries and tries >= error.tries:
                return True
            return not self._reached and time.monotonic() - started > NEVER_REACHED_SECONDS

        tried = backoff.on_exception(
            _waits,
            _AgainError,
            max_tries=self.limits.tries,
            giveup=give_up,
            jitter=None,
            on_backoff=_log_wait,
            logger=None,
        )(attempt)
        try:
            return tried()
        except _AgainError as error:
            raise self._given_up(error, tries) from error

    def _given_up(self, error: _AgainError, tries: int) -> ServiceError:
        if error.seats:
            return SeatsTakenError(f"{error}; given up after {tries} tries")
        if error.status == requests.codes.server_error:
            # So some services say that they do not take a filter, an order or a column.
            return RefusedError(f"{error}; given up after {tries} tries")
        if error.status or self._reached:
            return AnswerError(f"{error}; given up after {tries} tries")
        advice = (
            "given up; run again when the site is back: bookmarks are kept"
            if self._reached
            else "check the setting 'url', the network and whether the site is up"
        )
        return UnreachableError(f"{error}; {advice}")

    def _get(
        self, url: str, what: str, headers: Mapping[str, str], *, stream: bool
    ) -> bytes | Body:
        """One try of one request.

        Raises:
            _AgainError: If another try may succeed.
            ServiceError: If none will.
        """
        response, body = self._exchange(url, what, headers, stream=stream)
        self._note(response)
        self._judge(response, body, url, what)
        if stream:
            lost = f"{what}: the connection with {_host(url)} was lost"
            return Body(response, lambda error: _AgainError(f"{lost} ({_reason(error)})"))
        return b"null" if response.status_code == requests.codes.no_content else body

    def _exchange(
        self, url: str, what: str, headers: Mapping[str, str], *, stream: bool
    ) -> tuple[requests.Response, bytes]:
        """Send a request and receive all of its answer, but for one to be read as it arrives.

        Raises:
            _AgainError: If it did not arrive whole.
            ServiceError: If it never will.
        """
        if self._ended:
            # A request behind the sign-out would take a seat that nobody gives back.
            msg = f"{what}: the run is at its end"
            raise UnreachableError(msg)
        self.requests += 1
        connect = min(CONNECT_SECONDS, self.limits.timeout)
        try:
            response = self._http.get(
                url,
                headers=dict(headers),
                timeout=(connect, self.limits.timeout),
                stream=True,
            )
            if stream and response.ok:
                return response, b""
            # Read at once: requests itself would take a page in pieces of 10 KB.
            return response, response.raw.read(decode_content=True)
        except requests.exceptions.SSLError as error:
            msg = f"{what}: the certificate of {_host(url)} was not accepted ({_reason(error)})"
            raise UnreachableError(msg) from error
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
            msg = f"{what}: no answer from {_host(url)} within {self.limits.timeout:g} seconds"
            raise _AgainError(msg) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            msg = f"setting 'url' is wrong: {error}"
            raise AddressError(msg) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            msg = f"{what}: no connection with {_host(url)} ({_reason(error)})"
            raise _AgainError(msg) from error

    def _note(self, response: requests.Response) -> None:
        self._reached = True
        if self.server_time is None:
            self.server_time = _http_date(response.headers.get("Date", ""))

    def _judge(self, response: requests.Response, body: bytes, url: str, what: str) -> None:
        """Raise what the status means, nothing for a success."""
        status = response.status_code
        if status != requests.codes.unauthorized:
            self._signed_in = True
        if urlsplit(response.url).netloc != urlsplit(url).netloc:
            other = _host(response.url)
            msg = f"{what}: redirected to another host, {other}; set 'url' to the final address"
            raise AddressError(msg)
        if response.ok:
            return
        text = body[:20000].decode("utf-8", "replace")
        message = explain(what, status, error_text(body), text)
        symptom = diagnose(status, text)
        if status == requests.codes.unauthorized:
            self._failure = SignInError(
                f"{message}; it was tried once, since more tries would lock the account"
            )
            raise self._failure
        if status in {requests.codes.forbidden, requests.codes.not_found, requests.codes.gone}:
            raise AccessError(message)
        if status not in _RETRIED or (symptom and symptom.refusal and status not in _OVERLOADED):
            raise RefusedError(message)
        explained = status == requests.codes.server_error and error_text(body)
        raise _AgainError(
            message,
            wait=_retry_after(response),
            status=status,
            tries=self._tries_for(symptom, explained=bool(explained)),
            seats=symptom is SEATS,
        )

    def _tries_for(self, symptom: Symptom | None, *, explained: bool) -> int | None:
        if symptom is SEATS:
            return self._seat_tries
        return _EXPLAINED_TRIES if explained else None

    def end(self) -> None:
        """Send nothing more but the sign-out."""
        self._ended = True

    def close(self) -> None:
        """Sign out, once, and give the connections back; never raises."""
        self.end()
        if self._signed_in and self.service.site:
            self._signed_in = False
            try:
                # A body-less POST carries Content-Length: 0, without which IIS answers 411.
                self._http.post(f"{self.service.site}/entity/auth/logout", timeout=CONNECT_SECONDS)
            except requests.exceptions.RequestException as error:
                logger.warning("Signing out of %s failed: %s", self.service.where, _reason(error))
        self._http.close()


def _waits() -> Generator[float, t.Any, None]:
    """Seconds before each further try: what the service asks for, else exponential, with jitter."""
    exponential = backoff.expo(base=2, factor=1, max_value=LONGEST_WAIT_SECONDS)
    exponential.send(None)
    error = yield 0
    while True:
        wait = next(exponential)
        asked = getattr(error, "wait", None)
        error = yield asked if asked is not None else backoff.full_jitter(wait) + wait / 4


def _log_wait(details: t.Any) -> None:
    logger.info("Trying again in %.1f s: %s", details["wait"], details["exception"])


def _retry_after(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return min(float(value), 600.0)
    moment = _http_date(value)
    if moment is None:
        return None
    wait = (moment - dt.datetime.now(dt.timezone.utc)).total_seconds()
    return min(max(wait, 0.0), 600.0)


def _http_date(text: str) -> dt.datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or dt.timezone.utc)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: BaseException) -> str:
    """The innermost cause of a requests error in a few words, without the address it repeats."""
    text = str(error)
    for known, plain in (
        ("Name or service not known", "the host name is not known"),
        ("NameResolutionError", "the host name is not known"),
        ("Connection refused", "connection refused"),
        ("Connection reset", "connection reset"),
        ("RemoteDisconnected", "the connection was closed without an answer"),
        ("IncompleteRead", "the answer was cut off"),
        ("CERTIFICATE_VERIFY_FAILED", "certificate verification failed"),
        ("Network is unreachable", "the network is unreachable"),
    ):
        if known in text:
            return plain
    return type(error).__name__
