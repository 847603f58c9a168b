"""One tenant's share of one stream: its columns, its codec, its plan, its rows."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import threading
import typing as t

from tap_acumatica.acumatica.pool import CheckedSessions
from tap_acumatica.columns import Columns, address_of, columns_of, plan_of
from tap_acumatica.errors import AccessError, AnswerError, NotFoundError, ValueMismatchError
from tap_acumatica.odata import times
from tap_acumatica.odata.query import QueryOptions
from tap_acumatica.odata.types import is_timestamp
from tap_acumatica.reading.batches import RowBatch
from tap_acumatica.reading.parallel import ParallelReader
from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.source import EntitySource, RequestCount
from tap_acumatica.reading.window import Reached, Window
from tap_acumatica.reading.zone_check import zone_fault
from tap_acumatica.records.answer_check import AnswerCheck
from tap_acumatica.records.codec import RowCodec
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.identity import identity_of
from tap_acumatica.records.record_maker import RecordMaker
from tap_acumatica.records.schema import KEY_COLUMN
from tap_acumatica.records.second_reading import Policy, Repairs
from tap_acumatica.records.skimming import SkimmingCodec

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_acumatica.discovery import TenantSource
    from tap_acumatica.reading.plan import Plan
    from tap_acumatica.reading.source import Codec
    from tap_acumatica.settings.typed import Settings

logger = logging.getLogger(__name__)

_PLANS_VERBOSITY = 2
_COMMITS = dt.timedelta(minutes=5)  # what is stamped so long before the run does not change in it


class Extraction:
    """Reads one tenant's share of one stream.

    Attributes:
        name: What to call it in logs and errors.
        plan: How it is read, as far as that is known before the first request.
        progress: How far it is written.
        maker: Makes a record of a row.
        identity: Tells rows of one key apart.
        requests: What it has asked for.
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
        reached: Reached | None = None,
        key: tuple[str, ...] | None = None,
        fast: bool = True,
        check_time: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            stream: Name of the stream.
            source: What the tenant has of it.
            wanted: JSON Schemas of the selected columns.
            settings: Settings.
            tenant: Login name for the ``_tenant`` column.
            tracking: Replication key.
            reached: What earlier runs have read.
            key: Columns that identify a row, by the catalog; None: as discovered.
            fast: Whether rows may be decoded straight into records.
            check_time: Raises once no more may be asked for.

        Raises:
            AccessError: If it is an inquiry whose parameters are not given.
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
        self.requests = RequestCount(source.connection.page_limit, check_time=check_time)
        columns = columns_of(source, wanted, settings, tracking)
        self.plan = plan_of(stream, source, columns, settings)
        self.maker = RecordMaker(
            wanted,
            key=source.shape.key,
            tenant=tenant,
            trim=settings.trim_strings,
            overrides=columns.overrides,
            origins=columns.origins,
            received=_received(source, columns),
        )
        self._window = Window(
            reached or Reached(),
            times.canonical(source.connection.began),
            time_offset=max(settings.time_offset, source.stale_seconds),
            look_back_hours=settings.daily_lookback_hours,
            start_date=settings.canonical_start_date,
            is_limited=self.plan.end is not None,
        )
        self.progress = Progress(
            self._window,
            name=self.name,
            stamps=self.plan.stamps,
            requests=lambda: self.requests.made,
        )
        self.identity = identity_of(
            self.name,
            source.shape,
            proved=source.proved,
            stamps=self.plan.stamps if columns.tracking else None,
            settled=times.canonical(source.connection.began - _COMMITS),
        )
        self._repairs = Repairs()
        policy = Policy.NULL if settings.nulls_for_values else Policy.FAIL
        exact = _exact_codec(source, columns, self.plan, policy, self._repairs)
        codec: Codec = exact
        self._decoded = "value by value"
        self._whole: Callable[[Sequence[t.Any]], Sequence[t.Any]] = _as_they_are
        self._finish: Callable[[Sequence[t.Any]], Sequence[t.Any]] = self._made
        if fast and columns.are_records and not source.entity.entity_set.singleton:
            compiled = _compiled_codec(source, columns, exact, tenant)
            self._finish = compiled.trimmed if settings.trim_strings else _as_they_are
            codec, self._decoded = compiled, "column by column"
            if found_by := _found_by(source, columns, self.plan):
                codec = skimming = _skimming_codec(source, compiled, found_by)
                self._whole = skimming.whole
                self._decoded += ", behind the next request where the service is slower"
        self._open = functools.partial(self._open_source, codec)

    def checked(self, batch: RowBatch) -> RowBatch:
        """A batch of :meth:`batches` with its rows as they are to be emitted, in the same order.

        Raises:
            IdentityError: If the key does not identify them.
        """
        rows = list(self.identity.checked(batch.rows, again=batch.rewind))
        return batch._replace(rows=rows)

    def batches(self) -> Iterator[RowBatch]:
        """The rows, in batches as the reader finds them; each is still to be checked.

        Raises:
            TapError: If they cannot be read.
        """
        try:
            yield from self._batches()
        except NotFoundError as error:
            name = self._tenant_source.entity.entity_set.name
            if name in str(error):
                raise
            msg = f"{error} (its entity set was '{name}')"
            raise NotFoundError(msg) from error

    def _batches(self) -> Iterator[RowBatch]:
        if self._tenant_source.entity.entity_set.singleton:
            options = QueryOptions(select=self.plan.select, expand=self.plan.expand)
            yield RowBatch(self._open().get(options).rows, ascending=False)
            return
        start = self._window.start if self.plan.tracking else None
        logger.info("Reading %s%s", self.name, f" from {start} on" if start else "")
        if self._settings.verbosity >= _PLANS_VERBOSITY:
            logger.info("%s: %s", self.name, self.plan.described)
            logger.info("%s: rows are decoded %s", self.name, self._decoded)
        self._check_zone()
        yield from self._reader().read(self._window)
        if self._settings.verbosity >= _PLANS_VERBOSITY:
            logger.info(
                "What is known of %s: %s",
                self._tenant_source.connection.service.where,
                self._tenant_source.evidence.described,
            )

    def records(self, rows: Sequence[t.Any]) -> Sequence[t.Any]:
        """The records of rows, ready to be encoded.

        Args:
            rows: Rows of :meth:`batches`.

        Raises:
            AnswerError: If a value does not fit its type.
            ValueMismatchError: If a value cannot be what the catalog asks for.
        """
        try:
            whole = self._whole(rows)
        except ValueMismatchError as error:
            msg = f"{self.name}: {error}"
            raise AnswerError(msg) from error
        return self._finish(whole)

    def tell_repairs(self) -> None:
        """Warn of values that were not in the form of their type, once all rows are written."""
        self._repairs.tell(self.name, logger.warning)

    def _made(self, rows: Sequence[t.Any]) -> list[dict[str, t.Any]]:
        return [self.maker.record(row) for row in rows]

    def _open_source(self, codec: Codec) -> EntitySource:
        source = self._tenant_source
        return EntitySource(
            CheckedSessions(source.connection.sessions, _check(self.name, source, self._settings)),
            address_of(source, self.plan.time_zone)[0],
            codec,
            name=self.name,
            count=self.requests,
            current=self.current,
            dialect=source.connection.dialect,
            data_format=self._settings.data_format,
        )

    def _reader(self) -> Reader | ParallelReader:
        evidence = self._tenant_source.evidence
        workers = self._tenant_source.connection.sessions.size
        if workers == 1:
            return Reader(self._open(), self.plan, name=self.name, evidence=evidence)
        return ParallelReader(
            self._open,
            self.plan,
            name=self.name,
            workers=workers,
            may_divide=self.current.is_set,
            evidence=evidence,
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


def _exact_codec(
    source: TenantSource, columns: Columns, plan: Plan, policy: Policy, repairs: Repairs
) -> RowCodec:
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
        omits_nulls=lambda: source.connection.omits_nulls,
        optional=() if plan.select else source.entity.restricted - {*source.shape.key},
        certain=[*source.order, *([columns.tracking] if columns.tracking else [])],
        received=_received(source, columns),
        typed=columns.typed,
        policy=policy,
        repairs=repairs,
    )


