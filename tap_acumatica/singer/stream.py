"""The SDK's stream, whose rows are written by one loop of the tap's own."""

from __future__ import annotations

import abc
import functools
import logging
import typing as t

from singer_sdk.helpers._batch import SDKBatchMessage
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from singer_sdk.streams import Stream
from typing_extensions import override

from tap_acumatica.errors import OutputError
from tap_acumatica.singer.selection import NestedSelection
from tap_acumatica.singer.storage import batch_config

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping

    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.mapper import StreamMap
    from singer_sdk.singerlib import SchemaMessage

    from tap_acumatica.singer.maps import StreamMapper


class Output(t.NamedTuple):
    """A stream that leaves: the stream itself, or what a map makes of it.

    Attributes:
        name: Its name.
        schema: JSON Schema of its records.
        record: Makes its record of one of the stream's; None where a filter leaves it out.
    """

    name: str
    schema: Mapping[str, t.Any]
    record: Callable[[t.Any], Record | None]


class SingerStream(Stream):
    """A stream whose rows are written by :meth:`sync_rows`, whatever form they take."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # records leave the codec in final form

    @abc.abstractmethod
    def sync_rows(self, batch_config: BatchConfig | None = None) -> None:
        """Write all rows of all tenants, and the STATE messages between them.

        Args:
            batch_config: Where BATCH files go; None for RECORD messages.
        """

    @abc.abstractmethod
    def report_failure(self, error: Exception) -> None:
        """Take note that the stream cannot be written, before any of its rows was read."""

    def complete_schema(self, schema: dict[str, t.Any]) -> None:
        """Add to a schema on its way out what the SDK's schema classes do not carry."""

    # The sync loop

    _schema_is_out = True

    @override
    def log(self, message: str, *args: t.Any, level: int = logging.INFO, **kwargs: t.Any) -> None:
        """Log for the SDK, but not its word on an error: the tap has a better line for each."""
        if level < logging.ERROR:
            super().log(message, *args, level=level, **kwargs)

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, t.Any, t.Any]:
        """One loop for all tenants, whichever the SDK names; with no messages, the records alone.

        The SDK's own loop would let the bookmark follow rows stamped in the future, would promote
        the bookmark of a stream that failed, and costs 0.1 ms a row.
        """
        if not write_messages:
            contexts = [context] if context else list[t.Any](self.partitions or ()) or [None]
            for each in contexts:
                yield from t.cast("Iterator[Record]", self.get_records(each))
        elif self._schema_is_out and not self.is_left_out:
            self.sync_rows()

    @override
    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        if self._schema_is_out and not self.is_left_out:
            self.sync_rows(batch_config)

    @override
    def get_batch_config(self, config: Mapping[str, t.Any]) -> BatchConfig | None:
        """How BATCH files are written, None where RECORD messages are."""
        given = config.get("batch_config")
        return batch_config(given) if given else None

    @override
    def _write_schema_message(self) -> None:
        """Write the SCHEMA messages; a map that fails here ends this stream only."""
        try:
            super()._write_schema_message()
        except Exception as error:
            if isinstance(error, OutputError):
                raise
            self._schema_is_out = False
            self.report_failure(error)

    @override
    def _generate_schema_messages(self) -> Generator[SchemaMessage, None, None]:
        for message in super()._generate_schema_messages():
            bookmarks = message.bookmark_properties or ()
            kept = [name for name in bookmarks if name in message.schema["properties"]]
            message.bookmark_properties = kept or None
            yield message

    # Maps

    @property
    @override
    def stream_maps(self) -> list[StreamMap]:
        """The stream's maps.

        Raises:
            MapError: If they cannot be used.
        """
        if error := self._maps.errors.get(self.name):
            raise error
        return super().stream_maps

    @property
    def _maps(self) -> StreamMapper:
        return t.cast("StreamMapper", self._tap.mapper)

    @property
    def has_map_error(self) -> bool:
        """Whether its maps cannot be used."""
        return self.name in self._maps.errors

    @property
    def is_left_out(self) -> bool:
        """Whether maps leave out the whole stream, so that it need not be read."""
        return not self.has_map_error and not self.outputs

    @property  # type: ignore[explicit-override]  # mypy misses it where there is a setter
    @override
    def selected(self) -> bool:
        """Whether the stream is selected, and leaves in some form."""
        are_made = self._tap._mapper is not None  # noqa: SLF001  to make them needs all streams
        return self.mask.get((), True) and not (are_made and self.is_left_out)

    @selected.setter
    def selected(self, value: bool | None) -> None:
        self.metadata.root.selected = value
        self._mask = self.metadata.resolve_selection()

    @property
    def outputs(self) -> list[Output]:
        """The streams that leave.

        Raises:
            MapError: If the maps cannot be used.
        """
        return [
            Output(each.stream_alias, each.transformed_schema, each.transform)
            for each in self.stream_maps
            if not isinstance(each, RemoveRecordTransform)
        ]

    @property
    def is_unmapped(self) -> bool:
        """Whether records leave under the stream's own name and as they are."""
        (first, *others) = self.stream_maps
        return (
            not others
            and isinstance(first, SameRecordTransform)
            and first.stream_alias == self.name
            and not first.flattening_enabled
        )

    @functools.cached_property
    def nested_selection(self) -> NestedSelection:
        """What the catalog deselects below the columns."""
        return NestedSelection(self.mask)

    def leave_out(self, names: Collection[str]) -> None:
        """Write the SCHEMA messages again, without some columns.

        Raises:
            Exception: What a map raises that needs one of them.
        """
        mapper = self._maps
        schema, key = mapper.raw[self.name]
        kept = {n: s for n, s in schema["properties"].items() if n not in names}
        mapper.register_raw_stream_schema(self.name, {**schema, "properties": kept}, key)
        self._stream_maps = None
        super()._write_schema_message()

    # Messages

    @property
    def record_limit(self) -> int | None:
        """How many records ``--test`` asks for, None for all."""
        return self.ABORT_AT_RECORD_COUNT

    @property
    def version(self) -> int | None:
        """The table version of RECORD messages, None where there is none."""
        return self._stream_version

    def begin_version(self) -> None:
        """Give this run's RECORD messages a table version: the start of the run, in seconds."""
        self._stream_version = self._initialized_at // 1000

    def activate_version(self) -> None:
        """Write ACTIVATE_VERSION, if a version was begun: after the last record.

        Before the first, as the SDK does, a run that is cut off leaves an emptied table behind.
        """
        if self._stream_version is not None:
            self._write_activate_version_message(self._stream_version)

    def write_batch(self, batch_config: BatchConfig, name: str, manifest: list[str]) -> None:
        """Write a BATCH message.

        Args:
            batch_config: How the files are written.
            name: Name of the stream that leaves.
            manifest: Addresses of the files.
        """
        encoding = batch_config.encoding
        self._tap.write_message(SDKBatchMessage(name, encoding, manifest))

    def write_state(self) -> None:
        """Write a STATE message, unless the state is the one written last."""
        self.state_manager.is_flushed = False
        self._write_state_message()
