"""Reads input catalogs as people, Meltano and other tools write them.

What means only one thing is brought into the form that the SDK reads; anything else is refused.
Deselected streams are only skimmed: the SDK takes long over thousands of them.
"""

from __future__ import annotations

import typing as t

import msgspec

from tap_acumatica.catalog import skimmed
from tap_acumatica.errors import SettingsError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

Entry = dict[str, t.Any]

_MISSING = object()
_SWITCHES = {
    **dict.fromkeys(("true", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "no", "n", "off", "0"), False),
}
_STATE_MEMBERS = {"bookmarks", "singer_state", "completed", "partial", "value"}
_CONFIG_MEMBERS = {"url", "interface", "username", "tenants"}
_SELECTIONS = ("selected", "selected-by-default")
_LONGEST = 60


def input_catalog(text: str | bytes, file: str = "the catalog file") -> dict[str, t.Any]:
    """Decode a catalog without its deselected streams, of which only the names are kept.

    Args:
        text: The input catalog as JSON.
        file: What to call it in errors.

    Returns:
        Its ``streams`` that may be selected, and the names of the others as ``deselected``.

    Raises:
        msgspec.DecodeError: If the text is not JSON.
        SettingsError: If it is not a catalog, or one that contradicts itself.
    """
    try:
        entries = skimmed(text)
    except msgspec.ValidationError as error:
        raise _not_a_catalog(file, _looks_like(text, error)) from error
    kept: dict[str, Entry] = {}
    others: dict[str, msgspec.Raw] = {}
    for raw, entry in entries:
        name = entry.name
        if not name:
            raise _not_a_catalog(file, "an entry of 'streams' has no 'tap_stream_id'")
        before = others.setdefault(name, raw)
        if before is not raw and msgspec.json.decode(before) != msgspec.json.decode(raw):
            msg = f"{file} has two entries of the stream {name} that differ; leave one of them"
            raise SettingsError(msg)
        if before is raw and not entry.deselected:
            kept[name] = msgspec.json.decode(raw)
    return {"streams": list(kept.values()), "deselected": sorted(others.keys() - kept.keys())}


def normalized(catalog: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A catalog in the form that the SDK reads, with what its entries leave open.

    Args:
        catalog: The catalog as it was written.

    Raises:
        SettingsError: If a part of it has another form.
    """
    streams = [
        _normalized(entry, entry.get("tap_stream_id") or entry.get("stream") or "")
        for entry in catalog.get("streams") or ()
    ]
    return {**catalog, "streams": streams}


def selection(stream: str, *said: t.Any) -> bool | None:
    """Whether a stream is selected: by its entry, its metadata, and by default; None if unsaid.

    The place that differs from the default, which is what discovery wrote, is the user's.

    Args:
        stream: Name of the stream, for errors.
        *said: ``selected`` of the entry, ``selected`` and ``selected-by-default`` of the metadata.

    Raises:
        SettingsError: If one of them is neither true nor false.
    """
    entry, metadata, default = (_switch(value, stream) for value in said)
    usual = True if default is None else default
    if (entry is not None and entry != usual) or metadata is None:
        return entry if entry is not None else default
    return metadata


def _not_a_catalog(file: str, why: str) -> SettingsError:
    return SettingsError(f"{file} is not a Singer catalog ({why}); write one with --discover")


def _looks_like(text: str | bytes, error: Exception) -> str:
    """What a file is instead of a catalog."""
    found = msgspec.json.decode(text)
    if not isinstance(found, dict):
        return "it does not hold a JSON object"
    if "streams" in found:
        return str(error)
    if found.keys() & _STATE_MEMBERS:
        return "it looks like a state"
    if found.keys() & _CONFIG_MEMBERS:
        return "it looks like a configuration"
    return 'it has no "streams"'


def _normalized(entry: Entry, name: str) -> Entry:
    """An entry in the form that the SDK reads.

    Raises:
        SettingsError: If a part of it has another form.
    """
    metadata = [_item(item, name) for item in entry.get("metadata") or ()]
    root = next((item for item in metadata if not item["breadcrumb"]), None)
    if root is None:
        root = {"breadcrumb": [], "metadata": {}}
        metadata.append(root)
    own = root["metadata"]
    said = selection(name, entry.get("selected"), *(own.get(key) for key in _SELECTIONS))
    own["selected"] = True if said is None else said
    return {
        **entry,
        "tap_stream_id": name,
        "stream": name,
        "alias": entry.get("stream"),
        "key_properties": _names(entry.get("key_properties"), name),
        "replication_key": _one_name(entry.get("replication_key"), name),
        "schema": _schema(entry.get("schema"), name),
        "metadata": metadata,
    }


def _item(item: t.Any, stream: str) -> Entry:
    if not isinstance(item, dict):
        raise _wrong(stream, "metadata", item)
    breadcrumb, own = item.get("breadcrumb") or [], item.get("metadata") or {}
    if not isinstance(breadcrumb, list | tuple) or not isinstance(own, dict):
        raise _wrong(stream, "metadata", item)
    own = dict(own)
    for key in _SELECTIONS:
        if key in own:
            own[key] = _switch(own[key], stream)
    for key in ("table-key-properties", "view-key-properties", "valid-replication-keys"):
        if key in own:
            own[key] = _names(own[key], stream)
    if "replication-key" in own:
        own["replication-key"] = _one_name(own["replication-key"], stream)
    return {"breadcrumb": breadcrumb, "metadata": own}


def _schema(schema: t.Any, stream: str) -> Entry:
    """A JSON Schema as an object; columns of which it says nothing are empty."""
    if isinstance(schema, str) and schema.strip():
        try:
            schema = msgspec.json.decode(schema)
        except msgspec.DecodeError as error:
            raise _wrong(stream, "schema", schema) from error
    if not schema:
        return {}
    properties = schema.get("properties") if isinstance(schema, dict) else _MISSING
    if properties is None:
        return {key: value for key, value in schema.items() if key != "properties"}
    if not isinstance(properties, dict):
        raise _wrong(stream, "schema", schema)
    if all(type(column) is dict for column in properties.values()):
        return t.cast("Entry", schema)
    columns = {n: column if isinstance(column, dict) else {} for n, column in properties.items()}
    return {**schema, "properties": columns}


def _switch(value: t.Any, stream: str) -> bool | None:
    """True or false, also where it is written as text or as a number.

    Raises:
        SettingsError: If it is neither.
    """
    if value is None or value is True or value is False:
        return value
    found = _SWITCHES.get(str(value).strip().casefold())
    if found is None:
        raise _wrong(stream, "selected", value, "must be true or false")
    return found


def _names(value: t.Any, stream: str) -> list[str] | None:
    if isinstance(value, str):
        return [value] if value else None
    if isinstance(value, tuple):
        value = list(value)
    if value is not None and not (
        isinstance(value, list) and all(isinstance(name, str) for name in value)
    ):
        raise _wrong(stream, "a list of columns", value)
    return t.cast("list[str] | None", value)


def _one_name(value: t.Any, stream: str) -> str | None:
    """One column; other tools write it as a list of one.

    Raises:
        SettingsError: If it is something else.
    """
    found = _names(value, stream) or [""]
    if len(found) > 1:
        raise _wrong(stream, "the replication key", value, "must be one column")
    return found[0] or None


def _wrong(stream: str, what: str, value: t.Any, rule: str = "has another form") -> SettingsError:
    shown = " ".join(repr(value).split())
    short = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
    return SettingsError(
        f"the catalog's entry of {stream} cannot be used: {what} {rule}, not {short}; correct it, "
        "or write a new catalog by --discover"
    )
