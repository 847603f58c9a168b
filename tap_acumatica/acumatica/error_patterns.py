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
        sign_in: Whether the user may not sign in, so that no request will succeed. It is never
            tried again: that could lock the account.
    """

    status: frozenset[int]
    text: re.Pattern[str]
    cause: str
    remedy: str = ""
    refusal: bool = False
    sign_in: bool = False


def _pattern(  # noqa: PLR0913  one argument for each member
    status: tuple[int, ...],
    text: str,
    cause: str,
    remedy: str = "",
    *,
    refusal: bool = False,
    sign_in: bool = False,
) -> ErrorPattern:
    found = re.compile(text, re.IGNORECASE)
    return ErrorPattern(frozenset(status), found, cause, remedy, refusal, sign_in)


SEATS_REMEDY = (
    "sign out other integrations, or raise the limit: 'Max. Number of Concurrent API Logins' of "
    "the user is 1 by default (Users, SM201010), and the license has a number of its own (License "
    "Monitoring Console, SM604000)"
)
SEATS = _pattern(
    (),
    r"api login limit|maximum number of .{0,40}(users|logins|sessions)|license_loginlimitexceeded"
    r"|checkapiuserslimits|pxlicensepolicy|apiloginlimitreached|concurrent (user|login|session)"
    r"|concurrent api (user|login|session)|users \(sm201010\)"
    r"|you have exceeded .{0,60}(users|logins|sessions)",
    "all license seats for API users are taken",
    SEATS_REMEDY,
)

RIGHTS = _pattern(
    (),
    r"insufficient rights to access the (?:(?P<name>.{1,80}?) \((?P<screen>[A-Za-z0-9.]{4,12})\) "
    r"form|object)",
    "the user has no access rights to it",
)
"""What names the screen that the user has no rights to."""

UNNAMED_LIMIT = _pattern(
    (429,),
    r"custom error module does not recognize this error",
    "too many requests at once or per minute, or all license seats for API users are taken",
    "set 'requests_per_minute', run fewer integrations at once, or see who is signed in (License "
    "Monitoring Console, SM604000) and how many sessions the user may have (Users, SM201010)",
)
"""What IIS answers for a limit that the site itself does not describe."""

TOO_MUCH = _pattern(
    (),
    r"denial code 51[03]",
    "the site's limit on the time (510) or the data (513) of one request was exceeded",
    "set a smaller 'page_size', or leave columns out in the catalog",
)
"""What the platform's own limits answer, as a page of HTML (``PX.Data``, SQL limits)."""

