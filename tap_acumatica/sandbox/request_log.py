"""The log entry of a request."""

from __future__ import annotations

from dataclasses import dataclass, field

from .exchange import Request

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(kw_only=True)
class LoggedRequest(Request):
    """A request and its outcome, without the values of secret headers."""

    tenant: str = ""
    interface: str = ""
    version: str = "4.0"
    root: str = ""
    """Path of the service root below the site."""
    set: str = ""
    """The entity set, inquiry or function, as requested."""
    total: int = 0
    """Number of this data request, from 1; 0 for other requests."""
    session: str = ""
    status: int = 0
    rows: int = 0
    parameters: dict[str, str] = field(default_factory=dict)


def without_secrets(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with the values of secret ones masked."""
    return {
        name: "***" if name.lower() in SECRET_HEADERS else value for name, value in headers.items()
    }
