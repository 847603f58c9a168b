"""One entity set as a Singer stream, with one bookmark per tenant."""

from __future__ import annotations

import datetime as dt
import functools
import typing as t
from contextlib import closing, contextmanager

from singer_sdk.helpers._batch import BatchFileFormat
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.singerlib import Schema
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from singer_sdk.streams import Stream

from tap_acumatica.errors import TapError, ValueMismatchError
from tap_acumatica.extraction import Extraction, Prefetch
from tap_acumatica.records.batches import BatchFiles
from tap_acumatica.records.deletion import DELETED_COLUMN
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.schema import TENANT_COLUMN, restore_facets

if t.TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter
    from singer_sdk.singerlib import Catalog, CatalogEntry, SchemaMessage

    from tap_acumatica.discovery import StreamDefinition, TenantSource
    from tap_acumatica.reading.by_time import RowBatch
    from tap_acumatica.tap import TapAcumatica

_COLUMN_DEPTH = 2  # ("properties", name): what lies deeper is a column of a column


class EntitySetStream(Stream):
    """An entity set, a generic inquiry or a singleton."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # rows leave the codec in their final form

    def __init__(self, tap: TapAcumatica, definition: StreamDefinition) -> None:
        """Set up a stream.

        Args:
            tap: The tap.
            definition: What discovery found.
        """
        super().__init__(tap, schema=definition.shape.schema, name=definition.name)
        self.definition = definition
        self.primary_keys = definition.shape.key_properties
        self.replication_key = definition.tracking
        self._acumatica = tap
        self.selected_by_default = definition.selected_by_default
        self._begun: dict[str | None, Prefetch] = {}

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take keys, replication and schema from the input catalog, as far as they can be had."""
        if entry := catalog.get_stream(self.name):
            self._complete_entry(entry)
        super().apply_catalog(catalog)
        restore_facets(self.effective_schema, self.schema)
        method = self.forced_replication_method
        if method not in {None, REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL}:
            self.logger.warning(
                "%s: the catalog wants the replication method %s, which the tap does not have; it "
                "is read by its replication key, if it has one.",
                self.name,
                method,
            )
            self.forced_replication_method = method = None
        tracking = self.definition.tracking
        if self.config.get("tracking_type") == "none" or method == REPLICATION_FULL_TABLE:
            self.replication_key = None
        elif not self._can_track(self.replication_key):
            if self.replication_key:
                self.logger.warning(
                    "%s: %s is no timestamp that the service has; the whole stream is read.",
                    self.name,
                    self.replication_key,
                )
            wanted = method == REPLICATION_INCREMENTAL
            self.replication_key = tracking if wanted and not self.replication_key else None
        if self.replication_key is None:
            self.forced_replication_method = REPLICATION_FULL_TABLE

    def _complete_entry(self, entry: CatalogEntry) -> None:
        """Add what a catalog entry leaves unsaid: it is as discovered."""
        root = entry.metadata.get(())
        if entry.key_properties is None:
            given = getattr(root, "table_key_properties", None)
            entry.key_properties = list(self.primary_keys if given is None else given)
        if entry.schema.properties is None:
            entry.schema = Schema.from_dict(self.schema)
        if (deleted := self.schema["properties"].get(DELETED_COLUMN)) is not None:
            # Without it, rows that are deleted would be taken for others.
            columns = entry.schema.properties or {}
            columns.setdefault(DELETED_COLUMN, Schema.from_dict(deleted))
        if (entry.replication_key, entry.replication_method) == (None, None) and not root:
            entry.replication_key = self.replication_key

    def _can_track(self, name: str | None) -> bool:
        if name is None or self.definition.shape.tracking_field([name]) != name:
            return False
        column: dict[str, t.Any] = self.effective_schema["properties"].get(name, {})
        return column.get("format") != "date"

    @property
    def is_sorted(self) -> bool:
        """Incremental streams are read in the order of their replication key."""
        return self.replication_key is not None

    @property
    def emit_activate_version_messages(self) -> bool:
        """Never before the first record, as the SDK would: see :meth:`_activate`."""
        return False

    def get_replication_key_signpost(
        self,
        context: Context | None = None,
    ) -> None:
        """None: the bookmark itself stops at the start of the run, see :class:`Bookmark`."""

    @property
    def partitions(self) -> list[dict[str, t.Any]] | None:
        """One partition per tenant, where tenants are configured."""
        return [{TENANT_COLUMN: tenant} for tenant in self.definition.parts if tenant] or None

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Records of one tenant, without any state being written.

        Args:
            context: ``{"_tenant": name}``, or None.
        """
        tenant = (context or {}).get(TENANT_COLUMN)
        turn = self._open(tenant, self.definition.parts[tenant], compiled=False)
        with closing(turn.row_batches()) as row_batches:
            for row_batch in row_batches:
                yield from map(turn.reading.maker.record, row_batch.rows)

    def begin(self, tenant: str | None) -> Prefetch | None:
        """Begin to read a tenant's part before it is to be written; None if it cannot be begun."""
        part = self.definition.parts[tenant]
        if tenant in self._begun or part.connection.failure or part.lacks_parameters:
            return None
        try:
            turn = self._open(tenant, part, compiled=self._is_plain)
        except TapError:
            return None  # it is told when its turn comes
        turn.begin()
        self._begun[tenant] = turn
        return turn

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """BATCH files of as many rows as ``batch_config`` says, of all tenants.

        Args:
            batch_config: Where and how to write them.
            context: As the SDK gives it.
        """
        if batch_config.encoding.format != BatchFileFormat.JSONL or not self._is_plain:
            yield from super().get_batches(batch_config, context)
            return
        files = BatchFiles(batch_config, f"{self.tap_name}--{self.name}")
        with self.get_record_counter() as counter:
            for tenant, part in self.definition.parts.items():
                with self._own_failure(part):
                    turn = self._turn(tenant, part, compiled=True)
                    reading = turn.reading
                    with closing(self._blocks(turn, batch_config.batch_size)) as blocks:
                        for rows, row_batch in blocks:
                            url = files.write(self._lines.json_lines(reading.records(rows)))
                            reading.progress.advance(rows, row_batch)
                            self._keep(turn)
                            counter.increment(len(rows))
                            yield batch_config.encoding, [url]
                    reading.progress.complete()
                    self._save(turn)

    def _sync_records(
        self,
        context: Context | None = None,  # noqa: ARG002  all tenants, whichever the SDK names
        *,
        write_messages: bool = True,
    ) -> Generator[Record, t.Any, t.Any]:
        """Write RECORD and STATE messages for all tenants; one tenant's failure is its own.

        In place of the SDK's loop, whose bookmark would follow rows stamped in the future, which
        would promote the bookmark of a stream that failed, and which costs 0.1 ms a row.
        """
        self._warn_of_gone()
        versioned = bool(self.config.get("emit_activate_version_messages"))
        if versioned and self.replication_method == REPLICATION_FULL_TABLE:
            self._stream_version = self._initialized_at // 1000
        connections = self._acumatica.connections.values()
        self._complete = all(connection.failure is None for connection in connections)
        with self.get_record_counter() as counter, self.get_sync_timer():
            for part in self.definition.parts.items():
                with self._own_failure(part[1]):
                    if self.ABORT_AT_RECORD_COUNT is not None:
                        yield from self._dry_run(*part)
                    elif write_messages and self._is_plain:
                        self._sync_by_lines(*part, counter)
                    else:
                        yield from self._sync_by_record(*part, counter, write=write_messages)
        if self._complete and write_messages and self.ABORT_AT_RECORD_COUNT is None:
            self._activate()

    def _sync_by_lines(self, tenant: str | None, part: TenantSource, counter: Counter) -> None:
        """Write a block of RECORD messages at once."""
        turn = self._turn(tenant, part, compiled=True)
        reading = turn.reading
        with closing(self._blocks(turn, self.config["batch_size"])) as blocks:
            for rows, row_batch in blocks:
                extracted = dt.datetime.now(dt.timezone.utc).isoformat()
                lines = self._lines.encode(reading.records(rows), time_extracted=extracted)
                self._acumatica.output.write(lines)
                reading.progress.advance(rows, row_batch)
                self._save(turn)
                counter.increment(len(rows))
        reading.progress.complete()
        self._save(turn)

    def _sync_by_record(
        self, tenant: str | None, part: TenantSource, counter: Counter, *, write: bool
    ) -> Iterator[Record]:
        """The SDK's own path, for stream maps, flattening and BATCH files of other formats."""
        turn = self._turn(tenant, part, compiled=False)
        reading = turn.reading
        with closing(self._blocks(turn, self.config["batch_size"])) as blocks:
            for rows, row_batch in blocks:
                for row in rows:
                    record = reading.maker.record(row)
                    if write:
                        self._write_record_message(record)
                    reading.progress.advance([row], row_batch)
                    if not write:
                        self._keep(turn)
                    counter.increment()
                    yield record
                if write:
                    self._save(turn)
        reading.progress.complete()
        self._keep(turn)
        if write:
            self._save(turn)

    def _dry_run(self, tenant: str | None, part: TenantSource) -> Iterator[Record]:
        """The first records, for ``--test``; the bookmark stays where it was."""
        turn = self._open(tenant, part, compiled=False)
        limit = self.ABORT_AT_RECORD_COUNT or 1
        with closing(self._blocks(turn, limit)) as blocks:
            for rows, _ in blocks:
                for record in map(turn.reading.maker.record, rows):
                    self._write_record_message(record)
                    yield record
                break
        self._save(turn)

    def _warn_of_gone(self) -> None:
        known = self.definition.shape.schema["properties"]
        gone = [name for name in self.wanted_columns if name not in known]
        if gone and self.config["use_select"]:
            self.logger.warning(
                "%s: the service no longer has %s, which the catalog names; run discovery again "
                "(a changed caption renames an inquiry's column). The other columns are read.",
                self.name,
                ", ".join(gone),
            )

    def _turn(self, tenant: str | None, part: TenantSource, *, compiled: bool) -> Prefetch:
        """The turn of a tenant's part, begun now if not earlier; those that follow are begun too.

        Raises:
            TapError: If the tenant failed before, or the stream cannot be read.
        """
        turn = self._begun.get(tenant)
        if turn is None:
            turn = self._begun[tenant] = self._open(tenant, part, compiled=compiled)
        turn.begin(current=True)
        self._acumatica.begin_following(self, tenant)
        return turn

    def _open(self, tenant: str | None, part: TenantSource, *, compiled: bool) -> Prefetch:
        """The reading of a tenant's part, and its state.

        Raises:
            TapError: If the tenant failed before, or the stream cannot be read.
        """
        if part.connection.failure:
            raise part.connection.failure
        state = self.get_context_state({TENANT_COLUMN: tenant} if tenant else None)
        reading = Extraction(
            self.name,
            part,
            self.wanted_columns,
            self.config,
            tenant=tenant,
            tracking=self.replication_key,
            bookmark=self._bookmark_of(state),
            compiled=compiled,
        )
        return Prefetch(reading, state)

    @contextmanager
    def _own_failure(self, part: TenantSource) -> Iterator[None]:
        """Note the failure of one tenant's part; the others go on."""
        try:
            yield
        except (TapError, ValueMismatchError) as error:
            self._complete = False
            self._acumatica.stream_failed(self.name, part.connection, error)

    def _blocks(
        self, turn: Prefetch, size: int
    ) -> Generator[tuple[list[t.Any], RowBatch], None, None]:
        """Rows in blocks of at most ``size``, and the stretches they are of."""
        reading = turn.reading
        with closing(turn.row_batches()) as row_batches:
            for row_batch in row_batches:
                if row_batch.rewind:
                    reading.progress.rewind()
                    self._save(turn)
                for start in range(0, len(row_batch.rows), size):
                    yield row_batch.rows[start : start + size], row_batch
                reading.progress.end_range(row_batch)
                reading.progress.log()

    @property
    def _is_plain(self) -> bool:
        """Whether records leave as they are: nothing asks for the SDK's own path."""
        (first, *others) = self.stream_maps
        nested = any(len(path) > _COLUMN_DEPTH and not on for path, on in self.mask.items())
        return (
            not others
            and isinstance(first, SameRecordTransform)
            and first.stream_alias == self.name
            and not first.flattening_enabled
            and not nested
        )

    @functools.cached_property
    def _lines(self) -> RecordLines:
        return RecordLines(self.name, version=self._stream_version)

    def _bookmark_of(self, state: Mapping[str, t.Any]) -> str | None:
        """The bookmark of an earlier run, if it is of the same replication key."""
        if self.replication_key and state.get("replication_key") == self.replication_key:
            return t.cast("str | None", state.get("replication_key_value"))
        return None

    def _keep(self, turn: Prefetch) -> None:
        if self.replication_method == REPLICATION_INCREMENTAL:
            bookmark = turn.reading.progress.bookmark
            if bookmark is not None:
                turn.state["replication_key"] = self.replication_key
                turn.state["replication_key_value"] = bookmark
            else:
                turn.state.pop("replication_key_value", None)

    def _save(self, turn: Prefetch) -> None:
        self._keep(turn)
        self.state_manager.is_flushed = False
        self._write_state_message()

    def _activate(self) -> None:
        """ACTIVATE_VERSION after the last record of a completed read.

        The SDK writes it before the first one; a target with hard deletes then empties the table,
        and a run that is cut off leaves it empty.
        """
        if self._stream_version is not None:
            self._write_activate_version_message(self._stream_version)

    def _generate_schema_messages(self) -> Generator[SchemaMessage, None, None]:
        """SCHEMA messages with precision and scale, which the SDK's schema does not carry."""
        for message in super()._generate_schema_messages():
            restore_facets(message.schema, self.schema)
            yield message

    @property
    def wanted_columns(self) -> dict[str, dict[str, t.Any]]:
        """JSON Schemas of the selected columns, by name."""
        properties = self.effective_schema["properties"]
        return {
            name: schema for name, schema in properties.items() if self.mask["properties", name]
        }
