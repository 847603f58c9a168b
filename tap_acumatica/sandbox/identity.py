"""The identity server: sign-in page, tokens, and consents whose refresh tokens rotate.

Documented by Acumatica: the URLs, the flows, PKCE with S256 only, access tokens valid for an hour.
Seen on live sites: a refresh token can be used once, and using it again ends the consent. Guessed:
the sign-in page, and error texts other than OAuth's codes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from . import replies
from .sessions import WrongCredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .clock import Clock
    from .exchange import Reply
    from .habits import Habits

CODE_SECONDS = 60
PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8"><title>Sign In</title></head><body>
<h1>Acumatica sandbox</h1><p>{message}</p>
<form method="post" action="{action}">{hidden}
<label>User <input name="username" autocomplete="off"></label>
<label>Password <input name="password" type="password"></label>
<button type="submit">Allow {client} to read {tenant}</button></form></body></html>"""


class OAuthError(Exception):
    """A token request is refused; the message is OAuth's error code."""


@dataclass(frozen=True)
class Client:
    """A connected application: `GUID@Tenant`, public if it has no secret."""

    id: str
    secret: str | None = None
    callbacks: tuple[str, ...] = ("http://localhost:8400/callback",)

    @property
    def tenant(self) -> str:
        """The tenant it belongs to."""
        return self.id.rpartition("@")[2]


@dataclass
class Consent:
    """What a user allowed an application, until when, and its valid refresh token."""

    client: str
    tenant: str
    user: str
    scope: str
    until: datetime | None
    refresh_token: str = ""
    ended: bool = False


@dataclass
class AccessToken:
    """An access token."""

    consent: Consent
    expires: datetime
    requests: int = 0
    ended: bool = False


@dataclass
class _Code:
    consent: Consent
    callback: str
    challenge: str
    expires: datetime


