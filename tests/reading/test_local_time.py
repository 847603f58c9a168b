"""Incremental runs across a change of the service's clock, in both directions: no row is missing.

The service speaks local time, as OData 3.0 services do. Whether it sorts and compares by what it
shows or by what it stores, and how it reads a literal from the hour that comes twice, is unknown:
all of it is tried.
"""

from __future__ import annotations

import datetime as dt
import logging
import operator
import re
import typing as t
import zoneinfo
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_acumatica.errors import RefusedError
from tap_acumatica.odata import times
from tap_acumatica.odata.time_zone import UTC, ServiceTimeZone, zone_named
from tap_acumatica.reading.parallel import ParallelReader
from tap_acumatica.reading.plan import Column, plan_for
from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.window import Reached, Window
from tap_acumatica.records.codec import Page

if t.TYPE_CHECKING:
    from tap_acumatica.odata.query import QueryOptions
    from tap_acumatica.reading.plan import Plan

CHANGES = {
    "back": ("America/New_York", dt.datetime(2024, 11, 3, 6, tzinfo=UTC)),
    "forward": ("America/New_York", dt.datetime(2024, 3, 10, 7, tzinfo=UTC)),
    "back by half an hour": ("Australia/Lord_Howe", dt.datetime(2024, 4, 6, 15, tzinfo=UTC)),
    "forward at midnight": ("America/Santiago", dt.datetime(2024, 9, 8, 4, tzinfo=UTC)),
}
Meaning = t.Literal["shown", "first", "second"]
MEANINGS: tuple[Meaning, ...] = ("shown", "first", "second")
TERM = re.compile(r"(\w+) (eq|ne|ge|gt|le|lt) (.+)")


@dataclass
class LocalService:
    """An entity set whose stamps are local times.

    Attributes:
        meaning: What it sorts and compares by: the local time that it shows, or the moment that it
            stores; then also which one of two moments a literal means.
        rows: Moment and version by identifier.
        imported: Local times that some rows show whatever their moment.
    """

    zone: zoneinfo.ZoneInfo
    meaning: Meaning
    rows: dict[int, tuple[dt.datetime, int]] = field(default_factory=dict)
    imported: dict[int, dt.datetime] = field(default_factory=dict)
    requests: int = 0
    limit: int | None = None
    """Rows of one part of an answer; the others are behind its next link."""
    cut: list[list[dict[str, t.Any]]] = field(default_factory=list)

    def shown(self, number: int) -> dt.datetime:
        imported = self.imported.get(number)
        return imported or self.rows[number][0].astimezone(self.zone).replace(tzinfo=None)

    def value(self, number: int) -> dt.datetime:
        return self.shown(number) if self.meaning == "shown" else self.rows[number][0]

    def meant(self, literal: str) -> dt.datetime:
        wall = dt.datetime.fromisoformat(literal)
        if self.meaning == "shown":
            return wall
        fold = 0 if self.meaning == "first" else 1
        moment = wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=None) != wall:
            msg = "the time does not exist"
            raise RefusedError(msg)
        return moment

    def get(self, options: QueryOptions) -> Page:
        self.requests += 1
        assert self.requests < 20_000, "the reading does not come to an end"
        terms = [self.meets(term) for term in options.filter]
        found = [number for number in self.rows if all(meets(number) for meets in terms)]
        for name in reversed(options.orderby):
            column, _, direction = name.partition(" ")
            found.sort(key=self.value if column == "T" else int, reverse=direction == "desc")
        skip = options.skip or 0
        top = len(found) if options.top is None else options.top
        return self.part([self.row(number) for number in found[skip : skip + top]])

    def at_most(self, top: int | None) -> int | None:
        return top

    def follow(self, link: str) -> Page:
        return self.part(self.cut[int(link.removeprefix("Rows?$skiptoken="))])

    def part(self, rows: list[dict[str, t.Any]]) -> Page:
        if self.limit is None or len(rows) <= self.limit:
            return Page(rows)
        self.cut.append(rows[self.limit :])
        return Page(rows[: self.limit], f"Rows?$skiptoken={len(self.cut) - 1}")

    def meets(self, term: str) -> t.Callable[[int], bool]:
        match = TERM.fullmatch(term)
        assert match
        column, name, literal = match.groups()
        if literal == "null":
            return lambda _: name == "ne"
        compare = getattr(operator, name)
        if column == "Id":
            return lambda number: bool(compare(number, int(literal)))
        bound = self.meant(literal[9:-1])
        return lambda number: bool(compare(self.value(number), bound))

    def row(self, number: int) -> dict[str, t.Any]:
        return {
            "Id": number,
            "T": CLOCKS[self.zone.key].to_output(self.shown(number).isoformat()),
            "Version": self.rows[number][1],
        }


