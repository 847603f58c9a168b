"""States as Meltano, other taps and people hand them in: used, or refused in one line."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.field.orders import (
    COLUMNS,
    assert_one_error,
    bookmark,
    lines,
    order,
    service_of,
    stamp,
    warnings,
)
from tests.field.service import Service, Table, instant
from tests.sandbox_site import OTHER, TENANT, settings

if t.TYPE_CHECKING:
    from tests.conftest import MakeSandbox, RunTap

HELD = {"replication_key": "LastModifiedDateTime", "replication_key_value": stamp(20)}
STATE = {"bookmarks": {"Orders": HELD}}
AT_ONCE = {"time_offset": 0, "daily_lookback_hours": 0}


def with_value(value: t.Any) -> dict[str, t.Any]:
    return {"bookmarks": {"Orders": {**HELD, "replication_key_value": value}}}


def partitions(*held: t.Any) -> dict[str, t.Any]:
    return {"bookmarks": {"Orders": {"partitions": [*held]}}}


@pytest.mark.parametrize(
    "state",
    [
        {"singer_state": STATE},
        {"completed": {"singer_state": STATE}, "partial": {}},
        {"completed": {}, "partial_state": {"singer_state": STATE}},
        {"type": "STATE", "value": STATE},
        {"value": json.dumps(STATE)},
        {"state": STATE},
        STATE["bookmarks"],
        {"bookmarks": {"Orders": {"LastModifiedDateTime": stamp(20)}}},
        {"bookmarks": {"Orders": {"replication_key_value": stamp(20)}}},
        {"bookmarks": {"Orders": {**HELD, "replication_key": "lastmodifieddatetime"}}},
        {"bookmarks": {"Orders": {**HELD, "progress_markers": None}}},
        {"bookmarks": {"Orders": {**HELD, "replication_key_signpost": "2024-04-01T00:00:00Z"}}},
        with_value(f" {stamp(20)} "),
        with_value("2024-03-01 08:20:00+00"),
        with_value("2024-03-01 08:20:00 UTC"),
        with_value("2024-03-01T10:20:00+02:00"),
        with_value("2024-03-01T08:20:00"),
    ],
)
def test_a_bookmark_whose_meaning_is_certain_is_used(run_tap: RunTap, state: t.Any) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url, **AT_ONCE}, state=state)
    assert [record["Id"] for record in run.records("Orders")] == [20, 21, 22, 23, 24, 25]
    assert instant(bookmark(run)) == instant(stamp(25))


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"foo": 1}, "foo"),
        ({"state": [{"type": "STREAM", "stream": {"stream_state": HELD}}]}, "the state file"),
        ({"singer_state": STATE, "bookmarks": {}}, "several places"),
        ({"bookmarks": {"Orders": None}}, "bookmarks by stream"),
        ({"bookmarks": {"Orders": [HELD]}}, "bookmarks by stream"),
        ({"bookmarks": {"users": {"replication_key_value": 7}}}, "another tap"),
        ({"bookmarks": {"orders": HELD}}, "orders"),
        ({"bookmarks": {"Orders": {"updated_at": stamp(20)}}}, "updated_at"),
        (with_value("not a date"), "'not a date'"),
        (with_value("  "), "not a date-time"),
        (with_value(1709287200), "1709287200"),
        (with_value(["2024-03-01"]), "not a date-time"),
        (with_value("2099-01-01T00:00:00Z"), "in the future"),
        (partitions({"context": {"company": "A"}, **HELD}), "company"),
        (partitions({"context": {"_tenant": "A"}, **HELD}), "'tenants' is not set"),
        ({"bookmarks": {"Orders": {"partitions": {"0": HELD}}}}, "partitions"),
        ({"bookmarks": {"Orders": {"partitions": {"A": HELD}}}}, "'tenants' is not set"),
        ({"bookmarks": {"Orders": {"partitions": ["A"]}}}, "partitions"),
    ],
)
def test_any_other_state_is_refused_before_a_row_is_read(
    run_tap: RunTap, state: t.Any, word: str
) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url, **AT_ONCE}, state=state, check=False)
    assert_one_error(run, word, exit_code=2)
    assert service.asked("Orders") == []
    assert not run.messages


@pytest.mark.parametrize(
    ("held", "word"),
    [
        ({**HELD, "replication_key": "Created"}, "Created"),
        ({**HELD, "replication_key_value": None}, "no bookmark"),
        ({"progress_markers": {"Note": "not resumable", **HELD}}, "no bookmark"),
        ({"starting_replication_value": stamp(3)}, "no bookmark"),
    ],
)
def test_a_state_that_says_to_begin_anew_is_said(
    run_tap: RunTap, held: dict[str, t.Any], word: str
) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url, **AT_ONCE}, state={"bookmarks": {"Orders": held}})
    assert len(run.records("Orders")) == 25
    said = [line for line in warnings(run) if word in line and "all rows are read" in line]
    assert len(said) == 1, run.errors


def test_bookmarks_of_streams_that_are_unknown_are_passed_through(run_tap: RunTap) -> None:
    service, _ = service_of()
    others = {"Gone": {"replication_key": "X", "replication_key_value": "7", "more": [1]}}
    with service.running():
        state = {"bookmarks": {**STATE["bookmarks"], **others}}
        run = run_tap({"url": service.url, **AT_ONCE}, state=state)
    assert len(run.records("Orders")) == 6
    assert run.state["bookmarks"]["Gone"] == others["Gone"]
    assert [line for line in lines(run, "INFO") if "Gone" in line]


def test_a_bookmark_that_was_lowered_by_hand_counts(run_tap: RunTap) -> None:
    """So many rows are as new as the bookmark that the tap also goes by the last run's start."""
    rows = [{**order(n), "LastModifiedDateTime": stamp(n if n <= 50 else 51)} for n in range(400)]
    service = Service(Table("Orders", COLUMNS, ["Id"], rows))
    with service.running():
        config = {"url": service.url, **AT_ONCE}
        state = run_tap(config).state
        unchanged = run_tap(config, state=state)
        state["bookmarks"]["Orders"]["replication_key_value"] = stamp(30)
        run = run_tap(config, state=state)
    assert not unchanged.records("Orders")
    assert {record["Id"] for record in run.records("Orders")} == set(range(30, 400))


