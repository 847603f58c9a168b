"""Sign-in: accounts, lock-outs, cookies and license seats."""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .habits import Habits

log = logging.getLogger("tap_acumatica.sandbox")

SESSION_COOKIE = "ASP.NET_SessionId"
TICKET_COOKIE = ".ASPXAUTH"


class WrongCredentialsError(Exception):
    """No credentials, an unknown user, a wrong password or a locked account."""


class SeatsTakenError(Exception):
    """All sessions that the license allows are open."""


class Consent(Protocol):
    """The consent that an access token belongs to."""

    tenant: str
    user: str
    scope: str


class Tokens(Protocol):
    """Checks access tokens."""

    def authorize_request(self, token: str) -> Consent:
        """Accept a token for one request, or raise `WrongCredentialsError`."""

    def is_current(self, token: str) -> bool:
        """Return whether a token has not expired."""


@dataclass(frozen=True)
class Session:
    """A session, which holds one license seat."""

    name: str
    ticket: str
    tenant: str
    user: str
    token: str = ""
    """The access token that opened or continued it; empty for Basic authentication."""


@dataclass
class Sessions:
    """All sessions of a site."""

    accounts: Mapping[str, Mapping[str, str]]
    """Passwords by tenant and user: the same name in two tenants is two accounts."""
    habits: Habits
    tokens: Tokens | None = None
    """What knows access tokens."""
    opened: int = 0
    closed: int = 0
    most_open: int = 0
    """The most sessions that were open at the same time."""
    most_concurrent: int = 0
    """The most concurrent requests of one session."""
    _open: dict[str, Session] = field(default_factory=dict)
    _failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    _running: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def open(self) -> list[Session]:
        """The open sessions."""
        with self._lock:
            return list(self._open.values())

    def sign_in(self, tenant: str, cookies: str, authorization: str) -> tuple[Session, bool]:
        """Return the session of a request, and whether it is new.

        A request for a tenant that does not exist may have the credentials of any tenant.

        An access token with the scope `api` has one session, with or without cookies. It ends with
        the token, unless its cookies come with a newer token of the same user.

        Raises:
            WrongCredentialsError: if the request has no valid credentials.
            SeatsTakenError: if it needs a seat and none is free.
        """
        with self._lock:
            token = _bearer_token(authorization)
            user, shared = self._token_user(tenant, token) if token else ("", False)
            found = self._cookie_session(cookies) or (
                self._token_session(token) if shared else None
            )
            if found is not None and (found.tenant in {tenant, ""} or not tenant):
                if token and (found.token, found.user) != (token, user):
                    found = replace(found, token=token, user=user)
                    self._open[found.name] = found
                return found, False
            user = user or self._basic_user(tenant, authorization)
            if self.habits.seats is not None and len(self._open) >= self.habits.seats:
                raise SeatsTakenError
            name, ticket = secrets.token_hex(12), secrets.token_hex(32).upper()
            session = Session(name, ticket, tenant, user, token)
            self._open[session.name] = session
            self.opened += 1
            self.most_open = max(self.most_open, len(self._open))
            return session, True

    @contextmanager
    def serving(self, session: Session) -> Iterator[None]:
        """Count a request of a session while it is being answered."""
        with self._lock:
            self._running[session.name] += 1
            self.most_concurrent = max(self.most_concurrent, self._running[session.name])
        try:
            yield
        finally:
            with self._lock:
                self._running[session.name] -= 1

    def check(self, cookies: str, authorization: str) -> None:
        """Check the credentials of a request without opening a session.

        Raises:
            WrongCredentialsError: if they are not valid.
        """
        with self._lock:
            if token := _bearer_token(authorization):
                self._token_user("", token)
            elif self._cookie_session(cookies) is None:
                self._basic_user("", authorization)

    def sign_out(self, cookies: str, authorization: str = "") -> None:
        """End the session of these cookies or this token, if any; the token stays valid."""
        with self._lock:
            found = self._cookie_session(cookies) or self._token_session(
                _bearer_token(authorization)
            )
            if found is not None:
                del self._open[found.name]
                self.closed += 1

    def end_all(self) -> None:
        """End all sessions, like a restart of the site."""
        with self._lock:
            self.closed += len(self._open)
            self._open.clear()

    def verify(self, tenant: str, user: str, password: str) -> str:
        """Check a password and return the user; count failures.

        Raises:
            WrongCredentialsError: if the password is wrong, or the account is locked.
        """
        with self._lock:
            return self._verify(tenant, user, password)

    def _token_user(self, tenant: str, token: str) -> tuple[str, bool]:
        """Return the user of an access token, and whether its requests share one session."""
        if self.tokens is None:
            raise WrongCredentialsError
        try:
            consent = self.tokens.authorize_request(token)
        finally:
            self._end_expired(self.tokens)
        if tenant and consent.tenant != tenant:
            raise WrongCredentialsError
        return consent.user, "api:concurrent_access" not in consent.scope.split()

    def _end_expired(self, tokens: Tokens) -> None:
        """End the sessions of expired tokens."""
        for session in list(self._open.values()):
            if session.token and not tokens.is_current(session.token):
                del self._open[session.name]
                self.closed += 1

    def _token_session(self, token: str) -> Session | None:
        return next((s for s in self._open.values() if token and s.token == token), None)

    def _cookie_session(self, cookies: str) -> Session | None:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(cookies)
        except CookieError:
            return None
        name, ticket = jar.get(SESSION_COOKIE), jar.get(TICKET_COOKIE)
        found = self._open.get(name.value) if name else None
        return found if found and ticket and found.ticket == ticket.value else None

    def _basic_user(self, tenant: str, authorization: str) -> str:
        return self._verify(tenant, *_basic_credentials(authorization))

    def _verify(self, tenant: str, user: str, password: str) -> str:
        tenants = [tenant] if tenant in self.accounts else list(self.accounts)
        for name in tenants:
            known = self.accounts[name].get(user)
            if known is None or self._failures[name, user] >= self.habits.lock_after:
                continue
            if secrets.compare_digest(known.encode(), password.encode()):
                self._failures[name, user] = 0
                return user
            self._failures[name, user] += 1
            if self._failures[name, user] == self.habits.lock_after:
                log.warning(
                    "The account '%s' of tenant '%s' is locked after %d wrong passwords in a row;"
                    " restart the sandbox to unlock it.",
                    user,
                    name,
                    self.habits.lock_after,
                )
        raise WrongCredentialsError


def _bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _basic_credentials(authorization: str) -> tuple[str, str]:
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise WrongCredentialsError
    try:
        user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise WrongCredentialsError from error
    return user, password
