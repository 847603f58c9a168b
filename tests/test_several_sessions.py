"""`max_pool_size`: several sessions read at once, each by itself, and all seats are given back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import typing as t

import pytest

from tests.sandbox_site import OTHER, TENANT, assert_same, expected, settings, upserted

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSandbox, RunTap

ORDERS = {"entity_sets": ["SOOrder"], "page_size": 20}
ORDER_KEY = ("OrderNbr", "OrderType")


@pytest.mark.parametrize("tracking_type", ["date", "none"])
def test_a_large_stream_is_read_by_all_sessions_and_whole(
    tracking_type: str, sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=3000)
    chosen = ORDERS
    if tracking_type == "none":  # texts are divided only where it is known how they sort
        chosen = {**ORDERS, "entity_sets": ["CurrencyInfo"]}
    config = settings(site, **chosen, max_pool_size=4, tracking_type=tracking_type)
    run = run_tap(config)
    if tracking_type == "date":
        orders = upserted(run.records("SOOrder"), ORDER_KEY)
        assert_same(orders, expected(site, "SOOrder", ORDER_KEY))
    else:
        found = {row["CuryInfoID"] for row in run.records("CurrencyInfo")}
        assert len(found) == len(site.rows(TENANT, "CurrencyInfo"))
    assert 1 < site.most_sessions_open <= 4
    assert site.most_concurrent_requests == 1
    assert site.sessions_opened == site.sessions_closed
    if tracking_type == "date":
        again = run_tap(config, state=run.state)
        assert len(again.records("SOOrder")) < 50


def test_following_streams_are_begun_while_one_is_read(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    names = ["Ledger", "SOOrder", "Contact"]
    together = threading.Barrier(3, timeout=30)
    waited: set[str] = set()

    def wait_for_the_others(record: t.Any) -> float:
        if record.set not in waited:
            waited.add(record.set)
            together.wait()
        return 0.0

    site = sandbox(rows=40, habits=Habits(delay_seconds=wait_for_the_others))
    run = run_tap(settings(site, entity_sets=names, max_pool_size=3))
    assert not together.broken
    assert [len(run.records(name)) for name in names] == [
        len(site.rows(TENANT, name)) for name in names
    ]
    assert site.sessions_opened == site.sessions_closed == 3
    schemas = [m["stream"] for m in run.messages if m["type"] == "SCHEMA"]
    streams = [m["stream"] for m in run.messages if m["type"] == "RECORD"]
    assert list(dict.fromkeys(streams)) == schemas


def test_with_one_session_the_next_stream_is_asked_for_while_one_is_written(
    sandbox: MakeSandbox, tmp_path: Path
) -> None:
    site = sandbox(rows=800)
    asked = threading.Event()

    def look(record: t.Any) -> None:
        if record.set and record.set.endswith("_Vendor"):
            asked.set()

    site.on_request(look)
    path = tmp_path / "one.json"
    path.write_text(json.dumps(settings(site, entity_sets=["SOOrder", "Vendor"])))
    command = [sys.executable, "-m", "tap_acumatica", "--config", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        begun = asked.wait(60)  # nothing is taken from the pipe meanwhile
        lines = process.communicate(timeout=60)[0].splitlines()
    assert begun
    assert sum(line.startswith(b'{"type":"RECORD"') for line in lines) == sum(
        len(site.rows(TENANT, name)) for name in ("SOOrder", "Vendor")
    )
    assert site.sessions_opened == site.sessions_closed == 1
    assert site.most_concurrent_requests == 1


def test_one_session_is_enough_where_nothing_is_read_at_once(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=40)
    run_tap(settings(site, entity_sets=["Ledger"], max_pool_size=10))
    assert site.sessions_opened == site.sessions_closed == 1


def test_a_license_with_fewer_seats_is_put_up_with(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=3000, habits=Habits(seats=2))
    run = run_tap(settings(site, **ORDERS, max_pool_size=4))
    assert_same(upserted(run.records("SOOrder"), ORDER_KEY), expected(site, "SOOrder", ORDER_KEY))
    assert site.most_sessions_open == 2
    assert site.sessions_opened == site.sessions_closed
    assert "'max_pool_size'" in run.errors


@pytest.mark.parametrize("after", [3, 17, 60])
def test_a_run_killed_in_parallel_loses_no_row_and_no_seat(
    after: int, sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=3000)
    process: list[subprocess.Popen[str]] = []

    def terminate(record: t.Any) -> None:
        if record.total == after:
            process[0].send_signal(signal.SIGTERM)

    site.on_request(terminate)
    config = settings(site, **ORDERS, max_pool_size=4)
    path = tmp_path / "parallel.json"
    path.write_text(json.dumps(config))
    process.append(
        subprocess.Popen(
            [sys.executable, "-m", "tap_acumatica", "--config", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    output, errors = process[0].communicate(timeout=60)
    assert process[0].returncode == 128 + signal.SIGTERM, errors
    messages = [json.loads(line, parse_float=str) for line in output.splitlines()]
    assert site.sessions_opened == site.sessions_closed
    states = [m["value"] for m in messages if m["type"] == "STATE"]
    records = [m["record"] for m in messages if m["type"] == "RECORD"]
    rest = run_tap(config, state=states[-1] if states else {})
    held = upserted([*records, *rest.records("SOOrder")], ORDER_KEY)
    assert_same(held, expected(site, "SOOrder", ORDER_KEY))


def test_sessions_are_of_their_tenant(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=600)
    run = run_tap(settings(site, **ORDERS, tenants=[TENANT, OTHER], max_pool_size=3))
    for tenant in (TENANT, OTHER):
        rows = [r for r in run.records("SOOrder") if r["_tenant"] == tenant]
        assert_same(upserted(rows, ORDER_KEY), expected(site, "SOOrder", ORDER_KEY, tenant))
    assert site.sessions_opened == site.sessions_closed <= 6
