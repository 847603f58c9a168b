"""What stands around the rows of a JSON response, as structs for the C decoder."""

from __future__ import annotations

import typing as t
from decimal import Decimal

import msgspec

from tap_acumatica.odata.payload import ERROR_MEMBERS

_MEMBERS = {
    "next_link": "@odata.nextLink",
    "next_link401": "@nextLink",
    "next_link3": "odata.nextLink",
    "context": "@odata.context",
    "context401": "@context",
    "context3": "odata.metadata",
}
"""Members of a response in OData 4.0, 4.01 and 3.0, by field name."""
_ERRORS = {f"error{number}": name for number, name in enumerate(ERROR_MEMBERS)}


def decoder(row_type: type[t.Any]) -> t.Any:
    """Create a decoder of responses with such rows."""
    envelope = msgspec.defstruct(
        "Envelope",
        [
            ("value", list[row_type]),  # type: ignore[valid-type]  # created at run time
            *((field, t.Optional[str], None) for field in _MEMBERS),  # noqa: UP045  at run time
            *((field, t.Any, None) for field in _ERRORS),
        ],
        rename=_MEMBERS | _ERRORS,
    )
    return msgspec.json.Decoder(envelope, float_hook=Decimal)


def holds_error(envelope: t.Any) -> bool:
    """Whether a decoded response holds an error beside its rows."""
    return any(getattr(envelope, field) is not None for field in _ERRORS)


def link_and_context(envelope: t.Any) -> tuple[str | None, str | None]:
    """The next link and the context URL of a decoded response."""
    link = envelope.next_link or envelope.next_link401 or envelope.next_link3
    return link, envelope.context or envelope.context401 or envelope.context3
