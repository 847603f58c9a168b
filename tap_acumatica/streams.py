"""One entity set as a Singer stream, with one bookmark per tenant."""

from __future__ import annotations

import functools
import typing as t

from singer_sdk.singerlib import Metadata, Schema
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_acumatica.extraction import Extraction
from tap_acumatica.reading.window import Reached, keep, reached_by
from tap_acumatica.records.deletion import DELETED_COLUMN
from tap_acumatica.records.schema import KEY_COLUMN, TENANT_COLUMN, restore_facets
from tap_acumatica.sync import SyncedStream

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog, CatalogEntry

    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.reading.progress import Progress
    from tap_acumatica.run import Key, Run
    from tap_acumatica.singer import SingerTap

STATE_SOURCE = "entity_set"
"""Where the state of a stream keeps which entity set it is."""


class EntitySetStream(SyncedStream):
    """An entity set, a generic inquiry or a singleton."""

    def __init__(self, tap: SingerTap, run: Run, definition: StreamDefinition) -> None:
        """Set up a stream.

        Args:
            tap: The tap.
            run: What the run shares.
            definition: What discovery found.
        """
        super().__init__(tap, schema=definition.shape.schema, name=definition.name)
        self.definition = definition
        self.primary_keys = definition.shape.key_properties
        self.replication_key = definition.tracking
        self.selected_by_default = definition.selected_by_default
        self._vouched: tuple[str, ...] | None = None
        self._run = run

    # Catalog

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take keys, replication and schema from the input catalog, where they can be used."""
        if entry := catalog.get_stream(self.name):
            self._complete_entry(entry)
        super().apply_catalog(catalog)
        restore_facets(self.effective_schema, self.schema)
        method = self.forced_replication_method
        if method not in {None, REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL}:
            self.logger.warning(
                "%s: the catalog asks for the replication method %s, which this tap does not "
                "support; the stream is read by its replication key, if it has one.",
                self.name,
                method,
            )
            self.forced_replication_method = method = None
        tracking = self.definition.tracking
        if not self._run.site.settings.tracks_changes or method == REPLICATION_FULL_TABLE:
            self.replication_key = None
        elif not self._can_track(self.replication_key):
            if self.replication_key:
                self.logger.warning(
                    "%s: %s %s; the whole stream is read.",
                    self.name,
                    self.replication_key,
                    self.definition.untracked(self.replication_key) or "is emitted as a date",
                )
            wanted = method == REPLICATION_INCREMENTAL
            self.replication_key = tracking if wanted and not self.replication_key else None
        if self.replication_key is None:
            self.forced_replication_method = REPLICATION_FULL_TABLE

    def _complete_entry(self, entry: CatalogEntry) -> None:
        """Add what a catalog entry leaves out: it is as discovered."""
        root = entry.metadata.get(())
        if entry.key_properties is None:
            given = getattr(root, "table_key_properties", None)
            entry.key_properties = list(self.primary_keys if given is None else given)
        if entry.schema.properties is None:
            entry.schema = Schema.from_dict(self.schema)
        self._complete_key(entry)
        if (deleted := self.schema["properties"].get(DELETED_COLUMN)) is not None:
            # Without it, deleted rows would look like the others.
            columns = entry.schema.properties or {}
            columns.setdefault(DELETED_COLUMN, Schema.from_dict(deleted))
        if (entry.replication_key, entry.replication_method) == (None, None) and not root:
            entry.replication_key = self.replication_key

    def _complete_key(self, entry: CatalogEntry) -> None:
        """Settle what identifies a row: the catalog, where it says so, but ``keys`` before it.

        A key that differs from the discovered one is the user's word, as is one in the setting.
        """
        found, declared = set(entry.key_properties or ()), self.definition.shape.key_properties
        if not found or found == set(declared):
            return
        if not self.definition.has_given_key:
            own = (n for n in entry.key_properties or () if n not in {TENANT_COLUMN, KEY_COLUMN})
            self._vouched = tuple(own) or None
            return
        entry.key_properties = list(declared)
        entry.schema.properties = entry.schema.properties or {}
        for name in declared:
            entry.schema.properties[name] = Schema.from_dict(self.schema["properties"][name])
            entry.metadata["properties", name].inclusion = Metadata.InclusionType.AUTOMATIC

    def _can_track(self, name: str | None) -> bool:
        if name is None or self.definition.untracked(name):
            return False
        column: dict[str, t.Any] = self.effective_schema["properties"].get(name, {})
        return column.get("format") != "date"

    @override
    def complete_schema(self, schema: dict[str, t.Any]) -> None:
        restore_facets(schema, self.schema)

    @property
    @override
    def wanted_columns(self) -> dict[str, dict[str, t.Any]]:
        """JSON Schemas of the selected columns, by name."""
        properties = self.effective_schema["properties"]
        return {
            name: schema for name, schema in properties.items() if self.mask["properties", name]
        }

    # What the SDK asks

    @property
    @override
    def is_sorted(self) -> bool:
        """Incremental streams are read in the order of their replication key."""
        return self.replication_key is not None

    @property
    @override
    def emit_activate_version_messages(self) -> bool:
        """Never before the first record, as the SDK would: see ``activate_version``."""
        return False

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """None: the bookmark itself stops at the start of the run, see ``Progress``."""

    @property
    @override
    def partitions(self) -> list[dict[str, t.Any]] | None:
        """One partition per tenant, where tenants are configured."""
        return [{TENANT_COLUMN: tenant} for tenant in self.definition.sources if tenant] or None

    @override
    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Records of one tenant; no state is written.

        Args:
            context: ``{"_tenant": name}``, or None.
        """
        extraction = self.extraction((context or {}).get(TENANT_COLUMN), fast=False)
        extraction.current.set()
        for batch in extraction.batches():
            yield from map(extraction.maker.record, batch.rows)

    # What the run reads

    def extractions(self) -> dict[Key, Callable[[], Extraction]]:
        """What is to be read of the stream, in order: one extraction per tenant.

        Nothing, where its maps cannot be used.
        """
        if self.has_map_error:
            return {}
        return {
            (self.name, tenant): functools.partial(self.extraction, tenant)
            for tenant in self.definition.sources
        }

    @override
    def extraction(self, tenant: str | None, *, fast: bool | None = None) -> Extraction:
        """One tenant's share of the stream.

        Args:
            tenant: The tenant.
            fast: Whether rows may be decoded straight into records; None where the way they are
                written decides.

        Raises:
            TapError: If the tenant failed before, or the stream cannot be read.
        """
        source = self.definition.sources[tenant]
        if source.connection.failure:
            raise source.connection.failure
        return Extraction(
            self.name,
            source,
            self.wanted_columns,
            self._run.site.settings,
            tenant=tenant,
            tracking=self.replication_key,
            reached=self._reached(tenant),
            key=self._vouched,
            fast=self.uses_fast_path if fast is None else fast,
        )

    # State

    def _state_of(self, tenant: str | None) -> dict[str, t.Any]:
        return self.get_context_state({TENANT_COLUMN: tenant} if tenant else None)

    def _reached(self, tenant: str | None) -> Reached:
        """What earlier runs have read, if it is of the same replication key."""
        state = self._state_of(tenant)
        if self.replication_key and state.get("replication_key") == self.replication_key:
            return reached_by(state, f"{self.name} of tenant '{tenant}'" if tenant else self.name)
        return Reached()

    @override
    def save(self, tenant: str | None, progress: Progress) -> None:
        self.stream_state[STATE_SOURCE] = self.definition.entity_set
        if self.replication_method == REPLICATION_INCREMENTAL:
            keep(self._state_of(tenant), self.replication_key, progress.reached)
        self.write_state()
