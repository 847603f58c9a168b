"""A tap like the SDK's template, a ``RESTStream`` with defaults; and a version tuned by hand.

Run them with ``python -m benchmarks.stock`` and ``python -m benchmarks.stock --tuned``.
"""

from __future__ import annotations

import sys
import typing as t

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.pagination import BaseHATEOASPaginator
from typing_extensions import override

from benchmarks.dataset import KEYS, LINES, TRACKING, TYPES

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import ParseResult

    import requests
    from singer_sdk.helpers.types import Context

_TYPES: dict[str, t.Any] = {
    "Edm.String": th.StringType,
    "Edm.Binary": th.StringType,
    "Edm.Guid": th.UUIDType,
    "Edm.Decimal": th.NumberType,
    "Edm.Int32": th.IntegerType,
    "Edm.Int64": th.IntegerType,
    "Edm.Boolean": th.BooleanType,
    "Edm.DateTimeOffset": th.DateTimeType,
}


class _Paginator(BaseHATEOASPaginator):
    """Follows next links."""

    @override
    def get_next_url(self, response: requests.Response) -> str | None:
        """Return the next link, if any."""
        link: str | None = response.json().get("@odata.nextLink")
        return link


class LinesStream(RESTStream[t.Any]):
    """The only stream."""

    name = LINES
    path = f"/any/{LINES}"
    primary_keys: t.ClassVar[tuple[str, ...]] = KEYS[LINES]
    replication_key = TRACKING
    is_sorted = True
    records_jsonpath = "$.value[*]"
    schema = th.PropertiesList(
        *(th.Property(name, _TYPES[kind]) for name, kind in TYPES.items())
    ).to_dict()

    @override
    @property
    def url_base(self) -> str:
        """URL of the service."""
        return str(self.config["url"])

    @override
    def get_new_paginator(self) -> _Paginator:
        """Follow next links."""
        return _Paginator()

    @override
    def get_url_params(
        self, context: Context | None, next_page_token: ParseResult | None
    ) -> dict[str, t.Any] | str:
        """Sort by the replication key; a next link already has the options."""
        del context
        return next_page_token.query if next_page_token else {"$orderby": TRACKING}


class TapStock(Tap):
    """The tap that a user of the SDK would write first."""

    name = "tap-stock"
    config_jsonschema = th.PropertiesList(
        th.Property("url", th.StringType, required=True)
    ).to_dict()

    @override
    def discover_streams(self) -> Sequence[LinesStream]:
        """Return the only stream."""
        return [LinesStream(self)]


class TunedStream(LinesStream):
    """The stream without what a user can turn off in the SDK."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE


class TapTuned(TapStock):
    """The same tap, tuned by hand."""

    message_writer_class = MsgSpecWriter

    @override
    def discover_streams(self) -> Sequence[TunedStream]:
        """Return the only stream."""
        return [TunedStream(self)]


if __name__ == "__main__":
    tuned = "--tuned" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--tuned"]
    (TapTuned if tuned else TapStock).cli(arguments)
