"""From the models of all tenants to the definitions of streams."""

from __future__ import annotations

import logging
import typing as t
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from tap_acumatica.acumatica.entity_sets import (
    appended_keys,
    entities,
    offers,
    stream_names,
)
from tap_acumatica.errors import ExpandError, IdentityError, SettingsError, ValueMismatchError
from tap_acumatica.odata.expand import parse_expand
from tap_acumatica.odata.types import edm_type, is_primitive, is_timestamp
from tap_acumatica.reading.evidence import Evidence
from tap_acumatica.records.schema import RecordShape, merge_shapes, record_shape
from tap_acumatica.settings.unmatched import check_entity_sets, warn_of_columns

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.acumatica.entity_sets import Entity, Offer
    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model, Property
    from tap_acumatica.settings.typed import Settings

logger = logging.getLogger(__name__)

_WRONG_PARAMETERS = "'inquiry_parameters' is wrong"


@dataclass(frozen=True, slots=True)
class TenantSource:
    """What one tenant holds of a stream.

    Attributes:
        connection: The tenant's service.
        model: Its model.
        entity: The entity to read.
        shape: The shape of its rows.
        expansions: Navigation properties to include.
        not_comparable: Columns that must not be filtered by.
        parameters: Wire values of an inquiry's parameters; None where they are not given.
        evidence: What is learned of the service in this run, shared by all that it holds.
        proved: Whether no two rows have the same key: it is that of a table, or the user says so.
        nullable: Columns of the key that may be null.
        given: Whether the key is one that ``keys`` gives.
    """

    connection: Connection
    model: Model
    entity: Entity
    shape: RecordShape
    expansions: tuple[Expansion, ...] = ()
    not_comparable: frozenset[str] = frozenset()
    parameters: Mapping[str, t.Any] | None = None
    evidence: Evidence = field(default_factory=Evidence)
    proved: bool = True
    nullable: frozenset[str] = frozenset()
    given: bool = False

    def vouched(self, key: tuple[str, ...], stream: str) -> TenantSource:
        """The same with a key that the catalog gives instead; only another one is a promise.

        Raises:
            IdentityError: If it names a column that is not there.
        """
        if missing := [name for name in key if name not in self.shape.properties]:
            msg = (
                f"{stream}: the catalog's key_properties name {', '.join(missing)}, which the "
                "service does not have; run discovery again"
            )
            raise IdentityError(msg)
        return replace(
            self,
            shape=replace(self.shape, key=key, hashed=False),
            proved=self.proved or set(key) != set(self.shape.key),
            nullable=_nullable(self.entity, self.model, key),
        )

    @property
    def order(self) -> tuple[str, ...]:
        """The columns to read by: the key, or a table's own where values of another tell little."""
        shape, own = self.shape, self.model.key(self.entity.entity_set.type)
        seekable = all(edm_type(shape.properties[name].type).seekable for name in shape.key)
        if self.entity.dac and not seekable and shape.properties.keys() >= set(own):
            return tuple(own)
        return shape.key

    @property
    def lacks_parameters(self) -> bool:
        """Whether it is an inquiry whose parameters are missing."""
        return self.entity.function is not None and self.parameters is None


@dataclass(slots=True)
class StreamDefinition:
    """One stream: its shape over all tenants, and what each holds of it."""

    name: str
    shape: RecordShape
    tracking: str | None
    sources: dict[str | None, TenantSource] = field(default_factory=dict)

    @property
    def entity_set(self) -> str:
        """The entity set that it reads, whatever it is called."""
        return next(iter(self.sources.values())).entity.entity_set.name

    @property
    def has_given_key(self) -> bool:
        """Whether its key is one that the setting ``keys`` gives."""
        return any(source.given for source in self.sources.values())

    @property
    def selected_by_default(self) -> bool:
        """Whether it can be read as it is."""
        return not all(part.lacks_parameters for part in self.sources.values())


