"""Logs requests and answers in as much detail as ``verbosity`` asks for; no secret, no row.

From 2 on, the log says how each stream is read, and how the service's clock differs. From 3 on,
each request is a line: method, path, status, milliseconds, bytes. From 4 on, the line has the query
options too, without the values that rows are compared with, because those come from rows. At 5, the
headers follow, without the values of those not known to be harmless.
"""

from __future__ import annotations

import logging
import re
import typing as t
from urllib.parse import unquote, unquote_plus, urlsplit

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.http.redaction import Redactor

logger = logging.getLogger(__name__)

PLANS, REQUESTS, OPTIONS, HEADERS = 2, 3, 4, 5
_MASK = "…"
_TEXT_LITERAL = re.compile(r"'(?:[^']|'')*'")
_LITERAL = re.compile(r"(?:\b[a-z]+)?'(?:[^']|'')*'|(?<![\w$])[-+]?\d[^\s(),]*")
_COMPARED = re.compile(r"\b(eq|ne|gt|ge|lt|le) (?!null\b)[^\s()]+")
_SHOWN_OPTIONS = frozenset(
    {"$select", "$orderby", "$top", "$skip", "$expand", "$format", "$count", "$inlinecount"}
)
_SHOWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "dataserviceversion",
        "date",
        "maxdataserviceversion",
        "odata-maxversion",
        "odata-version",
        "px-apiarchive",
        "px-apideleted",
        "retry-after",
        "server",
        "transfer-encoding",
        "user-agent",
    }
)


class RequestLog:
    """Logs the requests of a session."""

    def __init__(self, verbosity: int, redactor: Redactor) -> None:
        """Prepare.

        Args:
            verbosity: 1 to 5.
            redactor: Masks secrets in addresses and headers.
        """
        self._verbosity = verbosity
        self._redact = redactor.redact

    def write(  # noqa: PLR0913  a line has this many parts
        self,
        method: str,
        url: str,
        *,
        status: int | str,
        seconds: float,
        size: int | str | None = None,
        sent: Mapping[str, str] | None = None,
        received: Mapping[str, str] | None = None,
    ) -> None:
        """Log one request.

        Args:
            method: HTTP method.
            url: Address.
            status: Status of the answer, or what failed.
            seconds: Time from the request to the whole answer.
            size: Bytes of the body, None if not known yet.
            sent: Headers of the request.
            received: Headers of the answer.
        """
        if self._verbosity < REQUESTS:
            return
        # Before and after it is decoded: what is left out of it may cut a secret in two.
        masked = self._redact(url)
        shown = shown_path(masked)
        if self._verbosity >= OPTIONS and (options := shown_options(masked)):
            shown = f"{shown}?{options}"
        length = "?" if size is None else size
        milliseconds = f"{seconds * 1000:.0f}"
        logger.info(
            "%s %s %s %s ms %s bytes", method, self._redact(shown), status, milliseconds, length
        )
        if self._verbosity >= HEADERS:
            for mark, headers in (("sent", sent), ("received", received)):
                for name, value in (headers or {}).items():
                    logger.info("  %s %s: %s", mark, name, self._redact(_shown(name, value)))


def _shown(name: str, value: str) -> str:
    return value if name.lower() in _SHOWN_HEADERS else _MASK


def shown_path(url: str) -> str:
    """The path of an address, without the texts in the arguments of a function."""
    return _TEXT_LITERAL.sub(f"'{_MASK}'", unquote(urlsplit(url).path))


def shown_options(url: str) -> str:
    """The query options of an address, without what rows are compared with."""
    return "&".join(_shown_option(pair) for pair in urlsplit(url).query.split("&") if pair)


def _shown_option(pair: str) -> str:
    name, _, value = (unquote_plus(part) for part in pair.partition("="))
    if name == "$filter":
        value = _COMPARED.sub(rf"\1 {_MASK}", _LITERAL.sub(_MASK, value))
        return f"{name}={value}"
    return f"{name}={value if name in _SHOWN_OPTIONS else _MASK}"
