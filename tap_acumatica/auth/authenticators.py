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
from tap_acumatica.errors import SessionEndedError, SignInError, TapError, UnreachableError
from tap_acumatica.http.redaction import Redactor
from tap_acumatica.http.retry import RetryableError, given_up_after, retrying

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from requests import PreparedRequest

    from tap_acumatica.auth.grants import Grant
    from tap_acumatica.auth.token_store import Tokens

logger = logging.getLogger(__name__)

AGAIN_AFTER_SECONDS = 600.0
"""After which the site has forgotten wrong passwords, at the latest."""
_ENDED = (
    "the sign-in was accepted before and is refused now: either the site ended the session, since "
    "all license seats are taken or since it restarts, or the password was changed"
)
_ENDED_REMEDY = (
    "sign out other integrations or raise the number of API logins of the user, 1 by default "
    "(Users, SM201010) and that of the license (License Monitoring Console, SM604000), and check "
    "the password"
)


class Answer(t.Protocol):
    """What a flow must know of an answer."""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""

    @property
    def refused(self) -> bool:
        """Whether the sign-in was refused."""

    @property
    def denied(self) -> bool:
        """Whether the service says why this user may not sign in, so that no try will help."""

    def explain(self, cause: str, remedy: str) -> str:
        """One line on a refusal: what failed, the likely cause, what to do."""


class _SignInAgain:
    """When a sign-in is tried again that was accepted before, and is refused now.

    Once, and then rarely: if the password was changed, each try could lock the account.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._refused = 0
        self._last = 0.0

    @property
    def due(self) -> bool:
        """Whether the credentials may be sent."""
        return self._refused <= 1 or self._clock() - self._last >= self._seconds

    def refused(self) -> None:
        """Note that they were."""
        self._refused += 1
        self._last = self._clock()

    def accepted(self) -> None:
        """Note that the site is open again."""
        self._refused = 0


class Authenticator:
    """Signs nobody in, for services that need no sign-in; base of the others.

    A 401 after a sign-in that was accepted is no refusal of the credentials: where no license seat
    is left, Acumatica accepts a sign-in and then refuses everything.

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
            raise self._refused(answer)

    def _check(self) -> None:
        """Make sure that nothing was refused so far.

        Raises:
            SignInError: If it was.
        """
        if self._failure is not None:
            raise SignInError(str(self._failure))

    def _refused(self, answer: Answer) -> SignInError:
        """Remember the first refusal, and return the error to raise."""
        return self._remembered(answer.explain(*self.refusal))

    def _remembered(self, message: str) -> SignInError:
        if self._failure is None:
            self._failure = SignInError(message)
        return SignInError(str(self._failure))


class BasicAuthenticator(Authenticator):
    """User name and password, with each request."""

    def __init__(
        self,
        username: str,
        password: str,
        *,
        origin: str = "'username' and 'password'",
        again_after: float = AGAIN_AFTER_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the credentials.

        Args:
            username: User name.
            password: Password.
            origin: The settings that they come from, for messages.
            again_after: Seconds after which a password is sent again that was accepted once and
                refused since.
            clock: Seconds that never go back.
        """
        super().__init__()
        alone = (
            " (the login name on the Users screen, SM201010, without '@' and the tenant)"
            if "@" in username
            else ""
        )
        self.refusal = (
            "the user name or the password is wrong, or the account is locked",
            f"set {origin}{alone}; it was tried once: further tries could lock the account",
        )
        self._sign = HTTPBasicAuth(username.encode(), password.encode())
        self._proven = False
        self._again = _SignInAgain(again_after, clock)
        self._one_at_a_time = threading.Lock()
        self.redactor.add_basic(username, password)

    @override
    def auth_flow(self, request: PreparedRequest) -> Generator[PreparedRequest, Answer, None]:
        """Sign one request in; see :meth:`Authenticator.auth_flow`.

        Until the password has opened the service once, one request at a time is sent: a wrong
        password must be tried once, however many sessions wait. Where it is refused later, the
        cookies alone show most of the time whether the site is open again.

        Raises:
            SessionEndedError: If the password was accepted before.
        """
        with contextlib.nullcontext() if self._proven else self._one_at_a_time:
            self._check()
            if signed := self._again.due:
                self._sign(request)
            answer = yield request
            if answer.denied or (answer.refused and not self._proven):
                raise self._refused(answer)
            if answer.refused:
                if signed:
                    self._again.refused()
                raise SessionEndedError(answer.explain(_ENDED, _ENDED_REMEDY))
            if answer.ok:
                self._proven = True
                self._again.accepted()


class OAuthAuthenticator(Authenticator):
    """OAuth 2.0 access tokens, renewed shortly before they end, and where one is refused."""

    def __init__(  # noqa: PLR0913  each may differ from tenant to tenant
        self,
        grant: Grant,
        *,
        tries: int = 8,
        secrets: t.Iterable[str | None] = (),
        origin: str = "",
        again_after: float = AGAIN_AFTER_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is requested yet.

        Args:
            grant: Where tokens come from.
            tries: Tries of one token request.
            secrets: What must not be shown, besides the tokens.
            origin: Where the credentials stand, for messages; empty where that is plain.
            again_after: Seconds after which tokens are asked for again, where new ones of a consent
                that was accepted before were refused.
            clock: Seconds since the epoch.
        """
        super().__init__()
        self._origin = f" ({origin})" if origin else ""
        self.refusal = (
            "the access token was refused",
            (
                f"check 'client_id'{self._origin}, its tenant and 'scope', or sign in again with "
                "tap-acumatica-login; where all of that is right, all license seats may be taken "
                "(Users, SM201010; License Monitoring Console, SM604000)"
            ),
        )
        self._proven = False
        self._again = _SignInAgain(again_after, clock)
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

        Raises:
            SessionEndedError: If tokens were accepted before, and renewing them did not help.
        """
        tokens = self._current()
        answer = yield _signed(request, tokens)
        renewals = 2 if self._grant.shared else 1
        while answer.refused:
            if answer.denied:
                raise self._refused(answer)
            newer = self._newer_than(tokens)
            if newer is None and renewals and self._again.due:
                newer = self._renewed(tokens)
                renewals -= 1
            if newer is None:
                if not self._proven:
                    raise self._refused(answer)
                if renewals == 0:
                    self._again.refused()
                raise SessionEndedError(answer.explain(_ENDED, _ENDED_REMEDY))
            tokens = newer
            answer = yield _signed(request, tokens)
        if answer.ok:
            self._proven = True
            self._again.accepted()

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
            raise self._remembered(f"{error}{self._origin}") from error
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
