"""Faults met at real sites, each by its name: `make("max-top=100@only=SOOrder")`.

A fault sees only the request and the right reply, so it acts on any service that has the hook.
Sources: [live] seen by somebody at a real site, [doc] documented, [code] read in source code,
[guess] the form is not known. What is not marked is true of HTTP services in general.
"""

from __future__ import annotations

from . import answers, limits, links, sign_in, values
from .registry import (
    NAMED,
    FaultError,
    every,
    first,
    from_nth,
    listed,
    make,
    once,
    only,
    prepare,
    together,
)

__all__ = [
    "NAMED",
    "FaultError",
    "answers",
    "every",
    "first",
    "from_nth",
    "limits",
    "links",
    "listed",
    "make",
    "once",
    "only",
    "prepare",
    "sign_in",
    "together",
    "values",
]
