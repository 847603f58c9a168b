"""Writes and reads catalogs with thousands of streams, without the SDK's objects.

The SDK creates one object per column when it writes a catalog, and again when it reads one. That
takes seconds for the 42,000 columns of a complete Acumatica. The catalogs written here are equal to
the SDK's; a test compares them.
"""

from __future__ import annotations

import gc
import typing as t
from contextlib import contextmanager

import msgspec
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL

from tap_acumatica.discovery.memory import memory_entry

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_acumatica.discovery import StreamDefinition

Entry = dict[str, t.Any]

ENTITY_SET = "entity-set"
"""Where the metadata of a stream keeps which entity set it is, whatever else bears its name."""

_AVAILABLE = {"inclusion": "available"}
_AUTOMATIC = {"inclusion": "automatic"}


def catalog_of(definitions: Iterable[StreamDefinition]) -> dict[str, list[Entry]]:
    """The catalog of a discovery, equal to :attr:`singer_sdk.Tap.catalog_dict`."""
    return {"streams": [_catalog_entry(definition) for definition in definitions]}


def catalog_text(catalog: dict[str, t.Any]) -> str:
    """Encode a catalog as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(catalog), indent=2).decode()


def _catalog_entry(definition: StreamDefinition) -> Entry:
    shape, tracking = definition.shape, definition.tracking
    keys = list(shape.key_properties)
    entry: Entry = {"tap_stream_id": definition.name}
    root: Entry = {
        "inclusion": "available",
        "selected": definition.selected_by_default,
        "selected-by-default": definition.selected_by_default,
        "table-key-properties": keys,
        ENTITY_SET: definition.entity_set,
        **memory_entry(definition),
    }
    if tracking:
        entry["replication_key"] = tracking
        root |= {"replication-key": tracking, "valid-replication-keys": [tracking]}
    metadata = list(_column_metadata(shape.schema["properties"], (), {*keys, tracking}))
    metadata.append({"breadcrumb": [], "metadata": root})
    return entry | {
        "replication_method": REPLICATION_INCREMENTAL if tracking else REPLICATION_FULL_TABLE,
        "key_properties": keys,
        "schema": shape.schema,
        "stream": definition.name,
        "metadata": metadata,
    }


def with_sources(
    catalog: dict[str, t.Any], definitions: Iterable[StreamDefinition]
) -> dict[str, t.Any]:
    """A catalog that the SDK wrote, with the entity set of each stream and what is remembered."""
    sources = {
        definition.name: {ENTITY_SET: definition.entity_set, **memory_entry(definition)}
        for definition in definitions
    }
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"].update(sources.get(entry["tap_stream_id"], {}))
    return catalog


def sources_of(catalog: Mapping[str, t.Any]) -> dict[str, str]:
    """The entity sets that the streams of a catalog are, as far as it says so."""
    return {
        entry["tap_stream_id"]: source
        for entry in catalog.get("streams") or ()
        for item in entry.get("metadata") or ()
        if not item.get("breadcrumb")
        and isinstance(source := (item.get("metadata") or {}).get(ENTITY_SET), str)
    }


def _column_metadata(
    properties: dict[str, t.Any], above: tuple[str, ...], automatic: set[str | None]
) -> Iterator[Entry]:
    """Yield the metadata of columns, including those of nested objects."""
    for name, schema in properties.items():
        breadcrumb = (*above, "properties", name)
        yield {
            "breadcrumb": breadcrumb,
            "metadata": _AUTOMATIC if name in automatic else _AVAILABLE,
        }
        if nested := schema.get("properties"):
            yield from _column_metadata(nested, breadcrumb, set())


# Input catalogs


class _Metadata(msgspec.Struct):
    breadcrumb: list[str] | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


class _Selected(msgspec.Struct):
    selected: t.Any = msgspec.UNSET
    by_default: t.Any = msgspec.field(default=None, name="selected-by-default")


class SkimmedEntry(msgspec.Struct):
    """The members of a catalog entry that say which stream it is, and whether it is selected."""

    tap_stream_id: str | None = None
    stream: str | None = None
    selected: t.Any = msgspec.UNSET
    metadata: list[_Metadata] | None = None

    @property
    def name(self) -> str:
        """Name of the stream; empty where the entry has none."""
        return self.tap_stream_id or self.stream or ""

    @property
    def deselected(self) -> bool:
        """Whether it certainly is not selected."""
        root = next((item for item in self.metadata or () if not item.breadcrumb), None)
        own = _Selected() if root is None else _SELECTED.decode(root.metadata) or _Selected()
        if own.selected is msgspec.UNSET:
            return self.selected is False
        return own.selected is False and not (own.by_default is False and self.selected)


class _Catalog(msgspec.Struct):
    streams: list[msgspec.Raw]


_SELECTED = msgspec.json.Decoder(t.Optional[_Selected])  # noqa: UP045  at run time
_SKIMMED = msgspec.json.Decoder(SkimmedEntry)
_CATALOG = msgspec.json.Decoder(_Catalog)


def skimmed(text: str | bytes) -> list[tuple[msgspec.Raw, SkimmedEntry]]:
    """The entries of a catalog, of which only the most important members are decoded.

    Args:
        text: The catalog as JSON.

    Raises:
        msgspec.DecodeError: If the text is not JSON.
        msgspec.ValidationError: If it is not a catalog.
    """
    return [(raw, _SKIMMED.decode(raw)) for raw in _CATALOG.decode(text).streams]


def selected_entries(text: str | bytes) -> dict[str, list[Entry]]:
    """Decode a catalog without its deselected streams, which are only skimmed.

    Args:
        text: The input catalog as JSON.

    Raises:
        msgspec.DecodeError: If the text is not JSON.
        msgspec.ValidationError: If it is not a catalog.
    """
    kept = (raw for raw, entry in skimmed(text) if not entry.deselected)
    return {"streams": [msgspec.json.decode(raw) for raw in kept]}


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause garbage collection.

    The code inside creates hundreds of thousands of objects that all stay. The collector would scan
    them again and again, which takes as long as creating them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
