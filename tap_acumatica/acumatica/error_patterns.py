"""The table from what a failed answer shows to its likely cause and its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class ErrorPattern:
    """One row of the error table.

    Attributes:
        status: HTTP statuses the row is for; empty for any.
        text: Pattern sought in the body, case-insensitive.
        cause: The likely cause.
        remedy: What to set or to do.
        refusal: Whether the request itself is at fault, so that another one may succeed.
    """

    status: frozenset[int]
    text: re.Pattern[str]
    cause: str
    remedy: str = ""
    refusal: bool = False


def _pattern(
    status: tuple[int, ...], text: str, cause: str, remedy: str = "", *, refusal: bool = False
) -> ErrorPattern:
    return ErrorPattern(frozenset(status), re.compile(text, re.IGNORECASE), cause, remedy, refusal)


SEATS = _pattern(
    (),
    r"api login limit|maximum number of .{0,40}(users|logins|sessions)|license_loginlimitexceeded"
    r"|checkapiuserslimits|apiloginlimitreached|concurrent (user|login|session)"
    r"|you have exceeded .{0,60}(users|logins|sessions)",
    "all license seats for API users are taken",
    "sign out other integrations (Active Users, SM201010), lower 'max_pool_size', or raise the "
    "limit on the license (License Monitoring Console, SM604000)",
)

UNNAMED_LIMIT = _pattern(
    (429,),
    r"custom error module does not recognize this error",
    "too many requests at once or per minute, or all license seats for API users are taken",
    "set 'requests_per_minute', run fewer integrations at once, or see who is signed in (Active "
    "Users, SM201010; License Monitoring Console, SM604000)",
)
"""What IIS answers for a limit that the site itself does not describe."""

_ROWS = r"(?:top|page ?size|rows|records|entities|entries|items|results|answer|response|data size)"
_BOUND = (
    r"(?:l[ií]mit\w*|exceed\w*|max\w*|m[aá]xim\w*|(?:less|greater|larger|more) than|at most"
    r"|between)"
)
PAGE_SIZE = _pattern(
    (),
    rf"(?:too many|so many|fewer) (?:rows|records|entities|entries|items|results)|page ?size"
    rf"|(?:request|response|answer|payload|result)\b.{{0,40}}\btoo (?:large|big)"
    rf"|\b{_BOUND}\b.{{0,60}}\b{_ROWS}\b|\b{_ROWS}\b.{{0,60}}\b{_BOUND}\b",
    "the service does not give so many rows at once",
    refusal=True,
)
"""A refusal that speaks of how many rows are asked for."""

_LIMIT = re.compile(
    r"(?:limit\w*|l[ií]mite\w*|max\w*|m[aá]xim\w*|h[oö]chst\w*|plafond|at most|up to|no more than"
    r"|(?:less|greater|larger|bigger|more) than|exceeds?|between \d+ and|[<>]=?)"
    r"[^\d.]{0,40}?(\d{1,3}(?:,\d{3})+|\d{1,7})(?!\d)",
    re.IGNORECASE,
)

ERROR_PATTERNS: tuple[ErrorPattern, ...] = (
    SEATS,
    UNNAMED_LIMIT,
    _pattern(
        (),
        r"proper company id cannot be determined|PXUndefinedCompanyException",
        "the site does not know the tenant",
        "set 'tenants' to login names from the Tenants screen (SM203520)",
    ),
    _pattern(
        (400,),
        r"plain http request was sent to https|http request to an https server",
        "this is an https port",
        "'url' must start with https://",
    ),
    _pattern((), r"NETStandard 2\.0", "the metadata was requested in a format other than XML"),
    _pattern(
        (),
        r"could not find a property named|unknown column"
        r"|property .{0,120} (does not exist|not found)",
        "the service does not know a column in the request",
        "run discovery again; captions of inquiries may have been renamed",
        refusal=True,
    ),
    _pattern(
        (),
        r"denial code 51[03]",
        "the site's limit of the size or the time of one request was exceeded",
    ),
    PAGE_SIZE,
    _pattern(
        (),
        r"unknown function|unrecognized .{0,40}literal|incompatible types|virtual field"
        r"|not allowed|not supported|not implemented|cannot be (filtered|sorted|selected|used in)"
        r"|non-?filterable|invalid (filter|order)|syntax error at position|query option",
        "the service does not accept this filter, order or column",
        refusal=True,
    ),
)

_BY_STATUS = {
    403: (
        "the user has no access rights to it",
        "grant View Only rights (SM201025), or leave it out with 'exclude_entity_sets'",
    ),
    404: (
        "it is not exposed or was renamed",
        "run discovery again; a generic inquiry needs 'Expose via OData' (SM208000)",
    ),
    408: ("the request took too long", "set a smaller 'page_size' or a larger 'timeout'"),
    429: (
        "too many requests at once or per minute",
        "set 'requests_per_minute' or run fewer integrations at once",
    ),
}


def diagnose(status: int, text: str) -> ErrorPattern | None:
    """The first row of the table that fits, or None.

    Args:
        status: HTTP status.
        text: Body of the answer, as text.
    """
    for pattern in ERROR_PATTERNS:
        if (not pattern.status or status in pattern.status) and pattern.text.search(text):
            return pattern
    return None


def named_limits(text: str) -> tuple[int, ...]:
    """The numbers that a refusal names as limits of rows.

    Args:
        text: Body of the answer, as text.
    """
    if not PAGE_SIZE.text.search(text):
        return ()
    numbers = (int(number.replace(",", "")) for number in _LIMIT.findall(text))
    return tuple(number for number in numbers if number)


def _failed(status: int) -> str:
    return "the service failed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "it was refused"


def explain(
    what: str, status: int, text: str, body_text: str, refusal: tuple[str, str] | None = None
) -> str:
    """One line on a failed request: what failed, the likely cause, what to do.

    Args:
        what: What was asked for, for people.
        status: HTTP status.
        text: Readable part of the answer; shown.
        body_text: The whole body as text; only searched.
        refusal: Cause and remedy, where they are known better than by status and body.
    """
    pattern = diagnose(status, body_text)
    cause, remedy = refusal or (
        (pattern.cause, pattern.remedy)
        if pattern
        else _BY_STATUS.get(status, (_failed(status), ""))
    )
    said = f" (the service says: {text})" if text else ""
    advice = f"; {remedy}" if remedy else ""
    return f"{what}: HTTP {status}, {cause}{said}{advice}"
