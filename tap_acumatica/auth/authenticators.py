"""Authenticators: what signs requests in, shared by all sessions of a tenant.

They are called by ``requests`` as any ``AuthBase`` is, and used from several threads. A refusal is
remembered: an account or a consent that was refused once is not tried again in the whole run.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import typing as t
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

import backoff
from requests.auth import AuthBase, HTTPBasicAuth

from tap_acumatica.auth.grants import to_the_end
from tap_acumatica.auth.seat import TokenSessions
from tap_acumatica.errors import SignInError, UnreachableError
from tap_acumatica.http.retry import RetryableError, log_wait, waits

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests import PreparedRequest

    from tap_acumatica.auth.grants import Grant
    from tap_acumatica.auth.token_store import Tokens

_SHORTEST_SECRET = 4


class Authenticator(AuthBase):
    """Signs nobody in, for services that want none; base of the others.

    Attributes:
        refusal: What status 401 means, and what to do about it.
        token_sessions: What the tap's sessions with the same token share.
    """

    refusal = ("the service wants a sign-in", "set 'username' and 'password'")

    def __init__(self) -> None:
        """Begin with nothing refused."""
        self.token_sessions = TokenSessions()
        self._failure: SignInError | None = None
        self._secrets: frozenset[str] = frozenset()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request in."""
        return request

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A request's turn.

        Raises:
            SignInError: If the sign-in was refused before.
        """
        self.check()
        yield

    def check(self) -> None:
        """Make sure that nothing was refused so far.

        Raises:
            SignInError: If it was.
        """
        if self._failure is not None:
            raise SignInError(str(self._failure))

    def accepted(self) -> None:
        """Note that a request was signed in."""

    def renew(self, request: PreparedRequest) -> bool | None:
        """Renew what a request was refused with.

        Returns:
            Whether this call has brought something new, False where another thread had already;
            None where there is nothing to renew.
        """
        del request
        return None

    def refused(self, message: str) -> SignInError:
        """Remember a refusal, and return the error to raise."""
        if self._failure is None:
            self._failure = SignInError(message)
        return SignInError(str(self._failure))

    def hide(self, text: str) -> str:
        """A text without the secrets that were sent: some error pages repeat the request."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _keep_secret(self, *values: str | None) -> None:
        for value in values:
            if value and len(value) >= _SHORTEST_SECRET:
                inside_json = json.dumps(value)[1:-1]
                spelled = {value, quote(value, safe=""), quote_plus(value), inside_json}
                self._secrets |= spelled


class BasicAuthenticator(Authenticator):
    """User name and password, with each request.

    Until they have opened the service once, one request at a time is sent: a wrong password must be
    tried once, however many sessions wait for it.
    """

    refusal = (
        "the user name or the password is wrong, or the account is locked",
        "set 'username' and 'password'; it was tried once, since more tries would lock the account",
    )

    def __init__(self, username: str, password: str) -> None:
        """Take the credentials."""
        super().__init__()
        self._basic = HTTPBasicAuth(username.encode(), password.encode())
        self._proven = False
        self._first = threading.Lock()
        sent = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._keep_secret(password, sent)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request in."""
        self._basic(request)
        return request

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A request's turn; raises as :meth:`Authenticator.turn`."""
        if self._proven:
            self.check()
            yield
            return
        with self._first:
            self.check()
            yield

    def accepted(self) -> None:
        """Note that the password is right."""
        self._proven = True


class OAuthAuthenticator(Authenticator):
    """OAuth 2.0 access tokens, renewed shortly before they end, and once where one is refused."""

    refusal = (
        "the access token is refused",
        "check 'client_id', its tenant and 'scope', or sign in again with tap-acumatica-login",
    )

    def __init__(
        self,
        grant: Grant,
        *,
        tries: int = 8,
        secrets: t.Iterable[str | None] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is asked for yet.

        Args:
            grant: Where tokens come from.
            tries: Tries of one token request.
            secrets: What must not be shown, beside the tokens.
            clock: Seconds since the epoch.
        """
        super().__init__()
        self._grant = grant
        self._tries = tries
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        self._keep_secret(*secrets)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request in with a token that is good for some time yet.

        Raises:
            SignInError: If there is none to be had.
            UnreachableError: If the identity server cannot be reached.
        """
        with self._lock:
            self.check()
            if self._tokens is None or not self._tokens.fresh(self._clock()):
                self._tokens = self._renew()
            request.headers["Authorization"] = f"Bearer {self._tokens.access}"
        return request

    def renew(self, request: PreparedRequest) -> bool | None:
        """Renew a token that was refused; raises and returns as :meth:`Authenticator.renew`."""
        with self._lock:
            self.check()
            newest = f"Bearer {self._tokens.access}" if self._tokens else ""
            if request.headers.get("Authorization") != newest:
                return False
            self._tokens = self._renew()
            return True

    def _renew(self) -> Tokens:
        """Get new tokens, trying again where that can help; the lock is held.

        Raises:
            SignInError: If that is refused; it is remembered.
            UnreachableError: If the identity server does not answer.
        """
        stale = self._tokens.access if self._tokens else None

        def attempt() -> Tokens:
            return to_the_end(lambda: self._grant.tokens(stale))

        tried = backoff.on_exception(
            waits,
            RetryableError,
            max_tries=self._tries,
            jitter=None,
            on_backoff=log_wait,
            logger=None,
        )(attempt)
        try:
            tokens = tried()
        except SignInError as error:
            raise self.refused(str(error)) from error
        except RetryableError as error:
            msg = f"{error}; given up after {self._tries} tries; tokens and bookmarks are kept"
            raise UnreachableError(msg) from error
        self._keep_secret(tokens.access, tokens.refresh)
        return tokens


def unsigned(request: PreparedRequest) -> PreparedRequest:
    """Leave a request as it is: requests itself would add what a .netrc file holds for the host."""
    return request
