"""The tap: settings in, streams out."""

from __future__ import annotations

import logging
import os
import signal
import typing as t
import weakref

import msgspec
from singer_sdk import Tap
from singer_sdk.configuration._dict_config import merge_missing_config_jsonschema
from singer_sdk.helpers.capabilities import EMIT_ACTIVATE_VERSION_CONFIG
from singer_sdk.tap_base import CliTestOptionValue

from tap_acumatica.catalog import catalog_of, catalog_text, collector_paused, selected_entries
from tap_acumatica.cli.main import TapCommand
from tap_acumatica.discovery import Discovery
from tap_acumatica.errors import AccessError, SettingsError, StreamError, TapError
from tap_acumatica.records.schema import restore_facets
from tap_acumatica.settings.checks import check_environment
from tap_acumatica.settings.connections import Site, connect
from tap_acumatica.settings.table import config_jsonschema, without_blanks
from tap_acumatica.singer import LineOutput
from tap_acumatica.streams import EntitySetStream

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    import click
    from singer_sdk.plugin_base import _ConfigInput

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.extraction import Prefetch
    from tap_acumatica.settings.typed import Settings


class TapAcumatica(Tap):
    """Singer tap for Acumatica ERP over OData."""

    name = "tap-acumatica"
    config_jsonschema: t.ClassVar[dict[str, t.Any]] = config_jsonschema()
    dynamic_catalog = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        """Set up the tap; discovery, and so the first request, may happen here."""
        self._leaving = False
        self._definitions: list[StreamDefinition] | None = None
        self.failures: list[str] = []
        self.output = LineOutput()
        self._closing: list[Site | Prefetch] = []
        # It would log whole addresses, with what rows are compared with and secret parameters.
        logging.getLogger("urllib3").setLevel(logging.INFO)
        self._finalizer = weakref.finalize(self, _close_all, self._closing)
        try:
            if kwargs.get("parse_env_config"):
                check_environment(os.environ)
            super().__init__(*args, **kwargs)
        except BaseException:
            self.close()
            raise

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings, with messages for people.

        Raises:
            SettingsError: If a setting is missing or wrong.
        """
        self._config = without_blanks(self._config)
        if raise_errors:
            self.site = connect(self._config, user_agent=f"{self.name}/{self.plugin_version}")
            self._closing.append(self.site)
        return super()._validate_config(raise_errors=raise_errors)

    # Connections

    @property
    def settings(self) -> Settings:
        """The settings, typed."""
        return self.site.settings

    @property
    def connections(self) -> Mapping[str | None, Connection]:
        """Connections to all services, by tenant."""
        return self.site.connections

    def setup_mapper(self) -> None:
        """Map streams after their catalog entries are complete: the mapper takes keys from them."""
        _ = self.streams
        super().setup_mapper()

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, t.Any]) -> None:
        """Offer the SDK's own settings, the one for ACTIVATE_VERSION among them."""
        Tap.append_builtin_config(config_jsonschema)
        merge_missing_config_jsonschema(EMIT_ACTIVATE_VERSION_CONFIG, config_jsonschema)

    def close(self) -> None:
        """Sign out of all services; may be called twice. A signal no longer interrupts it."""
        self._leaving = True
        self._finalizer()

    # Streams

    def discover_streams(self) -> list[EntitySetStream]:
        """The streams on offer; with an input catalog, only those that it selects."""
        return [EntitySetStream(self, definition) for definition in self.definitions]

    @property
    def definitions(self) -> list[StreamDefinition]:
        """What the streams are, found out once."""
        if self._definitions is None:
            with collector_paused():
                self._definitions = self._discover()
        return self._definitions

    def _discover(self) -> list[StreamDefinition]:
        usable = self._reachable()
        selected = self._selected_in_catalog()
        discovery = Discovery(usable, self.settings)
        definitions = discovery.definitions(None if selected is None else selected.__contains__)
        for name in sorted((selected or set()) - {definition.name for definition in definitions}):
            self._fail(
                name,
                AccessError(
                    f"{name} is selected in the catalog but not offered by the service "
                    "(renamed, no longer exposed, or left out by 'entity_sets'); run discovery "
                    "again"
                ),
            )
        return definitions

    def begin_following(self, stream: EntitySetStream, tenant: str | None) -> None:
        """Begin to read what is written after a tenant's part of a stream, as seats allow."""
        further = self.settings.max_pool_size - 1
        if not further:
            return
        turns = [
            (each, of)
            for each in t.cast("Mapping[str, EntitySetStream]", self.streams).values()
            if each.selected
            for of in each.definition.parts
        ]
        here = turns.index((stream, tenant)) + 1
        for each, of in turns[here : here + further]:
            if begun := each.begin(of):
                self._closing.append(begun)

    def _reachable(self) -> dict[str | None, Connection]:
        """The connections whose metadata can be had.

        Raises:
            TapError: If there is none; a single one's own error.
        """
        usable: dict[str | None, Connection] = {}
        for tenant, connection in self.connections.items():
            try:
                connection.model()
                usable[tenant] = connection
            except TapError as failure:  # noqa: PERF203  one a tenant
                if len(self.connections) == 1:
                    raise
                self.stream_failed(None, connection, failure)
        if not usable:
            self._raise_failures()
        return usable

    def _selected_in_catalog(self) -> set[str] | None:
        """Names of the streams that the input catalog selects, None without a catalog."""
        if self.input_catalog is None:
            return None
        return {
            entry.tap_stream_id
            for entry in self.input_catalog.streams
            if entry.metadata.resolve_selection().get((), True)
        }

    @property
    def catalog_dict(self) -> dict[str, t.Any]:
        """The catalog; where none was given, without a stream being built for it."""
        if self.input_catalog is None:
            with collector_paused():
                return catalog_of(self.definitions)
        catalog = super().catalog_dict
        for entry in catalog["streams"]:
            restore_facets(entry["schema"], self.streams[entry["tap_stream_id"]].schema)
        return catalog

    @property
    def catalog_json_text(self) -> str:
        """The catalog as JSON."""
        return catalog_text(self.catalog_dict)

    # Failures

    def stream_failed(self, name: str | None, connection: Connection, error: Exception) -> None:
        """Note that a stream, or with None a whole tenant, could not be read; the others go on."""
        if isinstance(error, TapError) and not isinstance(error, StreamError):
            if connection.failure is None:
                connection.failure = error
                self._fail(connection.service.where, error)
            elif name:
                self.failures.append(name)
            return
        where = name or connection.service.where
        self._fail(where, error if where in str(error) else type(error)(f"{where}: {error}"))

    def _fail(self, what: str, error: Exception) -> None:
        if isinstance(error, AccessError) and self.settings.skips_failed_streams:
            self.logger.warning("Left out: %s", error)
            return
        self.logger.error("%s", error)
        self.failures.append(what)

    def _raise_failures(self) -> None:
        """End the run with what went wrong.

        Raises:
            StreamError: If a stream or a tenant could not be read.
        """
        if self.failures:
            names = ", ".join(dict.fromkeys(self.failures))
            msg = f"not read to the end: {names}; all else is complete, and bookmarks are kept"
            raise StreamError(msg)

    # Commands

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The Singer command line, whose errors are one line each."""
        command = super().get_singer_command()
        command.__class__ = TapCommand
        return command

    @classmethod
    def invoke(  # type: ignore[override]  # as Tap.invoke itself
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: t.IO[str] | None = None,
        catalog: t.IO[str] | None = None,
    ) -> None:
        """Run the tap, sign out whatever happens, and fail if a stream failed."""
        if about:
            cls.print_about(about_format)
            return
        cls.print_version(print_fn=cls.logger.info)
        tap = cls(
            config=config.config if config else {},
            state=_state(state) if state else None,
            catalog=_catalog(catalog) if catalog else None,
            parse_env_config=config.parse_env if config else False,
            validate_config=True,
        )
        try:
            tap.sync_all()
            tap._raise_failures()
        finally:
            tap.close()

    @classmethod
    def cb_test(
        cls: type[TapAcumatica], ctx: click.Context, param: click.Option, value: str
    ) -> None:
        """Test the connection, or the schemas; fails where a stream cannot be read."""
        del param
        if value == CliTestOptionValue.Disabled.value:
            return
        given: _ConfigInput | None = ctx.params.get("config")
        tap = cls(
            config=given.config if given else {},
            parse_env_config=given.parse_env if given else False,
        )
        try:
            if value == CliTestOptionValue.Schema.value:
                tap.write_schemas()
            else:
                tap.run_connection_test()
            tap._raise_failures()
        finally:
            tap.close()
        ctx.exit()

    def run_discovery(self) -> str:
        """Write the catalog to standard output; fails where a tenant cannot be read."""
        try:
            with collector_paused():
                text = self.catalog_json_text
                self._raise_failures()
                self.output.write(f"{text}\n".encode())
            return text
        finally:
            self.close()

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Unwind, so that sessions are signed out, and end with the signal's exit code."""
        del frame
        if self._leaving:
            return
        self.logger.info("Ending on %s", signal.Signals(signum).name)
        self.output.end(signum)