CLOCKS = {name: ServiceTimeZone(zone_named(name), local=True) for name, _ in CHANGES.values()}


@dataclass
class Target:
    """What was written: versions by identifier, and the bookmark."""

    versions: dict[int, int] = field(default_factory=dict)
    reached: Reached = field(default_factory=Reached)
    written: int = 0


def plan_of(service: LocalService, **others: t.Any) -> Plan:
    return plan_for(
        keys=[Column("Id", "Edm.Int32")],
        tracking=Column("T", "Edm.DateTime"),
        version="3.0",
        time_zone=CLOCKS[service.zone.key],
        **others,
    )


def run(  # noqa: PLR0913  a run has this many settings
    service: LocalService,
    target: Target,
    began: dt.datetime,
    *,
    page_size: int | None = 3,
    time_offset: int = 0,
    killed_after: int | None = None,
    time_order: bool = True,
) -> None:
    """Read into the target; where it is killed, the bookmark of the last row written stays."""
    window = Window(
        target.reached, times.canonical(began), time_offset=time_offset, look_back_hours=0
    )
    plan = plan_of(service, page_size=page_size, time_order=time_order, until=window.began)
    progress = Progress(window, stamps=plan.stamps)
    reader = Reader(service, plan, name="rows")
    written = 0
    for row_batch in reader.read(window):
        assert not row_batch.rewind, "it was read anew"
        for row in row_batch.rows:
            if written == killed_after:
                target.reached = progress.reached
                return
            written += 1
            target.versions[row["Id"]] = row["Version"]
            target.written += 1
            progress.advance([row], row_batch)
    progress.complete()
    target.reached = progress.reached


@pytest.mark.parametrize("direction", CHANGES)
@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("page_size", [1, 7, 1000])
@pytest.mark.parametrize("time_order", [True, False])
def test_runs_across_a_change_miss_no_row(
    direction: str,
    meaning: Meaning,
    page_size: int,
    time_order: bool,  # noqa: FBT001
    caplog: pytest.LogCaptureFixture,
) -> None:
    name, change = CHANGES[direction]
    service = LocalService(zoneinfo.ZoneInfo(name), meaning)
    target = Target()
    now = change - dt.timedelta(hours=3)
    for number in range(80):
        now += dt.timedelta(minutes=4, milliseconds=number * 37 % 1000)
        service.rows[number] = now, 1
        if number % 4 == 0:
            service.rows[number * 7 % (number + 1)] = now, 2 + number
        if number % 5 == 4:
            run(service, target, now, page_size=page_size, time_order=time_order)
            expected = {number: version for number, (_, version) in service.rows.items()}
            assert target.versions == expected, now.astimezone(service.zone)
    quiet = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert quiet == []
    # Stamps that filled a page just before a run are read again by the next one.
    run(service, target, now + dt.timedelta(hours=1), page_size=page_size, time_order=time_order)
    before = target.written
    run(service, target, now + dt.timedelta(hours=2), page_size=page_size, time_order=time_order)
    assert target.written - before <= 2, "long after the change only the newest is read again"


