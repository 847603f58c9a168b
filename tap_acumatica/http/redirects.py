"""Redirects that may be followed with the credentials that were configured, and with no others.

requests would look into ``.netrc`` for each address that it is redirected to, and would ask other
hosts as well. Here a redirect is followed where it stays on the site: same host, port and scheme,
or from http to https of the same host on the usual ports. The reverse is never followed.
"""

from __future__ import annotations

import ipaddress
import typing as t
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

if t.TYPE_CHECKING:
    from requests import PreparedRequest, Response

MOST = 10
"""The most redirects of one request that are followed."""

_STATUSES = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


def redirect_target(response: Response) -> str | None:
    """Where an answer leads: the whole address without a user, None where it is no redirect."""
    location = response.headers.get("Location")
    if response.status_code not in _STATUSES or not location:
        return None
    # The header holds bytes of UTF-8, taken for Latin-1.
    text = location.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        parts = urlsplit(urldefrag(urljoin(str(response.url), text)).url)
    except ValueError:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def stays_on_site(url: str, target: str) -> bool:
    """Whether an address is on the site of another, so that its credentials may be sent there.

    Args:
        url: An address of the site.
        target: Where it leads.
    """
    try:
        own, other = _origin(url), _origin(target)
    except ValueError:
        return False
    upgraded = own[0] == "http" and own[2] == _PORTS["http"]
    return own == other or (upgraded and other == ("https", own[1], _PORTS["https"]))


def moved(request: PreparedRequest, target: str) -> PreparedRequest:
    """The same request, to another address of the site."""
    found = request.copy()
    found.prepare_url(target, None)
    return found


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(scheme)


def is_open_to_others(url: str) -> bool:
    """Whether what is sent to an address can be read on the way: http to another machine."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return (parts.hostname or "").casefold() != "localhost"
