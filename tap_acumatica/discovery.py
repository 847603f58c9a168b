"""From the models of all tenants to the definitions of streams."""

from __future__ import annotations

import logging
import typing as t
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tap_acumatica.acumatica.entity_sets import appended_keys, entities
from tap_acumatica.errors import ExpandError, SettingsError, ValueMismatchError
from tap_acumatica.odata.expand import parse_expand
from tap_acumatica.odata.time_zone import ServiceTimeZone
from tap_acumatica.odata.types import edm_type, is_timestamp
from tap_acumatica.records.schema import RecordShape, merge_shapes, record_shape

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.acumatica.entity_sets import Entity
    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model

logger = logging.getLogger(__name__)

_WRONG_PARAMETERS = "setting 'inquiry_parameters' is wrong"


@dataclass(frozen=True, slots=True)
class TenantSource:
    """What one tenant holds of a stream.

    Attributes:
        connection: The tenant's service.
        model: Its model.
        entity: The entity to read.
        shape: The shape of its rows.
        expansions: Navigation properties that come along.
        not_comparable: Columns that must not be filtered by.
        parameters: Wire values of an inquiry's parameters; None where they are not given.
    """

    connection: Connection
    model: Model
    entity: Entity
    shape: RecordShape
    expansions: tuple[Expansion, ...] = ()
    not_comparable: frozenset[str] = frozenset()
    parameters: Mapping[str, t.Any] | None = None

    @property
    def lacks_parameters(self) -> bool:
        """Whether it is an inquiry that cannot be read for want of parameters."""
        return self.entity.function is not None and self.parameters is None


@dataclass(slots=True)
class StreamDefinition:
    """One stream: its shape over all tenants, and what each holds of it."""

    name: str
    shape: RecordShape
    tracking: str | None
    parts: dict[str | None, TenantSource] = field(default_factory=dict)

    @property
    def selected_by_default(self) -> bool:
        """Whether it can be read as it is."""
        return not all(part.lacks_parameters for part in self.parts.values())


