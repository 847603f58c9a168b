"""Limits of a request: its rows, its order, its filter, and what the user may see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .registry import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.sandbox.exchange import Reply, Request, Spoil

INVALID = "The query specified in the URI is not valid. "
ORDERBY = (
    INVALID + "The number of clauses in $orderby query option exceeded the maximum number allowed."
    " The maximum number of $orderby clauses allowed is {}."
)
TOP = (
    INVALID + "The limit of '{}' for Top query has been exceeded. The value from the incoming"
    " request is '{}'."
)
NODES = (
    INVALID + "The node count limit of '{}' has been exceeded. To increase the limit, set the"
    " 'MaxNodeCount' property on EnableQueryAttribute or ODataValidationSettings."
)
DENIALS = {
    510: "Denial Code 510. The system was unable to gather the data needed to complete the"
    " operation due to SQL timeout constraints.",
    513: "Denial Code 513. The system was unable to gather the data needed to complete the"
    " operation due to data size limits.",
}
_TERM = re.compile(r"'(?:[^']|'')*'|\b(?:eq|ne|gt|ge|lt|le)\b")
_JOIN = re.compile(r"'(?:[^']|'')*'|\b(?:and|or)\b")
_NODES_OF_A_TERM = 4
"""The comparison, the property, the row that it belongs to, and the literal."""


@named
def denial_510(rows: int = 100) -> Spoil:
    """More rows than this take too long: 500, HTML with 'Denial Code 510' [code]."""
    return _denied(510, rows)


@named
def denial_513(rows: int = 100) -> Spoil:
    """More rows than this are too much: 500, HTML with 'Denial Code 513' [code]."""
    return _denied(513, rows)


@named
def max_top(limit: int = 100) -> Spoil:
    """A $top above this is refused: 400 with the text of Microsoft's library [code]."""

    def spoil(request: Request, reply: Reply) -> None:
        if request.number and (request.top or 0) > limit:
            reply.refuse(TOP.format(limit, request.top))

    return spoil


@named
def max_orderby(limit: int = 5) -> Spoil:
    """More columns than this in $orderby are refused, as Microsoft's library does [code]."""

    def spoil(request: Request, reply: Reply) -> None:
        if request.number and len(request.orderby) > limit:
            reply.refuse(ORDERBY.format(limit))

    return spoil


@named
def max_node_count(limit: int = 100) -> Spoil:
    """A $filter of more nodes than this is refused, as Microsoft's library does [code]."""

    def spoil(request: Request, reply: Reply) -> None:
        if request.number and _nodes(request.query.get("$filter", "")) > limit:
            reply.refuse(NODES.format(limit))

    return spoil


@named
def bad_gateway(rows: int = 100) -> Spoil:
    """More rows than this end as 502 with a page of the gateway."""

    def spoil(_request: Request, reply: Reply) -> None:
        if len(reply.rows or ()) > rows:
            reply.page(502, "502 Bad Gateway", "<hr><center>Microsoft-Azure-Application-Gateway/v2")

    return spoil


@named
def closed(rows: int = 100) -> Spoil:
    """More rows than this end with a closed connection and no answer."""

    def spoil(_request: Request, reply: Reply) -> None:
        if len(reply.rows or ()) > rows:
            reply.close()

    return spoil


@named
def restriction_group(share: int = 3) -> Mapping[str, Any]:
    """The user sees one of so many rows, without an error [live]."""
    return {"visible_share": share}


@named
def rows_change(requests: int = 2) -> Mapping[str, Any]:
    """A few rows change after every so many requests."""
    return {"change_every": requests}


def _denied(code: int, rows: int) -> Spoil:
    def spoil(_request: Request, reply: Reply) -> None:
        if len(reply.rows or ()) > rows:
            # The blanks keep browsers from showing a page of their own.
            text = f"{DENIALS[code]}<br>Timestamp: 2026-03-02T08:15:30Z{' ' * 600}"
            reply.page(500, "Error", text)

    return spoil


def _nodes(text: str) -> int:
    """Return the number of nodes of a filter, about as Microsoft's library counts them."""
    terms = sum(not found.startswith("'") for found in _TERM.findall(text))
    joins = sum(not found.startswith("'") for found in _JOIN.findall(text))
    return terms * _NODES_OF_A_TERM + joins
