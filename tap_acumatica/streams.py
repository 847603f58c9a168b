"""One entity set as a Singer stream, with one bookmark per tenant."""

from __future__ import annotations

import functools
import typing as t

from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_acumatica.bookmarks import STATE_FILTER, STATE_SOURCE, StreamBookmarks
from tap_acumatica.catalog_entry import EntryReader, stated_in
from tap_acumatica.extraction import Extraction
from tap_acumatica.reading.window import keep
from tap_acumatica.records.schema import TENANT_COLUMN, restore_facets
from tap_acumatica.sync import SyncedStream

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog

    from tap_acumatica.catalog_entry import Stated
    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.reading.progress import Progress
    from tap_acumatica.run import Key, Run
    from tap_acumatica.singer import SingerTap


class EntitySetStream(SyncedStream):
    """An entity set, a generic inquiry or a singleton."""

    def __init__(
        self,
        tap: SingerTap,
        run: Run,
        definition: StreamDefinition,
        stated: Stated | None = None,
    ) -> None:
        """Set up a stream.

        Args:
            tap: The tap.
            run: What the run shares.
            definition: What discovery found.
            stated: What the input catalog says of it, as far as the SDK does not keep that.
        """
        super().__init__(tap, schema=definition.shape.schema, name=definition.name)
        self.definition = definition
        self.primary_keys = definition.shape.key_properties
        self.replication_key = definition.tracking
        self.selected_by_default = definition.selected_by_default
        self._stated = stated
        self._vouched: tuple[str, ...] | None = None
        self._run = run
        self._rows = {}

    # Catalog

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take keys, replication and schema from the input catalog, where they can be used."""
        if entry := catalog.get_stream(self.name):
            stated = self._stated or stated_in({"streams": [entry.to_dict()]})[self.name]
            reader = EntryReader(self.definition, stated, self.logger.warning)
            reader.complete(entry, tracks_changes=self._run.site.settings.tracks_changes)
            self._vouched = reader.vouched
        super().apply_catalog(catalog)
        restore_facets(self.effective_schema, self.schema)

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
        try:
            for batch in map(extraction.checked, extraction.batches()):
                yield from map(extraction.maker.record, batch.rows)
        finally:
            extraction.tell_repairs()

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
            reached=self.bookmarks.reached(tenant),
            key=self._vouched,
            fast=self.uses_fast_path if fast is None else fast,
            check_time=self._run.check_time,
        )

    # State

    @property
    def bookmarks(self) -> StreamBookmarks:
        """What the state says of the stream."""
        return StreamBookmarks(
            self.name,
            (self.tap_state.get("bookmarks") or {}).get(self.name) or {},
            self.definition.sources,
            self.replication_key,
            self.definition.tracking,
            self._run.site.settings.service_time_zone().zone,
            self._run.warn_once,
        )

    @property
    def _condition(self) -> str | None:
        """What ``filters`` says of the stream."""
        return self._run.site.settings.filter_of(self.definition.names)

    def _warn_of_another_filter(self) -> None:
        held = (self.tap_state.get("bookmarks") or {}).get(self.name) or {}
        was, now = held.get(STATE_FILTER), self._condition
        if was != now and any(
            self.bookmarks.reached(tenant).bookmark for tenant in self.definition.sources
        ):
            self._run.warn_once(
                f"{self.name}: 'filters' has changed since the bookmark was written "
                f"({was or 'none'}, now {now or 'none'}): rows that match only now are not read "
                "until they change; take the stream out of the state to read all of them."
            )

    def check_bookmarks(self) -> None:
        """Refuse a state that cannot be used, before anything is read.

        Raises:
            BookmarkError: If a bookmark is not a date-time.
            SettingsError: If it is not clear what the state means.
        """
        self.bookmarks.check(lambda tenant: self.definition.sources[tenant].connection.began)
        self._warn_of_another_filter()

    @override
    def save(self, tenant: str | None, progress: Progress) -> None:
        self.stream_state[STATE_SOURCE] = self.definition.entity_set
        if condition := self._condition:
            self.stream_state[STATE_FILTER] = condition
        else:
            self.stream_state.pop(STATE_FILTER, None)
        if self.replication_method == REPLICATION_INCREMENTAL:
            state = self.get_context_state({TENANT_COLUMN: tenant} if tenant else None)
            keep(state, self.replication_key, progress.reached)
        self.write_state()