class Discovery:
    """Works out definitions; settings as plain values, so that it can be used without a tap."""

    def __init__(  # noqa: PLR0913  each argument is one setting
        self,
        connections: Mapping[str | None, Connection],
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        tracking_fields: Sequence[str] = (),
        use_select: bool = True,
        expand: Mapping[str, Sequence[str]] | None = None,
        inquiry_parameters: Mapping[str, Mapping[str, t.Any]] | None = None,
        date_fields: Sequence[str] = (),
        deletions: bool = False,
        time_zone: ServiceTimeZone | None = None,
    ) -> None:
        """Prepare.

        Args:
            connections: Services by tenant; the one under None has no ``_tenant`` column.
            include: Glob patterns of entity sets; empty for all.
            exclude: Glob patterns of entity sets to leave out.
            tracking_fields: Candidates for the replication key; empty for full reads only.
            use_select: Whether columns that the service does not give are left out.
            expand: ``$expand`` items by entity set.
            inquiry_parameters: Parameter values by generic inquiry.
            date_fields: Glob patterns ``stream.field`` of timestamps that are plain dates.
            deletions: Whether rows that a service keeps as deleted are read.
            time_zone: The services' clock, for parameters without offset.
        """
        self._connections = connections
        self._include = include
        self._exclude = exclude
        self._tracking_fields = tracking_fields
        self._use_select = use_select
        self._expand = expand or {}
        self._parameters = inquiry_parameters or {}
        self._date_fields = date_fields
        self._matched: set[str] = set()
        self._deletions = deletions
        self._time_zone = time_zone or ServiceTimeZone()

    def definitions(self, wanted: Callable[[str], bool] | None = None) -> list[StreamDefinition]:
        """The streams on offer, by name.

        Args:
            wanted: Picks stream names; None for all.

        Raises:
            SettingsError: If ``expand`` or ``inquiry_parameters`` do not fit the metadata.
            TapError: If a tenant's metadata cannot be had.
        """
        parts: dict[str, dict[str | None, TenantSource]] = {}
        offered: set[str] = set()
        for tenant, connection in self._connections.items():
            model = connection.model()
            for entity in entities(model, connection.service.interface):
                offered.update(entity.aliases)
                if self._selects(entity) and (wanted is None or wanted(entity.stream)):
                    part = self._part(tenant, connection, model, entity)
                    parts.setdefault(entity.stream, {})[tenant] = part
        self._warn_of_unused(offered)
        if wanted is None:
            self._warn_of_unmatched()
        for connection in self._connections.values():
            connection.settle()
        return [self._define(name, parts[name]) for name in sorted(parts)]

    def _selects(self, entity: Entity) -> bool:
        if self._include and not entity.matches(self._include):
            return False
        return not entity.matches(self._exclude)

    def _part(
        self, tenant: str | None, connection: Connection, model: Model, entity: Entity
    ) -> TenantSource:
        entity_set = entity.entity_set
        items = [item for name in entity.aliases for item in self._expand.get(name, ())]
        try:
            expansions = parse_expand(items, entity_set.type, model)
        except ExpandError as error:
            msg = f"setting 'expand' is wrong: {entity.stream}: {error}"
            raise SettingsError(msg) from error
        hides = entity.dac and self._use_select
        shape = record_shape(
            model,
            entity_set.type,
            hidden=entity.restricted if hides else frozenset(),
            deletions=self._deletions,
            hashed_key=entity.inquiry,
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
        )

    def _is_date(self, entity: Entity, name: str) -> bool:
        names = [f"{alias}.{name}" for alias in (entity.stream, *entity.aliases)]
        found = {p for p in self._date_fields if any(fnmatchcase(full, p) for full in names)}
        self._matched |= found
        return bool(found)

    def _parameter_values(self, entity: Entity, version: str) -> Mapping[str, t.Any] | None:
        """Wire values of an inquiry's parameters, None where none are given.

        OData 3.0 does not declare them: they are taken as they are.

        Raises:
            SettingsError: If they do not fit the metadata.
        """
        given = next((self._parameters[a] for a in entity.aliases if a in self._parameters), None)
        if given is None or (entity.inquiry and not entity.function and version < "4"):
            return given
        declared = entity.function.parameters if entity.function else ()
        names = {parameter.name: parameter for parameter in declared}
        unknown = [name for name in given if name not in names]
        missing = [name for name in names if name not in given]
        if unknown or missing:
            has = ", ".join(f"{p.name} ({p.type})" for p in declared) or "none"
            fault = f"has no '{unknown[0]}'" if unknown else f"lacks '{missing[0]}'"
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

    def _define(self, name: str, parts: dict[str | None, TenantSource]) -> StreamDefinition:
        shapes = [part.shape for part in parts.values()]
        shape = merge_shapes(shapes) if len(shapes) > 1 else shapes[0]
        part = next(iter(parts.values()))
        tracking = None
        if not part.entity.entity_set.singleton:
            tracking = shape.tracking_field(
                name
                for name in self._tracking_fields
                if not any(name in p.not_comparable for p in parts.values())
            )
        for part in parts.values():
            if part.lacks_parameters and part.entity.function:
                wants = ", ".join(f"{p.name} ({p.type})" for p in part.entity.function.parameters)
                logger.warning(
                    "%s has parameters and is not read without them; give them in "
                    "'inquiry_parameters': %s",
                    name,
                    wants,
                )
                break
        return StreamDefinition(name, shape, tracking, parts)

    def _warn_of_unused(self, offered: set[str]) -> None:
        for setting, given in (("expand", self._expand), ("inquiry_parameters", self._parameters)):
            for name in given:
                if name not in offered:
                    logger.warning(
                        "Setting '%s' names %s, which the service does not offer.", setting, name
                    )

    def _warn_of_unmatched(self) -> None:
        for pattern in self._date_fields:
            if pattern not in self._matched:
                logger.warning(
                    "Setting 'date_fields' names %s, which is no timestamp of any stream.", pattern
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
