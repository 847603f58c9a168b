"""Why a request brought no answer: the site, the proxy on the way to it, or this machine's set-up.

requests and urllib3 say it in many classes, some of which escape the tree of ``RequestException``.
What people need to know is whom to look at, and what to set.
"""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import select_proxy

from tap_acumatica.errors import AddressError, NetworkSettingsError, UnreachableError
from tap_acumatica.http.retry import RetryableError, reason

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.errors import TapError

_OF_CONNECTIONS = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
NO_ANSWER = (*_OF_CONNECTIONS, OSError)
"""What a request may end with in place of an answer: a missing CA bundle is a bare ``OSError``."""

PROXY_VARIABLES = "check HTTP_PROXY, HTTPS_PROXY, NO_PROXY"
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_TIMEOUTS = (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)
_CONNECT_TIMEOUTS = (requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3}) ?([^'\")]*)")
_WANTS_SIGN_IN = requests.codes.proxy_authentication
_PASSING_TUNNEL = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_CERTIFICATE = re.compile(r"NO_CERTIFICATE_OR_CRL_FOUND|X509: |PEM lib")
_NO_HTTP = re.compile(r"BadStatusLine|reset|RemoteDisconnected|Connection aborted", re.IGNORECASE)

_TRUST = (
    "check that this machine trusts the site's certificate authority, or that of a proxy that "
    "inspects TLS: set 'ca_file', or REQUESTS_CA_BUNDLE, to a file that holds it"
)
_SCHEME = "check that 'url' starts with https:// or http:// as the site requires"
_TLS: tuple[tuple[str, str, str], ...] = (
    (
        r"certificate has expired",
        "certificate verification failed: the certificate has expired",
        "check this machine's clock, and let the site renew its certificate",
    ),
    (
        r"certificate is not yet valid",
        "certificate verification failed: the certificate is not valid yet",
        "check this machine's clock",
    ),
    (
        r"[Hh]ostname mismatch|IP address mismatch|doesn't match",
        "certificate verification failed: the certificate is for another host name",
        "set 'url' to the host name of the certificate; or something between answers for the site",
    ),
    (
        r"self[- ]signed certificate",
        "certificate verification failed: it is self-signed, or signed by an authority of its own",
        _TRUST,
    ),
    (r"CERTIFICATE_VERIFY_FAILED", "certificate verification failed", _TRUST),
    (
        r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|NO_PROTOCOLS",
        "it shares no version of TLS with this machine",
        "let the site allow TLS 1.2 or later",
    ),
    (
        r"HANDSHAKE_FAILURE|NO_SHARED_CIPHER|NO_CIPHERS",
        "it refuses the TLS handshake: there may be no cipher in common",
        "let the site allow current ciphers, and check the host name in 'url'",
    ),
    (
        r"(?:DH_KEY|EE_KEY|CA_KEY|CA_MD)_TOO_(?:SMALL|WEAK)|LEGACY_RENEGOTIATION",
        "its TLS is too weak for this machine",
        "let the site renew its certificate and its TLS settings",
    ),
    (
        r"UNRECOGNIZED_NAME",
        "it does not know this host name",
        "check the host name in 'url'",
    ),
    (
        r"CERTIFICATE_REQUIRED|BAD_CERTIFICATE",
        "it requires a certificate of the client",
        "the tap has none; check 'url', and what stands between this machine and the site",
    ),
    (
        r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD.LAYER|record layer|PACKET_LENGTH|UNKNOWN_PROTO",
        "it does not answer in TLS; is this an http port?",
        _SCHEME,
    ),
)


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """Why a request brought no answer.

    Attributes:
        text: What failed, and why.
        remedy: What to do; empty where nothing is known better than the caller's own advice.
        passing: Whether another try may succeed.
        blocked: Whether a proxy refused the way to the site.
        is_set_up: Whether what the environment says of proxies or certificates is at fault.
        away: Whether nobody takes connections.
        slow: Whether the answer did not come in time.
    """

    text: str
    remedy: str = ""
    passing: bool = True
    blocked: bool = False
    is_set_up: bool = False
    away: bool = False
    slow: bool = False

    def error(self, what: str) -> TapError:
        """The error to raise.

        Args:
            what: What was asked for, for messages.
        """
        message = f"{what}: {self.text}" if what else self.text
        if self.passing:
            busy = self.away or self.slow or self.blocked
            return RetryableError(message, slow=self.slow, busy=busy, remedy=self.remedy)
        message = f"{message}; {self.remedy}"
        if self.is_set_up:
            return NetworkSettingsError(message)
        return AddressError(message) if self.blocked else UnreachableError(message)


def explain_failure(  # noqa: PLR0913  what is known of the request is this much
    error: Exception,
    url: str,
    proxies: Mapping[str, str],
    *,
    seconds: float,
    site: str = "",
    advice: str = "",
) -> ConnectionFailure:
    """Why a request brought no answer.

    Args:
        error: One of :data:`NO_ANSWER`.
        url: Where it was sent.
        proxies: Proxies that the environment names for it.
        seconds: How long an answer was waited for.
        site: What to call the site, its host if empty.
        advice: What to do where an answer takes longer.

    Raises:
        OSError: The error itself, where it is none of a connection: no space for the answer.
    """
    text = str(error)
    if not (isinstance(error, _OF_CONNECTIONS) or "TLS" in text):
        raise error
    site = site or host(url)
    proxy = select_proxy(url, dict(proxies))
    if failure := _of_set_up(error, text, proxy):
        return failure
    if proxy and (failure := _of_proxy(error, text, proxy, site)):
        return failure
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return _of_tls(text, site)
    if isinstance(error, _TIMEOUTS):
        return ConnectionFailure(
            f"no answer from {site} within {seconds:g} seconds{f'; {advice}' if advice else ''}",
            slow=not isinstance(error, _CONNECT_TIMEOUTS),
            away=isinstance(error, _CONNECT_TIMEOUTS),
        )
    failed = f"cannot connect to {site} ({reason(error)})"
    if urlsplit(url).scheme == "http" and _NO_HTTP.search(text):
        failed += "; if this is an https port, 'url' must start with https://"
    return ConnectionFailure(failed, away=_is_away(error))


def host(url: str) -> str:
    """Host and port of an address, without a user."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _of_set_up(error: Exception, text: str, proxy: str | None) -> ConnectionFailure | None:
    """What the environment says of proxies and certificates, where that cannot be used."""
    named = next((name for name in _BUNDLES if os.environ.get(name)), _BUNDLES[0])
    if _NO_CERTIFICATE.search(text):
        return _set_up(
            f"the file of trusted certificates holds no certificate: {os.environ.get(named, '')}",
            f"set {named} to a file of certificates in PEM format",
        )
    if "TLS CA certificate bundle" in text:
        path = text.rpartition("invalid path: ")[2]
        return _set_up(
            f"the file of trusted certificates does not exist: {path}",
            f"set {named} to a file of certificates in PEM format, or leave it unset",
        )
    if "Missing dependencies for SOCKS" in text:
        return _set_up(
            f"the SOCKS proxy {_shown(proxy)} needs the package PySocks",
            "install it beside the tap (pip install 'requests[socks]'), or set HTTPS_PROXY, "
            "HTTP_PROXY and ALL_PROXY to an http:// proxy",
        )
    address_faults = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        urllib3.exceptions.LocationValueError,
    )
    if proxy and isinstance(error, address_faults):
        return _set_up(
            "the address of the proxy is not valid",
            "set HTTP_PROXY, HTTPS_PROXY and ALL_PROXY to http://host:port",
        )
    return None


def _set_up(text: str, remedy: str) -> ConnectionFailure:
    return ConnectionFailure(text, remedy, passing=False, is_set_up=True)


def _of_proxy(error: Exception, text: str, proxy: str, site: str) -> ConnectionFailure | None:
    """What the proxy did, None where the failure is the site's."""
    named = _shown(proxy)
    if match := _TUNNEL.search(text):
        status = int(match[1])
        if status == _WANTS_SIGN_IN:
            return proxy_wants_sign_in(named)
        answered = f"HTTP {status} {match[2]}".strip()
        return ConnectionFailure(
            f"the proxy {named} refuses the way to {site} ({answered})",
            f"let whoever runs the proxy allow {site}, or {PROXY_VARIABLES}",
            passing=status in _PASSING_TUNNEL,
            blocked=True,
        )
    if "appears to only use HTTP" in text:
        return _set_up(
            f"the proxy {named} does not answer in TLS",
            "start HTTPS_PROXY with http:// (the way to the site is encrypted all the same)",
        )
    is_proxy = isinstance(error, requests.exceptions.ProxyError | urllib3.exceptions.ProxyError)
    closed = "RemoteDisconnected" in text and urlsplit(proxy).scheme in {"http", "https"}
    if not (is_proxy or closed or _is_away(error) or isinstance(error, _CONNECT_TIMEOUTS)):
        return None
    cause = "no answer in time" if isinstance(error, _CONNECT_TIMEOUTS) else reason(error)
    failed = f"no connection with the proxy {named} ({cause}) on the way to {site}"
    # One that closes connections may do so for large answers only.
    return ConnectionFailure(failed, PROXY_VARIABLES, away="RemoteDisconnected" not in text)


def proxy_wants_sign_in(named: str) -> ConnectionFailure:
    """What status 407 means.

    Args:
        named: Host and port of the proxy, empty if not known.
    """
    return ConnectionFailure(
        f"the proxy {named} requires a sign-in (HTTP 407)".replace("  ", " "),
        "set HTTPS_PROXY and HTTP_PROXY to http://user:password@host:port, as the proxy's "
        "administrator says",
        passing=False,
        is_set_up=True,
    )


def _of_tls(text: str, site: str) -> ConnectionFailure:
    for pattern, cause, remedy in _TLS:
        if re.search(pattern, text):
            return ConnectionFailure(
                f"cannot connect securely to {site} ({cause})", remedy, passing=False
            )
    if "EOF" in text:
        cause = "the connection was closed while it was being secured"
        return ConnectionFailure(f"cannot connect securely to {site} ({cause})", _SCHEME)
    cause = f"cannot connect securely to {site} ({_tls_reason(text)})"
    return ConnectionFailure(cause, f"{_SCHEME}; {_TRUST}", passing=False)


def _tls_reason(text: str) -> str:
    match = re.search(r"\[SSL: (\w+)\]", text)
    return match[1].replace("_", " ").lower() if match else "SSLError"


def _shown(proxy: str | None) -> str:
    """Host and port of a proxy: its address may hold a password."""
    if not proxy:
        return ""
    return host(proxy if "://" in proxy else f"http://{proxy}")


def shown_proxy(url: str, proxies: Mapping[str, str]) -> str:
    """Host and port of the proxy on the way to an address, empty where there is none."""
    return _shown(select_proxy(url, dict(proxies)))


def _is_away(error: BaseException) -> bool:
    """Whether nobody takes connections; who closes one may be at odds with this request alone."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)
