"""From the models of all tenants to the definitions of streams."""

from __future__ import annotations

import logging
import typing as t
from dataclasses import replace
from fnmatch import fnmatchcase

from tap_acumatica.acumatica.entity_sets import (
    entities,
    offers,
    stream_names,
)
from tap_acumatica.discovery.definitions import StreamDefinition, TenantSource
from tap_acumatica.discovery.keys import given_key, not_comparable, nullable_keys
from tap_acumatica.discovery.parameters import parameter_values
from tap_acumatica.discovery.site import SiteKnowledge
from tap_acumatica.errors import ExpandError, SettingsError
from tap_acumatica.odata.expand import parse_expand
from tap_acumatica.reading.evidence import Evidence
from tap_acumatica.records.deletion import deletion_flag
from tap_acumatica.records.schema import merge_shapes, record_shape, same_but_for_case
from tap_acumatica.settings.unmatched import check_entity_sets, warn_of_columns

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.acumatica.entity_sets import Entity, Offer
    from tap_acumatica.discovery.memory import Memory
    from tap_acumatica.odata.model import Model, Property
    from tap_acumatica.settings.typed import Settings

logger = logging.getLogger(__name__)


class Discovery:
    """Works out the definitions of streams from the metadata of all tenants."""

    def __init__(
        self,
        connections: Mapping[str | None, Connection],
        settings: Settings,
        *,
        remembered: Mapping[str, str] | None = None,
        memories: Mapping[str, Memory] | None = None,
        writes_catalog: bool = False,
    ) -> None:
        """Prepare; no metadata is asked for yet.

        Args:
            connections: Services by tenant; the one under None has no ``_tenant`` column.
            settings: The settings.
            remembered: The entity sets that streams were made of before, by stream name.
            memories: What an earlier discovery found out of streams, by stream name.
            writes_catalog: Whether a catalog will keep what is found out.
        """
        self._remembered = remembered or {}
        self._connections = connections
        self._settings = settings
        self._time_zone = settings.service_time_zone()
        self._matched: set[str] = set()
        self.offered: list[Entity] = []
        self._evidence = {tenant: Evidence() for tenant in connections}
        self._site = SiteKnowledge(settings, memories or {}, probes=writes_catalog)

    def definitions(self, wanted: Callable[[str], bool] | None = None) -> list[StreamDefinition]:
        """The streams on offer, by name.

        Args:
            wanted: Picks stream names; None for all.

        Raises:
            SettingsError: If a setting does not fit the metadata, or a stream that the service no
                longer offers would give its name to another entity set.
            TapError: If a tenant's metadata cannot be read.
        """
        sources: dict[str, dict[str | None, TenantSource]] = {}
        self.offered = []
        chosen: dict[str | None, list[Entity]] = {}
        found = {
            tenant: offers(connection.model(), connection.service.interface)
            for tenant, connection in self._connections.items()
        }
        names = self._names(found.values())
        for tenant, connection in self._connections.items():
            model, interface = connection.model(), connection.service.interface
            for entity in entities(model, interface, offered=found[tenant], names=names):
                self.offered.append(entity)
                if self._selects(entity) and (wanted is None or wanted(entity.stream)):
                    self._refuse_another(entity)
                    chosen.setdefault(tenant, []).append(entity)
        for tenant, selected in chosen.items():
            self._site.ask(tenant, self._connections[tenant], selected, discovers=wanted is None)
        for tenant, selected in chosen.items():
            connection = self._connections[tenant]
            for entity in selected:
                source = self._source(tenant, connection, connection.model(), entity)
                sources.setdefault(entity.stream, {})[tenant] = source
        complete = len(self._connections) >= len(self._settings.tenants)
        check_entity_sets(self._settings, self.offered, complete=complete)
        if wanted is None and complete:
            columns = {name: _columns(each) for name, each in sources.items()}
            warn_of_columns(self._settings, columns, self._matched)
        for connection in self._connections.values():
            connection.release_metadata()
        definitions = [self._define(name, sources[name]) for name in sorted(sources)]
        self._site.report(definitions, discovers=wanted is None)
        if wanted is None:
            _warn_of_case(definitions)
        return definitions

    def _names(self, found: Iterable[Iterable[Offer]]) -> dict[str, str]:
        """Stream names by entity set, the same for all tenants."""
        titles: dict[str, str] = {}
        for offer in (offer for each in found for offer in each):
            titles[offer.source] = min(titles.get(offer.source, offer.title), offer.title, key=len)
        return stream_names(titles, self._remembered)

    def _refuse_another(self, entity: Entity) -> None:
        """Refuse to read an entity set under the name of a stream that was another one.

        Raises:
            SettingsError: If it has that name.
        """
        name, before = entity.stream, self._remembered.get(entity.stream)
        if before is not None and before != entity.entity_set.name:
            msg = (
                f"{name} was the entity set '{before}', which the service no longer offers; "
                f"'{entity.entity_set.name}', which now has that name, is not read in its place. "
                f"Take {name} out of catalog and state to begin with the new one, or exclude it by "
                "'exclude_entity_sets'"
            )
            raise SettingsError(msg)

    def _selects(self, entity: Entity) -> bool:
        include = self._settings.entity_sets
        if include and not entity.matches(include):
            return False
        return not entity.matches(self._settings.exclude_entity_sets)

    def _source(
        self, tenant: str | None, connection: Connection, model: Model, entity: Entity
    ) -> TenantSource:
        entity_set = entity.entity_set
        items = [item for name in entity.aliases for item in self._settings.expand.get(name, ())]
        try:
            expansions = parse_expand(items, entity_set.type, model)
        except ExpandError as error:
            msg = f"'expand' is wrong: {entity.stream}: {error}"
            raise SettingsError(msg) from error
        definition = self._site.definition(tenant, entity)
        given = given_key(entity, model, self._settings.keys)
        key = given or (() if self._has_no_key(entity, given) else model.key(entity_set.type))
        nullable = nullable_keys(entity, model, key)
        shown = self._shown(tenant, entity)
        shape = record_shape(
            model,
            entity_set.type,
            hidden=entity.restricted - shown,
            deletions=self._settings.soft_deletes,
            key=key,
            hashed_key=bool(nullable) or given == (),
            tenant=tenant is not None,
            singleton=entity_set.singleton,
            expansions=expansions,
            is_date=lambda name: self._is_date(entity, name),
        )
        source = TenantSource(
            connection=connection,
            model=model,
            entity=entity,
            shape=shape,
            expansions=expansions,
            not_comparable=not_comparable(model, entity, shape),
            parameters=parameter_values(
                entity, self._settings.inquiry_parameters, model.version, self._time_zone
            ),
            evidence=self._evidence[tenant],
            proved=given is None and (entity.dac or entity_set.singleton),
            nullable=nullable,
            given=given is not None,
            definition=definition,
            asked=self._site.was_asked(tenant, entity),
            shown=shown & shape.properties.keys() if entity.dac else frozenset(),
        )
        if definition:
            self._evidence[tenant].limits[entity_set.name] = definition.limits
        return replace(source, not_comparable=source.not_comparable | source.calculated)

    def _has_no_key(self, entity: Entity, given: tuple[str, ...] | None) -> bool:
        """Whether rows are groups, which the declared key says nothing about."""
        return given is None and self._site.is_grouped(entity)

    def _shown(self, tenant: str | None, entity: Entity) -> frozenset[str]:
        """Columns called non-filterable that are offered; services other than DACs give all."""
        if not (entity.dac and self._settings.use_select):
            return entity.restricted
        shown = self._site.given_columns(tenant, entity)
        flag = deletion_flag(entity.restricted) if self._settings.soft_deletes else None
        return shown | {flag} if flag else shown  # Acumatica's guide selects it

    def _is_date(self, entity: Entity, name: str) -> bool:
        names = [f"{alias}.{name}" for alias in (entity.stream, *entity.aliases)]
        found = {
            p for p in self._settings.date_fields if any(fnmatchcase(full, p) for full in names)
        }
        self._matched |= found
        return bool(found)

    def _define(self, name: str, sources: dict[str | None, TenantSource]) -> StreamDefinition:
        shapes = [source.shape for source in sources.values()]
        shape = merge_shapes(shapes) if len(shapes) > 1 else shapes[0]
        for source in sources.values():
            source.shape.hashed = shape.hashed
        source = next(iter(sources.values()))
        found = StreamDefinition(name, shape, None, sources)
        if shape.renamed:
            logger.warning("%s: %s", name, shape.renaming)
        if not source.entity.entity_set.singleton and not found.is_grouped:
            tracking = shape.tracking_field(
                name
                for name in self._settings.tracking_candidates
                if not any(name in p.not_comparable for p in sources.values())
            )
            found.tracking = tracking and shape.column(tracking)
        for source in sources.values():
            if source.lacks_parameters and source.entity.function:
                wants = ", ".join(f"{p.name} ({p.type})" for p in source.entity.function.parameters)
                logger.warning(
                    "%s needs parameters and is not read without them; set them in "
                    "'inquiry_parameters': %s",
                    name,
                    wants,
                )
                break
        return found


def _warn_of_case(streams: Iterable[StreamDefinition]) -> None:
    for stream in streams:
        for alike in same_but_for_case(stream.shape.schema["properties"]):
            logger.warning(
                "%s: the columns %s differ in case only, which many targets do not tell apart; "
                "deselect all but one ('selected': false in the catalog), or rename one in "
                "'stream_maps'.",
                stream.name,
                " and ".join(alike),
            )


def _columns(sources: Mapping[str | None, TenantSource]) -> dict[str, Property]:
    return {n: p for source in sources.values() for n, p in source.shape.properties.items()}
