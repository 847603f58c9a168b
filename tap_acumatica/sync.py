"""The sync loop: the rows of one stream, from all tenants, by whatever way they leave."""

from __future__ import annotations

import abc
import functools
import typing as t
from contextlib import closing

from singer_sdk.metrics import Status, Tag
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from typing_extensions import override

from tap_acumatica.activation import check_rows, narrowed_by
from tap_acumatica.errors import ColumnsRefusedError, RefusedError, ShrunkError
from tap_acumatica.reading.batches import blocks
from tap_acumatica.records.batches import BatchFiles, gzipped
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.parquet import encode_parquet
from tap_acumatica.records.schema import TENANT_COLUMN
from tap_acumatica.records.writers import BatchFileWriter, MappedWriter, RecordLineWriter
from tap_acumatica.singer import UNFINISHED, BatchFileFormat, SingerStream, log_requests
from tap_acumatica.state_input import COMPLETE_ROWS

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from singer_sdk.metrics import Counter

    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.extraction import Extraction
    from tap_acumatica.reading.progress import Progress
    from tap_acumatica.records.writers import RowWriter
    from tap_acumatica.run import Prefetch, Run
    from tap_acumatica.singer import BatchConfig, Output

_NUMBERS_STAY = (
    "Rows of one key are numbered. A number that is gone stays at the target, with the row it had, "
    "unless 'emit_activate_version_messages' is true and the loader acts on it."
)


