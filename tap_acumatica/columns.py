"""What one extraction asks for: its columns, and its plan as far as that is known beforehand."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass
from urllib.parse import quote

from tap_acumatica.odata import times
from tap_acumatica.odata.expand import options_for
from tap_acumatica.odata.query import function_call, path_segment
from tap_acumatica.odata.types import is_primitive, is_timestamp
from tap_acumatica.reading.plan import Column, Plan, plan_for
from tap_acumatica.records.catalog_types import changed_types, schema_conversion
from tap_acumatica.records.deletion import DELETED_COLUMN, Deletion, deletion_flag
from tap_acumatica.records.schema import KEY_COLUMN, TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_acumatica.discovery import TenantSource
    from tap_acumatica.odata.model import Property
    from tap_acumatica.odata.time_zone import ServiceTimeZone
    from tap_acumatica.records.conversions import Convert
    from tap_acumatica.settings.typed import Settings

_SELECT_CHARACTERS = 1200  # IIS takes a query of 2048, and answers longer ones with a bare 404
_CLOCK_PRECISION = dt.timedelta(seconds=1)  # a Date header has whole seconds (RFC 9110, 5.6.7)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one extraction.

    Attributes:
        requested: Declared properties to ask for, in declared order.
        emitted: Columns of a record, in order, with those that the tap adds.
        undeclared: JSON Schemas of columns that the catalog names and the metadata hides.
        overrides: Conversions to types that the catalog asks for, of columns that are read by.
        typed: JSON Schemas of the other columns that the catalog types otherwise.
        dates: Timestamps that are emitted as plain dates.
        tracking: The tracking column, None for a full read.
        deletion: When rows were deleted, None where that is not read.
        origins: What the rows call an emitted column, where that is not its name.
    """

    requested: tuple[str, ...]
    emitted: tuple[str, ...]
    undeclared: Mapping[str, Mapping[str, t.Any]]
    overrides: Mapping[str, Convert]
    typed: Mapping[str, Mapping[str, t.Any]]
    dates: tuple[str, ...]
    tracking: str | None
    deletion: Deletion | None
    origins: Mapping[str, str]

    @property
    def are_records(self) -> bool:
        """Whether a row of the requested columns is a record already."""
        emitted = {self.origins.get(name, name) for name in self.emitted}
        other = self.overrides or self.typed or self.origins
        return emitted.issuperset(self.requested) and not other


def columns_of(
    source: TenantSource,
    wanted: Mapping[str, Mapping[str, t.Any]],
    settings: Settings,
    tracking: str | None,
) -> Columns:
    """Work out which columns to ask for and which to emit.

    Args:
        source: What the tenant has of the stream.
        wanted: JSON Schemas of the selected columns.
        settings: Settings.
        tracking: Replication key, None for a full read.
    """
    shape = source.shape
    declared, own = shape.properties, shape.schema["properties"]
    tracking = shape.property_of(tracking) if tracking else None
    tracking = tracking if tracking in declared else None
    added = {TENANT_COLUMN, KEY_COLUMN, DELETED_COLUMN} - shape.taken
    deletion = (
        _deletion(source, settings, tracking) if DELETED_COLUMN in {*wanted} & added else None
    )
    needed = {*shape.key, *source.order, tracking, *(deletion or ())[:2]}
    requested = tuple(n for n in declared if shape.column(n) in wanted or n in needed)
    hidden = {} if settings.use_select else {n: s for n, s in wanted.items() if n not in own}
    origins = {column: name for name, column in shape.renamed.items()}
    origins |= {name: name for name in shape.taken}
    if deletion and deletion.name != DELETED_COLUMN:
        origins[DELETED_COLUMN] = deletion.name
    changed, by_column = changed_types(own, wanted), {shape.column(n): n for n in declared}
    to_output = settings.service_time_zone().to_output
    return Columns(
        requested=requested,
        emitted=tuple(n for n in wanted if n in added or n in own or n in hidden),
        undeclared=hidden,
        overrides={
            column: schema_conversion(schema, to_output)
            for column, schema in changed.items()
            if by_column.get(column) in needed
        },
        typed={
            by_column[column]: schema
            for column, schema in changed.items()
            if column in by_column and by_column[column] not in needed
        },
        dates=_dates(source, requested, wanted),
        tracking=tracking,
        deletion=deletion,
        origins=origins,
    )