@pytest.mark.parametrize("direction", CHANGES)
@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("page_size", [None, 20])
def test_so_it_is_where_the_service_cuts_its_answers(
    direction: str, meaning: Meaning, page_size: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    name, change = CHANGES[direction]
    service = LocalService(zoneinfo.ZoneInfo(name), meaning, limit=7)
    for number in range(200):
        moment = change + dt.timedelta(minutes=(number * 77 % 200) * 2 - 200)
        service.rows[number] = moment, 1
    target = Target()
    run(service, target, change + dt.timedelta(hours=9), page_size=page_size)
    assert set(target.versions) == set(range(200))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("direction", CHANGES)
@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_mass_of_rows_in_the_hour_of_the_change_is_read_once(
    direction: str, meaning: Meaning
) -> None:
    name, change = CHANGES[direction]
    service = LocalService(zoneinfo.ZoneInfo(name), meaning)
    for number in range(600):
        moment = change + dt.timedelta(seconds=(number * 7919 % 600) * 33 - 10_000)
        service.rows[number] = moment, 1
    target = Target()
    run(service, target, change + dt.timedelta(hours=9), page_size=20)
    assert set(target.versions) == set(range(600))
    assert target.written <= 660


@pytest.mark.parametrize("direction", CHANGES)
@pytest.mark.parametrize("meaning", MEANINGS)
def test_several_sessions_divide_a_stream_with_a_change_in_it(
    direction: str, meaning: Meaning, caplog: pytest.LogCaptureFixture
) -> None:
    name, change = CHANGES[direction]
    service = LocalService(zoneinfo.ZoneInfo(name), meaning)
    for number in range(1500):
        moment = change + dt.timedelta(seconds=(number * 7919 % 1500) * 60 - 45_000)
        service.rows[number] = moment, 1
    reader = ParallelReader(
        lambda: service,
        plan_of(service, page_size=12),
        name="rows",
        workers=3,
        may_divide=lambda: True,
    )
    window = Window(Reached(), times.canonical(change + dt.timedelta(days=2)))
    row_batches = list(reader.read(window))
    assert {row["Id"] for row_batch in row_batches for row in row_batch.rows} == set(range(1500))
    assert len({row_batch.mark for row_batch in row_batches}) > 2, "it was not divided"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@given(
    st.sampled_from(sorted(CHANGES)),
    st.sampled_from(MEANINGS),
    st.lists(
        st.tuples(
            st.integers(1, 3000),  # seconds since the event before
            st.integers(0, 12),  # the row that is written
            st.sampled_from(["row", "row", "row", "run", "killed", "imported"]),
        ),
        max_size=60,
    ),
    st.integers(1, 5),
    st.sampled_from([0, 60, 3600]),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_around_a_change_the_next_run_has_it(
    direction: str,
    meaning: Meaning,
    events: list[tuple[int, int, str]],
    page_size: int,
    time_offset: int,
) -> None:
    name, change = CHANGES[direction]
    service = LocalService(zoneinfo.ZoneInfo(name), meaning)
    target = Target()
    now = change - dt.timedelta(hours=4)
    imported_before: list[int] = []
    for version, (seconds, number, event) in enumerate(events):
        now += dt.timedelta(seconds=seconds, milliseconds=version)
        if event in {"run", "killed"}:
            run(
                service,
                target,
                now,
                page_size=page_size,
                time_offset=time_offset,
                killed_after=number if event == "killed" else None,
            )
        elif event == "imported" and meaning == "shown" and not target.written:
            # A local time that never came, or any other, written by hand before the first load.
            wall = change.astimezone(service.zone).replace(tzinfo=None)
            service.rows[100 + number] = now, version
            service.imported[100 + number] = wall - dt.timedelta(minutes=seconds % 180)
            imported_before.append(100 + number)
        else:
            service.rows[number] = now, version
    run(service, target, now + dt.timedelta(seconds=1), page_size=page_size)
    assert target.versions == {number: version for number, (_, version) in service.rows.items()}
