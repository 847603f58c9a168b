"""One tenant's share of one stream: its columns, its codec, its plan, its rows."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import threading
import typing as t
from dataclasses import dataclass
from urllib.parse import quote

from tap_acumatica.errors import AccessError
from tap_acumatica.odata import times
from tap_acumatica.odata.expand import query_parts
from tap_acumatica.odata.query import QueryOptions, function_call, path_segment
from tap_acumatica.odata.types import is_primitive, is_timestamp
from tap_acumatica.reading.by_time import RowBatch
from tap_acumatica.reading.parallel import ParallelReader
from tap_acumatica.reading.plan import Column, Plan, plan_for
from tap_acumatica.reading.progress import Progress, first_stamp
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.source import EntitySource, RequestCount
from tap_acumatica.reading.zone_check import zone_fault
from tap_acumatica.records.codec import RecordMaker, RowCodec, catalog_conversions
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.deletion import DELETED_COLUMN, Deletion, deletion_flag
from tap_acumatica.records.identity import identity_of
from tap_acumatica.records.schema import KEY_COLUMN, TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_acumatica.discovery import TenantSource
    from tap_acumatica.odata.time_zone import ServiceTimeZone
    from tap_acumatica.reading.source import Codec
    from tap_acumatica.records.conversions import Convert
    from tap_acumatica.settings.typed import Settings

logger = logging.getLogger(__name__)

_SELECT_CHARACTERS = 1200  # IIS takes a query of 2048, and answers longer ones with a bare 404
_PLANS_VERBOSITY = 2
_CLOCK_PRECISION = dt.timedelta(seconds=1)  # a Date header has whole seconds (RFC 9110, 5.6.7)
_COMMITS = dt.timedelta(minutes=5)  # what is stamped so long before the run does not change in it


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one extraction.

    Attributes:
        requested: Declared properties to ask for, in declared order.
        emitted: Columns of a record, in order, with those that the tap adds.
        undeclared: JSON Schemas of columns that the catalog names and the metadata hides.
        overrides: Conversions to types that the catalog asks for.
        dates: Timestamps that are emitted as plain dates.
        tracking: The tracking column, None for a full read.
        deletion: When rows were deleted, None where that is not read.
    """

    requested: tuple[str, ...]
    emitted: tuple[str, ...]
    undeclared: Mapping[str, Mapping[str, t.Any]]
    overrides: Mapping[str, Convert]
    dates: tuple[str, ...]
    tracking: str | None
    deletion: Deletion | None

    @property
    def are_records(self) -> bool:
        """Whether a row of the requested columns is a record already."""
        return set(self.requested) <= set(self.emitted) and not self.overrides


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
    tracking = tracking if tracking in declared else None
    deletion = _deletion(source, settings, tracking) if DELETED_COLUMN in wanted else None
    needed = {*shape.key, *source.order, tracking, *(deletion or ())[:2]}
    requested = tuple(name for name in declared if name in wanted or name in needed)
    hidden = {} if settings.use_select else {n: s for n, s in wanted.items() if n not in own}
    added = {TENANT_COLUMN, KEY_COLUMN, DELETED_COLUMN}
    return Columns(
        requested=requested,
        emitted=tuple(n for n in wanted if n in added or n in own or n in hidden),
        undeclared=hidden,
        overrides=catalog_conversions(own, wanted),
        dates=_dates(source, requested, wanted),
        tracking=tracking,
        deletion=deletion,
    )


def plan_of(source: TenantSource, columns: Columns, settings: Settings) -> Plan:
    """How a stream is read, as far as that is known before the first request.

    Args:
        source: What the tenant has of the stream.
        columns: Its columns.
        settings: Settings.
    """
    declared, dialect = source.shape.properties, source.connection.dialect
    time_zone = _time_zone(source, columns, settings)
    expand, expanded = query_parts(source.expansions, dialect)
    names = columns.requested if settings.use_select and _fits(columns.requested) else ()
    tracking = columns.tracking
    custom = dialect.options(settings.data_format) | _address(source, time_zone)[1]
    return plan_for(
        keys=[Column(n, declared[n].type, n in source.nullable) for n in source.order],
        columns=_sortable(source, columns.requested),
        unique=source.proved or not source.shape.hashed,
        not_comparable=source.not_comparable,
        tracking=Column(tracking, declared[tracking].type) if tracking else None,
        select=(*names, *expanded) if names else (),
        expand=expand,
        page_size=settings.requested_page_size,
        until=times.canonical(source.connection.began + _CLOCK_PRECISION),
        version=source.model.version,
        time_zone=time_zone,
        custom=tuple(custom.items()),
    )


