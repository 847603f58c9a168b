"""Replies in the forms that the site has."""

from __future__ import annotations

import json

from .exchange import Reply

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


def text(status: int, body: str, kind: str = "text/plain; charset=utf-8") -> Reply:
    """Return a text response."""
    return Reply(status=status, body=body, content_type=kind)


def document(body: str, rows: int = 0) -> Reply:
    """Return OData JSON."""
    return _odata(200, body, row_count=rows)


def json_reply(value: object) -> Reply:
    """Return a value as JSON, without OData headers."""
    return text(200, json.dumps(value), "application/json; charset=utf-8")


def error(status: int, message: str) -> Reply:
    """Return an OData error."""
    reply = _odata(status, "")
    reply.refuse(message, status)
    return reply


def empty() -> Reply:
    """Return 200 with an empty body."""
    return Reply(body="", content_type=JSON)


def refusal(kind: int | str, message: str) -> Reply:
    """Return the response to a refused query option."""
    return empty() if isinstance(kind, str) else error(kind, message)


def _odata(status: int, body: str, *, row_count: int = 0) -> Reply:
    return Reply(
        status=status,
        body=body,
        content_type=JSON,
        headers={"OData-Version": "4.0"},
        row_count=row_count,
    )
