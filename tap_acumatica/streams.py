"""One entity set as a Singer stream, with one bookmark per tenant."""

from __future__ import annotations

import functools
import typing as t
from contextlib import closing

from singer_sdk.batch import Batcher
from singer_sdk.metrics import Status, Tag
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_acumatica.bookmarks import STATE_SOURCE, StreamBookmarks
from tap_acumatica.catalog_entry import EntryReader, stated_in
from tap_acumatica.errors import ColumnsRefusedError, RefusedError
from tap_acumatica.extraction import Extraction
from tap_acumatica.reading.batches import blocks
from tap_acumatica.reading.window import keep
from tap_acumatica.records.batches import BatchFiles
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.schema import TENANT_COLUMN, restore_facets
from tap_acumatica.records.writers import (
    BatchFileWriter,
    EncodedBatchWriter,
    MappedRecordWriter,
    RecordLineWriter,
)
from tap_acumatica.singer import BatchFileFormat, SingerStream

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter
    from singer_sdk.singerlib import Catalog

    from tap_acumatica.catalog_entry import Stated
    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.reading.progress import Progress
    from tap_acumatica.records.writers import RowWriter
    from tap_acumatica.run import Key, Prefetch, Run
    from tap_acumatica.singer import BatchConfig, SingerTap

_NUMBERS_STAY = (
    "Rows of one key are numbered. A number that is gone stays at the target, with the row it had, "
    "unless 'emit_activate_version_messages' is true and the loader acts on it."
)
_COLUMN_DEPTH = 2  # ("properties", name): what lies deeper is a column of a column


