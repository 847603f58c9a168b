"""One signed-in session with a site: its cookies, its tries, its sign-out.

Acumatica mints a session, and takes a license seat, for every request that brings no cookies back
("License Restrictions for API Users"). So a session keeps its cookies, and is always signed out at
its end. The sessions of one tenant share an authenticator and a rate limiter; each is used by one
thread at a time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import time
import typing as t

import requests

from tap_acumatica.acumatica.answers import Answer
from tap_acumatica.acumatica.limits import Limits
from tap_acumatica.acumatica.page_size import NO_DOUBT, SizeDoubt
from tap_acumatica.acumatica.served import Served, refused_alone
from tap_acumatica.acumatica.sign_out import sign_out
from tap_acumatica.auth.authenticators import Authenticator
from tap_acumatica.auth.seat import Seat
from tap_acumatica.errors import (
    AccessError,
    AddressError,
    AnswerError,
    BlockedError,
    BusyError,
    EmptyAnswerError,
    EmptyPayloadError,
    MetadataError,
    PayloadError,
    RefusedError,
    SessionEndedError,
    TapError,
    UnreachableError,
)
from tap_acumatica.http.connection_errors import NO_ANSWER, explain_failure, shown_proxy
from tap_acumatica.http.content_coding import ACCEPTED, AS_IT_IS, ContentCodingError
from tap_acumatica.http.rate_limit import RateLimiter
from tap_acumatica.http.redirects import MOST, moved, redirect_target, stays_on_site
from tap_acumatica.http.retry import (
    RetryableError,
    given_up_after,
    http_date,
    retrying,
)
from tap_acumatica.http.transport import Transport, UnledSession, mount, unsigned
from tap_acumatica.odata.preferences import PREFERENCE_APPLIED, omits_nulls

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_acumatica.acumatica.addresses import Service

T = t.TypeVar("T")
Metered = t.Callable[[], contextlib.AbstractContextManager[None]]

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 30
NEVER_REACHED_SECONDS = 20
_JSON = {"Accept": "application/json"}
_ANSWER_TRIES = 2


class _BadAnswerError(RetryableError):
    """A body that is not an answer.

    Attributes:
        final: What it means where it lasts.
    """

    def __init__(self, final: AnswerError) -> None:
        super().__init__(str(final))
        self.final = final


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
        transport: Transport | None = None,
    ) -> None:
        """Prepare a session; nothing is sent yet.

        Args:
            service: What to read.
            auth: Signs requests in; None for a service that needs none.
            limits: How long and how often to ask.
            rate_limiter: How many requests may begin per minute.
            user_agent: Name to send.
            transport: Carries the requests.
        """
        self.service = service
        self.limits = limits or Limits()
        self.server_time: dt.datetime | None = None
        self.ahead = dt.timedelta()
        self.omits_nulls = False
        self._auth = auth or Authenticator()
        self._rate_limiter = rate_limiter or RateLimiter()
        self._reached = False
        self._served = Served(service)
        self._ended = False
        self._metered: Metered = contextlib.nullcontext
        self._http = UnledSession()
        self._seat = Seat(self._http.cookies, self._auth.token_sessions)
        self._transport = transport or Transport(service.root, redactor=self._auth.redactor)
        self._redactor = self._transport.redactor
        mount(self._http, self._transport)
        self._http.headers.update({"User-Agent": user_agent, "Accept-Encoding": ACCEPTED})
        self._http.auth = unsigned

    def fetch(  # noqa: PLR0913  a request is this much
        self,
        url: str,
        parse: Callable[[t.Any], T],
        *,
        what: str,
        headers: Mapping[str, str] = _JSON,
        smaller: str | None = None,
        suspected: bool = False,
        stream: bool = False,
        metered: Metered = contextlib.nullcontext,
    ) -> T:
        """Get an address and parse the answer, trying again where that can help.

        Args:
            url: Address, encoded.
            parse: Turns a body into a value; its ``PayloadError`` makes the answer invalid.
            what: What is asked for, for messages.
            headers: What to accept, and further headers of this request.
            smaller: Address of the same page with few rows, where the caller can ask for a smaller
                page: asked for once where a page is refused or fails twice. What it does not mend
                is not blamed on the size, and is tried again as usual.
            suspected: Whether that page is known to be answered, so that the first failure that
                the size can explain is one of the size.
            stream: Whether ``parse`` gets a :class:`Body` to read from, which may be larger than
                memory, instead of bytes.
            metered: Called for each request that is sent, and left with its whole answer.

        Returns:
            What ``parse`` made of the body.

        Raises:
            SignInError: If the credentials are refused, now or earlier in this run.
            AccessError: If the user may not read it, or it is not there.
            RefusedError: If the service does not take the request as put.
            BlockedError: If something between the tap and the service does not.
            SlowAnswerError: If it did not come in time, and ``smaller`` is given.
            PageSizeError: If it failed, and ``smaller`` is answered.
            BusyError: If it was overloaded or too slow, for all tries.
            AnswerError: If the answer is repeatedly not a valid one.
            SeatsTakenError: If the site takes no further session, or has ended this one.
            UnreachableError: If the site did not answer.
        """
        tries = bad_answers = 0
        read: Callable[..., T] = functools.partial(
            self._read, parse=parse, what=what, stream=stream
        )
        few = functools.partial(read, smaller, NO_DOUBT, headers=headers) if smaller else None
        doubt = SizeDoubt(few, suspected=suspected, tries=self.limits.tries)

        def attempt() -> T:
            nonlocal tries, bad_answers
            tries += 1
            # A body that is cut short may be one that was packed or unpacked on its way.
            sent = {**headers, "Accept-Encoding": AS_IT_IS} if bad_answers else headers
            try:
                return read(url, doubt, headers=sent)
            except _BadAnswerError as error:
                bad_answers += 1
                if bad_answers >= min(_ANSWER_TRIES, self.limits.tries):
                    raise doubt.judged(error.final) from None
                raise

        started = time.monotonic()
        self._metered = metered

        def give_up(error: RetryableError) -> bool:
            if error.tries and tries >= error.tries:
                return True
            if doubt.failed(error, tries):
                return True
            return not self._reached and time.monotonic() - started > NEVER_REACHED_SECONDS

        try:
            return retrying(attempt, tries=self.limits.tries, give_up=give_up)
        except RetryableError as error:
            raise doubt.given_up(error, self._given_up(error, tries)) from error
        finally:
            self._metered = contextlib.nullcontext
            if not self.limits.stay:
                self._sign_out()

    def _read(self, url: str, doubt: SizeDoubt, *, what: str, **options: t.Any) -> t.Any:
        """One try of one request, and what is made of the answer; raises as :meth:`_read_once`.

        A 401 for one address means no more than that where another one is answered as before, and
        this one is refused once more.
        """
        try:
            return self._read_once(url, doubt, what=what, **options)
        except SessionEndedError:
            if not self._serves_others(url):
                raise
        try:
            return self._read_once(url, doubt, what=what, **options)
        except SessionEndedError as error:
            raise refused_alone(what) from error

    def _read_once(  # noqa: PLR0913  a request is this much
        self,
        url: str,
        doubt: SizeDoubt,
        *,
        parse: Callable[[t.Any], T],
        what: str,
        headers: Mapping[str, str],
        stream: bool,
    ) -> T:
        """One try of one request, and what ``parse`` makes of the answer.

        Raises:
            RetryableError: If another try may succeed.
            TapError: If none will.
        """
        answer = self._get(url, what, headers, stream=stream)
        try:
            answer.check_status(self._seat, has_seats=self.service.site is not None)
            found = parse(answer.received)
        except (AccessError, RefusedError) as error:
            if answer.may_be_too_large:
                raise doubt.refused(error, answer.limits) from None
            raise
        except (PayloadError, MetadataError) as error:
            message = answer.explain_payload(error)
            empty = isinstance(error, EmptyPayloadError)
            final = (EmptyAnswerError if empty else AnswerError)(message)
            raise _BadAnswerError(final) from None
        self._served.add(url, headers)
        return found

    def _serves_others(self, url: str) -> bool:
        """Whether another address than this one is answered."""
        other = self._served.other_than(url)
        if other is None:
            return False
        try:
            return self._get(other[0], "", other[1], stream=False).brings_data
        except TapError:
            return False

    def _given_up(self, error: RetryableError, tries: int) -> TapError:
        message = f"{error}; {given_up_after(tries)}"
        if error.status == requests.codes.server_error and not error.blocked:
            # So some services say that they do not take a filter, an order or a column.
            return RefusedError(message)
        if error.blocked:
            return BlockedError(message)
        if not (error.status or self._reached):
            usual = "check the setting 'url', the network and whether the site is up"
            return UnreachableError(f"{error}; {error.remedy or usual}")
        message += f"; {error.remedy}" if error.remedy else ""
        return BusyError(message) if error.busy else AnswerError(message)

    def _get(self, url: str, what: str, headers: Mapping[str, str], *, stream: bool) -> Answer:
        """Any answer to one request, which is sent as often as its sign-in takes.

        Raises:
            RetryableError: If another try may succeed.
            TapError: If none will.
        """
        with contextlib.closing(self._auth.auth_flow(self._prepare(url, headers))) as flow:
            request = next(flow)
            while True:
                answer = self._exchange(request, what, stream=stream)
                answer.check_redirect()
                try:
                    request = flow.send(answer)
                except StopIteration:
                    break
        self._note(answer.response)
        return answer

    def _exchange(self, request: requests.PreparedRequest, what: str, *, stream: bool) -> Answer:
        """Send a request, and again where it is redirected on the site; receive all of the answer.

        Raises:
            RetryableError: If it did not arrive whole.
            TapError: If it never will.
        """
        for _ in range(MOST + 1):
            answer = self._send(request, what, stream=stream)
            target = redirect_target(answer.response)
            if target is None or answer.page or not stays_on_site(str(request.url), target):
                return answer
            self.service.check_redirect(target)
            request = moved(request, target)
        msg = f"{what}: the request is redirected in a circle, {MOST} times; check 'url'"
        raise AddressError(msg)

    def _send(self, request: requests.PreparedRequest, what: str, *, stream: bool) -> Answer:
        self._rate_limiter.wait()
        if self._ended:
            # A request behind the sign-out would take a seat that nobody gives back.
            msg = f"{what}: the run is ending, so nothing more is requested"
            raise UnreachableError(msg)
        url = str(request.url)
        connect = min(CONNECT_SECONDS, self.limits.timeout)
        request.headers.pop("Cookie", None)
        request.prepare_cookies(self._http.cookies)
        proxies: Mapping[str, str] = {}
        try:
            surroundings = self._http.merge_environment_settings(
                url, proxies={}, stream=True, verify=None, cert=None
            )
            proxies = surroundings["proxies"]
            with self._metered():
                response = self._http.send(
                    request, timeout=(connect, self.limits.timeout), **surroundings
                )
                self._seat.answered(response)
                spools = stream and response.ok
                receive = self._transport.spool if spools else self._transport.receive
                body = receive(response)
        except SystemExit:
            self._seat.interrupted(request)
            raise
        except ContentCodingError as error:
            if self._transport.ask_as_it_is():
                return self._send(request, what, stream=stream)
            msg = (
                f"{what}: the answer cannot be unpacked ({error}); something between, such as a "
                "proxy, may have changed it"
            )
            raise _BadAnswerError(AnswerError(msg)) from error
        except NO_ANSWER as error:
            seconds, advice = self.limits.timeout, "set a larger 'timeout'"
            failure = explain_failure(error, url, proxies, seconds=seconds, advice=advice)
            raise failure.error(what) from error
        proxy = shown_proxy(url, proxies)
        return Answer(response, body, what=what, redactor=self._redactor, proxy=proxy)

    def _prepare(self, url: str, headers: Mapping[str, str]) -> requests.PreparedRequest:
        """A request with the cookies of the session.

        Raises:
            AddressError: If its address is not one.
        """
        try:
            self._http.get_adapter(url)
            return self._http.prepare_request(requests.Request("GET", url, headers=dict(headers)))
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            msg = f"'url' is not a valid address: {self._redactor.redact(str(error))}"
            raise AddressError(msg) from error

    def _note(self, response: requests.Response) -> None:
        self._reached = True
        self.omits_nulls |= omits_nulls(response.headers.get(PREFERENCE_APPLIED, ""))
        if self.server_time is None:
            self.server_time = http_date(response.headers.get("Date", ""))
            if self.server_time:
                self.ahead = self.server_time - dt.datetime.now(dt.timezone.utc)

    def end(self) -> None:
        """Send nothing more except the sign-out."""
        self._ended = True

    def close(self) -> None:
        """Sign out, once, and give the connections back; never raises."""
        self.end()
        self._sign_out()
        self._http.close()

    def _sign_out(self) -> None:
        """End the session on the site, if there is one; its token, if it has one, stays good."""
        headers = self._seat.release()
        if headers is not None:
            sign_out(self._http, self._transport, self.service, headers, served=bool(self._served))