def plan_of(name: str, source: TenantSource, columns: Columns, settings: Settings) -> Plan:
    """How a stream is read, as far as that is known before the first request.

    Args:
        name: Name of the stream.
        source: What the tenant has of the stream.
        columns: Its columns.
        settings: Settings.
    """
    declared, dialect = source.shape.properties, source.connection.dialect
    time_zone = _time_zone(source, columns, settings)
    expand, expanded = options_for(source.expansions, dialect)
    names = columns.requested if settings.use_select and _fits(columns.requested) else ()
    tracking = columns.tracking
    custom = dialect.options(settings.data_format) | address_of(source, time_zone)[1]
    return plan_for(
        keys=[Column(n, declared[n].type, n in source.nullable) for n in source.order],
        columns=_sortable(source, columns.requested),
        unique=source.proved or not source.shape.hashed,
        not_comparable=source.not_comparable,
        not_sortable=source.calculated,
        tracking=_column(declared, tracking) if tracking else None,
        inquiry=source.entity.entity_set.name if source.entity.inquiry else None,
        select=(*names, *expanded) if names else (),
        expand=expand,
        page_size=settings.requested_page_size,
        until=times.canonical(source.connection.began + _CLOCK_PRECISION),
        version=source.model.version,
        time_zone=time_zone,
        custom=tuple(custom.items()),
        condition=settings.filter_of({name, *source.entity.aliases}),
        end=settings.canonical_end_date if tracking else None,
    )


def address_of(source: TenantSource, time_zone: ServiceTimeZone) -> tuple[str, dict[str, str]]:
    """Path below the service root, and query options that carry an inquiry's parameters."""
    path = path_segment(source.entity.entity_set.name)
    if source.parameters is None:
        return path, {}
    if source.entity.function is None:
        return path, {name: str(value) for name, value in source.parameters.items()}
    return function_call(
        source.entity.function,
        source.parameters,
        version=source.model.version,
        time_zone=time_zone,
    )


def _column(declared: Mapping[str, Property], name: str) -> Column:
    return Column(name, declared[name].type, nullable=declared[name].nullable)


def _time_zone(source: TenantSource, columns: Columns, settings: Settings) -> ServiceTimeZone:
    declared = source.shape.properties
    tracked = declared[columns.tracking].type if columns.tracking else None
    return settings.service_time_zone(local=tracked == "Edm.DateTime")


def _deletion(source: TenantSource, settings: Settings, tracking: str | None) -> Deletion:
    shape = source.shape
    stamp = tracking or shape.tracking_field(settings.tracking_fields)
    began = times.canonical(source.connection.began)
    emitted = settings.service_time_zone().to_output(began)
    name = f"{DELETED_COLUMN}()" if DELETED_COLUMN in shape.properties else DELETED_COLUMN
    return Deletion(deletion_flag(shape.properties), stamp, emitted, name)


def _fits(names: Sequence[str]) -> bool:
    """Whether a ``$select`` of them leaves room in an address; else whole rows are asked for."""
    return len(quote(",".join(names))) <= _SELECT_CHARACTERS


def _sortable(source: TenantSource, names: Sequence[str]) -> list[Column]:
    """Columns that rows can be sorted by where the key is not enough."""
    declared = source.shape.properties
    columns = [
        Column(name, declared[name].type, nullable=True)
        for name in names
        if not declared[name].collection
        and name not in source.not_comparable
        and (is_primitive(declared[name].type) or source.model.is_enum(declared[name].type))
    ]
    return [column for column in columns if column.orderable]


def _dates(
    source: TenantSource, names: Sequence[str], wanted: Mapping[str, Mapping[str, t.Any]]
) -> tuple[str, ...]:
    """The timestamps that are emitted as plain dates, by a setting or by the catalog."""
    declared = source.shape.properties
    shape = source.shape
    schemas = {**shape.schema["properties"], **wanted}
    return tuple(
        name
        for name in names
        if is_timestamp(declared[name].type) and schemas[shape.column(name)].get("format") == "date"
    )
