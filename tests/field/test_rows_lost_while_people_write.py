"""People write while the tap reads: every row arrives all the same, and every run ends."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import typing as t

import pytest

from tests.field.orders import (
    assert_bookmarked,
    assert_complete,
    assert_one_error,
    bookmark,
    held,
    latest,
    lines,
    metric,
    missed,
    order,
    orders,
    service_of,
    stamp,
    warnings,
)
from tests.field.service import Service, Table, instant, shown

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RunTap
    from tests.field.service import Reply, Request, Row

FULL = {"tracking_type": "none"}


def touch(row: Row, service: Service) -> None:
    """Change a row now."""
    row["LastModifiedDateTime"] = shown(service.now)
    row["Note"] = f"changed at {row['LastModifiedDateTime']}"


def oldest(table: Table, count: int = 1) -> list[Row]:
    """The rows that were changed least recently."""
    return sorted(table.rows, key=lambda row: (row["LastModifiedDateTime"], row["Id"]))[:count]


# Next links


@pytest.mark.parametrize("link", ["$skiptoken", "$skip", "cursor", "$skipToken"])
def test_rows_that_move_to_the_end_push_none_past_a_link_that_counts(
    run_tap: RunTap, link: str
) -> None:
    service, table = service_of(cap=5)
    table.link = link

    def write(request: Request) -> None:
        if request.number <= 12:
            for row in oldest(table, 2):
                touch(row, service)

    service.before = write
    with service.running():
        first = run_tap({"url": service.url})
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert not any(link in r.query for r in service.requests if link != "$skip")


@pytest.mark.parametrize("link", ["$skiptoken", "$skip", None, ""])
def test_rows_deleted_in_front_of_the_reader_pull_none_past_it(
    run_tap: RunTap, link: str | None
) -> None:
    service, table = service_of(cap=5)
    table.link = link
    config = {"url": "", **FULL}

    def write(request: Request) -> None:
        if 1 < request.number < 8:
            table.rows.pop(0)

    service.before = write
    with service.running():
        config["url"] = service.url
        run = run_tap(config)
    assert run.exit_code == 0, run.errors
    assert missed(table, run) == []
    assert warnings(run) == []


def test_no_link_is_followed_where_rows_can_be_found_by_value(run_tap: RunTap) -> None:
    service, table = service_of(cap=10)
    table.link = None
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert_bookmarked(run, table)
    assert [r.target for r in service.requests if "$skiptoken" in r.query] == []
    assert warnings(run) == []


def test_a_row_changed_between_two_pages_of_one_stamp_hides_none_of_its_neighbours(
    run_tap: RunTap,
) -> None:
    """An import gives many rows one stamp; then people go on working on them."""
    service, table = service_of(cap=5)
    for row in table.rows[3:22]:
        row["LastModifiedDateTime"] = stamp(10)

    def write(request: Request) -> None:
        if 1 < request.number <= 8:
            touch(table.rows[2 + request.number], service)

    service.before = write
    with service.running():
        first = run_tap({"url": service.url})
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []


def test_the_row_at_the_end_of_a_page_may_vanish_or_change(run_tap: RunTap) -> None:
    service, table = service_of(cap=5)
    gone: list[Row] = []

    def write(request: Request) -> None:
        if 1 < request.number <= 9:
            at = (request.number - 1) % len(table.rows)
            gone.append(table.rows.pop(at))
            touch(table.rows[at], service)

    service.before = write
    with service.running():
        first = run_tap({"url": service.url})
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert warnings(first) == []


# Runs that never end


@pytest.mark.parametrize("changes", [1, 5, 8])
def test_a_run_does_not_chase_a_busy_table(run_tap: RunTap, changes: int) -> None:
    busy, quiet = orders(), orders(name="Quiet")
    busy.cap = 5
    service = Service(busy, quiet)

    def write(request: Request) -> None:
        if request.entity_set == "Orders" and request.number <= 80:
            for row in oldest(busy, changes):
                touch(row, service)

    service.before = write
    with service.running():
        first = run_tap({"url": service.url})
        requests = len(service.asked("Orders"))
        service.before = lambda _request: None
        second = run_tap({"url": service.url}, state=first.state)
    assert requests <= 40
    assert missed(quiet, first) == []
    assert missed(busy, first, second) == []


def test_a_run_that_begins_at_a_bookmark_does_not_chase_either(run_tap: RunTap) -> None:
    service, table = service_of(cap=5)

    def write(request: Request) -> None:
        if start <= request.number <= start + 80:
            for row in oldest(table, 2):
                touch(row, service)

    with service.running():
        first = run_tap({"url": service.url})
        start = len(service.requests) + 1
        for row in oldest(table, 9):
            touch(row, service)
        service.now += dt.timedelta(hours=1)
        service.before = write
        second = run_tap({"url": service.url}, state=first.state)
        requests = len(service.requests) - start
        service.before = lambda _request: None
        third = run_tap({"url": service.url}, state=second.state)
    assert requests <= 40
    assert missed(table, first, second, third) == []


@pytest.mark.parametrize("config", [FULL, {}])
def test_a_run_does_not_chase_rows_that_are_added_behind_it(
    run_tap: RunTap, config: dict[str, str]
) -> None:
    service, table = service_of(cap=5)
    before = held(table)

    def write(request: Request) -> None:
        if request.number <= 80:
            for _ in range(5):
                added = order(len(table.rows) + 1)
                table.rows.append({**added, "LastModifiedDateTime": shown(service.now)})

    service.before = write
    with service.running():
        run = run_tap({"url": service.url, **config})
        assert len(service.requests) <= 50
    assert run.exit_code == 0, run.errors
    assert sorted(before.keys() - latest(run).keys()) == []


def test_the_bookmark_stays_behind_rows_that_changed_during_the_run(run_tap: RunTap) -> None:
    service, table = service_of(cap=5)
    began = service.now

    def write(request: Request) -> None:
        if request.number <= 30:
            touch(oldest(table)[0], service)

    service.before = write
    with service.running():
        run = run_tap({"url": service.url})
    assert instant(bookmark(run)) <= instant(shown(began + dt.timedelta(seconds=2)))


# Order and comparison


def by_culture(text: str) -> t.Any:
    """As most collations sort: the letters first, then their case, small before capital."""
    return text.casefold(), text.swapcase()


def by_words(text: str) -> t.Any:
    """As SQL Server and Windows sort: hyphens and apostrophes hardly count."""
    return text.replace("-", "").replace("'", "").casefold(), text


def without_accents(text: str) -> t.Any:
    """As a collation that takes an accented letter for a form of the plain one."""
    return text.translate(str.maketrans("ÄÉÖÜäéöü", "AEOUaeou")), text


def padded(text: str) -> t.Any:
    """As a collation to which trailing blanks do not count."""
    return text.rstrip(" "), text


@pytest.mark.parametrize(
    ("sorted_by", "late"),
    [
        (by_culture, ["M{:03d}", "m{:03d}", "Z{:03d}", "n{:03d}", "B{:03d}"]),
        (by_words, ["co-op{:03d}", "coop{:03d}", "co'op{:03d}", "cool{:03d}", "co{:03d}"]),
        (without_accents, ["Österreich{:03d}", "Oslo{:03d}", "Zürich{:03d}", "Zug{:03d}"]),
        (padded, ["x{:03d}", "x{:03d} ", "x{:03d}!", "x{:03d}  "]),
    ],
)
@pytest.mark.parametrize("config", [{}, FULL])
def test_order_and_comparison_may_disagree_from_some_page_on(
    run_tap: RunTap,
    sorted_by: Callable[[str], t.Any],
    late: list[str],
    config: dict[str, str],
) -> None:
    """The first pages hold keys on which all agree; texts are always compared by their codes."""
    codes = [f"a{number:03d}" for number in range(30)]
    codes += [late[number % len(late)].format(number) for number in range(30)]
    table = Table(
        "Items",
        {"Code": 'Edm.String Nullable="false"', "LastModifiedDateTime": "Edm.DateTimeOffset"},
        ["Code"],
        [{"Code": code, "LastModifiedDateTime": stamp(5)} for code in codes],
    )
    table.sorted_by = sorted_by
    service = Service(table)
    with service.running():
        run = run_tap({"url": service.url, "page_size": 7, **config})
    assert run.exit_code == 0, run.errors
    assert sorted(latest(run, stream="Items", key="Code")) == sorted(codes)


# Rows without a stamp, and rows that show late


def test_rows_without_a_stamp_that_came_or_changed_later_are_read_within_a_day(
    run_tap: RunTap,
) -> None:
    service, table = service_of()
    table.row(Id=3)["LastModifiedDateTime"] = None
    with service.running():
        first = run_tap({"url": service.url})
        assert missed(table, first) == []
        table.row(Id=3)["Note"] = "changed without a stamp"
        table.rows.append({**order(26), "LastModifiedDateTime": None})
        service.now += dt.timedelta(hours=25)
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []


@pytest.mark.parametrize("late", [dt.timedelta(minutes=40), dt.timedelta(hours=12)])
def test_a_row_that_shows_long_after_its_stamp_is_read_within_a_day(
    run_tap: RunTap, late: dt.timedelta
) -> None:
    """A transaction that ran for long, or a database that was behind the one that was read."""
    service, table = service_of()
    for number, row in enumerate(table.rows):
        row["LastModifiedDateTime"] = shown(service.now - dt.timedelta(minutes=50 - number))
    with service.running():
        first = run_tap({"url": service.url})
        table.rows.append({**order(26), "LastModifiedDateTime": shown(service.now - late)})
        service.now += dt.timedelta(hours=25)
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []


def test_a_late_commit_arrives_within_a_day_also_where_the_look_back_breaks_off(
    run_tap: RunTap,
) -> None:
    service, table = service_of()
    for number, row in enumerate(table.rows):
        row["LastModifiedDateTime"] = shown(service.now - dt.timedelta(minutes=50 - number))
    config = {"page_size": 10, "max_retries": 1}
    brought: dict[int, set[int]] = {}

    def break_off(request: Request, reply: Reply) -> None:
        if len(service.requests) > asked + 1:
            reply.html(500)
        del request

    with service.running():
        state = run_tap({"url": service.url, **config}).state
        for hour in (5, 10, 15, 20, 25):
            service.now += dt.timedelta(hours=5)
            recent = shown(service.now - dt.timedelta(minutes=10))
            table.row(Id=1)["LastModifiedDateTime"] = recent  # the bookmark goes on
            asked = len(service.requests)
            service.spoil = break_off if hour == 20 else lambda _request, _reply: None
            run = run_tap({"url": service.url, **config}, state=state, check=False)
            assert (run.exit_code == 0) is (hour != 20), run.errors
            state = run.state
            brought[hour] = {record["Id"] for record in run.records("Orders")}
            if hour == 5:  # committed an hour after it was stamped
                late = shown(service.now - dt.timedelta(hours=1))
                table.rows.append({**order(26), "LastModifiedDateTime": late})
    assert all(26 not in brought[hour] for hour in (5, 10, 15))
    assert 26 in brought[20] | brought[25]
    assert "read again by the daily look-back" in run.errors


# Literals


@pytest.mark.parametrize("fraction", [".9", ".91", ".912", ".9123", ".912345", ".9123456", ""])
def test_literals_of_time_have_three_or_seven_digits_of_fraction(
    run_tap: RunTap, fraction: str
) -> None:
    service, table = service_of(cap=10)
    for row in table.rows:
        row["LastModifiedDateTime"] = row["LastModifiedDateTime"][:19] + fraction + "Z"

    def refuse_short(request: Request, reply: Reply) -> None:
        if re.search(r":\d\d\.\d{1,2}(Z|[+-])", request.query.get("$filter", "")):
            reply.refuse("Unrecognized 'Edm.DateTimeOffset' literal.")

    service.spoil = refuse_short
    with service.running():
        first = run_tap({"url": service.url})
        start = len(service.requests)
        table.row(Id=4)["LastModifiedDateTime"] = shown(service.now)[:19] + fraction + "Z"
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert len(latest(second)) < 20
    literals = [
        term.literal
        for request in service.requests[start:]
        for term in request.terms
        if term.name == "LastModifiedDateTime" and term.literal != "null"
    ]
    assert literals
    assert all(re.search(r":\d\d\.(\d{3}|\d{7})Z$", literal) for literal in literals), literals
    assert warnings(first) + warnings(second) == []


# What goes with it


def test_batch_files_hold_as_many_rows_as_batch_size_says(run_tap: RunTap, tmp_path: Path) -> None:
    service, _ = service_of(cap=5)
    batches = {
        "encoding": {"format": "jsonl", "compression": "none"},
        "storage": {"root": tmp_path.as_uri(), "prefix": ""},
    }
    with service.running():
        run = run_tap({"url": service.url, "batch_config": batches, "batch_size": 10})
    manifests = [m["manifest"] for m in run.messages if m["type"] == "BATCH"]
    files = list(itertools.chain.from_iterable(manifests))
    sizes = [
        len((tmp_path / file.rpartition("/")[2]).read_text("utf-8").splitlines()) for file in files
    ]
    assert sizes == [10, 10, 5]


def test_the_metric_of_a_stream_that_failed_says_so(run_tap: RunTap) -> None:
    service = Service(orders(), orders(name="Quiet"))

    def fail(request: Request, reply: Reply) -> None:
        if request.entity_set == "Orders":
            reply.refuse("You have insufficient rights to access the object.", 403)

    service.spoil = fail
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "Orders", "insufficient rights")
    assert metric(run, "sync_duration")["tags"]["status"] == "failed"
    assert metric(run, "sync_duration", "Quiet")["tags"]["status"] == "succeeded"
    failed = [line for line in lines(run, "METRIC") if '"failed"' in line]
    assert all('"stream":"Orders"' in line for line in failed)
    assert sum('"sync_duration"' in line for line in failed) == 1
