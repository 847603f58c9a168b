"""What the tap needs of the Singer SDK beyond its public names, and the writer of all messages.

This is the only module that imports, calls or overrides private names of the SDK, which
``pyproject.toml`` pins to one minor version. Everything else works with the two base classes here.
"""

from __future__ import annotations

import abc
import contextlib
import errno
import os
import signal
import sys
import typing as t

from singer_sdk import Tap
from singer_sdk.configuration._dict_config import merge_missing_config_jsonschema
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._batch import BatchConfig, BatchFileFormat
from singer_sdk.helpers.capabilities import EMIT_ACTIVATE_VERSION_CONFIG
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.io_base import SingerWriter
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.plugin_base import PluginBase
from singer_sdk.plugin_base import _ConfigInput as ConfigInput
from singer_sdk.singerlib import Catalog
from singer_sdk.streams import Stream
from typing_extensions import override

from tap_acumatica.errors import OutputError, SettingsError

if t.TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping
    from types import FrameType

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.mapper import PluginMapper, StreamMap
    from singer_sdk.singerlib import SchemaMessage
    from singer_sdk.singerlib.messages import Message

__all__ = [
    "BatchConfig",
    "BatchFileFormat",
    "ConfigInput",
    "MessageWriter",
    "SingerStream",
    "SingerTap",
    "Terminated",
]

_SIGNAL_EXIT = 128


class Terminated(SystemExit):
    """The process was asked to end; the exit code is 128 plus the signal's number."""


class MessageWriter(SingerWriter):
    """Writes Singer messages of every kind to standard output, whole lines only.

    A signal that arrives while lines are written waits for their end.
    """

    def __init__(self) -> None:
        """Start with nothing written."""
        self._writing = False
        self._signal: int | None = None

    @override
    def write_message(self, message: Message) -> None:
        """Write one message.

        Raises:
            OutputError: If standard output cannot be written.
            Terminated: After the line, if a signal came while it was written.
        """
        self.write_lines(f"{self.format_message(message)}\n".encode())

    def write_lines(self, lines: bytes) -> None:
        """Write encoded messages and flush them.

        Args:
            lines: Whole lines, each with its line feed.

        Raises:
            OutputError: If standard output cannot be written.
            Terminated: After the lines, if a signal came while they were written.
        """
        self._writing = True
        try:
            buffer = getattr(sys.stdout, "buffer", None)
            if buffer is None:  # standard output is redirected into text
                sys.stdout.write(lines.decode())
            else:
                buffer.write(lines)
                buffer.flush()
        except (OSError, ValueError, AttributeError) as error:
            _discard_output()
            raise OutputError(_why_unwritable(error)) from error
        finally:
            self._writing = False
        if self._signal is not None:
            raise Terminated(_SIGNAL_EXIT + self._signal)

    def stop(self, signum: int) -> None:
        """End on a signal: now, or after the lines being written; a second one ends immediately.

        Raises:
            Terminated: If nothing is being written.
        """
        if self._writing and self._signal is None:
            self._signal = signum
            return
        raise Terminated(_SIGNAL_EXIT + signum)


