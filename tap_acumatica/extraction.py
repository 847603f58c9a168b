"""The reading of what one tenant holds of a stream: codec, plan, reader, bookmark, progress."""

from __future__ import annotations

import functools
import logging
import threading
import typing as t
from urllib.parse import quote

from tap_acumatica.errors import AccessError
from tap_acumatica.http.request_log import PLANS
from tap_acumatica.odata import times
from tap_acumatica.odata.dialect import V4
from tap_acumatica.odata.expand import as_paths, render
from tap_acumatica.odata.query import QueryOptions, function_call, path_segment
from tap_acumatica.odata.types import is_primitive, is_timestamp
from tap_acumatica.reading.by_time import RowBatch
from tap_acumatica.reading.parallel import ParallelReader
from tap_acumatica.reading.plan import Column, plan_for
from tap_acumatica.reading.progress import Progress, first_stamp
from tap_acumatica.reading.read_ahead import ReadAhead
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.source import EntitySource, RequestCount
from tap_acumatica.reading.zone_check import zone_fault
from tap_acumatica.records.codec import RecordMaker, RowCodec, catalog_conversions
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.deletion import DELETED_COLUMN, Deletion, deletion_flag
from tap_acumatica.records.schema import KEY_COLUMN, TENANT_COLUMN
from tap_acumatica.settings.checks import canonical_start
from tap_acumatica.settings.values import time_zone_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_acumatica.discovery import TenantSource
    from tap_acumatica.odata.dialect import Dialect
    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.time_zone import ServiceTimeZone
    from tap_acumatica.records.schema import RecordShape

logger = logging.getLogger(__name__)

_SELECT_CHARACTERS = 1200  # IIS takes a query of 2048, and answers longer ones as if not there


class Prefetch:
    """The reading of a tenant's part, its state, and whether it is to be written now.

    Attributes:
        reading: The reading.
        state: Where its bookmark is kept.
    """

    def __init__(self, reading: Extraction, state: dict[str, t.Any]) -> None:
        """Prepare; nothing is asked for yet.

        Args:
            reading: The reading.
            state: Where its bookmark is kept.
        """
        self.reading = reading
        self.state = state
        self._ahead: ReadAhead[RowBatch] | None = None

    def begin(self, *, current: bool = False) -> None:
        """Begin to read; what was begun goes on, with ``current`` before all others."""
        if current:
            self.reading.current.set()
        if self._ahead is None:
            self._ahead = ReadAhead(self.reading.row_batches())

    def row_batches(self) -> ReadAhead[RowBatch]:
        """The rows, in stretches as the reader finds them."""
        self.begin(current=True)
        return t.cast("ReadAhead[RowBatch]", self._ahead)

    def close(self) -> None:
        """Stop reading; may be called twice."""
        if self._ahead is not None:
            self._ahead.close()


