"""Pages of the site that come in place of an answer: its error page, its sign-in, its portal.

Acumatica reports some failures by a redirect to ``/Frames/Error.aspx?…message=…``, a full license
among them. Whoever follows it receives a page of HTML with status 200. So such a redirect is not
followed, and what its address says is taken for the failure.
"""

from __future__ import annotations

import re
import typing as t
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from lxml import etree

if t.TYPE_CHECKING:
    import requests

_PAGE = re.compile(
    r"/(?:(?P<frame>frames)/(?P<name>error|login|maintenance)\.aspx|main(?:\.aspx)?)$",
    re.IGNORECASE,
)
_STATUS = {
    "error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "login": HTTPStatus.UNAUTHORIZED,
    "maintenance": HTTPStatus.SERVICE_UNAVAILABLE,
}
_NESTED = 3
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_MARKS = (b"\xef\xbb\xbf",)


class SitePage(t.NamedTuple):
    """A page that a request was redirected to.

    Attributes:
        path: Its path.
        message: What its address says, empty where it says nothing.
        status: The status that it stands for; that of the redirect where it stands for none.
    """

    path: str
    message: str
    status: int


def page_of(response: requests.Response) -> SitePage | None:
    """The page that an answer redirects to; None for any other.

    Args:
        response: The answer.
    """
    location = response.headers.get("Location", "") if response.is_redirect else ""
    if not location:
        return None
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    path = unquote(parts.path).rstrip("/")
    found = _PAGE.search(path if path.startswith("/") else f"/{path}")
    if found is None or (not found["frame"] and _is_asked_for(response, path)):
        return None
    name = (found["name"] or "").lower()
    return SitePage(found[0], _message(parts.query), int(_STATUS.get(name, response.status_code)))


def _is_asked_for(response: requests.Response, path: str) -> bool:
    """Whether a redirect leads to what was asked for: an entity set may be called Main."""
    asked = unquote(urlsplit(str(response.request.url)).path).rstrip("/")
    return asked.rpartition("/")[2].lower() == path.rpartition("/")[2].lower()


def _message(query: str, depth: int = _NESTED) -> str:
    """The message in a query; it may stand within an address to return to."""
    members = parse_qsl(query)
    for name, value in members:
        if name.lower() == "message":
            return unquote_plus(value) if _ENCODED.search(value) else value
    if depth:
        for _, value in members:
            if found := _message(value.partition("?")[2], depth - 1):
                return found
    return ""


def is_html(body: bytes) -> bool:
    """Whether a body is a page of HTML."""
    for mark in _MARKS:
        body = body.removeprefix(mark)
    return _HTML.match(body) is not None


def visible_text(body: bytes) -> str:
    """What a page of HTML shows, in one line."""
    root = _parsed(body)
    if root is None:
        return ""
    etree.strip_elements(root, "script", "style", "noscript", etree.Comment, with_tail=False)
    return " ".join(" ".join(str(text) for text in root.itertext()).split())


def _parsed(body: bytes) -> etree._Element | None:
    try:
        return etree.fromstring(body, etree.HTMLParser(no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return None
