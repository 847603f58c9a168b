"""The SDK's tap: its constructor talks to nobody, and its maps are made stream by stream."""

from __future__ import annotations

import abc
import logging
import signal
import typing as t

from singer_sdk import Tap
from singer_sdk.configuration._dict_config import merge_missing_config_jsonschema
from singer_sdk.exceptions import ConfigValidationError, SingerSDKError
from singer_sdk.helpers._catalog import get_selected_schema
from singer_sdk.helpers.capabilities import EMIT_ACTIVATE_VERSION_CONFIG
from typing_extensions import override

from tap_acumatica.errors import MapError, SettingsError
from tap_acumatica.singer.maps import StreamMapper
from tap_acumatica.singer.messages import MessageWriter
from tap_acumatica.singer.storage import batch_fault

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from singer_sdk.mapper import PluginMapper
    from singer_sdk.streams import Stream

    from tap_acumatica.singer.stream import SingerStream


UNFINISHED = "unfinished"
"""What the state of a stream has where a run had no time for all of it."""


class SingerTap(Tap, abc.ABC):
    """A tap whose constructor talks to nobody, and which writes whole lines only."""

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
        """Make the maps stream by stream: one that cannot be used ends its stream only.

        Raises:
            SettingsError: If ``stream_maps`` as a whole cannot be used.
        """
        streams = t.cast("dict[str, SingerStream]", self.streams)
        mapper = _mapper(self.config, self.logger)
        for name, stream in streams.items():
            entry = self.catalog.get_stream(name)
            given = entry.schema.to_dict() if entry else stream.schema
            schema = get_selected_schema(name, given, stream.mask)
            stream.nested_selection.remove_from_schema(schema)
            stream.complete_schema(schema)
            key = entry.key_properties if entry else stream.primary_keys
            try:
                mapper.register_raw_stream_schema(name, schema, key)
            except Exception as error:  # noqa: BLE001  whatever a map raises
                mapper.errors[name] = _map_error(name, error)
        selected = [name for name, stream in streams.items() if stream.mask.get((), True)]
        mapper.find_clashes(selected)
        if selected and all(map(mapper.leaves_out, selected)):
            self.logger.warning(
                "'stream_maps' leaves out all streams that are selected, so nothing is written"
            )
        self._mapper = mapper

    @property
    @override
    def streams(self) -> dict[str, Stream]:
        """The streams by name, but first those that the last run had no time for."""
        is_new = self._streams is None
        found = super().streams
        held = self.state.get("bookmarks") or {}
        for name in list(found) if is_new else ():
            if not (held.get(name) or {}).get(UNFINISHED):
                found[name] = found.pop(name)
        return found

    def sync_streams(self) -> None:
        """Write all streams; whatever ends that, the last STATE is the last line."""
        try:
            self.sync_all()
        finally:
            self.message_writer.repeat_state()

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
            warnings = super()._validate_config(raise_errors=raise_errors)
        except ConfigValidationError as error:
            raise SettingsError("; ".join(error.errors)) from error
        except (AttributeError, TypeError) as error:  # the SDK's validator expects the right form
            msg = f"'stream_maps' or another setting of the SDK has a wrong form ({error})"
            raise SettingsError(msg) from error
        if raise_errors:
            self.check_output()
        return warnings

    def check_output(self) -> None:
        """Check what the SDK's settings for output ask for, before anything is read.

        Raises:
            SettingsError: If it cannot be done, or only on one of the ways that rows leave.
        """
        config = self.config
        batch = config.get("batch_config")
        if batch is not None and (fault := batch_fault(batch)):
            msg = f"'batch_config' {fault}"
            raise SettingsError(msg)
        if batch and config.get("emit_activate_version_messages"):
            msg = (
                "'emit_activate_version_messages' cannot be used together with 'batch_config': "
                "rows in BATCH files carry no version, so a loader could not tell which to delete; "
                "take one of them out"
            )
            raise SettingsError(msg)
        _mapper(config, _SILENT)

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


_SILENT = logging.getLogger(f"{__name__}.trial")
_SILENT.setLevel(logging.CRITICAL)
"""For a mapper that is only tried: what the SDK says of the maps is said when they are made."""


def _mapper(config: Mapping[str, t.Any], logger: logging.Logger) -> StreamMapper:
    """What makes the maps.

    Raises:
        SettingsError: If the settings for it cannot be used, whatever the streams.
    """
    try:
        return StreamMapper(config, logger)
    except ConfigValidationError as error:
        msg = f"'flattening_enabled' cannot be used: {'; '.join(error.errors) or error}"
        raise SettingsError(msg) from error
    except Exception as error:
        msg = f"'stream_maps' cannot be used: {error}"
        raise SettingsError(msg) from error


def _map_error(name: str, error: Exception) -> MapError:
    """An error of a stream's maps, with the stream's name in it."""
    if isinstance(error, MapError):
        return error
    kind = "" if isinstance(error, SingerSDKError | ValueError) else f"{type(error).__name__}: "
    return MapError(f"{name}: 'stream_maps' or 'flattening_enabled' cannot be used: {kind}{error}")