@dataclass
class Identity:
    """All clients, consents and tokens of a site."""

    clients: Mapping[str, Client]
    habits: Habits
    clock: Clock
    verify: Callable[[str, str, str], str]
    """Checks tenant, user and password, or raises `WrongCredentialsError`."""
    token_requests: int = 0
    refreshes: int = 0
    """Number of successful refreshes."""
    reused: int = 0
    """Number of refresh tokens used twice, each of which ended a consent."""
    _codes: dict[str, _Code] = field(default_factory=dict)
    _access: dict[str, AccessToken] = field(default_factory=dict)
    _refresh: dict[str, Consent] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(
        self, method: str, parts: list[str], query: Mapping[str, str], form: Mapping[str, str]
    ) -> Reply | None:
        """Answer a request below `/identity`, or return None if the URL is unknown."""
        if parts == ["connect", "authorize"]:
            return self._authorize({**query, **form}, submitted=method == "POST")
        if parts == ["connect", "token"] and method == "POST":
            return self._token(form)
        return None

    def document(self, site: str) -> Reply:
        """Return the OpenID configuration document."""
        connect = f"{site}/identity/connect"
        return replies.json_reply(
            {
                "issuer": f"{site}/identity",
                "authorization_endpoint": f"{connect}/authorize",
                "token_endpoint": f"{connect}/token",
                "userinfo_endpoint": f"{connect}/userinfo",
                "revocation_endpoint": f"{connect}/revocation",
                "grant_types_supported": ["authorization_code", "refresh_token", "password"],
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )

    def grant(self, client_id: str, user: str = "admin", scope: str = "api offline_access") -> str:
        """Return a refresh token, as after a sign-in elsewhere."""
        with self._lock:
            consent = self._consent(self.clients[client_id], user, scope)
            self._issue(consent)
            return consent.refresh_token

    def is_valid(self, token: str) -> bool:
        """Return whether a refresh token can be used now."""
        consent = self._refresh.get(token)
        return consent is not None and not consent.ended and consent.refresh_token == token

    def expire(self) -> None:
        """Expire all access tokens."""
        with self._lock:
            for access in self._access.values():
                access.ended = True

    def end_consents(self) -> None:
        """End all consents and access tokens, as an administrator can."""
        with self._lock:
            self.expire()
            for consent in self._refresh.values():
                consent.ended = True

    def authorize_request(self, token: str) -> Consent:
        """Accept an access token for one request.

        Raises:
            WrongCredentialsError: if the token is unknown or expired.
        """
        with self._lock:
            access = self._access.get(token)
            max_requests = self.habits.token_requests
            if access is None:
                raise WrongCredentialsError
            if not self.is_current(token) or (
                max_requests is not None and access.requests >= max_requests
            ):
                access.ended = True
                raise WrongCredentialsError
            access.requests += 1
            return access.consent

    def is_current(self, token: str) -> bool:
        """Return whether an access token has not expired."""
        access = self._access.get(token)
        return access is not None and not access.ended and self.clock.now() < access.expires

    # The sign-in page

    def _authorize(self, query: Mapping[str, str], *, submitted: bool) -> Reply:
        client = self.clients.get(query.get("client_id", ""))
        callback = query.get("redirect_uri", "")
        if client is None or callback not in client.callbacks:
            return replies.text(400, "The client or its redirect URI is unknown.")
        back = {"state": query["state"]} if "state" in query else {}
        if query.get("response_type") != "code":
            return _redirect(callback, {"error": "unsupported_response_type", **back})
        if not query.get("code_challenge") or query.get("code_challenge_method") != "S256":
            return _redirect(callback, {"error": "invalid_request", **back})
        if self.habits.deny_consent:
            return _redirect(callback, {"error": "access_denied", **back})
        message = ""
        if submitted:
            try:
                user = self.verify(
                    client.tenant, query.get("username", ""), query.get("password", "")
                )
            except WrongCredentialsError:
                message = "Invalid credentials. Please try again."
            else:
                return self._redirect_with_code(client, user, query, back)
        return _page(client, query, message)

    def _redirect_with_code(
        self, client: Client, user: str, query: Mapping[str, str], back: Mapping[str, str]
    ) -> Reply:
        code = secrets.token_urlsafe(32)
        with self._lock:
            consent = self._consent(client, user, query.get("scope", ""))
            ends = self.clock.now() + timedelta(seconds=CODE_SECONDS)
            callback, challenge = query["redirect_uri"], query["code_challenge"]
            self._codes[code] = _Code(consent, callback, challenge, ends)
        return _redirect(callback, {"code": code, "scope": consent.scope, **back})

    # Tokens

    def _token(self, form: Mapping[str, str]) -> Reply:
        with self._lock:
            self.token_requests += 1
            status = self.habits.token_status_on.get(self.token_requests)
            if status is not None:
                return replies.text(status, "Service Unavailable")
            try:
                reply = replies.json_reply(self._grant_tokens(form))
            except OAuthError as error:
                reply = replies.json_reply({"error": str(error)})
                reply.status = 400
        reply.headers["Cache-Control"] = "no-store"
        return reply

    def _grant_tokens(self, form: Mapping[str, str]) -> dict[str, str | float]:
        client = self.clients.get(form.get("client_id", ""))
        if client is None or form.get("client_secret", "") != (client.secret or ""):
            raise OAuthError("invalid_client")
        kind = form.get("grant_type")
        if kind == "authorization_code":
            return self._issue(self._consent_by_code(client, form))
        if kind == "refresh_token":
            consent = self._consent_by_refresh_token(client, form.get("refresh_token", ""))
            self.refreshes += 1
            return self._issue(consent)
        if kind == "password":
            try:
                user = self.verify(
                    client.tenant, form.get("username", ""), form.get("password", "")
                )
            except WrongCredentialsError as error:
                raise OAuthError("invalid_grant") from error
            return self._issue(self._consent(client, user, form.get("scope", "")))
        raise OAuthError("unsupported_grant_type")

    def _consent_by_code(self, client: Client, form: Mapping[str, str]) -> Consent:
        code = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            code is None
            or code.consent.client != client.id
            or code.callback != form.get("redirect_uri")
            or code.challenge != challenge
            or code.expires < self.clock.now()
        ):
            raise OAuthError("invalid_grant")
        return code.consent

    def _consent_by_refresh_token(self, client: Client, token: str) -> Consent:
        consent = self._refresh.get(token)
        if consent is None or consent.ended or consent.client != client.id:
            raise OAuthError("invalid_grant")
        if consent.refresh_token != token:
            self.reused += 1
            consent.ended = True
            raise OAuthError("invalid_grant")
        if consent.until is not None and self.clock.now() >= consent.until:
            raise OAuthError("invalid_grant")
        return consent

    def _consent(self, client: Client, user: str, scope: str) -> Consent:
        seconds = self.habits.consent_seconds
        until = None if seconds is None else self.clock.now() + timedelta(seconds=seconds)
        return Consent(client.id, client.tenant, user, scope, until)

    def _issue(self, consent: Consent) -> dict[str, str | float]:
        access = f"access-{secrets.token_urlsafe(48)}"
        seconds = self.habits.token_seconds
        self._access[access] = AccessToken(consent, self.clock.now() + timedelta(seconds=seconds))
        answer: dict[str, str | float] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": seconds,
        }
        if "offline_access" in consent.scope.split():
            consent.refresh_token = f"refresh-{secrets.token_urlsafe(32)}"
            self._refresh[consent.refresh_token] = consent
            answer["refresh_token"] = consent.refresh_token
        return answer


def _page(client: Client, query: Mapping[str, str], message: str) -> Reply:
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in query.items()
        if name not in {"username", "password"}
    )
    body = PAGE.format(
        message=html.escape(message),
        action="authorize",
        hidden=hidden,
        client=html.escape(client.id),
        tenant=html.escape(client.tenant),
    )
    return replies.text(200, body, "text/html; charset=utf-8")


def _redirect(callback: str, query: Mapping[str, str]) -> Reply:
    reply = replies.text(302, "")
    reply.headers["Location"] = f"{callback}?{urlencode(query)}"
    return reply