def _why_unwritable(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "the target closed the pipe; see its own messages"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "standard output cannot be written: the disk is full"
    reason = error.strerror if isinstance(error, OSError) else "it is closed"
    return f"standard output cannot be written: {reason}"


def _discard_output() -> None:
    """Keep the interpreter from complaining again when it flushes standard output at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class SingerTap(Tap, abc.ABC):
    """A tap whose constructor talks to nobody, and which writes whole lines only.

    Attributes:
        map_errors: Why a stream's maps cannot be used, by stream.
    """

    message_writer_class = MessageWriter
    message_writer: MessageWriter

    def __init__(  # noqa: PLR0913  the SDK's own arguments
        self,
        *,
        config: t.Any = None,
        catalog: t.Any = None,
        state: t.Any = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        setup_mapper: bool = False,
        message_writer: MessageWriter | None = None,
    ) -> None:
        """Take settings, catalog and state; nothing is sent.

        Args:
            config: Settings.
            catalog: Input catalog, None for all streams on offer.
            state: State of an earlier run.
            parse_env_config: Whether settings come from environment variables as well.
            validate_config: Whether wrong settings are errors.
            setup_mapper: Ignored: the mapper needs the streams, so it is made when first used.
            message_writer: Writes the messages.

        Raises:
            SettingsError: If a setting is missing or wrong.
        """
        del setup_mapper
        self.map_errors: dict[str, Exception] = {}
        if parse_env_config:
            config = self.with_environment(config)
        super().__init__(
            config=config,
            catalog=catalog,
            state=state,
            parse_env_config=parse_env_config,
            validate_config=validate_config,
            setup_mapper=False,
            message_writer=message_writer,
        )

    _env_var_config: t.ClassVar[dict[str, t.Any]] = {}  # :meth:`with_environment` reads them

    @classmethod
    @abc.abstractmethod
    def with_environment(cls, config: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
        """The settings with those of the environment's variables, which win.

        Args:
            config: The settings so far.
        """

    @abc.abstractmethod
    def check_config(self, config: Mapping[str, t.Any], *, strict: bool) -> dict[str, t.Any]:
        """The settings to use.

        Args:
            config: The settings as given.
            strict: Whether wrong ones are errors.

        Raises:
            SettingsError: If a setting is missing or wrong.
        """

    @property  # type: ignore[explicit-override]  # mypy misses it where there is a setter
    @override
    def mapper(self) -> PluginMapper:
        """Maps streams and records; made when first asked for, since it needs all streams."""
        if self._mapper is None:
            self.setup_mapper()
        return super().mapper

    @mapper.setter
    @override
    def mapper(self, mapper: PluginMapper) -> None:
        self._mapper = mapper

    @override
    def setup_mapper(self) -> None:
        """Register the maps stream by stream: one that cannot be used ends its stream only.

        Raises:
            SettingsError: If ``stream_maps`` as a whole cannot be used.
        """
        _ = self.streams  # they complete their catalog entries, whose keys the maps take
        try:
            PluginBase.setup_mapper(self)
        except Exception as error:
            msg = f"'stream_maps' cannot be used: {error}"
            raise SettingsError(msg) from error
        for entry in self.catalog.streams:
            alone = Catalog({entry.tap_stream_id: entry})
            try:
                super().mapper.register_raw_streams_from_catalog(alone)
            except Exception as error:  # noqa: BLE001  whatever a map raises
                self.map_errors[entry.tap_stream_id] = error

    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: dict[str, t.Any]) -> None:
        """Offer the SDK's own settings, the one for ACTIVATE_VERSION among them."""
        Tap.append_builtin_config(config_jsonschema)
        merge_missing_config_jsonschema(EMIT_ACTIVATE_VERSION_CONFIG, config_jsonschema)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        self._config = self.check_config(self._config, strict=raise_errors)
        try:
            return super()._validate_config(raise_errors=raise_errors)
        except ConfigValidationError as error:
            raise SettingsError("; ".join(error.errors)) from error
        except (AttributeError, TypeError) as error:  # the SDK's validator expects the right form
            msg = f"'stream_maps' or another setting of the SDK has a wrong form ({error})"
            raise SettingsError(msg) from error

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self.end_on_signal(signal.Signals(signum))

    def end_on_signal(self, signum: signal.Signals) -> None:
        """Unwind, so that sessions are signed out, and end with the signal's exit code.

        Raises:
            Terminated: Unless lines are being written; then it is raised after them.
        """
        self.logger.info("Ending on %s", signum.name)
        self.message_writer.stop(signum)


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

    _schema_is_out = True

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
        elif self._schema_is_out:
            self.sync_rows()

    @override
    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        if self._schema_is_out:
            self.sync_rows(batch_config)

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
            self.complete_schema(message.schema)
            yield message

    @property
    @override
    def stream_maps(self) -> list[StreamMap]:
        """The stream's maps.

        Raises:
            Exception: What a map raised when it was registered.
        """
        if error := t.cast("SingerTap", self._tap).map_errors.get(self.name):
            raise error
        return super().stream_maps

    @property
    def record_limit(self) -> int | None:
        """How many records ``--test`` asks for, None for all."""
        return self.ABORT_AT_RECORD_COUNT

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

    def leave_out(self, names: Collection[str]) -> None:
        """Write the SCHEMA messages again, without some columns."""
        first = self.stream_maps[0]
        kept = {n: s for n, s in first.raw_schema["properties"].items() if n not in names}
        schema = {**first.raw_schema, "properties": kept}
        self._tap.mapper.register_raw_stream_schema(self.name, schema, first.raw_key_properties)
        self._stream_maps = None
        super()._write_schema_message()

    def write_record(self, record: Record) -> None:
        """Write a record through the stream maps."""
        self._write_record_message(record)

    def write_batch(self, batch_config: BatchConfig, manifest: list[str]) -> None:
        """Write a BATCH message that names files."""
        self._write_batch_message(batch_config.encoding, manifest)

    def write_state(self) -> None:
        """Write a STATE message, unless the state is the one written last."""
        self.state_manager.is_flushed = False
        self._write_state_message()
