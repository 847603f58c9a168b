"""The tap: settings in, streams out."""

from __future__ import annotations

import logging
import typing as t

import msgspec
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_acumatica.catalog import (
    catalog_of,
    catalog_text,
    collector_paused,
    selected_entries,
    sources_of,
    with_sources,
)
from tap_acumatica.discovery import Discovery
from tap_acumatica.errors import AccessError, SettingsError, TapError
from tap_acumatica.records.schema import restore_facets
from tap_acumatica.run import Run
from tap_acumatica.settings.checks import check, check_environment
from tap_acumatica.settings.connections import connect
from tap_acumatica.settings.table import config_jsonschema, without_blanks
from tap_acumatica.singer import SingerTap
from tap_acumatica.streams import STATE_SOURCE, EntitySetStream

if t.TYPE_CHECKING:
    import signal
    from collections.abc import Mapping

    import click

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.singer import ConfigInput


class TapAcumatica(SingerTap):
    """Singer tap for Acumatica ERP over OData."""

    name = "tap-acumatica"
    config_jsonschema: t.ClassVar[dict[str, t.Any]] = config_jsonschema()
    dynamic_catalog = True

    def __init__(self, **arguments: t.Any) -> None:
        """Take settings, catalog and state; nothing is sent.

        Args:
            arguments: As :class:`SingerTap` takes them.

        Raises:
            SettingsError: If a setting is missing or wrong.
        """
        self._run: Run | None = None
        self._definitions: list[StreamDefinition] | None = None
        self._closing = False
        catalog = arguments.get("catalog")
        self._catalog_sources = sources_of(catalog) if type(catalog) is dict else {}
        # It would log whole addresses, with filter values and secret parameters.
        logging.getLogger("urllib3").setLevel(logging.INFO)
        super().__init__(**arguments)

    # Settings

    @classmethod
    @override
    def check_environment(cls, environment: Mapping[str, str]) -> None:
        check_environment(environment)

    @override
    def check_config(self, config: Mapping[str, t.Any], *, strict: bool) -> dict[str, t.Any]:
        given = without_blanks(config)
        if strict:
            check(given)
        return given

    # The run

    @property
    def run(self) -> Run:
        """What this run shares; nothing is sent before a connection is used."""
        if self._run is None:
            site = connect(self.config, user_agent=f"{self.name}/{self.plugin_version}")
            self._run = Run(site, self.message_writer)
        return self._run

    def close(self) -> None:
        """Stop reading and sign out of all services; may be called twice, never raises."""
        self._closing = True
        if self._run is not None:
            self._run.close()

    @override
    def end_on_signal(self, signum: signal.Signals) -> None:
        if not self._closing:  # signing out is not interrupted
            super().end_on_signal(signum)

    def sync(self) -> None:
        """Write what the catalog selects.

        Raises:
            IncompleteError: If a stream or a tenant could not be read.
        """
        _ = self.mapper  # wrong maps are found before anything is read
        openers = (
            stream.extractions()
            for stream in self.streams.values()
            if isinstance(stream, EntitySetStream) and stream.selected
        )
        self.run.queue({key: opener for each in openers for key, opener in each.items()})
        self.sync_all()
        self.run.finish()

    # Streams

    @override
    def discover_streams(self) -> list[EntitySetStream]:
        """The streams on offer; with an input catalog, only those that it selects."""
        return [EntitySetStream(self, self.run, definition) for definition in self.definitions]

    @property
    def definitions(self) -> list[StreamDefinition]:
        """What the streams are; discovered when first asked for.

        Raises:
            TapError: If no tenant's metadata can be read.
        """
        if self._definitions is None:
            with collector_paused():
                self._definitions = self._discover()
        return self._definitions

    def _discover(self) -> list[StreamDefinition]:
        selected = self._selected_in_catalog()
        discovery = Discovery(
            self._reachable(), self.run.site.settings, remembered=self._remembered(selected)
        )
        definitions = discovery.definitions(None if selected is None else selected.__contains__)
        for name in sorted((selected or set()) - {definition.name for definition in definitions}):
            self.run.report(
                name,
                AccessError(
                    f"{name} is selected in the catalog, but the service does not offer it "
                    "(renamed, no longer exposed, or left out by 'entity_sets'); run discovery "
                    "again"
                ),
            )
        return definitions

    def _remembered(self, selected: set[str] | None) -> dict[str, str]:
        """The entity sets that streams were made of before, by the catalog and by the state.

        Raises:
            SettingsError: If these two contradict each other.
        """
        found = dict(self._catalog_sources)
        for name, held in (self.state.get("bookmarks") or {}).items():
            source = held.get(STATE_SOURCE)
            if not isinstance(source, str) or (selected is not None and name not in selected):
                continue
            if found.setdefault(name, source) != source:
                msg = (
                    f"the state is of the entity set '{source}', but the catalog says that {name} "
                    f"is '{found[name]}'; take {name} out of the state to read it from the start, "
                    "or give the catalog that belongs to the state"
                )
                raise SettingsError(msg)
        return found

    def _reachable(self) -> dict[str | None, Connection]:
        """The connections whose metadata can be read.

        Raises:
            TapError: If there is none; a single one's own error.
        """
        connections = self.run.site.connections
        usable: dict[str | None, Connection] = {}
        for tenant, connection in connections.items():
            try:
                connection.model(cached=self.input_catalog is not None)
                usable[tenant] = connection
            except TapError as failure:  # noqa: PERF203  one per tenant
                if len(connections) == 1:
                    raise
                self.run.fail(None, connection, failure)
        if not usable:
            self.run.finish()
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
    @override
    def catalog_dict(self) -> dict[str, t.Any]:
        """The catalog; where none was given, made without building the streams."""
        if self.input_catalog is None:
            with collector_paused():
                return catalog_of(self.definitions)
        catalog = super().catalog_dict
        for entry in catalog["streams"]:
            restore_facets(entry["schema"], self.streams[entry["tap_stream_id"]].schema)
        return with_sources(catalog, self.definitions)

    @property
    @override
    def catalog_json_text(self) -> str:
        return catalog_text(self.catalog_dict)

    # Commands

    @classmethod
    @override
    def invoke(  # type: ignore[override]  # as Tap.invoke itself
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: ConfigInput | None = None,
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
        )
        try:
            tap.sync()
        finally:
            tap.close()

    @classmethod
    @override
    def cb_test(
        cls: type[TapAcumatica], ctx: click.Context, param: click.Option, value: str
    ) -> None:
        """Test the connection, or the schemas; fails where a stream cannot be read."""
        del param
        if value == CliTestOptionValue.Disabled.value:
            return
        given: ConfigInput | None = ctx.params.get("config")
        tap = cls(
            config=given.config if given else {},
            parse_env_config=given.parse_env if given else False,
        )
        try:
            if value == CliTestOptionValue.Schema.value:
                tap.write_schemas()
            else:
                tap.run_connection_test()
            tap.run.finish()
        finally:
            tap.close()
        ctx.exit()

    @override
    def run_discovery(self) -> str:
        """Write the catalog to standard output; fails where a tenant cannot be read."""
        try:
            with collector_paused():
                text = self.catalog_json_text
                self.run.finish()
                self.message_writer.write_lines(f"{text}\n".encode())
            return text
        finally:
            self.close()


def _document(file: t.IO[str], what: str) -> dict[str, t.Any]:
    """A JSON object out of a file.

    Raises:
        SettingsError: If it does not hold one.
    """
    try:
        document = msgspec.json.decode(file.read())
    except msgspec.DecodeError as error:
        msg = f"the {what} file is not JSON ({error})"
        raise SettingsError(msg) from error
    if not isinstance(document, dict):
        msg = f"the {what} file must hold a JSON object"
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
            "the state file does not hold bookmarks by stream; give the value of the last STATE "
            "message, or no state to read all rows again"
        )
        raise SettingsError(msg)
    return held


def _catalog(file: t.IO[str]) -> dict[str, t.Any]:
    """The input catalog without what it deselects: the SDK takes long over thousands of streams.

    Raises:
        SettingsError: If it is not a catalog.
    """
    text = file.read()
    try:
        return selected_entries(text)
    except msgspec.ValidationError as error:
        msg = f"the catalog file does not hold a catalog ({error}); write a new one by --discover"
        raise SettingsError(msg) from error
    except msgspec.DecodeError as error:
        msg = f"the catalog file is not JSON ({error})"
        raise SettingsError(msg) from error