class EntitySetStream(SingerStream):
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
        self._has_written = False

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
        extraction = self._extraction((context or {}).get(TENANT_COLUMN), fast=False)
        extraction.current.set()
        for batch in extraction.batches():
            yield from map(extraction.maker.record, batch.rows)

    # What the run reads

    def extractions(self) -> dict[Key, Callable[[], Extraction]]:
        """What is to be read of the stream, in order: one extraction per tenant."""
        return {
            (self.name, tenant): functools.partial(self._extraction, tenant)
            for tenant in self.definition.sources
        }

    def _extraction(self, tenant: str | None, *, fast: bool | None = None) -> Extraction:
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
            fast=self._uses_fast_path if fast is None else fast,
        )

    # The sync loop

    @override
    def sync_rows(self, batch_config: BatchConfig | None = None) -> None:
        """Write all rows of all tenants; a tenant's failure is its own.

        Args:
            batch_config: Where BATCH files go; None for RECORD messages.
        """
        self._warn_of_missing_columns()
        full = self.replication_method == REPLICATION_FULL_TABLE
        if full and batch_config is None and self.config.get("emit_activate_version_messages"):
            self.begin_version()
        writer = self._writer(batch_config)
        complete = all(c.failure is None for c in self._run.site.connections.values())
        with self.get_record_counter() as counter, self.get_sync_timer() as timer:
            for tenant in self.definition.sources:
                complete &= self._sync_tenant(tenant, writer, counter)
            if not complete:
                timer.tags[Tag.STATUS] = Status.FAILED
        if complete and self.record_limit is None:
            self.activate_version()

    def _sync_tenant(self, tenant: str | None, writer: RowWriter, counter: Counter) -> bool:
        """Write one tenant's rows; whether that succeeded."""
        opener = functools.partial(self._extraction, tenant)
        try:
            while True:
                prefetch = self._run.take((self.name, tenant), opener)
                try:
                    self._write_rows(tenant, prefetch, writer, counter)
                except ColumnsRefusedError as error:
                    self._leave_out_refused(error)
                else:
                    break
        except Exception as error:  # noqa: BLE001  whatever it is, the other streams go on
            self._run.fail(self.name, self.definition.sources[tenant].connection, error)
            return False
        return True

    def _leave_out_refused(self, error: ColumnsRefusedError) -> None:
        """Go on without the columns that the service no longer gives.

        Raises:
            RefusedError: If the stream needs them, or rows with them have been written.
        """
        names, shape = ", ".join(error.names), self.definition.shape
        columns = {shape.column(name) for name in error.names}
        needed = {*map(shape.column, shape.key), *self.primary_keys, self.replication_key}
        if self._has_written or needed & columns or not columns <= self.wanted_columns.keys():
            msg = (
                f"{self.name}: the service no longer gives {names} ({error}); run discovery "
                "again, or deselect what is gone"
            )
            raise RefusedError(msg) from error
        self.logger.warning(
            "%s: the service no longer gives %s, so this run leaves it out of SCHEMA and RECORD; "
            "run discovery again or deselect it.",
            self.name,
            names,
        )
        self._run.discard(self.name)
        self.mask.update({("properties", name): False for name in columns})
        self.leave_out(columns)

    def _write_rows(
        self, tenant: str | None, prefetch: Prefetch, writer: RowWriter, counter: Counter
    ) -> None:
        extraction, limit = prefetch.extraction, self.record_limit
        progress, size = extraction.progress, limit or writer.size

        def write(rows: list[t.Any]) -> None:
            self._has_written = True
            writer.write(extraction.records(rows))

        with closing(prefetch):
            for block in blocks(prefetch.batches(), size, fill=writer.fills):
                if limit is None:
                    counter.increment(progress.write(block, write))
                    progress.log()
                    self._save(tenant, progress)
                elif rows := [row for piece in block for row in piece.rows]:
                    write(rows)
                    break
        if limit is None:
            progress.complete()
            self._report(extraction)
        self._save(tenant, progress)

    def _report(self, extraction: Extraction) -> None:
        """Say what was found out about the key of what was read."""
        identity = extraction.identity
        if identity.numbered:
            self.logger.info("%s: %d rows were numbered", extraction.name, identity.numbered)
            if self.version is None:
                self._run.warn_once(_NUMBERS_STAY)
        if identity.doubtful:
            self.logger.warning(
                "%s: %d rows have the key of another row, though neither was changed during the "
                "run, so a loader keeps one of them; name the columns that identify a row in "
                "'keys'.",
                extraction.name,
                identity.doubtful,
            )

    @override
    def report_failure(self, error: Exception) -> None:
        """Take note of what a map did to the SCHEMA: no row of the stream is read."""
        for source in self.definition.sources.values():
            self._run.fail(self.name, source.connection, error)
            break

    def _writer(self, batch_config: BatchConfig | None) -> RowWriter:
        lines = RecordLines(self.name, version=self.version)
        size = self._run.site.settings.batch_size
        if batch_config is None:
            if self._uses_fast_path:
                return RecordLineWriter(size, lines, self._run.writer.write_lines)
            return MappedRecordWriter(size, self.write_record)
        size = self.config["batch_config"].get("batch_size") or size
        announce = functools.partial(self.write_batch, batch_config)
        if self._uses_fast_path:
            files = BatchFiles(
                batch_config.storage,
                f"{self.tap_name}--{self.name}",
                compression=batch_config.encoding.compression,
            )
            return BatchFileWriter(size, lines, files, announce)
        batcher = Batcher(self.tap_name, self.name, batch_config)
        return EncodedBatchWriter(size, batcher.get_batches, announce)

    @functools.cached_property
    def _uses_fast_path(self) -> bool:
        """Whether records leave as they are: nothing asks for the SDK's own way."""
        nested = any(len(path) > _COLUMN_DEPTH and not on for path, on in self.mask.items())
        files = self.get_batch_config(self.config)
        jsonl = files is None or files.encoding.format == BatchFileFormat.JSONL
        return self.record_limit is None and jsonl and self.is_unmapped and not nested

    def _warn_of_missing_columns(self) -> None:
        known = self.definition.shape.schema["properties"]
        missing = [name for name in self.wanted_columns if name not in known]
        if missing and self._run.site.settings.use_select:
            self.logger.warning(
                "%s: the service no longer has %s, which the catalog names; run discovery again "
                "(a changed caption renames an inquiry's column). The other columns are read.",
                self.name,
                ", ".join(missing),
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

    def check_bookmarks(self) -> None:
        """Refuse a state that cannot be used, before anything is read.

        Raises:
            BookmarkError: If a bookmark is not a date-time.
            SettingsError: If it is not clear what the state means.
        """
        self.bookmarks.check(lambda tenant: self.definition.sources[tenant].connection.began)

    def _save(self, tenant: str | None, progress: Progress) -> None:
        self.stream_state[STATE_SOURCE] = self.definition.entity_set
        if self.replication_method == REPLICATION_INCREMENTAL:
            state = self.get_context_state({TENANT_COLUMN: tenant} if tenant else None)
            keep(state, self.replication_key, progress.reached)
        self.write_state()
