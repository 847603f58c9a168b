"""A site's identity server: addresses, and the requests that end in tokens.

Sources: RFC 6749 (authorization code, password, refresh), RFC 7636 (PKCE), OpenID Connect Discovery
1.0, section 4; Acumatica Integration Development Guide, "Authorizing Client Applications". Only
the status says what a failed request means: the body of a refused refresh is not reliable.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import math
import re
import time
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
import requests
from requests.utils import get_environ_proxies

from tap_acumatica.auth.token_store import Tokens
from tap_acumatica.errors import SignInError, TokenAddressError, UnreachableError
from tap_acumatica.http.connection_errors import (
    NO_ANSWER,
    PROXY_VARIABLES,
    explain_failure,
    host,
    proxy_wants_sign_in,
    shown_proxy,
)
from tap_acumatica.http.content_coding import AS_IT_IS
from tap_acumatica.http.intermediaries import between, described
from tap_acumatica.http.redaction import Redactor
from tap_acumatica.http.redirects import MOST, redirect_target, stays_on_site
from tap_acumatica.http.retry import RetryableError, reason, retry_after
from tap_acumatica.http.transport import send_alone

if t.TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from tap_acumatica.errors import TapError

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 30.0
_ANSWER_SECONDS = 120.0
_DOCUMENT_SECONDS = 30.0
_PASSING = frozenset({408, 425, 429})
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)
_INVALID_GRANT = "invalid_grant"
_CODE = re.compile(r"[a-z_]{3,40}")
_SECRET_FIELDS = ("client_secret", "code", "code_verifier", "password", "refresh_token")
_REMEDIES = {
    "invalid_client": "check 'client_id' (GUID@Tenant) and 'client_secret'",
    "unauthorized_client": "allow the flow for the connected application (SM303010), or set "
    "'oauth_flow'",
    "unsupported_grant_type": "allow the flow for the connected application (SM303010), or set "
    "'oauth_flow'",
    "invalid_scope": "set 'scope' to what the connected application allows",
}


@dataclass(frozen=True, slots=True)
class Application:
    """A connected application (Acumatica screen SM303010) at a site.

    Attributes:
        client_id: ``GUID@Tenant``.
        site: Address of the site, None if the service is not Acumatica.
        client_secret: Shared secret, None for a public client.
        scope: Scopes, separated by blanks.
        authorization_url: Address to use instead of the site's own.
        access_token_url: The same, for tokens.
    """

    client_id: str
    site: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    scope: str = "openid api offline_access"
    authorization_url: str | None = None
    access_token_url: str | None = None

    @property
    def name(self) -> str:
        """The key of its consents in the token file."""
        return f"{self.client_id} {self.access_token_url or self.site}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses of an identity server."""

    authorization: str
    token: str


