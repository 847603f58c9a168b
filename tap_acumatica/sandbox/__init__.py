"""An Acumatica-shaped OData server, to try the tap with and to test it against.

What it imitates, and how surely (see the project's notes on Acumatica):

* documented by Acumatica: the addresses and the tenant in them, OData 3.0 at one of them, names,
  keys and types of the data access classes, shapes of metadata, service documents and rows,
  padded keys, inquiries without an order, their keys and `_WithParameters`, which query options
  there are, empty answers to filters on calculated columns, gzip from 860 bytes, the identity
  server's addresses, flows, PKCE and scopes, the delays and queues of a license's limits;
* seen on live sites by others: 401 on every path without credentials, sessions minted without
  cookies, lock-outs, refresh tokens that rotate and consents that end when one is used twice, error
  texts, wrong rows for a filter on an appended key, 411 at sign-out, fields that are neither
  filtered nor selected, times of a 300th of a second;
* guessed, therefore a switch of `Habits` or stated here: page caps and next links, hidden columns
  in whole rows, whether a query error is a 400 or a 500, the form of error bodies, comparisons
  with null (as in SQL), names and shapes of OData 3.0, the time zone of its moments, the tenant of
  older addresses that name none (the first one), that a session belongs to one tenant, that a
  date-time literal needs a zone, that virtual fields are left out of whole rows, the sign-in page,
  that a session of OAuth ends with its token and goes on where cookies come with the next one, how
  a full queue is told.

What it does not know: soft deletes and archives, `px.GetDeletedRecords()`, lambdas and arithmetic
in `$filter`, implicit and hybrid flows.

It imports nothing of the tap: a wrong idea would otherwise be right on both sides.
"""

from __future__ import annotations

from .habits import Habits
from .identity import Client
from .sandbox import CLIENT, Sandbox

__all__ = ["CLIENT", "Client", "Habits", "Sandbox"]