class SyncedStream(SingerStream):
    """A stream that is read tenant by tenant; what fails for one is that one's.

    Attributes:
        definition: What discovery found.
    """

    definition: StreamDefinition
    _run: Run
    _rows: dict[str, int]
    _has_written = False

    @abc.abstractmethod
    def extraction(self, tenant: str | None) -> Extraction:
        """One tenant's share of the stream.

        Raises:
            TapError: If it cannot be read.
        """

    @abc.abstractmethod
    def save(self, tenant: str | None, progress: Progress) -> None:
        """Write the state of what was written of a tenant."""

    @property
    @abc.abstractmethod
    def wanted_columns(self) -> dict[str, dict[str, t.Any]]:
        """JSON Schemas of the selected columns, by name."""

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
        complete = all(c.failure is None for c in self._run.site.connections.values())
        with self.get_record_counter() as counter, self.get_sync_timer() as timer:
            for tenant in self.definition.sources:
                complete &= self._sync_tenant(tenant, batch_config, counter)
            if not complete:
                timer.tags[Tag.STATUS] = Status.FAILED
        if complete and self.record_limit is None and full:
            self._end_full_read()
        self._keep_whether_unfinished(complete=complete)

    def _keep_whether_unfinished(self, *, complete: bool) -> None:
        """Note in the state what the next run begins with."""
        is_unfinished = self._run.is_out_of_time and not complete
        if is_unfinished != bool(self.stream_state.get(UNFINISHED)):
            self.stream_state[UNFINISHED] = True
            if not is_unfinished:
                del self.stream_state[UNFINISHED]
            self.write_state()

    def _end_full_read(self) -> None:
        """Keep how many rows there were, and let the loader delete all others, if that is safe."""
        settings, held = self._run.site.settings, self.stream_state.get(COMPLETE_ROWS)
        before = held if isinstance(held, dict) else {}
        if narrowed := narrowed_by(self.definition, settings):
            if self.version is not None:
                self._run.warn_once(
                    f"{self.name}: {narrowed}, so the loader is not told to delete what was not "
                    "read (no ACTIVATE_VERSION)."
                )
            return
        try:
            if self.version is not None:
                check_rows(self.name, before, self._rows, settings.max_drop_percent)
        except ShrunkError as error:
            connection = next(iter(self.definition.sources.values())).connection
            self._run.fail(self.name, connection, error)
            return
        self.activate_version()
        self.stream_state[COMPLETE_ROWS] = {**before, **self._rows}
        self.write_state()

    def _sync_tenant(
        self, tenant: str | None, batch_config: BatchConfig | None, counter: Counter
    ) -> bool:
        """Write one tenant's rows; whether that succeeded."""
        opener = functools.partial(self.extraction, tenant)
        opened: list[Extraction] = []
        complete = False
        try:
            while True:
                prefetch = self._run.take((self.name, tenant), opener)
                opened.append(prefetch.extraction)
                try:
                    writer = self._writer(batch_config)
                    self._write_rows(tenant, prefetch, writer, counter)
                except ColumnsRefusedError as error:
                    self._leave_out_refused(error)
                else:
                    break
            complete = True
        except Exception as error:  # noqa: BLE001  whatever it is, the other streams go on
            self._run.fail(self.name, self.definition.sources[tenant].connection, error)
        finally:
            self._log_requests(tenant, opened, complete=complete)
        return complete

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
        before = self._run.writer.waited

        def write(rows: list[t.Any]) -> None:
            self._has_written = True
            writer.write(extraction.records(rows))

        with closing(prefetch):
            batches = map(extraction.checked, prefetch.batches())
            for block in blocks(batches, size, fill=writer.fills):
                if limit is None:
                    counter.increment(progress.write(block, write))
                    progress.log()
                    self.save(tenant, progress)
                elif rows := [row for piece in block for row in piece.rows]:
                    write(rows)
                    break
        if limit is None:
            progress.complete(_waits(extraction, self._run.writer.waited - before))
            self._report(extraction)
            self._rows[tenant or ""] = progress.rows_of_one_reading
        self.save(tenant, progress)

    def _log_requests(
        self, tenant: str | None, opened: Sequence[Extraction], *, complete: bool
    ) -> None:
        """Log what was requested of a tenant, as metrics."""
        if opened:
            log_requests(
                self.name,
                f"/{self.definition.sources[tenant].entity.entity_set.name}",
                count=sum(extraction.requests.made for extraction in opened),
                seconds=sum(extraction.requests.seconds for extraction in opened),
                succeeded=complete,
                context={TENANT_COLUMN: tenant} if tenant else None,
            )

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
        with self.get_record_counter(), self.get_sync_timer() as timer:
            timer.tags[Tag.STATUS] = Status.FAILED
            for source in self.definition.sources.values():
                self._run.fail(self.name, source.connection, error)
                break

    # The way out

    def _writer(self, batch_config: BatchConfig | None) -> RowWriter:
        """What writes the stream's records: straight out, or through its maps."""
        if self.uses_fast_path:
            return self._way_out(self.outputs[0], batch_config)
        return MappedWriter(
            self.nested_selection.without,
            [(output.record, self._way_out(output, batch_config)) for output in self.outputs],
        )

    def _way_out(self, output: Output, batch_config: BatchConfig | None) -> RowWriter:
        """What writes the records of one stream that leaves, in whatever form is asked for."""
        lines = RecordLines(output.name, version=self.version)
        size = self._run.site.settings.batch_size
        if batch_config is None:
            return RecordLineWriter(size, lines, self._run.writer.write_lines)
        encode, suffix = _encoding(batch_config, output, lines)
        name = f"{self.tap_name}--{output.name}"
        files = BatchFiles(batch_config.storage, name, suffix=suffix, encode=encode)
        announce = functools.partial(self.write_batch, batch_config, output.name)
        size = self.config["batch_config"].get("batch_size") or size
        return BatchFileWriter(size, files, announce)

    @functools.cached_property
    def uses_fast_path(self) -> bool:
        """Whether records leave as they are, so that they need not be taken apart."""
        files = self.get_batch_config(self.config)
        jsonl = files is None or files.encoding.format == BatchFileFormat.JSONL
        return (
            self.record_limit is None and jsonl and self.is_unmapped and not self.nested_selection
        )

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


def _waits(extraction: Extraction, target: float) -> str:
    """What an extraction waited for; the waits of several requests at once add up."""
    requests = extraction.requests
    sessions = f" in {requests.at_once} sessions" if requests.at_once > 1 else ""
    return (
        f"waited {requests.seconds:.1f} s for the service{sessions}, {target:.1f} s for the target"
    )


def _encoding(
    batch_config: BatchConfig, output: Output, lines: RecordLines
) -> tuple[Callable[[Sequence[t.Any]], bytes], str]:
    """How the content of a BATCH file is made, and how its name ends."""
    compression = batch_config.encoding.compression
    if batch_config.encoding.format == BatchFileFormat.PARQUET:
        encode = functools.partial(encode_parquet, schema=output.schema, compression=compression)
        return encode, "parquet"
    if compression == "gzip":
        return lambda records: gzipped(lines.json_lines(records)), "json.gz"
    return lines.json_lines, "json"