_SIGN_IN: tuple[ErrorPattern, ...] = (
    _pattern(
        (),
        r"account (?:is|has been|was) (?:temporarily )?locked|locked[- ]out\b",
        "the user's account is locked out",
        "unlock it (Users, SM201010) or wait until the lock-out ends, and check 'password'; it was "
        "tried once",
        sign_in=True,
    ),
    _pattern(
        (),
        r"(?:invalid|incorrect|wrong) (?:credentials|user ?name|login|password)"
        r"|(?:user ?name|password|credentials) (?:is|are) (?:invalid|incorrect|wrong|not valid)"
        r"|invalid_username_or_password",
        "the user name or the password is wrong",
        "further tries could lock the account, so it was tried once",
        sign_in=True,
    ),
    _pattern(
        (),
        r"not allowed to (?:log|sign) ?in(?: to)?\b",
        "the user may not sign in to this tenant",
        "check 'tenants', and the tenants and roles of the user (Users, SM201010)",
        sign_in=True,
    ),
    _pattern(
        (),
        r"cannot send api requests|only api requests are allowed",
        "this type of user may not read by the API",
        "change the user's type, or use another user (Users, SM201010)",
        sign_in=True,
    ),
    _pattern(
        (),
        r"(?:must|have to|required to|need to) change (?:your|the|his|their) password"
        r"|password (?:has |is )?expired|password change (?:is )?required"
        r"|change (?:your )?password (?:on|at) (?:first|next) (?:log|sign)",
        "the password has to be changed before the first use, or has expired",
        "sign in once with the browser and change it, or clear 'Force User to Change Password on "
        "Next Login' (Users, SM201010)",
        sign_in=True,
    ),
    _pattern(
        (),
        r"two[- ]factor (?:auth|code|is|verif)|multi-?factor auth|second factor"
        r"|(?:verification|confirmation|one-time) code",
        "the user has to confirm the sign-in by a second factor",
        "turn two-factor authentication off for this user (Users, SM201010), or use "
        "auth_mode 'oauth2'",
        sign_in=True,
    ),
)

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
    RIGHTS,
    SEATS,
    UNNAMED_LIMIT,
    *_SIGN_IN,
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
    # Microsoft.OData.Core spells it so.
    _pattern(
        (), r"NETSta(?:n|r)dard 2\.0", "the metadata was requested in a format other than XML"
    ),
    _pattern(
        (),
        r"invalid object name '",
        "a table of a customization is missing in the database",
        "publish the customization again (Customization Projects, SM204505), or leave it out with "
        "'exclude_entity_sets'",
    ),
    _pattern(
        (),
        r"could not find a property named|unknown column|invalid column name"
        r"|property .{0,120} (does not exist|not found)",
        "the service does not know a column in the request",
        "run discovery again; captions of inquiries may have been renamed",
        refusal=True,
    ),
    TOO_MUCH,
    _pattern(
        (),
        r"CannotOptimize|optimization cannot be performed",
        "Acumatica cannot turn this view, or what is asked of it, into one query",
        "read it by a generic inquiry, or leave it out with 'exclude_entity_sets'",
        refusal=True,
    ),
    _pattern(
        (),
        r"KeyNotFoundException|given key was not present in the dictionary",
        "Acumatica cannot work out a column of these rows",
        "deselect columns of a customization, or leave it out with 'exclude_entity_sets'",
        refusal=True,
    ),
    _pattern(
        (),
        r"\bGroupMask\b",
        "the service cannot send the binary column GroupMask",
        "deselect GroupMask in the catalog",
        refusal=True,
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
        (
            "grant View Only rights (SM201025), or leave it out with 'exclude_entity_sets'; where "
            "everything is refused, the user may lack the role OData4 User"
        ),
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
    503: (
        (
            "the site is overloaded, under maintenance, or restarting as it does for some minutes "
            "after a customization was published"
        ),
        "",
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


def cause_and_remedy(status: int, text: str) -> tuple[str, str]:
    """The likely cause of a failure and what to do about it.

    Args:
        status: HTTP status.
        text: Body of the answer, as text; only searched.
    """
    pattern = diagnose(status, text)
    if pattern is RIGHTS:
        found = RIGHTS.text.search(text)
        screen = found and found["screen"]
        if screen is None:
            return pattern.cause, _BY_STATUS[403][1]
        return pattern.cause, (
            f"grant View Only rights to the screen {screen} (Access Rights by User, SM201025), or "
            "leave it out with 'exclude_entity_sets'"
        )
    if pattern:
        return pattern.cause, pattern.remedy
    return _BY_STATUS.get(status, (_failed(status), ""))


def explain(  # noqa: PLR0913  a failure is this much
    what: str, status: int, text: str, cause: str, remedy: str = "", *, page: str = ""
) -> str:
    """One line on a failed request: what failed, the likely cause, what to do.

    Args:
        what: What was asked for, for people.
        status: HTTP status.
        text: Readable part of the answer; shown.
        cause: The likely cause.
        remedy: What to do, if anything is known.
        page: Path of the page that the request was redirected to, if it was.
    """
    where = f" to {page}" if page else ""
    said = f" (the service says: {text})" if text else ""
    advice = f"; {remedy}" if remedy else ""
    return f"{what}: HTTP {status}{where}, {cause}{said}{advice}"