class IdentityServer:
    """Requests tokens, one try at a time; no log or error of it contains a secret."""

    def __init__(
        self,
        application: Application,
        *,
        user_agent: str = "tap-acumatica",
        source: str = "'username' and 'password'",
        trust: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            application: The connected application.
            user_agent: Name to send.
            source: The settings that a password comes from, for errors.
            trust: Further certificate authorities that may vouch for the server.
            clock: Seconds since the epoch.
        """
        self.application = application
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": AS_IT_IS,
        }
        self._source = source
        self._trust = trust
        self._clock = clock
        self._endpoints: Endpoints | None = None

    def authorization_address(self, *, callback: str, state: str, verifier: str) -> str:
        """Where the user signs in and consents.

        Args:
            callback: Redirect address.
            state: What the callback must bring back.
            verifier: The secret that only the later exchange shows.
        """
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.application.client_id,
            "redirect_uri": callback,
            "scope": self.application.scope,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        address = self.endpoints().authorization
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    def exchange(self, code: str, *, callback: str, verifier: str) -> Tokens:
        """Tokens for a code; raises as :meth:`refresh`."""
        form = {"code": code, "redirect_uri": callback, "code_verifier": verifier}
        return self._ask("authorization_code", form, "sign in again with tap-acumatica-login")

    def refresh(self, token: str) -> Tokens:
        """The next tokens of a consent; the token given is used up.

        Raises:
            SignInError: If it is refused, which no further try changes.
            RetryableError: If another try may succeed.
            UnreachableError: If something other than an identity server answers.
        """
        found = self._ask(
            "refresh_token", {"refresh_token": token}, "sign in again with tap-acumatica-login"
        )
        return found if found.refresh else Tokens(found.access, token, found.issued, found.seconds)

    def by_password(self, username: str, password: str) -> Tokens:
        """Tokens for a user name and its password; raises as :meth:`refresh`."""
        form = {"username": username, "password": password, "scope": self.application.scope}
        return self._ask(
            "password",
            form,
            f"set {self._source}; it was tried once: further tries could lock the account",
        )

    def endpoints(self) -> Endpoints:
        """The addresses: as set, else as the OpenID document says, else as Acumatica has them."""
        if self._endpoints is None:
            own = self.application
            known = Endpoints(own.authorization_url or "", own.access_token_url or "")
            if not (known.authorization and known.token) and own.site:
                found = self._discover(own.site)
                known = Endpoints(
                    known.authorization or found.authorization, known.token or found.token
                )
            self._endpoints = known
        return self._endpoints

    def _discover(self, site: str) -> Endpoints:
        usual = Endpoints(f"{site}/identity/connect/authorize", f"{site}/identity/connect/token")
        try:
            document = msgspec.json.decode(self._document(site))
        except (*NO_ANSWER, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.debug("No OpenID document at %s (%s)", site, reason(error))
            return usual
        if not isinstance(document, dict):
            return usual
        return Endpoints(
            _as_asked(site, document.get("authorization_endpoint")) or usual.authorization,
            _as_asked(site, document.get("token_endpoint")) or usual.token,
        )

    def _document(self, site: str) -> bytes:
        """The OpenID document, also where the site redirects to another place of its own."""
        address: str | None = f"{site}/identity/.well-known/openid-configuration"
        for _ in range(MOST):
            answer = send_alone(
                "GET",
                str(address),
                self._trust,
                headers=self._headers,
                timeout=(_CONNECT_SECONDS, _DOCUMENT_SECONDS),
            )
            address = redirect_target(answer)
            if address is None:
                return answer.content if answer.ok else b""
            if not stays_on_site(str(answer.url), address):
                break
        return b""

    def _ask(self, grant: str, form: dict[str, str], remedy: str) -> Tokens:
        address = self.endpoints().token
        where = host(address)
        own = self.application
        form = {"grant_type": grant, "client_id": own.client_id, **form}
        if own.client_secret:
            form["client_secret"] = own.client_secret
        began = self._clock()
        try:
            answer = send_alone(
                "POST",
                address,
                self._trust,
                data=form,
                headers=self._headers,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
            )
        except NO_ANSWER as error:
            raise self._unanswered(error, address) from None
        self._judge(answer, form, where, remedy)
        return self._tokens(answer, began, where)

    @staticmethod
    def _unanswered(error: Exception, address: str) -> TapError:
        failure = explain_failure(
            error,
            address,
            get_environ_proxies(address),
            seconds=_ANSWER_SECONDS,
            site=f"the identity server {host(address)}",
        )
        if isinstance(error, _NO_ADDRESS) and not failure.is_set_up:
            return TokenAddressError("'access_token_url' must be an http or https address")
        return failure.error("")

    def _judge(
        self, answer: requests.Response, form: Mapping[str, str], where: str, remedy: str
    ) -> None:
        """Raise what the status of a token request means, nothing for a success.

        Raises:
            SignInError: If the request is refused.
            RetryableError: If another try may succeed.
            UnreachableError: If something other than an identity server answers.
            NetworkSettingsError: If a proxy requires a sign-in.
        """
        status = answer.status_code
        if answer.ok and not answer.is_redirect:
            return
        redactor = Redactor(*(form.get(name) for name in _SECRET_FIELDS))
        self._check_between(answer, where, redactor)
        if status >= requests.codes.server_error or status in _PASSING:
            msg = f"the identity server {where} failed: HTTP {status}"
            raise RetryableError(msg, status=status, wait=retry_after(answer))
        if status < requests.codes.bad_request:
            msg = f"{where} redirects token requests (HTTP {status}); set 'access_token_url'"
            raise TokenAddressError(msg)
        code = _error_code(answer.content)
        if not code and self._is_no_place(status):
            msg = f"there is no identity server at {shown_address(answer)} (HTTP {status})"
            raise TokenAddressError(f"{msg}; {self._address_advice}")
        said = f" ({redactor.redact(code)})" if code else ""
        advice = _REMEDIES.get(code, "")
        is_password = form["grant_type"] == "password"
        if is_password and code == _INVALID_GRANT:
            said += (
                ", the user name or the password is wrong, the account is locked, the password has "
                "to be changed first, or the user may not use this tenant or the API"
            )
        if is_password and advice:
            remedy = "it was tried once"
        msg = f"the sign-in at {where} was refused: HTTP {status}{said}; "
        raise SignInError(msg + (f"{advice}; {remedy}" if advice else remedy))

    @staticmethod
    def _check_between(answer: requests.Response, where: str, redactor: Redactor) -> None:
        """Raise what a refusal by a known product means that stands between."""
        status = answer.status_code
        if status == requests.codes.proxy_authentication:
            proxy = shown_proxy(str(answer.url), get_environ_proxies(str(answer.url)))
            raise proxy_wants_sign_in(proxy).error("")
        name = between(status, answer.headers, answer.content)
        if not name or answer.is_redirect:
            return
        said = described(name, answer.content, redactor.redact)
        msg = f"something between this machine and the identity server {where} "
        if status >= requests.codes.server_error or status in _PASSING:
            msg += f"failed: HTTP {status} ({said})"
            raise RetryableError(msg, status=status, wait=retry_after(answer))
        msg += f"refused the request: HTTP {status} ({said}); {PROXY_VARIABLES}"
        raise UnreachableError(msg)

    def _is_no_place(self, status: int) -> bool:
        """Whether a status means that nobody answers token requests at the address."""
        if status == requests.codes.method_not_allowed:
            return True
        return status == requests.codes.not_found and bool(self.application.access_token_url)

    @property
    def _address_advice(self) -> str:
        if self.application.access_token_url:
            return "check 'access_token_url'"
        return "check 'url', or set 'access_token_url'"

    def _wrong_address(self, message: str) -> UnreachableError:
        """The error for an answer that is not one of an identity server."""
        is_set = bool(self.application.access_token_url)
        return TokenAddressError(message) if is_set else UnreachableError(message)

    def _tokens(self, answer: requests.Response, began: float, where: str) -> Tokens:
        try:
            document = msgspec.json.decode(answer.content.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            document = None
        found = document if isinstance(document, dict) else {}
        access, refresh = found.get("access_token"), found.get("refresh_token")
        if not (isinstance(access, str) and access.isascii() and access.isprintable() and access):
            msg = f"the answer of {where} contains no access token; {self._address_advice}"
            if between(answer.status_code, answer.headers, answer.content) is not None:
                msg += "; something between, such as a proxy or a sign-in page, may have answered"
            raise self._wrong_address(msg)
        return Tokens(
            access,
            refresh if isinstance(refresh, str) and refresh else None,
            began,
            _seconds(found.get("expires_in")),
        )


def shown_address(answer: requests.Response) -> str:
    """The address of an answer without user, query and fragment."""
    parts = urlsplit(str(answer.url))
    return urlunsplit((parts.scheme, host(str(answer.url)), parts.path, "", ""))


def _error_code(body: bytes) -> str:
    """OAuth's error code, and nothing else of a body that may repeat what was sent."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    code = document.get("error") if isinstance(document, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        seconds = float(value)  # type: ignore[arg-type]  # not a number: see below
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < math.inf else None


def _as_asked(site: str, address: object) -> str | None:
    """An endpoint out of the document, over the connection that the site itself is reached by.

    Behind a proxy that ends TLS, a site believes that it is reached over http.
    """
    if not isinstance(address, str):
        return None
    own, other = urlsplit(site), urlsplit(address)
    if other.scheme not in {"http", "https"} or not other.hostname:
        return None
    if other.hostname == own.hostname and other.port in {None, own.port}:
        return urlunsplit((own.scheme, own.netloc, other.path, other.query, ""))
    return address if other.scheme == "https" or own.scheme == "http" else None
