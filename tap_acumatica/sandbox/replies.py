"""Responses, and the forms they have."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

LOGIN_LIMITS = (
    "API Login Limit: the maximum number of API users signed in has been reached.",
    "You have exceeded the maximum number of licensed API users.",
    "Maximum number of concurrent logins has been reached.",
    "PX.Data.PXException: License_LoginLimitExceeded",
    "at PX.Licensing.CheckApiUsersLimits(): ApiLoginLimitReached",
    "The limit of concurrent sessions has been reached.",
    "The custom error module does not recognize this error.",
)
"""Messages that sites sent when all license seats were taken; the last comes from IIS."""
SIGN_IN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign In</title></head><body>"
    '<form method="post" action="/Frames/Login.aspx"></form></body></html>'
)
JSON = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"


@dataclass
class Reply:
    """A response.

    If `cut` is set, the connection is closed after that many bytes of the body. Errors have a
    `message`.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    rows: int = 0
    cut: int | None = None
    message: str | None = None


def text(status: int, body: str, kind: str = "text/plain; charset=utf-8") -> Reply:
    """Return a text response."""
    return Reply(status, body.encode(), {"Content-Type": kind})


def document(body: str, rows: int = 0) -> Reply:
    """Return OData JSON."""
    return Reply(200, body.encode(), {"Content-Type": JSON, "OData-Version": "4.0"}, rows=rows)


def json_reply(value: object) -> Reply:
    """Return a value as JSON, without OData headers."""
    return text(200, json.dumps(value), "application/json; charset=utf-8")


def error(status: int, message: str) -> Reply:
    """Return an OData error."""
    body = json.dumps({"error": {"code": "", "message": message}})
    headers = {"Content-Type": JSON, "OData-Version": "4.0"}
    return Reply(status, body.encode(), headers, message=message)


def empty() -> Reply:
    """Return 200 with an empty body."""
    return Reply(200, b"", {"Content-Type": JSON})


def refusal(kind: int | str, message: str) -> Reply:
    """Return the response to a refused query option."""
    return empty() if isinstance(kind, str) else error(kind, message)
