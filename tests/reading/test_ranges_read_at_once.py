"""Several ranges of a stream are read at once, in any order of events, and no row is lost."""

from __future__ import annotations

import datetime as dt
import typing as t
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tap_acumatica.odata import times
from tap_acumatica.odata.types import is_timestamp
from tap_acumatica.reading.batches import RangeMark, RowBatch
from tap_acumatica.reading.evidence import Evidence
from tap_acumatica.reading.plan import Column, Term, plan_for
from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.spans import KeyDivision
from tap_acumatica.reading.window import Reached, Window
from tests.odata_service import ODataService, Table
from tests.reading.machine.trial import in_chosen_order
from tests.reading.test_rows_that_change_while_they_are_read import (
    EPOCH,
    KEYS,
    PAGE_SIZES,
    World,
    _canonical_key,
    assert_nothing_is_missing,
    quick,
    worlds,
    written,
)
from tests.tap_process import ServiceSource, Warehouse, run

if t.TYPE_CHECKING:
    from collections.abc import Callable


def worked_in_any_order(data: st.DataObject) -> t.ContextManager[None]:
    """Workers without threads, who take their steps in an order that is drawn; small ranges."""
    return in_chosen_order(lambda working: data.draw(st.sampled_from(working), "who goes on"))


@quick
@given(
    world=worlds(),
    page_size=PAGE_SIZES,
    killed=st.none() | st.integers(1, 20),
    batch=st.integers(1, 5),
    data=st.data(),
)
def test_after_one_more_run_the_newest_version_of_every_row_is_there(
    world: World, page_size: int, killed: int | None, batch: int, data: st.DataObject
) -> None:
    warehouse = Warehouse(world.table.key)
    world.busy = True
    with worked_in_any_order(data):
        run(
            world.service,
            "Rows",
            warehouse,
            began=world.began(),
            tracking="LastModified",
            page_size=page_size,
            batch_size=batch,
            killed_after=killed,
            workers=3,
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


@quick
@given(world=worlds(), page_size=PAGE_SIZES, data=st.data())
def test_a_full_read_holds_every_row_that_was_there_throughout(
    world: World, page_size: int, data: st.DataObject
) -> None:
    key = world.table.key
    if any(is_timestamp(world.table.columns[name].type) for name in key):
        return  # such keys are read by position, by one session
    warehouse = Warehouse(key)
    world.busy = True
    with worked_in_any_order(data):
        run(
            world.service,
            "Rows",
            warehouse,
            began=world.began(),
            page_size=page_size,
            workers=3,
        )
    missing = [
        world.table.rows[number]
        for number in world.always_there
        if _canonical_key(world.table.rows[number], key) not in warehouse.rows
    ]
    assert missing == []


def _large(rows: int, kind: str = "number", same: int = 1) -> ODataService:
    table = Table("Rows", {**KEYS[kind], "LastModified": "Edm.DateTimeOffset"}, KEYS[kind])
    for number in range(rows):
        values = {"Id": number, "Kind": "abc"[number % 3], "Line": number, "Code": f"{number:06}"}
        moment = EPOCH + dt.timedelta(seconds=number // same)
        table.insert(
            {**{name: values[name] for name in KEYS[kind]}, "LastModified": written(moment, 3)}
        )
    return ODataService(table)


@pytest.mark.parametrize("kind", ["number", "text", "two"])
@pytest.mark.parametrize("tracking", [None, "LastModified"])
def test_threads_read_a_large_stream_whole_and_nearly_once(kind: str, tracking: str | None) -> None:
    service = _large(3000, kind)
    warehouse = Warehouse(tuple(KEYS[kind]))
    run(
        service,
        "Rows",
        warehouse,
        began=EPOCH + dt.timedelta(days=1),
        tracking=tracking,
        page_size=20,
        batch_size=50,
        workers=4,
    )
    assert len(warehouse.rows) == 3000
    assert len(warehouse.records) < 3150
    # Texts are not divided before it is known how they sort, and are checked from both sides.
    assert len(service.requests("Rows")) < (400 if kind == "text" else 260)
    if tracking:
        assert warehouse.bookmark == (EPOCH + dt.timedelta(seconds=2999)).isoformat(
            timespec="microseconds"
        )
        states = [state for state in warehouse.states if state]
        assert states == sorted(states)


def test_stamps_that_many_rows_share_divide_no_worse() -> None:
    service = _large(2000, same=500)
    warehouse = Warehouse(("Id",))
    run(
        service,
        "Rows",
        warehouse,
        began=EPOCH + dt.timedelta(days=1),
        tracking="LastModified",
        page_size=20,
        workers=4,
    )
    assert len(warehouse.rows) == 2000


def test_a_service_that_does_not_take_positions_is_read_by_one_session() -> None:
    service = _large(1000)
    service.refuse("Rows", "$skip")
    warehouse = Warehouse(("Id",))
    run(
        service,
        "Rows",
        warehouse,
        began=EPOCH + dt.timedelta(days=1),
        tracking="LastModified",
        page_size=20,
        workers=4,
    )
    assert len(warehouse.rows) == 1000


def test_an_error_in_one_range_ends_all_and_the_bookmark_is_before_it() -> None:
    service = _large(3000)
    bad = (EPOCH + dt.timedelta(seconds=1700)).isoformat(timespec="microseconds")

    class Failing(ServiceSource):
        @override
        def get(self, options: t.Any) -> t.Any:
            page = super().get(options)
            if any(row["LastModified"] == bad for row in page.rows):
                msg = "broken in the middle"
                raise RuntimeError(msg)
            return page

    warehouse = Warehouse(("Id",))
    with (
        mock.patch("tests.tap_process.ServiceSource", Failing),
        pytest.raises(RuntimeError, match="broken in the middle"),
    ):
        run(
            service,
            "Rows",
            warehouse,
            began=EPOCH + dt.timedelta(days=1),
            tracking="LastModified",
            page_size=20,
            workers=4,
        )
    assert warehouse.bookmark is not None
    assert warehouse.bookmark < bad
    stamps = {row["LastModified"] for row in warehouse.rows.values()}
    due = [stamp for stamp in _stamps(3000) if stamp <= warehouse.bookmark]
    assert stamps.issuperset(due)


def _stamps(rows: int) -> list[str]:
    return [
        (EPOCH + dt.timedelta(seconds=number)).isoformat(timespec="microseconds")
        for number in range(rows)
    ]


def test_the_bookmark_waits_for_the_ranges_before() -> None:
    first, *others = (f"2024-01-0{day}T00:00:00.000000+00:00" for day in range(1, 6))
    second, third, fourth, _ = others
    window = Window(Reached(), times.canonical(EPOCH))
    progress = Progress(window, stamps=lambda rows: [row["T"] for row in rows])

    def write(start: str, *stamps: str) -> str | None:
        batch = RowBatch(
            [{"T": stamp} for stamp in stamps], ascending=True, mark=RangeMark(first, start)
        )
        progress.advance(batch.rows, batch)
        return progress.bookmark

    def end(start: str, stop: str | None) -> str | None:
        mark = RangeMark(first, start, done=True, stop=stop)
        progress.end_range(RowBatch([], ascending=False, mark=mark))
        return progress.bookmark

    assert write(third, fourth) is None
    assert write(first, first) == first
    assert end(third, None) == first
    assert end(first, second) == first
    assert write(second, second) == second
    assert end(second, third) == fourth


Place = tuple[int, ...]
PLACES = st.integers(1, 3).flatmap(lambda n: st.tuples(*[st.integers(0, 3)] * n))
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda one, other: one == other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
}


def _meets(row: Place, terms: tuple[Term, ...]) -> bool:
    return all(
        _OPERATORS[operator](row["abc".index(column.name)], value)
        for column, operator, value in terms
    )


@given(start=PLACES, stop=st.none() | PLACES, operator=st.sampled_from(["ge", "gt"]))
def test_boxes_hold_each_row_between_two_places_once(
    start: Place, stop: Place | None, operator: str
) -> None:
    if (operator == "gt") != (len(start) == 3) or (stop is not None and stop <= start):
        return
    plan = plan_for(keys=[Column(name, "Edm.Int32") for name in "abc"])
    division = KeyDivision(plan, {"a": 0, "b": 0, "c": 0}, 1, Evidence())
    boxes = division.boxes(start, operator, stop)
    rows = [(a, b, c) for a in range(4) for b in range(4) for c in range(4)]
    found = [row for terms, _ in boxes for row in rows if _meets(row, terms)]
    first = [row for row in rows if (row > start if operator == "gt" else row >= start)]
    assert found == [row for row in first if stop is None or row < stop]
