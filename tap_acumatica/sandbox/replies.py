"""An answer, and the shapes answers come in."""

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
"""How a license that is full has been seen to say so; the last is what IIS makes of it."""
SIGN_IN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign In</title></head><body>"
    '<form method="post" action="/Frames/Login.aspx"></form></body></html>'
)
JSON = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"


@dataclass
class Reply:
    """A status, headers and a body; `cut` of its bytes are sent before the connection ends.

    An error has a `message`.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    rows: int = 0
    cut: int | None = None
    message: str | None = None


def text(status: int, body: str, kind: str = "text/plain; charset=utf-8") -> Reply:
    """Return an answer that is text."""
    return Reply(status, body.encode(), {"Content-Type": kind})


def document(body: str, rows: int = 0) -> Reply:
    """Return JSON as OData writes it."""
    return Reply(200, body.encode(), {"Content-Type": JSON, "OData-Version": "4.0"}, rows=rows)


def json_reply(value: object) -> Reply:
    """Return JSON outside OData."""
    return text(200, json.dumps(value), "application/json; charset=utf-8")


def error(status: int, message: str) -> Reply:
    """Return an error in OData's form."""
    body = json.dumps({"error": {"code": "", "message": message}})
    headers = {"Content-Type": JSON, "OData-Version": "4.0"}
    return Reply(status, body.encode(), headers, message=message)


def empty() -> Reply:
    """Return 200 and nothing."""
    return Reply(200, b"", {"Content-Type": JSON})


def refusal(kind: int | str, message: str) -> Reply:
    """Return what a refused query option is answered with."""
    return empty() if isinstance(kind, str) else error(kind, message)
