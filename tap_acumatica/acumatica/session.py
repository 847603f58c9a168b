"""One signed-in session with a site: its cookies, its tries, its sign-out.

Acumatica mints a session, and takes a license seat, for every request that brings no cookies back
("License Restrictions for API Users"). So a session keeps its cookies, and is signed out at its end
whatever happens. Several sessions of one tenant share an authenticator and a brake; each is used by
one thread at a time.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

import backoff
import requests
import urllib3

from tap_acumatica.acumatica.error_patterns import SEATS, UNNAMED_LIMIT, diagnose, explain
from tap_acumatica.auth.authenticators import Authenticator
from tap_acumatica.errors import (
    AccessError,
    AddressError,
    AnswerError,
    EmptyAnswerError,
    EmptyPayloadError,
    MetadataError,
    NotFoundError,
    PayloadError,
    RefusedError,
    SeatsTakenError,
    SlowAnswerError,
    TapError,
    UnreachableError,
)
from tap_acumatica.http.body import Body
from tap_acumatica.http.rate_limit import RateLimiter
from tap_acumatica.http.retry import (
    RetryableError,
    http_date,
    log_wait,
    reason,
    retry_after,
    waits,
)
from tap_acumatica.http.transport import Transport, mount
from tap_acumatica.odata.payload import error_text

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_acumatica.acumatica.addresses import Service

T = t.TypeVar("T")

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 30
NEVER_REACHED_SECONDS = 20
_JSON = {"Accept": "application/json"}
_ANSWER_TRIES = 2
_EXPLAINED_TRIES = 3
_GATEWAY_TRIES = 2
_SEARCHED = 20_000
_SLOW = frozenset({408, 504, 524})
_OVERLOADED = frozenset({408, 425, 429, 502, 503, 504})
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often to ask.

    Attributes:
        timeout: Seconds to wait for an answer.
        tries: Tries of one request.
        stay: Whether to stay signed in between requests.
    """

    timeout: float = 600
    tries: int = 8
    stay: bool = True


