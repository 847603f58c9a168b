"""Next links: missing, foreign, dead, circular, and a page without rows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from .registry import named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_acumatica.sandbox.exchange import Reply, Request, Spoil

NEXT = "@odata.nextLink"
_MARK = "page"


@named
def missing_next_link(rows: int = 50) -> Spoil:
    """An answer holds at most so many rows, and there is no link to the rest."""
    return _cut(rows, lambda _request: None)


@named
def foreign_next_link(rows: int = 50) -> Spoil:
    """At most so many rows, and a link to an internal host."""
    return _cut(rows, lambda request: f"http://odata.invalid{_behind(request, rows)}")


@named
def dead_next_link(rows: int = 50) -> Spoil:
    """At most so many rows, and a link that answers 404: a gateway's prefix is wrong in it."""
    return _cut(rows, lambda request: f"/internal{_behind(request, rows)}")


@named
def circular_next_link(rows: int = 50) -> Spoil:
    """At most so many rows, and a link to the same request."""
    return _cut(rows, lambda request: request.target)


@named
def page_without_value() -> Spoil:
    """Every second page has no rows, only a link to them."""
    seen = 0

    def spoil(request: Request, reply: Reply) -> None:
        nonlocal seen
        if reply.rows is None or _MARK in request.query:
            return
        seen += 1
        if seen % 2 == 0:
            reply.rows = None
            reply.members[NEXT] = _address(request, {**request.query, _MARK: "2"})

    return spoil


def _cut(rows: int, link: Callable[[Request], str | None]) -> Spoil:
    def spoil(request: Request, reply: Reply) -> None:
        if len(reply.rows or ()) > rows:
            reply.rows = (reply.rows or [])[:rows]
            address = link(request)
            reply.members.pop(NEXT, None)
            if address is not None:
                reply.members[NEXT] = address

    return spoil


def _behind(request: Request, rows: int) -> str:
    """Return path and query of the rows behind a page."""
    query = {**request.query, "$skip": str(request.skip + rows)}
    if request.top is not None:
        query["$top"] = str(request.top - rows)
    return _address(request, query)


def _address(request: Request, query: Mapping[str, str]) -> str:
    options = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"{quote(request.path)}?{options}"