class Extraction:
    """Reads one tenant's part of a stream.

    Attributes:
        name: How to call it in messages.
        progress: How far it is written.
        maker: Makes a record of a row.
        compiled: Whether rows are records as they are.
        current: Set once it is the one being written; until then others go first.
    """

    def __init__(  # noqa: PLR0913  what decides a reading is this much
        self,
        stream: str,
        part: TenantSource,
        columns: Mapping[str, Mapping[str, t.Any]],
        config: Mapping[str, t.Any],
        *,
        tenant: str | None = None,
        tracking: str | None = None,
        bookmark: str | None = None,
        compiled: bool = True,
    ) -> None:
        """Prepare; nothing is asked for yet.

        Args:
            stream: Name of the stream.
            part: What the tenant holds of it.
            columns: JSON Schemas of the selected columns.
            config: Settings.
            tenant: Login name for the ``_tenant`` column.
            tracking: Replication key.
            bookmark: Bookmark of an earlier run.
            compiled: Whether rows may be records as they are.

        Raises:
            AccessError: If it is an inquiry whose parameters are not given.
        """
        if part.lacks_parameters:
            fault = f"{stream} has parameters and answers wrongly without them"
            msg = f"{fault}; give them in 'inquiry_parameters'"
            raise AccessError(msg)
        self.name = f"{stream} of tenant '{tenant}'" if tenant else stream
        self._part = part
        self._config = config
        dialect = part.connection.dialect
        declared = part.shape.properties
        self._tracking = tracking if tracking in declared else None
        deletion = self._deletion() if DELETED_COLUMN in columns else None
        needed = {*part.shape.key, self._tracking, *(deletion or ())[:2]}
        names = [name for name in declared if name in columns or name in needed]
        own = part.shape.schema["properties"]
        tracked = declared[self._tracking].type if self._tracking else None
        time_zone = time_zone_of(config, local=tracked == "Edm.DateTime")
        extra = {name: schema for name, schema in columns.items() if name not in own}
        kept_extra = {} if config["use_select"] else extra
        exact = RowCodec(
            part.model,
            {name: declared[name] for name in names},
            key=part.shape.key,
            expansions=part.expansions,
            undeclared=kept_extra,
            singleton=part.entity.entity_set.singleton,
            time_zone=time_zone,
            dates=_dates(part.shape, names, columns),
            deletion=deletion,
        )
        converted = catalog_conversions(own, columns)
        self.maker = RecordMaker(
            columns,
            key=part.shape.key,
            tenant=tenant,
            trim=config["trim_strings"],
            overrides=converted,
        )
        shown = [
            name
            for name in columns
            if name in {TENANT_COLUMN, KEY_COLUMN, DELETED_COLUMN}
            or name in own
            or name in kept_extra
        ]
        as_read = set(names) <= set(shown) and not converted
        self.compiled = compiled and as_read and not part.entity.entity_set.singleton
        codec: RowCodec | CompiledCodec = exact
        self._trimmed: Callable[[Sequence[t.Any]], Sequence[t.Any]] | None = None
        if self.compiled:
            codec = CompiledCodec(
                exact,
                shown,
                declared,
                key=part.shape.key,
                tenant=tenant,
                int64_as_text=dialect.int64_as_text,
            )
            self._trimmed = codec.trimmed if config["trim_strings"] else None
        path, arguments = _address(part, time_zone)
        custom = dialect.options(config["data_format"]) | arguments
        expand, expanded = _expand(part.expansions, dialect)
        self.current = threading.Event()
        self._requests = RequestCount()
        self._source = functools.partial(
            EntitySource,
            part.connection.sessions,
            path,
            codec,
            name=self.name,
            count=self._requests,
            current=self.current,
            dialect=dialect,
            data_format=config["data_format"],
        )
        self._plan = plan_for(
            keys=[Column(key, declared[key].type, part.entity.inquiry) for key in part.shape.key],
            columns=_sortable(part, names),
            unique=not part.entity.inquiry,
            not_comparable=part.not_comparable,
            tracking=Column(self._tracking, declared[self._tracking].type)
            if self._tracking
            else None,
            select=(*names, *expanded)
            if config["use_select"] and _within_an_address(names)
            else (),
            expand=expand,
            page_size=config["page_size"] if config["client_side_paging"] else None,
            version=part.model.version,
            time_zone=time_zone,
            custom=tuple(custom.items()),
        )
        self.progress = Progress(
            bookmark,
            began=part.connection.began,
            name=self.name,
            stamps=self._plan.stamps,
            requests=lambda: self._requests.made,
        )

    def row_batches(self) -> Iterator[RowBatch]:
        """The rows, in stretches as the reader finds them.

        Raises:
            TapError: If they cannot be read.
        """
        if self._part.entity.entity_set.singleton:
            options = QueryOptions(select=self._plan.select, expand=self._plan.expand)
            yield RowBatch(self._source().get(options).rows, ascending=False)
            return
        start_date = self._config.get("start_date")
        start = None
        if self._tracking:
            start = first_stamp(
                self.progress.bookmark,
                start_date=canonical_start(start_date) if start_date else None,
                time_offset=self._config["time_offset"],
            )
        logger.info("Reading %s%s", self.name, f" from {start} on" if start else "")
        if self._config["verbosity"] >= PLANS:
            logger.info("%s: %s", self.name, self._plan.described)
        self._check_zone()
        first_load = self._tracking is not None and self.progress.bookmark is None
        yield from self._reader().read(start, first_load=first_load)

    def _reader(self) -> Reader | ParallelReader:
        workers = self._part.connection.sessions.size
        if workers == 1:
            return Reader(self._source(), self._plan, name=self.name)
        return ParallelReader(
            self._source,
            self._plan,
            name=self.name,
            workers=workers,
            may_divide=self.current.is_set,
        )

    def _deletion(self) -> Deletion:
        shape, time_zone = self._part.shape, time_zone_of(self._config)
        stamp = self._tracking or shape.tracking_field(self._config["tracking_fields"])
        began = times.canonical(self._part.connection.began)
        return Deletion(deletion_flag(shape.properties), stamp, time_zone.to_output(began))

    def _check_zone(self) -> None:
        """Warn, once a connection, where the newest rows contradict the time zone that is set."""
        tracking, connection = self._plan.tracking, self._part.connection
        if tracking is None or tracking.type != "Edm.DateTime" or connection.zone_checked:
            return
        fault = zone_fault(self._source(), self._plan, connection.now)
        connection.zone_checked = fault is not None
        if fault:
            logger.warning(
                "%s: %s; set 'time_zone', which is %s, to that of the user's profile (SM203010).",
                self.name,
                fault,
                self._config["time_zone"],
            )

    def records(self, rows: Sequence[t.Any]) -> Sequence[t.Any]:
        """The records of rows, ready to be encoded.

        Raises:
            ValueMismatchError: If a value cannot be what the catalog asks for.
        """
        if not self.compiled:
            return [self.maker.record(row) for row in rows]
        return self._trimmed(rows) if self._trimmed else rows