class Discovery:
    """Works out the definitions of streams from the metadata of all tenants."""

    def __init__(
        self,
        connections: Mapping[str | None, Connection],
        settings: Settings,
        *,
        remembered: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; no metadata is asked for yet.

        Args:
            connections: Services by tenant; the one under None has no ``_tenant`` column.
            settings: The settings.
            remembered: The entity sets that streams were made of before, by stream name.
        """
        self._remembered = remembered or {}
        self._connections = connections
        self._settings = settings
        self._time_zone = settings.service_time_zone()
        self._matched: set[str] = set()
        self.offered: list[Entity] = []
        self._evidence = {tenant: Evidence() for tenant in connections}

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
                    source = self._source(tenant, connection, model, entity)
                    sources.setdefault(entity.stream, {})[tenant] = source
        complete = len(self._connections) >= len(self._settings.tenants)
        check_entity_sets(self._settings, self.offered, complete=complete)
        if wanted is None and complete:
            columns = {name: _columns(each) for name, each in sources.items()}
            warn_of_columns(self._settings, columns, self._matched)
        for connection in self._connections.values():
            connection.release_metadata()
        return [self._define(name, sources[name]) for name in sorted(sources)]

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
        hides = entity.dac and self._settings.use_select
        given = self._given_key(entity, model)
        key = given or tuple(model.key(entity_set.type))
        nullable = _nullable(entity, model, key)
        shape = record_shape(
            model,
            entity_set.type,
            hidden=entity.restricted if hides else frozenset(),
            deletions=self._settings.soft_deletes,
            key=key,
            hashed_key=bool(nullable) or given == (),
            tenant=tenant is not None,
            singleton=entity_set.singleton,
            expansions=expansions,
            is_date=lambda name: self._is_date(entity, name),
        )
        return TenantSource(
            connection=connection,
            model=model,
            entity=entity,
            shape=shape,
            expansions=expansions,
            not_comparable=_not_comparable(model, entity, shape),
            parameters=self._parameter_values(entity, model.version),
            evidence=self._evidence[tenant],
            proved=bool(given) or (given is None and (entity.dac or entity_set.singleton)),
            nullable=nullable,
            given=given is not None,
        )

    def _given_key(self, entity: Entity, model: Model) -> tuple[str, ...] | None:
        """The columns that ``keys`` names for an entity set; None where it names none of it.

        Raises:
            SettingsError: If one of them is missing or cannot be part of a key.
        """
        by_name = self._settings.keys
        given = next((by_name[alias] for alias in entity.aliases if alias in by_name), None)
        if given is None:
            return None
        declared = model.properties(entity.entity_set.type)
        columns = [
            name
            for name, prop in declared.items()
            if not prop.collection and _is_value(model, model.resolve_definition(prop).type)
        ]
        for name in given:
            if name not in columns:
                near = get_close_matches(name, columns, n=1, cutoff=0.0)
                advice = f"; the nearest is '{near[0]}'" if near else ""
                fault = f"has no column '{name}' that can be part of a key{advice}"
                msg = f"'keys' is wrong: {entity.stream} {fault}"
                raise SettingsError(msg)
        return tuple(dict.fromkeys(given))

    def _is_date(self, entity: Entity, name: str) -> bool:
        names = [f"{alias}.{name}" for alias in (entity.stream, *entity.aliases)]
        found = {
            p for p in self._settings.date_fields if any(fnmatchcase(full, p) for full in names)
        }
        self._matched |= found
        return bool(found)

    def _parameter_values(self, entity: Entity, version: str) -> Mapping[str, t.Any] | None:
        """Wire values of an inquiry's parameters, None where none are given.

        OData 3.0 does not declare them: they are sent as given.

        Raises:
            SettingsError: If they do not fit the metadata.
        """
        by_name = self._settings.inquiry_parameters
        given = next((by_name[alias] for alias in entity.aliases if alias in by_name), None)
        if given is None or (entity.inquiry and not entity.function and version < "4"):
            return given
        declared = entity.function.parameters if entity.function else ()
        names = {parameter.name: parameter for parameter in declared}
        unknown = [name for name in given if name not in names]
        missing = [name for name in names if name not in given]
        if unknown or missing:
            has = ", ".join(f"{p.name} ({p.type})" for p in declared) or "none"
            fault = f"has no '{unknown[0]}'" if unknown else f"needs '{missing[0]}'"
            msg = f"{_WRONG_PARAMETERS}: {entity.stream} {fault}; its parameters: {has}"
            raise SettingsError(msg)
        return {
            name: self._parameter(entity, name, names[name].type, value)
            for name, value in given.items()
        }

    def _parameter(self, entity: Entity, name: str, type_name: str, value: t.Any) -> t.Any:
        if value is None:
            return None
        try:
            if is_timestamp(type_name) and isinstance(value, str):
                return self._time_zone.to_utc(value if ":" in value else f"{value}T00:00:00")
            return edm_type(type_name).parse(value)
        except ValueMismatchError as error:
            fault = f"the value of {name} {error} ({type_name})"
            msg = f"{_WRONG_PARAMETERS}: {entity.stream}: {fault}"
            raise SettingsError(msg) from error

    def _define(self, name: str, sources: dict[str | None, TenantSource]) -> StreamDefinition:
        shapes = [source.shape for source in sources.values()]
        shape = merge_shapes(shapes) if len(shapes) > 1 else shapes[0]
        for source in sources.values():
            source.shape.hashed = shape.hashed
        source = next(iter(sources.values()))
        tracking = None
        if not source.entity.entity_set.singleton:
            tracking = shape.tracking_field(
                name
                for name in self._settings.tracking_candidates
                if not any(name in p.not_comparable for p in sources.values())
            )
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
        return StreamDefinition(name, shape, tracking, sources)


def _columns(sources: Mapping[str | None, TenantSource]) -> dict[str, Property]:
    return {n: p for source in sources.values() for n, p in source.shape.properties.items()}


def _is_value(model: Model, type_name: str) -> bool:
    return is_primitive(type_name) or model.is_enum(type_name)


def _nullable(entity: Entity, model: Model, key: tuple[str, ...]) -> frozenset[str]:
    """Columns of a key that may be null: all of an inquiry, none of a table's own key."""
    if entity.inquiry:
        return frozenset(key)
    own = set(model.key(entity.entity_set.type) if entity.dac else ())
    if own.issuperset(key):
        return frozenset()
    declared = model.properties(entity.entity_set.type)
    return frozenset(
        name for name in key if name not in own and name in declared and declared[name].nullable
    )


def _not_comparable(model: Model, entity: Entity, shape: RecordShape) -> frozenset[str]:
    """Columns that a filter must not name."""
    entity_set = entity.entity_set
    refused = set(entity.restricted)
    if not entity_set.filterable:
        own = model.structured_type(entity_set.type)
        inherits = own is not None and own.base is not None
        # Derived DACs say so of their own fields; those of the base type can be filtered.
        refused |= set(own.properties) if own and inherits else set(shape.properties)
    if entity.inquiry:
        refused |= appended_keys(tuple(shape.properties), shape.key)
    return frozenset(refused)
