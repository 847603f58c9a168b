"""Seats, sign-in, and a site that restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tap_acumatica.sandbox.replies import LOGIN_LIMITS, SIGN_IN_PAGE

from .registry import named

if TYPE_CHECKING:
    from tap_acumatica.sandbox.exchange import Reply, Request, Spoil

SEATS = "The number of concurrent API logins for the user has been reached."
LOCKED = "Your account is locked out. Please contact your system administrator."
NOT_ALLOWED = (
    "You are not allowed to log in to the tenant {}. Please contact your system administrator."
)
NO_API = "Current user cannot send API requests."
_TITLES = {401: "Unauthorized", 500: "Runtime Error", 503: "Service Unavailable"}


@named
def seats_redirect() -> Spoil:
    """All seats are taken: 302 to /Frames/Error.aspx with the text in the address [live]."""
    return _redirected(
        "/Frames/Error.aspx", f"?exceptionID=1&typeID=error&message={quote(SEATS)}", SEATS
    )


@named
def seats_429() -> Spoil:
    """All seats are taken: 429 [live]."""

    def spoil(request: Request, reply: Reply) -> None:
        if _needs_a_seat(request):
            reply.plain(429, LOGIN_LIMITS[0], "text/plain; charset=utf-8")

    return spoil


@named
def seats_500() -> Spoil:
    """All seats are taken: 500 'API Login Limit' with a stack trace [live]."""

    def spoil(request: Request, reply: Reply) -> None:
        if _needs_a_seat(request):
            _exception(
                reply,
                "API Login Limit",
                stack="   at PX.LicensePolicy.PXLicensePolicy.CheckApiUsersLimits(String userName)",
            )

    return spoil


@named
def seats_401(answers: int = 1) -> Spoil:
    """The license ends the session: sign-in and so many answers are right, then 401 [live]."""
    given = 0

    def spoil(request: Request, reply: Reply) -> None:
        nonlocal given
        if not _needs_a_seat(request) or reply.status != 200:  # noqa: PLR2004 - OK
            return
        given += 1
        if given > answers:
            _unauthorized(reply)

    return spoil


@named
def locked_out(status: int = 500) -> Spoil:
    """The account is locked, and that comes as this status also for the right password [live]."""
    return _refusing_sign_in(status, LOCKED)


@named
def not_allowed(status: int = 500) -> Spoil:
    """The user may not log in to the tenant; text [code], status [guess]."""
    return _refusing_sign_in(status, NOT_ALLOWED)


@named
def no_api_requests(status: int = 500) -> Spoil:
    """The user may not send API requests; text [code], status [guess]."""
    return _refusing_sign_in(status, NO_API)


@named
def sign_in_page() -> Spoil:
    """200 and the HTML page to sign in at, for everything."""

    def spoil(request: Request, reply: Reply) -> None:
        if not _signs_out(request):
            reply.plain(200, SIGN_IN_PAGE, "text/html; charset=utf-8")

    return spoil


@named
def sign_in_redirect() -> Spoil:
    """302 to /Frames/Login.aspx, for everything [guess]."""
    return _redirected("/Frames/Login.aspx", "?ReturnUrl=%2f", "Sign In")


@named
def publishing(status: int = 503) -> Spoil:
    """The site restarts after a publish and sends this status: 401, 500 or 503 [live]."""

    def spoil(request: Request, reply: Reply) -> None:
        if _signs_out(request):
            return
        if status == 401:  # noqa: PLR2004 - Unauthorized
            _unauthorized(reply)
        else:
            reply.page(status, _TITLES.get(status, "Error"))

    return spoil


@named
def maintenance() -> Spoil:
    """The site is being updated: 302 to /Frames/Maintenance.aspx [guess]."""
    return _redirected("/Frames/Maintenance.aspx", "", "The site is under maintenance.")


def _redirected(page: str, query: str, text: str) -> Spoil:
    """Redirect everything to a page, which is there."""

    def spoil(request: Request, reply: Reply) -> None:
        if request.path.lower() == f"{request.site}{page}".lower():
            reply.page(200, text)
            reply.headers.pop("WWW-Authenticate", None)
        elif _needs_a_seat(request):
            reply.redirect(f"{request.site}{page}{query}")

    return spoil


def _refusing_sign_in(status: int, text: str) -> Spoil:
    def spoil(request: Request, reply: Reply) -> None:
        if _needs_a_seat(request):
            parts = request.path.removeprefix(request.site).split("/")
            tenant = parts[2] if parts[1:2] == ["t"] and len(parts) > 3 else "Company"  # noqa: PLR2004 - /t/Tenant/api
            _exception(reply, text.format(tenant), status)

    return spoil


def _exception(reply: Reply, text: str, status: int = 500, stack: str = "") -> None:
    """Answer as ASP.NET Web API shows an exception."""
    lines = {
        "message": "An error has occurred.",
        "exceptionMessage": text,
        "exceptionType": "PX.Data.PXException",
        "stackTrace": stack,
    }
    reply.json(status, lines)


def _unauthorized(reply: Reply) -> None:
    reply.plain(401, "Unauthorized", "text/plain; charset=utf-8")
    reply.headers["WWW-Authenticate"] = 'Basic realm="Acumatica"'


def _needs_a_seat(request: Request) -> bool:
    path = request.path.lower()
    return not _signs_out(request) and "/identity/" not in path and "/auth/login" not in path


def _signs_out(request: Request) -> bool:
    return request.path.lower().endswith("/entity/auth/logout")
