"""Rows change, come and go between any two answers: after the next run none is missing."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tap_acumatica.errors import AnswerError
from tests.odata_service import ODataService, Table
from tests.tap_process import Warehouse, run

if t.TYPE_CHECKING:
    from tests.odata_service import Request, Row

EPOCH = dt.datetime(2024, 1, 31, 23, 59, 50, tzinfo=dt.timezone.utc)
# Reading by position comes to no end while more rows arrive before it than a page holds.
BUSY_FOR = 12
KEYS: dict[str, dict[str, str]] = {
    "number": {"Id": "Edm.Int32"},
    "text": {"Code": "Edm.String"},
    "two": {"Kind": "Edm.String", "Id": "Edm.Int32"},
    "three": {"Kind": "Edm.String", "Id": "Edm.Int32", "Line": "Edm.Int64"},
    "number and time": {"Id": "Edm.Int32", "At": "Edm.DateTimeOffset"},
    "time": {"At": "Edm.DateTimeOffset"},
}

quick = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
thorough = settings(
    max_examples=2000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def written(moment: dt.datetime, digits: int) -> str:
    """A date-time as a service writes it, with so many fraction digits."""
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}0"[:digits]
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


@dataclass
class World:
    """A table, a clock, and what happens to them between answers."""

    service: ODataService
    table: Table
    data: st.DataObject
    busy: bool = False
    clock: dt.datetime = EPOCH
    digits: int = 3
    always_there: set[int] = field(default_factory=set)
    made: int = 1000
    asked: int = 0

    def key(self, number: int) -> Row:
        """Key values: few different ones but in the last column, and in no order of arrival."""
        mixed = number * 7919 % 10007
        values: dict[str, t.Any] = {
            "Id": mixed
            if "Line" not in self.table.key and "At" not in self.table.key
            else mixed % 3,
            "Kind": "'aB+"[mixed % 3 % 4] if "Line" in self.table.key else ("x", "Y z")[mixed % 2],
            "Code": f"{'zyx'[mixed % 3]}{mixed}'",
            "Line": mixed,
            "At": written(EPOCH + dt.timedelta(milliseconds=mixed), 3),
        }
        return {name: values[name] for name in self.table.key}

    def insert(self, stamp: str | None) -> None:
        self.made += 1
        self.table.insert({**self.key(self.made), "LastModified": stamp, "Version": self.made})

    def now(self) -> str:
        step = self.data.draw(st.sampled_from([0, 1, 4, 700, 3000]), "milliseconds that pass")
        self.clock += dt.timedelta(milliseconds=step)
        return written(self.clock, self.digits)

    def happen(self, _request: Request) -> None:
        """Change something before an answer."""
        self.asked += 1
        if not self.busy or self.asked > BUSY_FOR:
            return
        for event in self.data.draw(
            st.lists(st.sampled_from(["insert", "update", "delete"]), max_size=3), "what happens"
        ):
            stamp = self.now()
            if event == "insert":
                self.insert(stamp)
                continue
            if not self.table.rows:
                continue
            numbers = sorted(self.table.rows)
            number = numbers[self.data.draw(st.integers(0, len(numbers) - 1), "which")]
            if event == "delete":
                self.table.delete(number)
                self.always_there.discard(number)
            else:
                self.made += 1
                self.table.update(number, LastModified=stamp, Version=self.made)

    def began(self) -> dt.datetime:
        """The start of a run as the Date header has it."""
        return self.clock.replace(microsecond=0)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    kind = draw(st.sampled_from(sorted(KEYS)), "key")
    columns = {**KEYS[kind], "LastModified": "Edm.DateTimeOffset", "Version": "Edm.Int32"}
    table = Table("Rows", columns, KEYS[kind])
    service = ODataService(table)
    service.page_limit = draw(st.sampled_from([None, 1, 2, 3, 5]), "server's limit")
    service.links = draw(st.sampled_from(["token", "skip", "none"]), "links")
    if service.page_limit == 1 and service.links == "none":
        service.page_limit = 2  # one row per answer and no link is refused
    service.relative = draw(st.booleans(), "relative links")
    world = World(
        service, table, draw(st.data()), digits=draw(st.sampled_from([0, 3, 6, 7]), "digits")
    )
    service.before_answer = world.happen
    ages = draw(
        st.lists(
            st.sampled_from([None, 0, 1, 5, 5, 5, 900, 2000, 2000, 90000, -(10**9)]), max_size=14
        ),
        "milliseconds since the rows were changed",
    )
    for age in ages:
        stamp = (
            None if age is None else written(EPOCH - dt.timedelta(milliseconds=age), world.digits)
        )
        world.insert(stamp)
    world.always_there = set(table.rows)
    return world


PAGE_SIZES = st.sampled_from([1, 2, 3, 4, 10])


def _newest_versions(table: Table, key: tuple[str, ...]) -> dict[tuple[t.Any, ...], int]:
    return {tuple(row[name] for name in key): row["Version"] for row in table.contents()}


def _canonical_key(row: Row, key: tuple[str, ...]) -> tuple[t.Any, ...]:
    return tuple(f"{row[name][:-1]}000+00:00" if name == "At" else row[name] for name in key)


def _missing(world: World, warehouse: Warehouse) -> list[Row]:
    key = world.table.key
    return [
        row
        for row in world.table.contents()
        if warehouse.rows.get(_canonical_key(row, key), {}).get("Version") != row["Version"]
    ]


killed_runs = given(
    world=worlds(),
    page_size=PAGE_SIZES,
    killed=st.none() | st.integers(1, 20),
    batch=st.integers(1, 5),
)


@quick
@killed_runs
def test_after_one_more_run_the_newest_version_of_every_row_is_there(
    world: World, page_size: int, killed: int | None, batch: int
) -> None:
    _arrives(world, page_size, killed, batch)


@pytest.mark.slow
@thorough
@killed_runs
def test_after_one_more_run_the_newest_version_of_every_row_is_there_2000_times(
    world: World, page_size: int, killed: int | None, batch: int
) -> None:
    _arrives(world, page_size, killed, batch)


def _arrives(world: World, page_size: int, killed: int | None, batch: int) -> None:
    """One busy run, perhaps killed, then one in peace."""
    warehouse = Warehouse(world.table.key)
    world.busy = True
    run(
        world.service,
        "Rows",
        warehouse,
        began=world.began(),
        tracking="LastModified",
        page_size=page_size,
        batch_size=batch,
        killed_after=killed,
    )
    world.busy = False
    world.clock += dt.timedelta(seconds=2)
    run(
        world.service,
        "Rows",
        warehouse,
        began=world.began(),
        tracking="LastModified",
        page_size=page_size,
    )
    assert_nothing_is_missing(world, warehouse, page_size)


def assert_nothing_is_missing(world: World, warehouse: Warehouse, page_size: int) -> None:
    """But rows stamped in the future, and those are there after a look-back."""
    now = written(world.clock, 7)
    late = [row for row in _missing(world, warehouse) if (row["LastModified"] or "") <= now]
    assert late == []
    world.clock += dt.timedelta(hours=21)
    run(
        world.service,
        "Rows",
        warehouse,
        began=world.began(),
        tracking="LastModified",
        page_size=page_size,
    )
    assert _missing(world, warehouse) == []


@quick
@given(world=worlds(), page_size=PAGE_SIZES)
def test_a_full_read_holds_every_row_that_was_there_throughout(
    world: World, page_size: int
) -> None:
    _is_whole(world, page_size)


@pytest.mark.slow
@thorough
@given(world=worlds(), page_size=PAGE_SIZES)
def test_a_full_read_holds_every_row_that_was_there_throughout_2000_times(
    world: World, page_size: int
) -> None:
    _is_whole(world, page_size)


def _is_whole(world: World, page_size: int) -> None:
    warehouse = Warehouse(world.table.key)
    world.busy = True
    try:
        run(world.service, "Rows", warehouse, began=world.began(), page_size=page_size)
    except AnswerError:  # said loudly, as far as rows came faster than pages: no loss
        reject()
    missing = [
        world.table.rows[number]
        for number in world.always_there
        if _canonical_key(world.table.rows[number], world.table.key) not in warehouse.rows
    ]
    assert missing == []
