"""What the sandbox remembers of a request."""

from __future__ import annotations

from dataclasses import dataclass, field

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass
class LoggedRequest:
    """One request and what became of it. Values of secret headers are left out."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    tenant: str = ""
    interface: str = ""
    version: str = "4.0"
    root: str = ""
    """Path of the service root below the site."""
    set: str = ""
    """The entity set, inquiry or function as it was asked for."""
    entity: str = ""
    """The class of a data access class, the title of an inquiry."""
    number: int = 0
    """Counts the data requests for this entity, from 1; 0 for anything else."""
    total: int = 0
    """Counts all data requests, from 1; 0 for anything else."""
    session: str = ""
    status: int = 0
    rows: int = 0
    parameters: dict[str, str] = field(default_factory=dict)


def without_secrets(headers: dict[str, str]) -> dict[str, str]:
    """Return headers, the values of the secret ones replaced."""
    return {
        name: "***" if name.lower() in SECRET_HEADERS else value for name, value in headers.items()
    }