class Session:
    """Requests to one service, by one user, over kept-alive connections with the same cookies."""

    def __init__(  # noqa: PLR0913  each may differ from session to session
        self,
        service: Service,
        *,
        auth: Authenticator | None = None,
        limits: Limits | None = None,
        rate_limiter: RateLimiter | None = None,
        user_agent: str = "tap-acumatica",
        waits_for_seat: bool = True,
        transport: Transport | None = None,
    ) -> None:
        """Prepare a session; nothing is sent yet.

        Args:
            service: What to read.
            auth: Signs requests in; None for a service that wants none.
            limits: How long and how often to ask.
            rate_limiter: How many requests may begin a minute.
            user_agent: Name to give.
            waits_for_seat: Whether to try again where the license has no seat left.
            transport: Carries the requests.
        """
        self.service = service
        self.limits = limits or Limits()
        self.requests = 0
        self.server_time: dt.datetime | None = None
        self.ahead = dt.timedelta()
        self._auth = auth or Authenticator()
        self._rate_limiter = rate_limiter or RateLimiter()
        self._seat_tries = None if waits_for_seat else 1
        self._reached = False
        self._opened = False
        self._ended = False
        self._http = requests.Session()
        self._transport = transport or Transport(service.root)
        mount(self._http, self._transport)
        self._http.headers["User-Agent"] = user_agent
        self._http.auth = self._auth

    def fetch(  # noqa: PLR0913  a request is this much
        self,
        url: str,
        parse: Callable[[t.Any], T],
        *,
        what: str,
        headers: Mapping[str, str] = _JSON,
        halves: bool = False,
        stream: bool = False,
    ) -> T:
        """Get an address and parse what comes, trying again where that can help.

        Args:
            url: Address, encoded.
            parse: Turns a body into a value; its ``PayloadError`` makes the answer count as none.
            what: What is asked for, for messages.
            headers: What to accept, and further headers of this request.
            halves: Whether a smaller page is asked for in place of one that did not come in time.
            stream: Whether ``parse`` gets a :class:`Body` to read from, which may be larger than
                memory, instead of bytes.

        Returns:
            What ``parse`` made of the body.

        Raises:
            SignInError: If the credentials are refused, now or earlier in this run.
            AccessError: If the user may not read it, or it is not there.
            RefusedError: If the service does not take the request as put.
            SlowAnswerError: If it did not come in time, and ``halves`` is set.
            AnswerError: If what came is no answer, repeatedly.
            SeatsTakenError: If the site takes no further session.
            UnreachableError: If the site did not answer.
        """
        self._auth.check()
        tries = bad_answers = 0

        def attempt() -> T:
            nonlocal tries, bad_answers
            tries += 1
            body = self._get(url, what, headers, stream=stream)
            try:
                return parse(body)
            except (PayloadError, MetadataError) as error:
                bad_answers += 1
                message = self._hide(f"{what}: {error}")
                if bad_answers >= min(_ANSWER_TRIES, self.limits.tries):
                    empty = isinstance(error, EmptyPayloadError)
                    raise (EmptyAnswerError if empty else AnswerError)(message) from error
                raise RetryableError(message) from error

        started = time.monotonic()

        def give_up(error: Exception) -> bool:
            if isinstance(error, RetryableError) and (
                (error.tries and tries >= error.tries) or (halves and _too_slow(error, tries))
            ):
                return True
            return not self._reached and time.monotonic() - started > NEVER_REACHED_SECONDS

        tried = backoff.on_exception(
            waits,
            RetryableError,
            max_tries=self.limits.tries,
            giveup=give_up,
            jitter=None,
            on_backoff=log_wait,
            logger=None,
        )(attempt)
        try:
            return tried()
        except RetryableError as error:
            if halves and _too_slow(error, tries):
                raise SlowAnswerError(str(error)) from error
            raise self._given_up(error, tries) from error
        finally:
            if not self.limits.stay:
                self._sign_out()

    def _given_up(self, error: RetryableError, tries: int) -> TapError:
        if error.seats:
            return SeatsTakenError(f"{error}; given up after {tries} tries")
        if error.status == requests.codes.server_error:
            # So some services say that they do not take a filter, an order or a column.
            return RefusedError(f"{error}; given up after {tries} tries")
        if error.status or self._reached:
            return AnswerError(f"{error}; given up after {tries} tries")
        advice = "check the setting 'url', the network and whether the site is up"
        return UnreachableError(f"{error}; {advice}")

    def _get(
        self, url: str, what: str, headers: Mapping[str, str], *, stream: bool
    ) -> bytes | Body:
        """One try of one request, and one more where the sign-in could be renewed.

        Raises:
            RetryableError: If another try may succeed.
            TapError: If none will.
        """
        renewed = False
        while True:
            with self._auth.turn():
                response, received = self._exchange(url, what, headers, stream=stream)
                _check_host(response, url, what)
                body = b"" if isinstance(received, Body) else received
                if not _is_refusal(response, body):
                    break
                renewal = None if renewed else self._auth.renew(response.request)
                if renewal is None:
                    cause = self._auth.refusal
                    raise self._auth.refused(self._explain(response, body, what, cause))
                renewed = renewal
        self._note(response)
        self._judge(response, body, what)
        return b"null" if response.status_code == requests.codes.no_content else received

    def _exchange(
        self, url: str, what: str, headers: Mapping[str, str], *, stream: bool
    ) -> tuple[requests.Response, bytes | Body]:
        """Send a request and receive all of its answer.

        Raises:
            RetryableError: If it did not arrive whole.
            TapError: If it never will.
        """
        self._rate_limiter.wait()
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
            # Noted before the body: a signal may come while that is on its way.
            if response.ok or (self._http.cookies and not _is_unauthorized(response)):
                self._opened = True
            if self._http.cookies:
                self._auth.met_cookies()
            receive = self._transport.spool if stream and response.ok else self._transport.receive
            return response, receive(response)
        except SystemExit:
            # The site may have opened a session meanwhile; who has no cookies of it needs a token.
            self._opened = self._opened or self._auth.alone
            raise
        except requests.exceptions.SSLError as error:
            msg = (
                f"{what}: no safe connection with {_host(url)} ({reason(error)}); check that 'url' "
                "begins with what the site speaks, https:// or http://, and that this machine "
                "trusts the site's certificate (REQUESTS_CA_BUNDLE)"
            )
            raise UnreachableError(msg) from error
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
            msg = (
                f"{what}: no answer from {_host(url)} within {self.limits.timeout:g} seconds; "
                "set a larger 'timeout'"
            )
            raise RetryableError(msg, slow=not _is_connecting(error)) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            msg = f"setting 'url' is wrong: {error}"
            raise AddressError(msg) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            msg = f"{what}: no connection with {_host(url)} ({reason(error)})"
            raise RetryableError(msg) from error

    def _note(self, response: requests.Response) -> None:
        self._reached = True
        if response.ok:
            self._auth.accepted()
        if self.server_time is None:
            self.server_time = http_date(response.headers.get("Date", ""))
            if self.server_time:
                self.ahead = self.server_time - dt.datetime.now(dt.timezone.utc)

    def _judge(self, response: requests.Response, body: bytes, what: str) -> None:
        """Raise what the status means, nothing for a success."""
        status = response.status_code
        if response.ok:
            return
        pattern = diagnose(status, _text(body))
        message = self._explain(response, body, what)
        # Where no session is open yet, a limit without words is most likely that of the seats.
        seats = pattern is SEATS or (pattern is UNNAMED_LIMIT and not self._opened)
        if seats:
            raise RetryableError(
                message,
                wait=retry_after(response),
                status=status,
                tries=self._seat_tries,
                seats=True,
            )
        self._opened = True
        if status == requests.codes.not_found:
            raise NotFoundError(message)
        if status in {requests.codes.forbidden, requests.codes.gone}:
            raise AccessError(message)
        if status not in _RETRIED or (pattern and pattern.refusal and status not in _OVERLOADED):
            raise RefusedError(message)
        explained = status == requests.codes.server_error and error_text(body)
        raise RetryableError(
            message,
            wait=retry_after(response),
            status=status,
            tries=_EXPLAINED_TRIES if explained else None,
            slow=status in _SLOW,
        )

    def _explain(
        self,
        response: requests.Response,
        body: bytes,
        what: str,
        refusal: tuple[str, str] | None = None,
    ) -> str:
        said = error_text(body)
        message = explain(what, response.status_code, said, _text(body), refusal)
        return self._hide(message)

    def _hide(self, text: str) -> str:
        """A text without the secrets that the service was told."""
        return self._transport.redact(self._auth.hide(text))

    def end(self) -> None:
        """Send nothing more but the sign-out."""
        self._ended = True

    def close(self) -> None:
        """Sign out, once, and give the connections back; never raises."""
        self.end()
        self._sign_out()
        self._http.close()

    def _sign_out(self) -> None:
        """End the session on the site, if there is one; its token, if it has one, stays good."""
        if not (self._opened and self.service.site):
            return
        self._opened = False
        if not (self._http.cookies or self._auth.may_leave()):
            return
        try:
            # A body-less POST carries Content-Length: 0, without which IIS answers 411.
            response = self._http.post(
                f"{self.service.site}/entity/auth/logout",
                auth=self._auth.as_it_is,
                timeout=CONNECT_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            self._transport.receive(response)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            logger.warning("Signing out of %s failed: %s", self.service.where, reason(error))
            return
        finally:
            self._http.cookies.clear()
        if not (response.ok or _is_unauthorized(response)):
            status = response.status_code
            logger.warning("Signing out of %s failed: HTTP %d", self.service.where, status)


def _check_host(response: requests.Response, url: str, what: str) -> None:
    """Refuse an answer from elsewhere.

    Raises:
        AddressError: If the request was redirected to another host.
    """
    if _host(response.url) != _host(url):
        other = _host(response.url)
        msg = f"{what}: redirected to another host, {other}; set 'url' to the final address"
        raise AddressError(msg)


def _is_unauthorized(response: requests.Response) -> bool:
    unauthorized: int = requests.codes.unauthorized
    return response.status_code == unauthorized


def _is_refusal(response: requests.Response, body: bytes) -> bool:
    """Whether the sign-in was refused: a full license may be told by the same status."""
    return _is_unauthorized(response) and diagnose(401, _text(body)) is not SEATS


def _too_slow(error: RetryableError, tries: int) -> bool:
    """Whether asking once more for as much is no use; a gateway may just have been restarted."""
    return error.slow and (error.status is None or tries >= _GATEWAY_TRIES)


def _is_connecting(error: BaseException) -> bool:
    kinds = (requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)
    return isinstance(error, kinds)


def _text(body: bytes) -> str:
    return body[:_SEARCHED].decode("utf-8", "replace")


def _host(url: str) -> str:
    return urlsplit(url).netloc
