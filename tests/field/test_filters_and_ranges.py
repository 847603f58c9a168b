"""What people leave out of a stream on purpose: by a filter, or by a last date."""

from __future__ import annotations

import io
import json
import sys
import typing as t
from contextlib import nullcontext
from types import SimpleNamespace
from unittest import mock

import pytest

from tap_acumatica.activation import check_rows
from tap_acumatica.errors import ExitCode, IncompleteError, ShrunkError
from tap_acumatica.tap import TapAcumatica
from tests.field.orders import assert_one_error, bookmark, orders, service_of, stamp, warnings
from tests.field.service import Service, Table, instant

if t.TYPE_CHECKING:
    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request

Config = dict[str, t.Any]


def ids(run: TapRun, stream: str = "Orders") -> list[int]:
    assert run.exit_code == 0, run.errors
    return sorted(record["Id"] for record in run.records(stream))


WAYS: dict[str, Config] = {
    "by time": {},
    "in small pages": {"page_size": 4},
    "as a whole": {"tracking_type": "none", "page_size": 4},
    "by four seats": {"page_size": 4, "max_pool_size": 4},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pattern", ["Orders", "Ord*", "Field.OrdersRow"])
def test_a_filter_holds_for_every_request(run_tap: RunTap, pattern: str, way: str) -> None:
    service, table = service_of(60)
    table.rows[20]["LastModifiedDateTime"] = None
    with service.running():
        config = {"url": service.url, "filters": {pattern: "Id ge 10 and Id lt 50"}, **WAYS[way]}
        first = run_tap(config)
        table.rows[29]["LastModifiedDateTime"] = stamp(500)
        table.rows[2]["LastModifiedDateTime"] = stamp(501)
        second = run_tap(config, state=first.state)
    assert sorted({*ids(first)}) == list(range(10, 50))
    assert 30 in ids(second)
    assert {*ids(second)} <= {*range(10, 50)}
    asked = [request.query["$filter"] for request in service.asked("Orders")]
    assert all("(Id ge 10 and Id lt 50)" in text for text in asked)


def test_several_filters_of_a_stream_all_hold(run_tap: RunTap) -> None:
    service, _ = service_of()
    filters = {"*": "Id ge 10", "Orders": "Id lt 12"}
    with service.running():
        assert ids(run_tap({"url": service.url, "filters": filters})) == [10, 11]


def test_a_filter_that_the_service_refuses_fails_its_stream_and_quotes_the_service(
    run_tap: RunTap,
) -> None:
    orders = Table("Orders", {"Id": "Edm.Int32", "Note": "Edm.String"}, ["Id"])
    orders.rows = [{"Id": number, "Note": "n"} for number in range(5)]
    others = Table("Others", {"Id": "Edm.Int32"}, ["Id"], [{"Id": 1}])
    service = Service(orders, others)
    with service.running():
        run = run_tap({"url": service.url, "filters": {"Orders": "Nope eq 1"}}, check=False)
    assert_one_error(run, "Orders", "'filters'", "Could not find a property named 'Nope'")
    assert [record["Id"] for record in run.records("Others")] == [1]
    assert len(service.asked("Orders")) <= 6


def test_what_the_service_does_not_take_of_the_taps_own_is_still_given_up(run_tap: RunTap) -> None:
    service, _ = service_of()

    def spoil(request: Request, reply: Reply) -> None:
        if "desc" in request.query.get("$orderby", ""):
            reply.refuse("The order is not supported.")

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "page_size": 4, "filters": {"Orders": "Id ge 10"}})
    assert sorted({*ids(run)}) == list(range(10, 26))


def test_a_filter_that_has_changed_since_the_bookmark_is_said(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        first = run_tap({"url": service.url, "filters": {"Orders": "Id ge 10"}})
        same = run_tap({"url": service.url, "filters": {"Orders": "Id ge 10"}}, state=first.state)
        second = run_tap({"url": service.url}, state=first.state)
        third = run_tap({"url": service.url}, state=second.state)
    assert not warnings(same)
    (warning,) = warnings(second)
    assert "'filters'" in warning
    assert "Id ge 10" in warning
    assert not warnings(third)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("Id eq 1) or (Id eq 2", "parentheses"),
        ("Note eq 'a", "quotation mark"),
        ("$filter=Id eq 1", "$filter="),
        ("Id eq 1\nand Id eq 2", "lines"),
    ],
)
def test_a_filter_that_cannot_stand_beside_others_is_refused_before_the_first_request(
    run_tap: RunTap, text: str, fault: str
) -> None:
    config = {"url": "http://127.0.0.1:9", "filters": {"Orders": text}}
    run = run_tap(config, check=False)
    assert_one_error(run, "'filters'", "Orders", fault, exit_code=2)


