"""Sign-in: accounts, lock-outs, cookies and license seats."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .habits import Habits

SESSION_COOKIE = "ASP.NET_SessionId"
TICKET_COOKIE = ".ASPXAUTH"


class WrongCredentialsError(Exception):
    """Nobody, somebody unknown, a wrong password or a locked account."""


class SeatsTakenError(Exception):
    """One session more than the license allows."""


@dataclass(frozen=True)
class Session:
    """One license seat."""

    name: str
    ticket: str
    tenant: str
    user: str


@dataclass
class Sessions:
    """All sessions of a site."""

    accounts: Mapping[str, Mapping[str, str]]
    """Passwords by tenant and user: one name in two tenants is two accounts."""
    habits: Habits
    opened: int = 0
    closed: int = 0
    most_open: int = 0
    """The most sessions that were open at once."""
    most_at_once: int = 0
    """The most requests that one session had under way at once."""
    _open: dict[str, Session] = field(default_factory=dict)
    _failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    _under_way: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def open(self) -> list[Session]:
        """The sessions that hold a seat."""
        with self._lock:
            return list(self._open.values())

    def enter(self, tenant: str, cookies: str, authorization: str) -> tuple[Session, bool]:
        """Return the session of a request and whether it is new.

        A request whose tenant does not exist may have the credentials of any tenant.

        Raises:
            WrongCredentialsError: the request is not signed in.
            SeatsTakenError: it would need a seat and there is none.
        """
        with self._lock:
            found = self._of(cookies)
            if found is not None and (found.tenant in {tenant, ""} or not tenant):
                return found, False
            user = self._user(tenant, authorization)
            if self.habits.seats is not None and len(self._open) >= self.habits.seats:
                raise SeatsTakenError
            session = Session(secrets.token_hex(12), secrets.token_hex(32).upper(), tenant, user)
            self._open[session.name] = session
            self.opened += 1
            self.most_open = max(self.most_open, len(self._open))
            return session, True

    @contextmanager
    def serving(self, session: Session) -> Iterator[None]:
        """Count a request of a session while it is answered."""
        with self._lock:
            self._under_way[session.name] += 1
            self.most_at_once = max(self.most_at_once, self._under_way[session.name])
        try:
            yield
        finally:
            with self._lock:
                self._under_way[session.name] -= 1

    def check(self, cookies: str, authorization: str) -> None:
        """Make sure that somebody is signed in, without opening a session.

        Raises:
            WrongCredentialsError: nobody is.
        """
        with self._lock:
            if self._of(cookies) is None:
                self._user("", authorization)

    def leave(self, cookies: str) -> None:
        """End the session of these cookies, if there is one."""
        with self._lock:
            found = self._of(cookies)
            if found is not None:
                del self._open[found.name]
                self.closed += 1

    def end_all(self) -> None:
        """End all sessions, as a restart of the site does."""
        with self._lock:
            self.closed += len(self._open)
            self._open.clear()

    def _of(self, cookies: str) -> Session | None:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(cookies)
        except CookieError:
            return None
        name, ticket = jar.get(SESSION_COOKIE), jar.get(TICKET_COOKIE)
        found = self._open.get(name.value) if name else None
        return found if found and ticket and found.ticket == ticket.value else None

    def _user(self, tenant: str, authorization: str) -> str:
        user, password = _basic(authorization)
        tenants = [tenant] if tenant in self.accounts else list(self.accounts)
        for name in tenants:
            known = self.accounts[name].get(user)
            if known is None or self._failures[name, user] >= self.habits.lock_after:
                continue
            if secrets.compare_digest(known.encode(), password.encode()):
                self._failures[name, user] = 0
                return user
            self._failures[name, user] += 1
        raise WrongCredentialsError


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise WrongCredentialsError
    try:
        user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise WrongCredentialsError from error
    return user, password