def _received(source: TenantSource, columns: Columns) -> set[str]:
    """The date-times that are emitted as they came, though rows are found by them."""
    found_by = {*source.shape.key, *source.order, *filter(None, [columns.tracking])}
    declared = source.shape.properties
    return {name for name in found_by & declared.keys() if is_timestamp(declared[name].type)}


def _check(name: str, source: TenantSource, settings: Settings) -> AnswerCheck:
    model, entity = source.model, source.entity
    alike = [each.name for each in model.sets.values() if each.type == entity.entity_set.type]
    return AnswerCheck(
        name,
        source.connection,
        key=source.shape.key,
        declared=source.shape.properties,
        restricted=source.entity.restricted - {*source.shape.key},
        doubtful=source.shown if settings.use_select else (),
        sets=() if entity.function else (*entity.aliases, *alike),
        smallest_page=min(settings.requested_page_size or 2, 2),
    )


def _found_by(source: TenantSource, columns: Columns, plan: Plan) -> set[str]:
    """The columns that rows are found by; none where that takes whole rows."""
    if not (plan.seek or plan.tracking):
        return set()
    tracking = (plan.tracking,) if plan.tracking else ()
    hashed = {KEY_COLUMN} & {*columns.emitted}
    return {*source.shape.key, *(column.name for column in (*plan.seek, *tracking)), *hashed}


def _skimming_codec(
    source: TenantSource, compiled: CompiledCodec, columns: set[str]
) -> SkimmingCodec:
    connection = source.connection

    def found_lacking() -> None:
        connection.omits_nulls = True

    return SkimmingCodec(
        compiled,
        columns,
        omits_nulls=lambda: connection.omits_nulls,
        found_lacking=found_lacking,
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
