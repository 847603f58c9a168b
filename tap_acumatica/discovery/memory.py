"""What a discovery found out of a stream, kept in the catalog so that no run asks again."""

from __future__ import annotations

import typing as t

import msgspec

from tap_acumatica.acumatica.site_information import InquiryDefinition

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.discovery.definitions import StreamDefinition

INQUIRY = "inquiry"
"""Where the metadata of a stream keeps what the site says of the inquiry, by tenant."""
NON_FILTERABLE = "non-filterable-columns"
"""Where it keeps the columns that are given although the metadata calls them non-filterable."""


class Memory(t.NamedTuple):
    """What is remembered of one stream.

    Attributes:
        inquiries: What the site said, by tenant; None where it could not be read. Empty where it
            was not asked.
        columns: Non-filterable columns that are given.
    """

    inquiries: Mapping[str, InquiryDefinition | None] = {}
    columns: frozenset[str] = frozenset()


def memory_entry(definition: StreamDefinition) -> dict[str, t.Any]:
    """What to remember of a stream, as members of its metadata."""
    found: dict[str, t.Any] = {}
    if definition.was_asked_for:
        found[INQUIRY] = {
            tenant or "": _said(source.definition) if source.definition else None
            for tenant, source in definition.sources.items()
        }
    if columns := sorted({name for each in definition.sources.values() for name in each.shown}):
        found[NON_FILTERABLE] = columns
    return found


def _said(definition: InquiryDefinition) -> dict[str, t.Any]:
    """The members of a definition that say something."""
    return {name: value for name, value in msgspec.to_builtins(definition).items() if value}


def memories_of(catalog: Mapping[str, t.Any]) -> dict[str, Memory]:
    """What the streams of a catalog remember, by stream name; what is not understood is left out.

    Args:
        catalog: The catalog as it was read.
    """
    found: dict[str, Memory] = {}
    for entry in catalog.get("streams") or ():
        for item in entry.get("metadata") or ():
            if not item.get("breadcrumb"):
                root = item.get("metadata") or {}
                memory = Memory(_inquiries(root.get(INQUIRY)), _names(root.get(NON_FILTERABLE)))
                found[str(entry.get("tap_stream_id"))] = memory
    return found


def _inquiries(kept: t.Any) -> dict[str, InquiryDefinition | None]:
    try:
        return msgspec.convert(kept or {}, dict[str, InquiryDefinition | None])
    except msgspec.ValidationError:
        return {}


def _names(kept: t.Any) -> frozenset[str]:
    return frozenset(name for name in kept if isinstance(name, str)) if kept else frozenset()
