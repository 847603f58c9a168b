"""An answer that is none is an error of its stream alone, said in one line."""

from __future__ import annotations

import datetime as dt
import threading
import typing as t

import pytest

from tests.odata_service import (
    ODataService,
    Table,
    answer,
    broken_off,
    cut_off,
    once_more,
    with_next_link,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunTap
    from tests.odata_service import Answer

HTML = "<!DOCTYPE html><html><body>Sign In</body></html>"


def table(name: str) -> Table:
    began = dt.datetime(2024, 2, 28, tzinfo=dt.timezone.utc)
    return Table(
        name,
        {"Id": "Edm.Int32", "LastModified": "Edm.DateTimeOffset"},
        ["Id"],
        [
            {"Id": row, "LastModified": f"{began + dt.timedelta(seconds=row):%Y-%m-%dT%H:%M:%SZ}"}
            for row in range(40)
        ],
    )


@pytest.mark.parametrize("tracking_type", ["date", "none"])
def test_each_wrong_answer_fails_its_stream_in_one_line_and_no_other(
    run_tap: RunTap, tracking_type: str
) -> None:
    foreign = ODataService(table("Rows"))
    names = ["Empty", "Html", "CutOff", "Foreign", "Circle"]
    service = ODataService(table("AFirst"), *map(table, names), table("ZLast"))
    with service.running(), foreign.running():
        spoilt: dict[str, Callable[[Answer], Answer | None]] = {
            "Empty": answer(200, b""),
            "Html": answer(200, HTML, "text/html"),
            "CutOff": cut_off(),
            "Foreign": with_next_link(f"http://{foreign.host}/some/odata/Rows?$skiptoken=1"),
            "Circle": with_next_link(f"{service.url}/Circle?$orderby=Id&round=1"),
        }
        for name, spoil in spoilt.items():
            service.fail(name, spoil)
        result = run_tap(
            {"url": service.url, "page_size": 10, "max_retries": 1, "tracking_type": tracking_type},
            check=False,
        )
    assert result.exit_code == 1
    assert "Traceback" not in result.errors
    errors = [line for line in result.errors.splitlines() if "ERROR" in line]
    failed = [name for name in names if name in errors[-1]]
    assert {"Empty", "Html", "CutOff"} <= set(failed)
    for name in names:
        said = [line for line in errors[:-1] if f" {name}" in line]
        assert len(said) == (name in failed), name
        # Where rows are found by value, no link is needed.
        assert name in failed or {row["Id"] for row in result.records(name)} == set(range(40))
    assert len(errors) == len(failed) + 1
    warned = [line for line in result.errors.splitlines() if "WARNING" in line]
    assert all(" Circle" in line for line in warned)
    assert foreign.log == []
    for name in ("AFirst", "ZLast"):
        assert {row["Id"] for row in result.records(name)} == set(range(40))
        if tracking_type == "date":
            assert (
                result.state["bookmarks"][name]["replication_key_value"]
                == "2024-02-28T00:00:39.000000+00:00"
            )


@pytest.mark.parametrize(
    "spoil", [broken_off(), lambda _right: None], ids=["broken off", "closed without an answer"]
)
def test_a_stream_whose_answers_break_off_fails_alone(
    run_tap: RunTap, spoil: Callable[[Answer], Answer | None]
) -> None:
    service = ODataService(table("AFirst"), table("Bad"), table("ZLast"))
    service.fail("Bad", spoil)
    with service.running():
        result = run_tap({"url": service.url, "page_size": 10, "max_retries": 1}, check=False)
    assert result.exit_code == 1
    assert {row["Id"] for row in result.records("ZLast")} == set(range(40))
    assert "Bad" in result.errors.splitlines()[-1]
    assert "ZLast" not in result.errors.splitlines()[-1]


def test_a_stream_whose_answers_come_too_late_fails_alone(run_tap: RunTap) -> None:
    service = ODataService(table("AFirst"), table("Bad"), table("ZLast"))
    over = threading.Event()

    def late(right: Answer) -> Answer:
        over.wait(10)
        return right

    service.fail("Bad", late, unlocked=True)
    with service.running():
        config = {"url": service.url, "page_size": 10, "max_retries": 1, "timeout": 1}
        result = run_tap(config, check=False)
        over.set()
    assert result.exit_code == 3
    assert {row["Id"] for row in result.records("ZLast")} == set(range(40))


@pytest.mark.parametrize("tracking_type", ["date", "none"])
def test_a_page_that_repeats_itself_is_no_endless_read_and_no_loss(
    run_tap: RunTap, tracking_type: str
) -> None:
    service = ODataService(table("Again"), table("ZLast"))

    def first_rows() -> bytes:
        return next(body for body in service.bodies["Again"] if b'"Id"' in body)

    service.fail("Again", once_more(first_rows), page=3 if tracking_type == "date" else 2)
    with service.running():
        result = run_tap(
            {"url": service.url, "page_size": 10, "max_retries": 1, "tracking_type": tracking_type},
            check=False,
        )
    errors = [line for line in result.errors.splitlines() if "ERROR" in line]
    if result.exit_code:
        assert len(errors) == 2
        assert "Again" in errors[0]
    else:
        assert {row["Id"] for row in result.records("Again")} == set(range(40))
    assert {row["Id"] for row in result.records("ZLast")} == set(range(40))


def test_rows_read_before_a_failure_keep_their_bookmark_and_the_next_run_goes_on(
    run_tap: RunTap,
) -> None:
    service = ODataService(table("Rows"))
    service.fail("Rows", answer(200, HTML, "text/html"), page=5)
    with service.running():
        config = {
            "url": service.url,
            "page_size": 10,
            "batch_size": 5,
            "max_retries": 1,
            "time_offset": 0,
        }
        broken = run_tap(config, check=False)
        service.faults.clear()
        resumed = run_tap(config, state=broken.state)
    assert broken.exit_code == 1
    before = {row["Id"] for row in broken.records("Rows")}
    after = {row["Id"] for row in resumed.records("Rows")}
    assert before
    assert before | after == set(range(40))
    assert len(after) < 40


def test_a_passing_failure_is_tried_again(run_tap: RunTap) -> None:
    service = ODataService(table("Rows"))
    service.fail("Rows", answer(503, "busy"), page=3, times=1)
    with service.running():
        result = run_tap({"url": service.url, "page_size": 10, "max_retries": 3})
    assert {row["Id"] for row in result.records("Rows")} == set(range(40))
