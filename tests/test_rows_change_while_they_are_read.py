"""What users lose money on: rows that change, come and go between the pages."""

from __future__ import annotations

import typing as t

import pytest

from tests.sandbox_site import TENANT, assert_same, expected, settings, upserted

if t.TYPE_CHECKING:
    from tests.conftest import MakeSandbox, RunTap

ORDER = ("OrderType", "OrderNbr")
HISTORY = ("LedgerID", "BranchID", "AccountID", "SubID", "FinPeriodID")


@pytest.mark.parametrize("max_page", [None, 7])
def test_after_the_next_run_no_row_is_missing(
    sandbox: MakeSandbox, run_tap: RunTap, max_page: int | None
) -> None:
    """At every boundary between two requests a row changes, one comes and one goes."""
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=80, habits=Habits(max_page=max_page))
    step = 0

    def work(record: t.Any) -> None:
        nonlocal step
        if record.entity != "SOOrder":
            return
        step += 1
        rows = site.rows(TENANT, "SOOrder")
        for position in (0, len(rows) // 2, len(rows) - 1):
            row = rows[position]
            site.update(TENANT, "SOOrder", {n: row[n] for n in ORDER}, OrderDesc=f"step {step}")
        site.insert(TENANT, "SOOrder", OrderType="AA", OrderNbr=f"N{step:05d}")
        gone = rows[(step * 7) % len(rows)]
        site.delete(TENANT, "SOOrder", {n: gone[n] for n in ORDER})

    stopped = {"work": False}

    def work_for_a_while(record: t.Any) -> None:
        if not stopped["work"] and step < 60:
            work(record)

    site.on_request(work_for_a_while)
    config = settings(site, page_size=10, entity_sets=["SOOrder"])
    first = run_tap(config)
    assert step > 5
    stopped["work"] = True
    second = run_tap(config, state=first.state)
    target = {
        **upserted(first.records("SOOrder"), ORDER),
        **upserted(second.records("SOOrder"), ORDER),
    }
    assert_same(target, expected(site, "SOOrder", ORDER))


def test_a_full_read_holds_every_row_that_was_there_all_the_time(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=80)
    key = tuple(
        run_tap(
            settings(site, entity_sets=["GLHistory"], tracking_type="none"), "--discover"
        ).document["streams"][0]["key_properties"][1:]
    )
    before = expected(site, "GLHistory", key)
    gone: set[t.Any] = set()

    def remove(record: t.Any) -> None:
        if record.entity == "GLHistory":
            row = site.rows(TENANT, "GLHistory")[0]
            gone.add(tuple(row[name] for name in key))
            site.delete(TENANT, "GLHistory", {name: row[name] for name in key})

    site.on_request(remove)
    run = run_tap(settings(site, page_size=7, tracking_type="none", entity_sets=["GLHistory"]))
    assert len(gone) > 3
    read = upserted(run.records("GLHistory"), key)
    assert set(before) - gone <= set(read)


def test_a_row_that_becomes_visible_late_is_read_by_the_next_run(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    """A long transaction: stamped before the run, committed behind where reading stands."""
    site = sandbox(rows=40)
    site.touch_random(TENANT, 5)
    row = site.rows(TENANT, "SOOrder")[3]
    site.habits.commit_delay = 3
    site.update(TENANT, "SOOrder", {n: row[n] for n in ORDER}, OrderDesc="late")
    site.habits.commit_delay = 0
    late = site.rows(TENANT, "SOOrder")[-1]
    site.update(TENANT, "SOOrder", {n: late[n] for n in ORDER}, OrderDesc="now")
    config = settings(site, entity_sets=["SOOrder"])
    first = run_tap(config)
    run_tap(config)  # so that the transaction is committed
    second = run_tap(config, state=first.state)
    target = {
        **upserted(first.records("SOOrder"), ORDER),
        **upserted(second.records("SOOrder"), ORDER),
    }
    assert target[tuple(row[n] for n in ORDER)]["OrderDesc"] == "late"
