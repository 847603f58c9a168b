"""One entry of the input catalog against what discovery found: whose word is used.

Singer lets a catalog say the same thing in two places: in the entry and in its metadata. The one
that differs from discovery's is the user's. Where both do, and differ, the metadata's is used,
since that is where Singer and Meltano let users write, and a warning names both.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from singer_sdk.singerlib import Metadata, Schema
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL

from tap_acumatica.records.deletion import DELETED_COLUMN
from tap_acumatica.records.schema import TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from singer_sdk.singerlib import CatalogEntry

    from tap_acumatica.discovery import StreamDefinition

_NO_METADATA: Mapping[str, t.Any] = {}
_PROPERTIES = "properties"
_COLUMN_DEPTH = 2
_USERS_METHOD = "metadata 'replication-method'"
_METHODS = frozenset({REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL})

Said = list[tuple[str, t.Any]]
"""What was written, and where: the place that counts first comes first."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a catalog says of one stream, and where.

    Attributes:
        keys: The columns that identify a row.
        replication_keys: The replication key.
        valid_replication_keys: What may be the replication key.
        methods: The replication method.
        breadcrumbs: The places that the metadata names.
        alias: What the catalog calls the stream, beside its identifier.
    """

    keys: Said = field(default_factory=list)
    replication_keys: Said = field(default_factory=list)
    valid_replication_keys: tuple[str, ...] = ()
    methods: Said = field(default_factory=list)
    breadcrumbs: tuple[tuple[str, ...], ...] = ()
    alias: str | None = None


def stated_in(catalog: Mapping[str, t.Any]) -> dict[str, Stated]:
    """What a catalog says, by stream.

    Args:
        catalog: The catalog, normalized.
    """
    return {entry["tap_stream_id"]: _stated(entry) for entry in catalog["streams"]}


def _stated(entry: Mapping[str, t.Any]) -> Stated:
    items = entry.get("metadata") or ()
    root = next((item["metadata"] for item in items if not item["breadcrumb"]), _NO_METADATA)
    return Stated(
        keys=_said(
            root,
            entry,
            metadata=("table-key-properties", "view-key-properties"),
            own="key_properties",
        ),
        replication_keys=_said(root, entry, metadata=("replication-key",), own="replication_key"),
        valid_replication_keys=tuple(root.get("valid-replication-keys") or ()),
        methods=[
            (place, str(method).strip().upper())
            for place, method in _said(
                root,
                entry,
                metadata=("replication-method", "forced-replication-method"),
                own="replication_method",
            )
        ],
        breadcrumbs=tuple(tuple(item["breadcrumb"]) for item in items if item["breadcrumb"]),
        alias=entry.get("alias"),
    )


def _said(
    root: Mapping[str, t.Any], entry: Mapping[str, t.Any], *, metadata: Iterable[str], own: str
) -> Said:
    places = [(f"metadata '{name}'", root.get(name)) for name in metadata]
    return [(place, value) for place, value in (*places, (f"'{own}'", entry.get(own))) if value]


class EntryReader:
    """Settles what is read of one stream, by its catalog entry and by what discovery found.

    Attributes:
        vouched: Columns that identify a row, by the user's word; None: as discovered.
    """

    def __init__(
        self, definition: StreamDefinition, stated: Stated, warn: Callable[[str], None]
    ) -> None:
        """Prepare.

        Args:
            definition: What discovery found.
            stated: What the catalog says, and where.
            warn: Takes a line for the user.
        """
        self._definition = definition
        self._stated = stated
        self._warn_user = warn
        self._discovered: Mapping[str, Mapping[str, t.Any]] = definition.shape.schema["properties"]
        self.vouched: tuple[str, ...] | None = None

    def complete(self, entry: CatalogEntry, *, tracks_changes: bool = True) -> None:
        """Settle key and replication, and add what the entry leaves out: it is as discovered.

        Args:
            entry: The entry, which is changed.
            tracks_changes: Whether a replication key is used at all.
        """
        if not entry.schema.properties:
            entry.schema = Schema.from_dict(self._definition.shape.schema)
        columns = entry.schema.properties = dict(entry.schema.properties or {})
        self._warn_of_names(entry)
        for name, column in columns.items():
            if column.type is None and column.anyOf is None and name in self._discovered:
                columns[name] = self._column(name)
        if DELETED_COLUMN in self._definition.shape.added:
            # Without it, deleted rows would look like the others.
            columns.setdefault(DELETED_COLUMN, self._column(DELETED_COLUMN))
        knows_tenants = TENANT_COLUMN in columns
        self._complete_tenant(columns)
        self._complete_key(entry, columns, knows_tenants=knows_tenants)
        self._complete_replication(entry, columns, tracks_changes=tracks_changes)
        self._warn_of_new_columns(columns)

    def _warn(self, text: str) -> None:
        self._warn_user(f"{self._definition.name}: {text}")

    def _column(self, name: str) -> Schema:
        return Schema.from_dict(dict(self._discovered[name]))

    def _warn_of_names(self, entry: CatalogEntry) -> None:
        """Use column names in another case, and warn of what has no effect."""
        columns, name = entry.schema.properties or {}, self._definition.name
        if self._stated.alias not in {None, "", name}:
            self._warn(
                f"the catalog also calls it '{self._stated.alias}' ('stream'); it is read and "
                "written under its 'tap_stream_id' (set __alias__ in 'stream_maps' to rename it)"
            )
        known = {*columns, *self._discovered}
        for breadcrumb in self._stated.breadcrumbs:
            column = breadcrumb[1] if breadcrumb[0] == _PROPERTIES and breadcrumb[1:] else None
            if column in known:
                continue
            written = entry.metadata.pop(breadcrumb, None)
            near = [n for n in known if column and n.casefold() == column.casefold()]
            if len(near) == 1 and written and len(breadcrumb) == _COLUMN_DEPTH:
                place = ("properties", near[0])
                if place not in entry.metadata or entry.metadata[place].selected is None:
                    entry.metadata[place].selected = written.selected
                    self._warn(f"the catalog's metadata writes {near[0]} as {column}; it is used")
                    continue
            self._warn(
                f"the catalog's metadata names {'.'.join(breadcrumb)}, which is not a column of "
                "the catalog's schema or of the service; that has no effect"
            )

    def _warn_of_new_columns(self, columns: Mapping[str, Schema]) -> None:
        added = self._definition.shape.added
        new = [name for name in self._discovered if name not in columns and name not in added]
        if new:
            self._warn(
                f"the service has columns that the catalog does not know, so they are not read: "
                f"{', '.join(new)}; run discovery again (with Meltano: meltano run "
                "--refresh-catalog …), or add them to the catalog with selected: false"
            )

    def _complete_tenant(self, columns: dict[str, Schema]) -> None:
        """Have the column of the tenants where they are configured, and only there."""
        shape = self._definition.shape
        wanted = TENANT_COLUMN in shape.added
        if wanted and TENANT_COLUMN not in columns:
            first = {TENANT_COLUMN: self._column(TENANT_COLUMN)}
            rest = dict(columns)
            columns.clear()
            columns.update({**first, **rest})
            self._warn(
                f"the catalog was made without 'tenants'; {TENANT_COLUMN} joins the columns and "
                "the key, since rows of several tenants may have one key; run discovery again"
            )
        elif not wanted and TENANT_COLUMN in columns and TENANT_COLUMN not in shape.taken:
            del columns[TENANT_COLUMN]
            self._warn(
                f"the catalog was made with 'tenants', which is not set; {TENANT_COLUMN} is left "
                "out of the columns and the key; set 'tenants', or run discovery again"
            )

    def _complete_key(
        self, entry: CatalogEntry, columns: dict[str, Schema], *, knows_tenants: bool
    ) -> None:
        """Settle what identifies a row: the catalog, where it says so, but ``keys`` before it."""
        shape = self._definition.shape
        own = {TENANT_COLUMN} - shape.taken
        declared = [name for name in shape.key_properties if name not in own]
        said = [(place, [n for n in names if n not in own]) for place, names in self._stated.keys]
        key = self._settled("the key", [(p, names) for p, names in said if names], declared)
        if set(key) != set(declared):
            if self._definition.has_given_key:
                key = declared
            else:
                vouched = (shape.property_of(name) for name in key if name not in shape.added)
                self.vouched = tuple(vouched) or None
            if self.vouched and set(self.vouched) < set(shape.key):
                whole = _shown(list(shape.key))
                self._warn(
                    f"the catalog's key is {_shown(key)}, and the service's is {whole}: of rows "
                    "that agree in the former a loader keeps one; run discovery again if the "
                    "service's key has grown"
                )
        tenant = [name for name in shape.key_properties if name in own]
        if self.vouched and TENANT_COLUMN in shape.added:
            tenant = [TENANT_COLUMN]
            written = (names for _, names in self._stated.keys if set(key) <= {*names})
            if knows_tenants and TENANT_COLUMN not in next(written, tenant):
                tenant = []
                if len(self._definition.sources) > 1:
                    self._warn(
                        f"the catalog's key is {_shown(key)} without {TENANT_COLUMN}, so rows of "
                        "several tenants that agree in it replace each other"
                    )
        entry.key_properties = [*tenant, *key]
        for name in entry.key_properties:
            if name in self._discovered and (name not in columns or name in declared):
                columns[name] = self._column(name)
            self._include(entry, name)

    def _complete_replication(
        self, entry: CatalogEntry, columns: dict[str, Schema], *, tracks_changes: bool
    ) -> None:
        """Settle the replication key; without one, the whole stream is read."""
        key = self._replication_key(columns) if tracks_changes else None
        entry.replication_key = key
        entry.replication_method = REPLICATION_INCREMENTAL if key else REPLICATION_FULL_TABLE
        root = entry.metadata.root
        root.replication_key, root.forced_replication_method = key, None
        if key is None:
            return
        if key not in columns:
            columns[key] = self._column(key)
        written = entry.metadata.get(("properties", key))
        if written and written.selected is False:
            self._warn(f"the catalog deselects {key}; it is read, as it is the replication key")
        self._include(entry, key)

    def _replication_key(self, columns: Mapping[str, Schema]) -> str | None:
        tracking = self._definition.tracking
        usual = REPLICATION_INCREMENTAL if tracking else REPLICATION_FULL_TABLE
        methods = []
        for place, method in self._stated.methods:
            if method in _METHODS:
                methods.append((place, method))
            else:
                self._warn(
                    f"the catalog asks for the replication method {method}, which this tap does "
                    "not support; the stream is read by its replication key, if it has one"
                )
        method = self._settled("the replication method", methods, usual)
        valid = self._stated.valid_replication_keys
        said = list(self._stated.replication_keys)
        if len(valid) == 1:
            said.append(("metadata 'valid-replication-keys'", valid[0]))
        unsaid = method == usual and all(place != _USERS_METHOD for place, _ in methods)
        if method == REPLICATION_FULL_TABLE and not (unsaid and said):
            return None
        key: str | None = self._settled("the replication key", said, tracking)
        if key is None:
            self._warn(
                f"the catalog asks for the replication method {method}, but the service has no "
                "timestamp to go by ('tracking_fields'); the whole stream is read"
            )
            return None
        if valid and key not in valid and tuple(valid) != (tracking,):
            self._warn(f"the catalog's 'valid-replication-keys' do not name {key}; it is used")
        return self._usable(key, columns)

    def _usable(self, key: str, columns: Mapping[str, Schema]) -> str | None:
        """A replication key, in the service's own case; None where it cannot be used."""
        shape = self._definition.shape
        names = [n for n in map(shape.column, shape.properties) if n.casefold() == key.casefold()]
        if key not in names and len(names) == 1:
            self._warn(f"the catalog writes the replication key {names[0]} as {key}; it is used")
            key = names[0]
        if key not in names:
            self._warn(
                f"the replication key {key} is not a column of the service; the whole stream is "
                "read"
            )
            return None
        column = columns.get(key)
        why = self._definition.untracked(shape.property_of(key))
        if why is None and column and column.format == "date":
            why = "is emitted as a date"
        if why:
            self._warn(f"{key} {why}; the whole stream is read")
            return None
        return key

    def _settled(self, what: str, said: Said, discovered: t.Any) -> t.Any:
        """The word that counts: the one that differs from discovery's, the metadata's first."""
        own = [
            (place, value) for place, value in said if _comparable(value) != _comparable(discovered)
        ]
        if not own:
            return discovered
        place, used = own[0]
        for other_place, other in own[1:]:
            if _comparable(other) != _comparable(used):
                self._warn(
                    f"the catalog contradicts itself on {what}: {place} says {_shown(used)}, "
                    f"{other_place} says {_shown(other)}; {_shown(used)} is used"
                )
        return used

    @staticmethod
    def _include(entry: CatalogEntry, name: str) -> None:
        entry.metadata["properties", name].inclusion = Metadata.InclusionType.AUTOMATIC


def _comparable(value: t.Any) -> t.Any:
    return frozenset(value) if isinstance(value, list) else value


def _shown(value: t.Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