def _address(part: TenantSource, time_zone: ServiceTimeZone) -> tuple[str, dict[str, str]]:
    """Path of a part below the service root, and query options that carry its parameters."""
    path = path_segment(part.entity.entity_set.name)
    if part.parameters is None:
        return path, {}
    if part.entity.function is None:
        return path, {name: str(value) for name, value in part.parameters.items()}
    return function_call(
        part.entity.function, part.parameters, version=part.model.version, time_zone=time_zone
    )


def _within_an_address(names: Sequence[str]) -> bool:
    """Whether a ``$select`` of them leaves room in an address; else whole rows are asked for."""
    return len(quote(",".join(names))) <= _SELECT_CHARACTERS


def _sortable(part: TenantSource, names: Sequence[str]) -> list[Column]:
    """Columns that rows can be sorted by where the key does not do."""
    declared = part.shape.properties
    columns = [
        Column(name, declared[name].type, nullable=True)
        for name in names
        if not declared[name].collection
        and name not in part.not_comparable
        and (is_primitive(declared[name].type) or part.model.is_enum(declared[name].type))
    ]
    return [column for column in columns if column.orderable]


def _dates(
    shape: RecordShape, names: Sequence[str], columns: Mapping[str, Mapping[str, t.Any]]
) -> list[str]:
    """The timestamps that leave as plain dates, by a setting or by the catalog."""
    schemas = {**shape.schema["properties"], **columns}
    return [
        name
        for name in names
        if is_timestamp(shape.properties[name].type) and schemas[name].get("format") == "date"
    ]


def _expand(
    expansions: Sequence[Expansion], dialect: Dialect
) -> tuple[str | None, tuple[str, ...]]:
    """The value of ``$expand``, and what ``$select`` must name for it."""
    if not expansions:
        return None, ()
    return (render(expansions), ()) if dialect.speaks(V4.version) else as_paths(expansions)
