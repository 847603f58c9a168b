"""Authenticators: how requests are signed in, shared by all sessions of a tenant.

Each has one generator, ``auth_flow``, in which the story of one request reads from top to bottom,
as in httpx: it yields the signed request, is sent the answer, and yields the request again where
another try may succeed. It is used from several threads. A refusal is remembered: an account or a
consent that was refused once is not tried again in the whole run.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import typing as t

from requests.auth import HTTPBasicAuth
from typing_extensions import override

from tap_acumatica.auth.grants import STILL_VALID, to_the_end
from tap_acumatica.auth.seat import TokenSessions
from tap_acumatica.errors import SignInError, TapError, UnreachableError
from tap_acumatica.http.redaction import Redactor
from tap_acumatica.http.retry import RetryableError, given_up_after, retrying

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from requests import PreparedRequest

    from tap_acumatica.auth.grants import Grant
    from tap_acumatica.auth.token_store import Tokens

logger = logging.getLogger(__name__)


class Answer(t.Protocol):
    """What a flow must know of an answer."""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""

    @property
    def refused(self) -> bool:
        """Whether the sign-in was refused."""

    def explain(self, cause: str, remedy: str) -> str:
        """One line on a refusal: what failed, the likely cause, what to do."""


_TRIED_ONCE = "it was tried once: further tries could lock the account"


class Authenticator:
    """Signs nobody in, for services that need no sign-in; base of the others.

    Attributes:
        refusal: The likely cause of status 401, and what to do about it.
        token_sessions: What the tap's sessions with the same token share.
        redactor: Masks the secrets that sign in.
    """

    refusal = ("the service requires a sign-in", "set 'username' and 'password'")

    def __init__(self) -> None:
        """Begin with nothing refused."""
        self.token_sessions = TokenSessions()
        self._failure: SignInError | None = None
        self.redactor = Redactor()

    def auth_flow(self, request: PreparedRequest) -> Generator[PreparedRequest, Answer, None]:
        """Sign one request in: yields it as it is to be sent, and takes each answer.

        Raises:
            SignInError: If the sign-in is refused, now or earlier in this run.
            UnreachableError: If the identity server cannot be reached.
        """
        self._check()
        answer = yield request
        if answer.refused:
            raise self._refused(answer.explain(*self.refusal))

    def _check(self) -> None:
        """Make sure that nothing was refused so far.

        Raises:
            SignInError: If it was.
        """
        if self._failure is not None:
            raise SignInError(str(self._failure))

    def _refused(self, message: str) -> SignInError:
        """Remember the first refusal, and return the error to raise."""
        if self._failure is None:
            self._failure = SignInError(message)
        return SignInError(str(self._failure))


class BasicAuthenticator(Authenticator):
    """User name and password, with each request."""

    refusal = ("the user name or the password is wrong, or the account is locked", _TRIED_ONCE)

    def __init__(
        self, username: str, password: str, *, source: str = "'username' and 'password'"
    ) -> None:
        """Take the credentials.

        Args:
            username: User name.
            password: Password.
            source: The settings that they come from, for errors.
        """
        super().__init__()
        self.refusal = (self.refusal[0], f"set {source}; {_TRIED_ONCE}")
        self._sign = HTTPBasicAuth(username.encode(), password.encode())
        self._proven = False
        self._one_at_a_time = threading.Lock()
        self.redactor.add_basic(username, password)

    @override
    def auth_flow(self, request: PreparedRequest) -> Generator[PreparedRequest, Answer, None]:
        """Sign one request in; see :meth:`Authenticator.auth_flow`.

        Until the password has opened the service once, one request at a time is sent: a wrong
        password must be tried once, however many sessions wait.
        """
        with contextlib.nullcontext() if self._proven else self._one_at_a_time:
            self._check()
            self._sign(request)
            answer = yield request
            if answer.refused:
                raise self._refused(answer.explain(*self.refusal))
            self._proven = self._proven or answer.ok


class OAuthAuthenticator(Authenticator):
    """OAuth 2.0 access tokens, renewed shortly before they end, and where one is refused."""

    refusal = (
        "the access token was refused",
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
        """Prepare; nothing is requested yet.

        Args:
            grant: Where tokens come from.
            tries: Tries of one token request.
            secrets: What must not be shown, besides the tokens.
            clock: Seconds since the epoch.
        """
        super().__init__()
        self._grant = grant
        self._tries = tries
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        self._used_to_its_end: Tokens | None = None
        self.redactor.add(*secrets)

    @override
    def auth_flow(self, request: PreparedRequest) -> Generator[PreparedRequest, Answer, None]:
        """Sign one request in; see :meth:`Authenticator.auth_flow`.

        A refused token is renewed once, and once more where other processes use the same tokens:
        one of them may have used the renewed one up. What another thread has renewed is used first.
        """
        tokens = self._current()
        answer = yield _signed(request, tokens)
        renewals = 2 if self._grant.shared else 1
        while answer.refused:
            newer = self._newer_than(tokens)
            if newer is None and renewals:
                newer = self._renewed(tokens)
                renewals -= 1
            if newer is None:
                raise self._refused(answer.explain(*self.refusal))
            tokens = newer
            answer = yield _signed(request, tokens)

    def _current(self) -> Tokens:
        """Tokens whose access token is good for some time yet."""
        with self._lock:
            self._check()
            now, tokens = self._clock(), self._tokens
            if tokens is None or not tokens.valid(now):
                return self._renew()
            if tokens.fresh(now) or tokens is self._used_to_its_end:
                return tokens
            try:
                return self._ask(tries=1)
            except TapError as error:
                logger.warning(
                    "The access token could not be renewed early (%s). %s", error, STILL_VALID
                )
                self._used_to_its_end = tokens
                return tokens

    def _newer_than(self, refused: Tokens) -> Tokens | None:
        """What another thread has got since, None where it has got nothing."""
        with self._lock:
            self._check()
            newest = self._tokens
            return newest if newest and newest.access != refused.access else None

    def _renewed(self, refused: Tokens) -> Tokens:
        """Tokens other than refused ones: another thread's, else renewed now."""
        with self._lock:
            self._check()
            newest = self._tokens
            return newest if newest and newest.access != refused.access else self._renew()

    def _renew(self) -> Tokens:
        """Get tokens, trying again where that can help; the lock is held.

        Raises:
            SignInError: If that is refused; it is remembered.
            UnreachableError: If the identity server does not answer.
        """
        try:
            return self._ask(tries=self._tries)
        except SignInError as error:
            raise self._refused(str(error)) from error
        except RetryableError as error:
            msg = f"{error}; {given_up_after(self._tries)}; tokens and bookmarks are kept"
            msg += f"; {error.remedy}" if error.remedy else ""
            raise UnreachableError(msg) from error

    def _ask(self, *, tries: int) -> Tokens:
        stale = self._tokens.access if self._tokens else None

        def attempt() -> Tokens:
            return to_the_end(lambda: self._grant.tokens(stale))

        tokens = retrying(attempt, tries=tries)
        self.redactor.add(tokens.access, tokens.refresh)
        self._tokens = tokens
        if not tokens.fresh(self._clock()):
            self._used_to_its_end = tokens
        return tokens


def _signed(request: PreparedRequest, tokens: Tokens) -> PreparedRequest:
    request.headers["Authorization"] = f"Bearer {tokens.access}"
    return request
