"""The tap: settings in, streams out."""

from __future__ import annotations

import logging
import typing as t

import click
import msgspec
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_acumatica.bookmarks import check_all, check_streams, sources_in
from tap_acumatica.catalog import (
    catalog_of,
    catalog_text,
    collector_paused,
    sources_of,
    with_sources,
)
from tap_acumatica.catalog_entry import stated_in
from tap_acumatica.catalog_input import input_catalog, normalized
from tap_acumatica.discovery import Discovery
from tap_acumatica.discovery.memory import memories_of
from tap_acumatica.errors import (
    AccessError,
    ExitCode,
    IncompleteError,
    SettingsError,
    TapError,
    TenantError,
)
from tap_acumatica.records.schema import restore_facets
from tap_acumatica.run import Run
from tap_acumatica.settings.connections import connect
from tap_acumatica.settings.documents import document, json_text, name_of, not_json
from tap_acumatica.settings.given import as_given
from tap_acumatica.settings.sources import ENVIRONMENT, prepared, read_files, with_environment
from tap_acumatica.settings.table import config_jsonschema
from tap_acumatica.settings.unmatched import warn_of_filters, warn_of_maps
from tap_acumatica.singer import ConfigInput, SingerTap
from tap_acumatica.state_input import state_of
from tap_acumatica.streams import EntitySetStream

_NAMED = 3