class Extraction:
    """Reads one tenant's share of one stream.

    Attributes:
        name: What to call it in logs and errors.
        plan: How it is read, as far as that is known before the first request.
        progress: How far it is written.
        maker: Makes a record of a row.
        identity: Tells rows of one key apart.
        current: Set once its rows are being written; until then other requests go first.
    """

    def __init__(  # noqa: PLR0913  one argument for each thing that decides
        self,
        stream: str,
        source: TenantSource,
        wanted: Mapping[str, Mapping[str, t.Any]],
        settings: Settings,
        *,
        tenant: str | None = None,
        tracking: str | None = None,
        bookmark: str | None = None,
        key: tuple[str, ...] | None = None,
        fast: bool = True,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            stream: Name of the stream.
            source: What the tenant has of it.
            wanted: JSON Schemas of the selected columns.
            settings: Settings.
            tenant: Login name for the ``_tenant`` column.
            tracking: Replication key.
            bookmark: Bookmark of an earlier run.
            key: Columns that identify a row, by the catalog; None: as discovered.
            fast: Whether rows may be decoded straight into records.

        Raises:
            AccessError: If it is an inquiry whose parameters are not given.
            BookmarkError: If the bookmark is not a date-time.
            IdentityError: If the catalog's key names a column that is not there.
        """
        if source.lacks_parameters:
            msg = (
                f"{stream} has parameters and answers wrongly without them; set them in "
                "'inquiry_parameters'"
            )
            raise AccessError(msg)
        self.name = f"{stream} of tenant '{tenant}'" if tenant else stream
        self.current = threading.Event()
        source = source.vouched(key, self.name) if key else source
        self._tenant_source = source
        self._settings = settings
        self._requests = RequestCount()
        columns = columns_of(source, wanted, settings, tracking)
        self.plan = plan_of(source, columns, settings)
        self.maker = RecordMaker(
            wanted,
            key=source.shape.key,
            tenant=tenant,
            trim=settings.trim_strings,
            overrides=columns.overrides,
        )
        self.progress = Progress(
            bookmark,
            began=source.connection.began,
            name=self.name,
            stamps=self.plan.stamps,
            requests=lambda: self._requests.made,
        )
        self.identity = identity_of(
            self.name,
            source.shape,
            proved=source.proved,
            by_key=bool(self.plan.seek),
            stamps=self.plan.stamps if columns.tracking else None,
            settled=times.canonical(source.connection.began - _COMMITS),
        )
        exact = _exact_codec(source, columns, self.plan)
        codec: RowCodec | CompiledCodec = exact
        self._finish: Callable[[Sequence[t.Any]], Sequence[t.Any]] = self._made
        if fast and columns.are_records and not source.entity.entity_set.singleton:
            codec = _compiled_codec(source, columns, exact, tenant)
            self._finish = codec.trimmed if settings.trim_strings else _as_they_are
        self._open = functools.partial(self._open_source, codec)

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in batches as the reader finds them.

        Raises:
            TapError: If they cannot be read.
        """
        if self._tenant_source.entity.entity_set.singleton:
            options = QueryOptions(select=self.plan.select, expand=self.plan.expand)
            yield RowBatch(self._open().get(options).rows, ascending=False)
            return
        bookmark, tracked = self.progress.bookmark, self.plan.tracking is not None
        start = None
        if tracked:
            start = first_stamp(
                bookmark,
                start_date=self._settings.canonical_start_date,
                time_offset=self._settings.time_offset,
            )
        logger.info("Reading %s%s", self.name, f" from {start} on" if start else "")
        if self._settings.verbosity >= _PLANS_VERBOSITY:
            logger.info("%s: %s", self.name, self.plan.described)
        self._check_zone()
        for batch in self._reader().read(start, first_load=tracked and bookmark is None):
            rows = list(self.identity.checked(batch.rows, again=batch.rewind))
            yield batch._replace(rows=rows)

    def records(self, rows: Sequence[t.Any]) -> Sequence[t.Any]:
        """The records of rows, ready to be encoded.

        Args:
            rows: Rows of :meth:`batches`.

        Raises:
            ValueMismatchError: If a value cannot be what the catalog asks for.
        """
        return self._finish(rows)

    def _made(self, rows: Sequence[t.Any]) -> list[dict[str, t.Any]]:
        return [self.maker.record(row) for row in rows]

    def _open_source(self, codec: Codec) -> EntitySource:
        source = self._tenant_source
        return EntitySource(
            source.connection.sessions,
            _address(source, self.plan.time_zone)[0],
            codec,
            name=self.name,
            count=self._requests,
            current=self.current,
            dialect=source.connection.dialect,
            data_format=self._settings.data_format,
        )

    def _reader(self) -> Reader | ParallelReader:
        workers = self._tenant_source.connection.sessions.size
        if workers == 1:
            return Reader(self._open(), self.plan, name=self.name)
        return ParallelReader(
            self._open,
            self.plan,
            name=self.name,
            workers=workers,
            may_divide=self.current.is_set,
        )

    def _check_zone(self) -> None:
        """Warn, once per connection, where the newest rows contradict ``time_zone``."""
        tracking, connection = self.plan.tracking, self._tenant_source.connection
        if tracking is None or tracking.type != "Edm.DateTime" or connection.zone_checked:
            return
        fault = zone_fault(self._open(), self.plan, connection.now)
        connection.zone_checked = fault is not None
        if fault:
            logger.warning(
                "%s: %s; set 'time_zone', which is %s, to that of the user's profile (SM203010).",
                self.name,
                fault,
                self._settings.time_zone,
            )


def _as_they_are(rows: Sequence[t.Any]) -> Sequence[t.Any]:
    return rows


def _exact_codec(source: TenantSource, columns: Columns, plan: Plan) -> RowCodec:
    declared = source.shape.properties
    return RowCodec(
        source.model,
        {name: declared[name] for name in columns.requested},
        key=source.shape.key,
        expansions=source.expansions,
        undeclared=columns.undeclared,
        singleton=source.entity.entity_set.singleton,
        time_zone=plan.time_zone,
        dates=columns.dates,
        deletion=columns.deletion,
    )


def _compiled_codec(
    source: TenantSource, columns: Columns, exact: RowCodec, tenant: str | None
) -> CompiledCodec:
    return CompiledCodec(
        exact,
        columns.emitted,
        source.shape.properties,
        key=source.shape.key,
        tenant=tenant,
        int64_as_text=source.connection.dialect.int64_as_text,
    )


def _time_zone(source: TenantSource, columns: Columns, settings: Settings) -> ServiceTimeZone:
    declared = source.shape.properties
    tracked = declared[columns.tracking].type if columns.tracking else None
    return settings.service_time_zone(local=tracked == "Edm.DateTime")


def _deletion(source: TenantSource, settings: Settings, tracking: str | None) -> Deletion:
    shape = source.shape
    stamp = tracking or shape.tracking_field(settings.tracking_fields)
    began = times.canonical(source.connection.began)
    emitted = settings.service_time_zone().to_output(began)
    return Deletion(deletion_flag(shape.properties), stamp, emitted)


def _address(source: TenantSource, time_zone: ServiceTimeZone) -> tuple[str, dict[str, str]]:
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
    schemas = {**source.shape.schema["properties"], **wanted}
    return tuple(
        name
        for name in names
        if is_timestamp(declared[name].type) and schemas[name].get("format") == "date"
    )