def test_parentheses_within_a_text_are_part_of_it(run_tap: RunTap) -> None:
    service, table = service_of()
    table.rows[3]["Note"] = "it's (a :)"
    with service.running():
        run = run_tap({"url": service.url, "filters": {"Orders": "Note eq 'it''s (a :)'"}})
    assert ids(run) == [4]


def test_a_filter_for_no_stream_is_warned_of_with_the_nearest(run_tap: RunTap) -> None:
    service, _ = service_of(2)
    with service.running():
        run = run_tap({"url": service.url, "filters": {"Order": "Id eq 1"}})
    assert ids(run) == [1, 2]
    assert any("'filters' names Order" in w and "near: Orders" in w for w in warnings(run))


@pytest.mark.parametrize("way", ["by time", "in small pages", "by four seats"])
def test_rows_from_the_end_date_on_are_not_read_and_the_bookmark_stops_there(
    run_tap: RunTap, way: str
) -> None:
    service, table = service_of(60)
    table.rows[40]["LastModifiedDateTime"] = None
    with service.running():
        config = {"url": service.url, "end_date": stamp(31), **WAYS[way]}
        first = run_tap(config)
        again = run_tap(config, state=first.state)
        open_ended = run_tap({"url": service.url, **WAYS[way]}, state=again.state)
    assert sorted({*ids(first)}) == [*range(1, 31), 41]
    assert instant(bookmark(first)) == instant(stamp(30))
    assert instant(bookmark(again)) == instant(stamp(30))
    assert {*ids(open_ended)} >= {*range(31, 61)} - {41}


def test_a_whole_read_has_no_end_date(run_tap: RunTap) -> None:
    service, _ = service_of(5)
    with service.running():
        config = {"url": service.url, "end_date": stamp(2), "tracking_type": "none"}
        assert ids(run_tap(config)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"end_date": "soon"}, ["'end_date'", "date-time", "soon"]),
        (
            {"start_date": "2024-03-02", "end_date": "2024-03-02"},
            ["'end_date'", "later than 'start_date'"],
        ),
    ],
)
def test_an_end_date_that_cannot_be_used_is_refused(
    run_tap: RunTap, config: Config, words: list[str]
) -> None:
    run = run_tap({"url": "http://127.0.0.1:9", **config}, check=False)
    assert_one_error(run, *words, exit_code=2)


def activated(run: TapRun) -> bool:
    return any(message["type"] == "ACTIVATE_VERSION" for message in run.messages)


WHOLE: Config = {"tracking_type": "none", "emit_activate_version_messages": True}


def test_a_full_read_with_far_fewer_rows_lets_nothing_be_deleted_until_it_is_accepted(
    run_tap: RunTap,
) -> None:
    service, table = service_of(10)
    with service.running():
        config = {"url": service.url, **WHOLE}
        first = run_tap(config)
        del table.rows[8:]
        fewer = run_tap(config, state=first.state)
        del table.rows[6:]
        refused = run_tap(config, state=fewer.state, check=False)
        again = run_tap(config, state=refused.state, check=False)
        accepted = run_tap({**config, "max_drop_percent": 100}, state=again.state)
        after = run_tap(config, state=accepted.state)
    assert first.state["bookmarks"]["Orders"]["complete_rows"] == {"": 10}
    assert activated(first)
    assert activated(fewer)  # a fifth, which is the most
    for run in (refused, again):
        assert not activated(run)
        assert_one_error(run, "Orders: 6 rows", "had 8", "'max_drop_percent' to 100")
        assert len(run.records("Orders")) == 6
    assert ids(accepted) == ids(after) == [1, 2, 3, 4, 5, 6]
    assert activated(accepted)
    assert activated(after)


@pytest.mark.parametrize(
    ("before", "now", "percent", "fewer"),
    [
        ({}, 0, 20, False),
        ({"A": 100}, 80, 20, False),
        ({"A": 100}, 79, 20, True),
        ({"A": 100}, 99, 0, True),
        ({"A": 1070}, 3, 99, True),
        ({"A": 100}, 0, 100, False),
        ({"A": 0}, 0, 0, False),
        ({"B": 100}, 1, 20, False),
        ({"A": "many"}, 1, 20, False),
    ],
)
def test_each_tenant_is_counted_by_itself(
    before: dict[str, t.Any], now: int, percent: int, *, fewer: bool
) -> None:
    expected = pytest.raises(ShrunkError, match="tenant 'A'") if fewer else nullcontext()
    with expected:
        check_rows("Orders", before, {"A": now, "C": 7}, percent)