if t.TYPE_CHECKING:
    import signal
    from collections.abc import Mapping

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.catalog_entry import Stated
    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.settings.documents import Source


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
        self._closing = self._writes_catalog = False
        self._memories: dict[str, t.Any] = {}
        self.catalog_file: str | None = None
        self._catalog_sources: dict[str, str] = {}
        self._stated: dict[str, Stated] = {}
        self._catalog_names: set[str] = set()
        if type(catalog := arguments.get("catalog")) is dict:
            arguments["catalog"] = catalog = normalized(catalog)
            self._catalog_sources = sources_of(catalog)
            self._memories = memories_of(catalog)
            self._stated = stated_in(catalog)
            self._catalog_names = {*self._stated, *catalog.get("deselected", ())}
        if type(state := arguments.get("state")) is dict:
            arguments["state"] = state_of(state, self.logger.warning)
        # It would log whole addresses, with filter values and secret parameters.
        logging.getLogger("urllib3").setLevel(logging.INFO)
        super().__init__(**arguments)

    # Settings

    @classmethod
    @override
    def with_environment(cls, config: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
        return with_environment(config)

    @override
    def check_config(self, config: Mapping[str, t.Any], *, strict: bool) -> dict[str, t.Any]:
        return prepared(config) if strict else as_given(config)

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
        if self._selected_in_catalog() == set():
            self.logger.warning(
                "%s selects no stream, so nothing is read; set 'selected' to true in the metadata "
                "of those that you want.",
                self._catalog_shown,
            )
        self._check_state()
        openers = (
            stream.extractions()
            for stream in self.streams.values()
            if isinstance(stream, EntitySetStream) and stream.selected
        )
        self.run.queue({key: opener for each in openers for key, opener in each.items()})
        self.sync_streams()
        self.run.finish()

    def _check_state(self) -> None:
        """Refuse a state that cannot be used, before anything is read.

        Raises:
            SettingsError: If there is one; the message names the first faults.
        """
        streams = [s for s in self.streams.values() if isinstance(s, EntitySetStream)]
        if not streams:
            return
        if all(each.failure is None for each in self.run.site.connections.values()):
            check_streams(self.state, {*self.streams, *self._catalog_names}, self.logger.info)
        check_all(stream.check_bookmarks for stream in streams)
        if idle := [stream.name for stream in streams if stream.bookmarks.is_idle]:
            self.logger.info(
                "Read as a whole, with bookmarks that are kept for later: %s", ", ".join(idle)
            )

    @property
    def _catalog_shown(self) -> str:
        return f"The catalog {self.catalog_file}" if self.catalog_file else "The catalog"

    # Streams

    @override
    def discover_streams(self) -> list[EntitySetStream]:
        """The streams on offer; with an input catalog, only those that it selects."""
        return [
            EntitySetStream(self, self.run, definition, self._stated.get(definition.name))
            for definition in self.definitions
        ]

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
            self._reachable(),
            self.run.site.settings,
            remembered=sources_in(self.state, self._catalog_sources, selected),
            memories=self._memories,
            writes_catalog=self._writes_catalog,
        )
        definitions = discovery.definitions(None if selected is None else selected.__contains__)
        streams = {one.stream for one in discovery.offered}
        warn_of_maps(self.config.get("stream_maps"), streams)
        aliases = (one.aliases for one in discovery.offered)
        warn_of_filters(self.run.site.settings, streams.union(*aliases))
        missing = sorted((selected or set()) - {definition.name for definition in definitions})
        failed = any(each.failure for each in self.run.site.connections.values())
        if missing and not definitions and not failed:
            msg = (
                f"{self._catalog_shown} selects no stream that the service offers "
                f"({', '.join(missing[:_NAMED])}{', …' if len(missing) > _NAMED else ''}): it is "
                "the catalog of another tap, tenant or 'interface', or 'entity_sets' leaves them "
                "out; run discovery again"
            )
            raise SettingsError(msg)
        for name in missing:
            self.run.report(
                name,
                AccessError(
                    f"{name} is selected in the catalog, but the service does not offer it "
                    "(renamed, no longer exposed, or left out by 'entity_sets'); run discovery "
                    "again"
                ),
            )
        return definitions

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
            self.run.finish("no tenant is left")
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
    def get_singer_command(cls) -> click.Command:
        """The command line; files are read by the tap itself, in whatever encoding they are."""
        command = super().get_singer_command()
        for parameter in command.params:
            if parameter.name in {"catalog", "state"}:
                parameter.type = click.STRING
        return command

    @classmethod
    @override
    def cb_config(
        cls: type[TapAcumatica], ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> ConfigInput:
        """Read the configuration files.

        Raises:
            SettingsError: If one of them does not hold a configuration.
        """
        del ctx, param
        return ConfigInput(config=read_files(value), parse_env=ENVIRONMENT in value)

    @classmethod
    @override
    def invoke(  # type: ignore[override]  # as Tap.invoke itself
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: ConfigInput | None = None,
        state: Source | None = None,
        catalog: Source | None = None,
    ) -> None:
        """Run the tap, sign out whatever happens, and fail if a stream failed."""
        if about:
            cls.print_about(about_format)
            return
        cls.print_version(print_fn=cls.logger.info)
        tap = cls(
            config=config.config if config else {},
            state=document(state, "state") if state else None,
            catalog=_catalog(catalog) if catalog else None,
            parse_env_config=config.parse_env if config else False,
        )
        tap.catalog_file = name_of(catalog) if catalog else None
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
        """Write the catalog to standard output.

        Raises:
            TapError: If a tenant cannot be read; the catalog of the others was written.
        """
        self._writes_catalog = True
        try:
            with collector_paused():
                text = self._catalog_text_or_why_not()
                self.message_writer.write_lines(f"{text}\n".encode())
            self.run.finish(
                "the catalog of the others was written; mend what is wrong with it (a password in "
                "'tenant_credentials'), or take it out of 'tenants', and run discovery again",
                ExitCode.FAILED,
            )
            return text
        finally:
            self.close()

    def _catalog_text_or_why_not(self) -> str:
        """The catalog as text.

        Raises:
            IncompleteError: If there is none.
        """
        try:
            return self.catalog_json_text
        except (TenantError, IncompleteError) as error:
            msg = f"no catalog was written, since nothing could be read: {error}"
            raise IncompleteError(msg, error.exit_code) from error


def _catalog(file: Source) -> dict[str, t.Any]:
    """The input catalog without what it deselects: the SDK takes long over thousands of streams.

    Raises:
        SettingsError: If it is not a catalog.
    """
    text = json_text(file, "catalog")
    try:
        return input_catalog(text, f"the catalog file {name_of(file)}")
    except msgspec.DecodeError as error:
        raise not_json(text, file, "catalog", error) from error
