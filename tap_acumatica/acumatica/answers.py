"""What an answer of a service means: success, a refused sign-in, another try, or an error."""

from __future__ import annotations

import functools
import re
import typing as t

import requests

from tap_acumatica.acumatica.error_patterns import (
    PAGE_SIZE,
    RIGHTS,
    SEATS,
    SEATS_REMEDY,
    TOO_MUCH,
    UNNAMED_LIMIT,
    ErrorPattern,
    cause_and_remedy,
    diagnose,
    explain,
    named_limits,
)
from tap_acumatica.acumatica.site_pages import is_html, page_of, visible_text
from tap_acumatica.errors import (
    AccessError,
    AddressError,
    NotFoundError,
    PayloadError,
    RefusedError,
    SeatsTakenError,
    SignInError,
)
from tap_acumatica.http.body import Body
from tap_acumatica.http.connection_errors import host, proxy_wants_sign_in
from tap_acumatica.http.intermediaries import between, described, leads_away
from tap_acumatica.http.redirects import redirect_target
from tap_acumatica.http.retry import RetryableError, retry_after
from tap_acumatica.odata.payload import error_text

if t.TYPE_CHECKING:
    from tap_acumatica.auth.seat import Seat
    from tap_acumatica.http.redaction import Redactor

_ANSWERED = frozenset({200, 203})
_NO_CONTENT = b"null"
_EXPLAINED_TRIES = 3
_BLOCKED_TRIES = 3
_SEARCHED = 20_000
_PAGE_SEARCHED = 200_000
_SLOW = frozenset({408, 504, 524})
_OF_ANY_SIZE = frozenset({401, 402, 404, 405, 406, 407, 410, 414, 415, 431})
_OVERLOADED = frozenset({408, 425, 429, 502, 503, 504})
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})


