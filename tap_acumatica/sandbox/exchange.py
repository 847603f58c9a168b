"""One request and its reply, in the form in which a fault sees them.

A service makes the right reply, and then calls its hook `spoil(request, reply)`, which may change
the reply in any way. The sandbox and the tests' own services have the same hook.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Row = dict[str, Any]
Spoil: TypeAlias = "Callable[[Request, Reply], None]"

_BEFORE_ROWS = frozenset({"@odata.context", "@odata.count", "odata.metadata", "odata.count"})


class RawJson(str):
    """JSON that is sent as it stands; a lone U+DCxx in it is sent as the byte xx."""

    __slots__ = ()


@dataclass(kw_only=True)
class Request:
    """One request, decoded."""

    method: str = "GET"
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    target: str = ""
    """Path and query as they were written."""
    site: str = ""
    """Path of the site, with which all its other paths begin."""
    entity: str = ""
    """What the entity set holds: the name of the data access class, or the inquiry's title."""
    number: int = 0
    """Number of this request for rows of the entity set, from 1; 0 if it is for something else."""

    @property
    def entity_set(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def top(self) -> int | None:
        """Most rows that are asked for, or None."""
        return int(self.query["$top"]) if "$top" in self.query else None

    @property
    def skip(self) -> int:
        """Number of rows to leave out."""
        return int(self.query.get("$skip", "0"))

    @property
    def orderby(self) -> list[str]:
        """The clauses of `$orderby`."""
        return [item for item in self.query.get("$orderby", "").split(",") if item]

    @property
    def select(self) -> list[str]:
        """The columns of `$select`."""
        return [item for item in self.query.get("$select", "").split(",") if item]


@dataclass
class Reply:
    """What is sent. `body`, if there is one, takes precedence over `rows` and `members`.

    `rows`, `columns` (their Edm types) and `key` are those of an entity set, if they are known.
    `cut_at` is the number of bytes of the body after which the connection is closed; with `closed`,
    it is closed before anything is sent. Errors of the service itself have a `message`.
    """

    rows: list[Row] | None = None
    members: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    body: bytes | str | None = None
    content_type: str = "application/json;odata.metadata=minimal"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    closed: bool = False
    cut_at: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    message: str | None = None
    row_count: int = 0

    def refuse(self, message: str, status: int = 400) -> None:
        """Answer with an OData error."""
        self.status, self.message = status, message
        self.body = json.dumps({"error": {"code": "", "message": message}})

    def html(self, status: int, text: str = "Error") -> None:
        """Answer with a page of something that stands between; it may be asked again at once."""
        self.page(status, text)
        self.headers["Retry-After"] = "0"

    def page(self, status: int, title: str, text: str = "") -> None:
        """Answer with an HTML page."""
        self.plain(
            status,
            f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{text}</body></html>",
            "text/html; charset=utf-8",
        )

    def plain(self, status: int, body: bytes | str, content_type: str) -> None:
        """Answer with this body."""
        self.status, self.body, self.content_type, self.message = status, body, content_type, None

    def json(self, status: int, document: Any) -> None:
        """Answer with a document that is not OData."""
        self.plain(status, json.dumps(document), "application/json; charset=utf-8")

    def redirect(self, location: str) -> None:
        """Answer with a redirect."""
        self.plain(302, "", "")
        self.headers["Location"] = location

    def close(self) -> None:
        """Close the connection instead of answering."""
        self.closed = True

    def take_rows(self) -> None:
        """Take rows and members out of a body, if it is JSON that holds rows."""
        if self.rows is not None or self.status != 200 or "json" not in self.content_type:  # noqa: PLR2004 - OK
            return
        document = json.loads(self.body or "null", parse_float=Decimal)
        if isinstance(document, dict) and isinstance(document.get("value"), list):
            self.rows, self.members, self.body = document.pop("value"), document, None

    def encoded(self) -> bytes:
        """Return the body as bytes."""
        if self.body is not None:
            return self.body.encode() if isinstance(self.body, str) else self.body
        before = {name: v for name, v in self.members.items() if name in _BEFORE_ROWS}
        rows = {} if self.rows is None else {"value": self.rows}
        text = as_json({**before, **rows, **self.members})
        return text.encode(errors="surrogateescape")


def as_json(value: Any) -> str:
    """Return JSON with decimals digit for digit."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{as_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    if isinstance(value, RawJson):
        return str(value)
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)
