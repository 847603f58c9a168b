"""An Acumatica-shaped OData server, to try the tap and to test it against.

What it imitates, by how certain that is (see the project's notes on Acumatica):

* documented by Acumatica: the URLs and the tenant in them, OData 3.0 at one of them, names, keys
  and types of the data access classes, the form of metadata, service documents and rows, padded
  keys, inquiries without an order, their keys and `_WithParameters`, the supported query options,
  empty responses to filters on calculated columns, gzip from 860 bytes, the identity server's URLs,
  flows, PKCE and scopes, the delays and queues of a license's limits;
* seen on live sites by others: 401 on every path without credentials, a new session for each
  request without cookies, lock-outs, refresh tokens that rotate and consents that end when one is
  used twice, error messages, wrong rows for a filter on an appended key, 411 at sign-out, fields
  that can be neither filtered nor selected, times in 300ths of a second;
* guessed, and therefore a switch of `Habits` or listed here: page limits and next links, hidden
  columns in complete rows, whether a query error is 400 or 500, the form of error bodies,
  comparisons with null (as in SQL), names and forms of OData 3.0, the time zone of its date-times,
  the tenant of older URLs that name none (the first one), that a session belongs to one tenant,
  that a date-time literal needs a zone, that complete rows lack virtual fields, the sign-in page,
  that an OAuth session ends with its token but continues if cookies come with the next one, and
  the response when a queue is full.

What goes wrong at real sites is in `faults`, and says by itself how certain it is.

Not supported: soft deletes and archives, `px.GetDeletedRecords()`, lambdas and arithmetic in
`$filter`, implicit and hybrid flows.

It imports nothing from the tap: a wrong idea would otherwise be right on both sides.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .habits import Habits
    from .identity import Client
    from .sandbox import CLIENT, Sandbox

__all__ = ["CLIENT", "Client", "Habits", "Sandbox"]

_MODULES = {"CLIENT": "sandbox", "Client": "identity", "Habits": "habits", "Sandbox": "sandbox"}


def __getattr__(name: str) -> object:
    """Import on first use: without the extra, the command can then say what is missing."""
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