def _document(file: t.IO[str], what: str) -> dict[str, t.Any]:
    """A JSON object out of a file.

    Raises:
        SettingsError: If there is none in it.
    """
    try:
        document = msgspec.json.decode(file.read())
    except msgspec.DecodeError as error:
        msg = f"the {what} file is no JSON ({error})"
        raise SettingsError(msg) from error
    if not isinstance(document, dict):
        msg = f"the {what} file holds no JSON object"
        raise SettingsError(msg)
    return document


def _state(file: t.IO[str]) -> dict[str, t.Any]:
    """The state, also where the file holds a whole STATE message.

    Raises:
        SettingsError: If it has another form.
    """
    document = _document(file, "state")
    held = document.get("value") if document.get("type") == "STATE" else document
    if not isinstance(held, dict):
        return {}
    bookmarks = held.get("bookmarks", {})
    if not isinstance(bookmarks, dict) or not all(isinstance(b, dict) for b in bookmarks.values()):
        msg = (
            "the state file holds no bookmarks by stream; "
            "give the value of the last STATE message, or none to read all rows again"
        )
        raise SettingsError(msg)
    return held


def _catalog(file: t.IO[str]) -> dict[str, t.Any]:
    """The input catalog without what it deselects: the SDK takes long over thousands of streams.

    Raises:
        SettingsError: If it is none.
    """
    text = file.read()
    try:
        return selected_entries(text)
    except msgspec.ValidationError as error:
        msg = f"the catalog file holds no catalog ({error}); write it anew with --discover"
        raise SettingsError(msg) from error
    except msgspec.DecodeError as error:
        msg = f"the catalog file is no JSON ({error})"
        raise SettingsError(msg) from error


def _close_all(held: Sequence[Site | Prefetch]) -> None:
    """Close what was opened, the last first: readings before the sessions they use."""
    for each in reversed(held):
        each.close()
