"""License seats: whether there is a session to sign out, and with what.

Acumatica opens a session, and takes a license seat, for each request that brings neither the
cookies nor the access token of an open one ("License Restrictions for API Users"). Cookies belong
to one session of the tap. A token is shared by all of them, so its session is signed out once.
"""

from __future__ import annotations

import threading
import typing as t

if t.TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from requests.cookies import RequestsCookieJar

_NO_SESSION = frozenset({401, 429})


class TokenSessions:
    """The sessions that access tokens have opened at a site, shared by all that use the tokens."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._site_uses_cookies = False

    def add(self, authorization: str) -> None:
        """Note that a token has a session."""
        with self._lock:
            self._open.add(authorization)

    def use_cookies(self) -> None:
        """Note that the site sets cookies: a session without them has no seat of its own."""
        self._site_uses_cookies = True

    def take(self, authorization: str) -> bool:
        """Whether the caller is the one to sign the token's session out."""
        with self._lock:
            is_open = authorization in self._open
            self._open.discard(authorization)
            return is_open and not self._site_uses_cookies


class Seat:
    """The seat that one session of the tap may hold at the site."""

    def __init__(self, cookies: RequestsCookieJar, token_sessions: TokenSessions) -> None:
        """Start without a seat.

        Args:
            cookies: The cookies of the session, kept up to date by it.
            token_sessions: What the tap's sessions with the same token share.
        """
        self._cookies = cookies
        self._token_sessions = token_sessions
        self._authorization = ""
        self._held = False

    @property
    def held(self) -> bool:
        """Whether there is a session to sign out."""
        return self._held

    def answered(self, response: Response) -> None:
        """Note the head of an answer, before its body: a signal may cut that off."""
        if self._cookies:
            self._token_sessions.use_cookies()
        if response.is_redirect:  # to a page of the site: it says nothing of a session
            return
        refused = response.status_code in _NO_SESSION
        if response.ok or (self._cookies and not refused):
            self.opened(response.request)

    def interrupted(self, request: PreparedRequest) -> None:
        """Note that an answer was not waited for: the token may have opened a session."""
        if _authorization(request).startswith("Bearer "):
            self.opened(request)

    def opened(self, request: PreparedRequest) -> None:
        """Note that a request was let in, whatever came of it."""
        self._held = True
        self._authorization = _authorization(request)
        if self._authorization.startswith("Bearer "):
            self._token_sessions.add(self._authorization)

    def release(self) -> dict[str, str] | None:
        """The headers to sign out with, besides the cookies; None if there is nothing to sign out.

        The seat then counts as given back.
        """
        held, self._held = self._held, False
        by_token = self._token_sessions.take(self._authorization)
        if not (held and (self._cookies or by_token)):
            return None
        return {"Authorization": self._authorization} if self._authorization else {}


def _authorization(request: PreparedRequest) -> str:
    return request.headers.get("Authorization") or ""