def test_a_full_read_keeps_the_bookmark_for_later_and_says_so(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url, **AT_ONCE}
        whole = run_tap({**config, "tracking_type": "none"}, state=STATE)
        later = run_tap(config, state=whole.state)
    assert len(whole.records("Orders")) == 25
    assert whole.state["bookmarks"]["Orders"]["replication_key_value"] == stamp(20)
    assert [line for line in lines(whole, "INFO") if "kept for later: Orders" in line]
    assert len(later.records("Orders")) == 6


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_local_bookmark_is_never_taken_for_later_than_it_may_be(
    run_tap: RunTap, zone: str
) -> None:
    service, _ = service_of(200)
    with service.running():
        config = {"url": service.url, **AT_ONCE, "time_zone": zone}
        run = run_tap(config, state=with_value("2024-03-01T10:00:00"))
    first = 60 if zone == "Europe/Berlin" else 120
    assert min(record["Id"] for record in run.records("Orders")) == first


def test_one_tenant_of_several_that_was_renamed_is_said(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    config = settings(sandbox(rows=20), tenants=[TENANT, OTHER], entity_sets=["Ledger"])
    first = run_tap(config)
    state = json.loads(json.dumps(first.state).replace(OTHER, "Firma"))
    run = run_tap(config, state=state)
    said = f"of the tenants 'Firma', which are not read now; '{OTHER}' is new"
    assert run.errors.count(said) == 1
    again = run_tap(config, state=first.state)
    assert "is new" not in again.errors
