"""The reading room driven in this process: the tap's own reader over the service's own queries."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from tap_acumatica.errors import (
    AnswerError,
    EmptyAnswerError,
    EmptyPayloadError,
    PayloadError,
    RefusedError,
)
from tap_acumatica.odata import times
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.query import build_url
from tap_acumatica.odata.types import is_timestamp
from tap_acumatica.reading.batches import blocks
from tap_acumatica.reading.parallel import ParallelReader
from tap_acumatica.reading.plan import Column, Plan, plan_for
from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.window import Reached, Window
from tap_acumatica.records.codec import Page, RowCodec
from tests.odata_service import NAMESPACE, Request, parse_target

if t.TYPE_CHECKING:
    import datetime as dt

    from tap_acumatica.odata.query import QueryOptions
    from tests.odata_service import ODataService, Row

ROOT = "http://rows.example/some/odata"


class ServiceSource:
    """An entity set of a service that is asked without HTTP."""

    def __init__(self, service: ODataService, name: str, *, most: int = 100_000) -> None:
        self._service = service
        self._name = name
        self._most = most
        model = parse_metadata(service.csdl().encode())
        properties = model.properties(f"{NAMESPACE}.{name}Row")
        self._codec = RowCodec(model, properties, certain=properties)  # rows are found by any
        service.host = "rows.example"

    def get(self, options: QueryOptions) -> Page:
        """Answer a query."""
        return self._ask(build_url(ROOT, self._name, options))

    def at_most(self, top: int | None) -> int | None:
        """As many rows as are wanted."""
        return top

    def follow(self, link: str) -> Page:
        """Answer what a next link names."""
        return self._ask(link if "://" in link else f"{ROOT}/{link}")

    def _ask(self, target: str) -> Page:
        self._most -= 1
        assert self._most > 0, "the reading does not come to an end"
        path, query = parse_target(target)
        sent = self._service.respond(Request(path, query))
        assert sent is not None
        if sent.status != 200:
            raise RefusedError(sent.body.decode())
        try:
            return self._codec.decode(sent.body)
        except EmptyPayloadError as error:
            raise EmptyAnswerError(str(error)) from error
        except PayloadError as error:
            raise AnswerError(str(error)) from error


@dataclass
class Warehouse:
    """What the tap's messages leave at a target: rows by key, and the last state."""

    key: tuple[str, ...]
    rows: dict[tuple[t.Any, ...], Row] = field(default_factory=dict)
    records: list[Row] = field(default_factory=list)
    reached: Reached = field(default_factory=Reached)
    states: list[str | None] = field(default_factory=list)

    def take(self, row: Row) -> None:
        """Upsert one record."""
        self.records.append(row)
        self.rows[tuple(row[name] for name in self.key)] = row

    def state(self, reached: Reached) -> None:
        """Keep a state."""
        self.reached = reached
        self.states.append(reached.bookmark)

    @property
    def bookmark(self) -> str | None:
        """The bookmark of the last state."""
        return self.reached.bookmark


def plan_of(service: ODataService, name: str, tracking: str | None, **others: t.Any) -> Plan:
    """The plan the tap makes for a table."""
    table = service.tables[name]
    if tracking:
        assert is_timestamp(table.columns[tracking].type)
    return plan_for(
        keys=[Column(key, table.columns[key].type) for key in table.key],
        tracking=Column(tracking, "Edm.DateTimeOffset", table.columns[tracking].nullable)
        if tracking
        else None,
        **others,
    )


class _KilledError(Exception):
    """The process ends here."""


def run(  # noqa: PLR0913  a run has this many settings
    service: ODataService,
    name: str,
    warehouse: Warehouse,
    *,
    began: dt.datetime,
    tracking: str | None = None,
    time_offset: int = 0,
    start_date: str | None = None,
    look_back_hours: float = 24 * 365,
    batch_size: int = 1,
    killed_after: int | None = None,
    workers: int = 1,
    **plan: t.Any,
) -> None:
    """Read a table into a warehouse, as the stream does; ``killed_after`` records it ends."""
    window = Window(
        warehouse.reached,
        times.canonical(began),
        time_offset=time_offset,
        look_back_hours=look_back_hours,
        start_date=start_date,
    )
    planned = plan_of(service, name, tracking, until=window.began, **plan)
    reader: Reader | ParallelReader = Reader(ServiceSource(service, name), planned, name=name)
    if workers > 1:
        reader = ParallelReader(
            lambda: ServiceSource(service, name),
            planned,
            name=name,
            workers=workers,
            may_divide=lambda: True,
        )
    progress = Progress(window, stamps=planned.stamps)
    columns, written = service.tables[name].columns, 0

    def write(rows: list[t.Any]) -> None:
        nonlocal written
        for row in rows:
            if written == killed_after:
                raise _KilledError
            warehouse.take({column: row[column] for column in columns})
            written += 1

    batches = reader.read(window)
    try:
        for block in blocks(batches, batch_size, fill=False):
            progress.write(block, write)
            warehouse.state(progress.reached)
    except _KilledError:
        return
    progress.complete()
    warehouse.state(progress.reached)