def test_where_something_narrows_a_full_read_nothing_is_deleted(run_tap: RunTap) -> None:
    service, table = service_of(5)
    with service.running():
        first = run_tap({"url": service.url, **WHOLE})
        narrowed = run_tap(
            {"url": service.url, **WHOLE, "filters": {"Orders": "Id ge 2"}}, state=first.state
        )
        table.rows.pop()
        whole = run_tap({"url": service.url, **WHOLE}, state=narrowed.state)
    assert ids(narrowed) == [2, 3, 4, 5]
    assert not activated(narrowed)
    assert any("'filters'" in w and "ACTIVATE_VERSION" in w for w in warnings(narrowed))
    assert activated(first)
    assert activated(whole)


def test_what_lies_in_the_archive_is_not_deleted(run_tap: RunTap) -> None:
    columns = {"Id": "Edm.Int32", "GotReadyForArchiveAt": "Edm.DateTimeOffset"}
    rows = [{"Id": number, "GotReadyForArchiveAt": None} for number in range(3)]
    service = Service(Table("Orders", columns, ["Id"], rows))
    with service.running():
        hidden = run_tap({"url": service.url, **WHOLE})
        shown = run_tap({"url": service.url, **WHOLE, "archived_records": True})
    assert ids(hidden) == ids(shown) == [0, 1, 2]
    assert not activated(hidden)
    assert any("'archived_records'" in warning for warning in warnings(hidden))
    assert activated(shown)


class Ended(t.NamedTuple):
    """A run that had no time for all of it.

    Attributes:
        read: Ids by stream, as they came.
        state: The last state.
        error: What the run ended with; None if it read everything.
    """

    read: dict[str, list[int]]
    state: dict[str, t.Any]
    error: IncompleteError | None


def run_until(service: Service, requests: int, state: dict[str, t.Any] | None = None) -> Ended:
    """Run the tap in this process; its time is over after so many requests for rows."""
    before, content = len(service.requests), io.BytesIO()
    began = iter([0.0])

    def clock() -> float:
        is_over = len(service.requests) - before >= requests
        return next(began, 3600.0 if is_over else 0.0)

    config = {"url": service.url, "page_size": 10, "time_limit_minutes": 5}
    error = None
    with (
        mock.patch("tap_acumatica.run.time", SimpleNamespace(monotonic=clock)),
        mock.patch.object(sys, "stdout", io.TextIOWrapper(content, encoding="utf-8")),
    ):
        tap = TapAcumatica(config=config, state=state or {})
        try:
            tap.sync()
        except IncompleteError as found:
            error = found
        finally:
            tap.close()
        read: dict[str, list[int]] = {}
        written: dict[str, t.Any] = {}
        for message in map(json.loads, content.getvalue().splitlines()):
            if message["type"] == "RECORD":
                read.setdefault(message["stream"], []).append(message["record"]["Id"])
            elif message["type"] == "STATE":
                written = message["value"]
    return Ended(read, written, error)


def test_a_run_out_of_time_keeps_what_it_has_and_the_next_one_goes_on() -> None:
    service = Service(*(orders(25, name=name) for name in ("Aa", "Bb", "Cc")))
    with service.running():
        first = run_until(service, 6)
        held = {name: state.get("unfinished") for name, state in first.state["bookmarks"].items()}
        assert first.error is not None
        assert first.error.exit_code is ExitCode.TEMPORARY
        assert "'time_limit_minutes'" in str(first.error)
        assert {*first.read["Aa"]} == {*range(1, 26)}
        assert held == {"Aa": None, "Bb": True, "Cc": True}
        started = len(service.requests)
        second = run_until(service, 1000, first.state)
    assert second.error is None
    assert "unfinished" not in json.dumps(second.state)
    sets = dict.fromkeys(request.entity_set for request in service.requests[started:])
    assert list(sets) == ["Bb", "Cc", "Aa"]
    for name in ("Bb", "Cc"):
        assert {*first.read.get(name, []), *second.read[name]} == {*range(1, 26)}


def test_a_run_that_never_comes_to_a_stream_asks_for_no_rows_and_ends_with_3() -> None:
    service, table = service_of(3)
    del table
    with service.running():
        ended = run_until(service, 0)
    assert service.requests == []
    assert ended.read == {}
    assert ended.error is not None
    assert ended.error.exit_code == 3