class Answer:
    """A received answer."""

    def __init__(
        self,
        response: requests.Response,
        received: bytes | Body,
        *,
        what: str,
        redactor: Redactor,
        proxy: str = "",
    ) -> None:
        """Take it.

        Args:
            response: Its head.
            received: Its body.
            what: What was asked for, for messages.
            redactor: Masks secrets in what the service says.
            proxy: Host and port of the proxy that it came by, empty where there was none.
        """
        self.response = response
        self._received = received
        self._what = what
        self._redactor = redactor
        self._proxy = proxy
        self._page = page_of(response)
        self._body: bytes = (
            received.head(_PAGE_SEARCHED) if isinstance(received, Body) else received
        )
        self._is_html = is_html(self._body)
        self._status = self._page.status if self._page else response.status_code
        self._text = self._said()

    def _said(self) -> str:
        """What the service says, to be searched."""
        if self._page and (self._page.message or not self._is_html):
            return self._page.message
        shown = visible_text(self._body[:_PAGE_SEARCHED]) if self._is_html else ""
        # What is no text of the page may tell something as well, such as a stack.
        return shown or self._body[:_SEARCHED].decode("utf-8", "replace")

    @property
    def page(self) -> str | None:
        """The page of the site that it redirects to in place of an answer; None for any other."""
        return self._page.path if self._page else None

    @functools.cached_property
    def _is_failure(self) -> bool:
        """Whether a success is a page that reports a failure, as one that was redirected to is."""
        if self._page:
            return True
        pattern = diagnose(requests.codes.server_error, self._text) if self._is_html else None
        return pattern in {SEATS, TOO_MUCH} or bool(pattern and pattern.sign_in)

    @property
    def _pattern(self) -> ErrorPattern | None:
        return None if self.ok else diagnose(self._status, self._text)

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.response.ok and not self._is_failure

    @property
    def brings_data(self) -> bool:
        """Whether the request succeeded, and not with a page for people."""
        return self.ok and not self._is_html

    @property
    def refused(self) -> bool:
        """Whether the sign-in was refused: a full license may be reported by the same status."""
        unauthorized = self._status == requests.codes.unauthorized and self._between is None
        return self.denied or (unauthorized and self._pattern not in {SEATS, RIGHTS})

    @functools.cached_property
    def _between(self) -> str | None:
        return between(self.response.status_code, self.response.headers, self._body)

    @property
    def denied(self) -> bool:
        """Whether the service says why this user may not sign in, so that no try will help."""
        return bool(self._pattern and self._pattern.sign_in)

    @property
    def received(self) -> bytes | Body:
        """The body, ``null`` where a success has none by its status.

        Raises:
            PayloadError: If the status promises no answer to the request, such as 202 or 304.
        """
        status = self._status
        if self._page:
            msg = f"HTTP {status} to {self._page.path}, which is a page for people"
            raise PayloadError(msg)
        if status == requests.codes.no_content:
            is_bytes = isinstance(self._received, bytes)
            return _NO_CONTENT if is_bytes else Body(self.response.headers, [_NO_CONTENT])
        if status not in _ANSWERED:
            msg = f"HTTP {status} brings no rows; something between may have answered"
            raise PayloadError(msg)
        return self._received

    @property
    def may_be_too_large(self) -> bool:
        """Whether a refusal may be one of as many rows: a large page is refused in many ways."""
        status = self._status
        if status == requests.codes.forbidden:
            return self._pattern is PAGE_SIZE
        return status not in _OF_ANY_SIZE

    @property
    def limits(self) -> tuple[int, ...]:
        """Numbers that a refusal names as the most rows the service gives."""
        return named_limits(self._text)

    def explain(self, *refusal: str) -> str:
        """One line on a failure: what failed, the likely cause, what to do.

        Args:
            refusal: Cause and remedy, where they are known better than by the status alone. What
                the service itself says of a sign-in is better still.
        """
        if refusal and self.denied:
            cause, remedy = cause_and_remedy(self._status, self._text)
            refusal = (cause, "; ".join(part for part in (remedy, refusal[1]) if part))
        known = refusal or cause_and_remedy(self._status, self._text)
        body = self._page.message.encode() if self._page else self._body
        said = error_text(body, self._redactor.redact)
        page = self._page.path if self._page else ""
        return explain(self._what, self.response.status_code, said, *known, page=page)

    def explain_payload(self, error: Exception) -> str:
        """One line on a body that could not be parsed.

        Args:
            error: The parser's; what it quotes stands behind a colon or in brackets.
        """
        if self._is_html and not self._page:
            page = described(self._between or "", self._body, self._redactor.redact)
            return (
                f"{self._what}: a web page{f' ({page})' if page else ''} came instead of data; the "
                "site or something between, such as a proxy, asks people to sign in there"
            )
        own, mark, said = [*re.split(r"(: | \()", str(error), maxsplit=1), "", ""][:3]
        if mark == ": " and said == error_text(self._body):  # cut off, maybe within a secret
            said = error_text(self._body, self._redactor.redact)
        return f"{self._what}: {own}{mark}{self._redactor.redact(said)}"

    def check_redirect(self) -> None:
        """Refuse a redirect that leaves the site.

        Raises:
            AddressError: If the request was redirected to another host, port or scheme.
        """
        target = redirect_target(self.response)
        if target is None or self.page:
            return
        own, other = host(str(self.response.url)), self._redactor.redact(host(target))
        place = "another address" if own == other or not other else f"another host, {other}"
        name = leads_away(self.response.headers)
        sender = f"{name}, or something else" if name else "something"
        msg = (
            f"{self._what}: the request was redirected to {place}, which is not followed; set "
            f"'url' to the final address if that is the site's; if not, {sender} between this "
            "machine and the site answered, such as a proxy or the sign-in page of a network"
        )
        raise AddressError(msg)

    def _check_between(self) -> None:
        """Raise what a refusal from between means, which says nothing about the service.

        Raises:
            NetworkSettingsError: If a proxy requires a sign-in.
            RetryableError: Else.
        """
        if self._page or self.denied or self._pattern in {SEATS, TOO_MUCH, RIGHTS}:
            return
        status = self.response.status_code
        if status == requests.codes.proxy_authentication:
            raise proxy_wants_sign_in(self._proxy).error(self._what)
        if self._between is None or status == requests.codes.not_found:
            return
        passing = status in _RETRIED
        by = f"the proxy {self._proxy}, or something else" if self._proxy else "something"
        said = described(self._between, self._body, self._redactor.redact)
        message = (
            f"{self._what}: HTTP {status}, {by} between this machine and the site "
            f"{'failed' if passing else 'refused it'}{f' ({said})' if said else ''}"
        )
        if not passing:
            message += (
                "; this is not a matter of access rights: let it allow requests to "
                f"{host(str(self.response.url))}, or check HTTP_PROXY, HTTPS_PROXY, NO_PROXY"
            )
        raise RetryableError(
            message,
            wait=retry_after(self.response),
            status=status,
            tries=None if passing else _BLOCKED_TRIES,
            slow=status in _SLOW,
            busy=passing,
            blocked=not passing or status == requests.codes.server_error,
        )

    def check_status(self, seat: Seat, *, has_seats: bool) -> None:
        """Raise what the status means, nothing for a success.

        Args:
            seat: The session's; a failure that is not about seats shows that it has one.
            has_seats: Whether the service is a site that takes license seats for sure.

        Raises:
            NetworkSettingsError: If a proxy requires a sign-in.
            SeatsTakenError: If no license seat is free.
            RetryableError: If another try may succeed, or something between refuses the request.
            SignInError: If the user may not sign in.
            AccessError: If the user may not read it, or it is not there.
            RefusedError: If the service does not take the request as put.
        """
        if self.ok:
            return
        status, pattern = self._status, self._pattern
        self._check_between()
        if pattern is SEATS or (not seat.held and self._may_be_seats(has_seats=has_seats)):
            remedy = f"{SEATS_REMEDY}; or set 'requests_per_minute'"
            known = () if pattern is SEATS else (UNNAMED_LIMIT.cause, remedy)
            raise SeatsTakenError(self.explain(*known), retry_after(self.response))
        message = self.explain()
        if self.denied:
            raise SignInError(message)
        if not self._page:
            seat.opened(self.response.request)
        if status == requests.codes.not_found:
            raise NotFoundError(message)
        if status in {requests.codes.forbidden, requests.codes.gone} or pattern is RIGHTS:
            raise AccessError(message)
        if status < requests.codes.bad_request:
            if pattern is TOO_MUCH:
                raise RetryableError(message, status=requests.codes.server_error)
            return
        if status not in _RETRIED or (pattern and pattern.refusal and status not in _OVERLOADED):
            raise RefusedError(message)
        explained = status == requests.codes.server_error and (
            self._page.message if self._page else error_text(self._body)
        )
        raise RetryableError(
            message,
            wait=retry_after(self.response),
            status=status,
            tries=_EXPLAINED_TRIES if explained else None,
            slow=status in _SLOW,
            busy=status != requests.codes.server_error,
        )

    def _may_be_seats(self, *, has_seats: bool) -> bool:
        """Whether a limit without words is one of seats, given that no session is open yet."""
        if self._pattern is UNNAMED_LIMIT:
            return True
        said = self._page.message if self._page else error_text(self._body)
        return has_seats and self._status == requests.codes.too_many_requests and not said


def is_unauthorized(response: requests.Response) -> bool:
    """Whether an answer has status 401."""
    unauthorized: int = requests.codes.unauthorized
    return response.status_code == unauthorized
