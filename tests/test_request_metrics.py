"""What a stream's requests took: one metric each at its end, and a line that says who was slow."""

from __future__ import annotations

import contextlib
import io
import json
import re
import typing as t
from types import SimpleNamespace

import pytest
from typing_extensions import override

from tap_acumatica.singer import messages
from tap_acumatica.tap import TapAcumatica
from tests.field.orders import lines, orders, service_of
from tests.field.service import Service
from tests.sandbox_site import OTHER, TENANT, settings

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSandbox, RunTap, TapRun
    from tests.field.service import Reply, Request

COUNT, DURATION = "http_request_count", "http_request_duration"
ENDED = re.compile(
    r"(\w+)(?: of tenant '.*')? complete: ([\d,]+) rows in ([\d,]+) requests, ([\d.]+) s, "
    r".* rows/s \(waited ([\d.]+) s for the service(?: in (\d+) sessions)?, "
    r"([\d.]+) s for the target\)"
)
PAGES = {"page_size": 10, "max_retries": 2}


class Ended(t.NamedTuple):
    """What the line at a stream's end says."""

    stream: str
    rows: int
    requests: int
    seconds: float
    service: float
    sessions: int
    target: float


def points(errors: str, name: str) -> list[dict[str, t.Any]]:
    """The metrics of that name, in their order."""
    found = [json.loads(line.partition("METRIC: ")[2]) for line in lines_of(errors, "METRIC: ")]
    return [point for point in found if point["metric"] == name]


def lines_of(errors: str, text: str) -> list[str]:
    return [line for line in errors.splitlines() if text in line]


def ended(errors: str) -> list[Ended]:
    """The lines at the end of streams."""
    return [
        Ended(
            match[1],
            int(match[2].replace(",", "")),
            int(match[3].replace(",", "")),
            float(match[4]),
            float(match[5]),
            int(match[6] or 1),
            float(match[7]),
        )
        for match in ENDED.finditer(errors)
    ]


def assert_one_point_each(run: TapRun, service: Service) -> None:
    """Each stream has one point of each kind, and its count is what the service was asked."""
    counts, durations = points(run.errors, COUNT), points(run.errors, DURATION)
    assert {point["tags"]["stream"]: point["value"] for point in counts} == {
        name: len(service.asked(name)) for name in service.tables
    }
    assert [point["tags"]["stream"] for point in durations] == list(service.tables)
    assert len(counts) == len(service.tables)
    assert {point["type"] for point in counts} == {"counter"}
    assert {point["type"] for point in durations} == {"timer"}
    assert all(point["value"] > 0 for point in durations)


def test_each_stream_has_one_point_each_whatever_it_took(run_tap: RunTap) -> None:
    service = Service(orders(25), orders(3, name="Quiet"))
    with service.running():
        run = run_tap({"url": service.url, **PAGES})

    assert_one_point_each(run, service)
    assert len(service.asked("Orders")) > 2
    tags = points(run.errors, DURATION)[0]["tags"]
    assert isinstance(tags.pop("pid"), int)
    assert tags == {"stream": "Orders", "endpoint": "/Orders", "status": "succeeded"}
    assert {line.requests for line in ended(run.errors)} == {
        len(service.asked(name)) for name in service.tables
    }


def test_requests_that_were_tried_again_count(run_tap: RunTap) -> None:
    service, _ = service_of(25)

    def spoil(request: Request, reply: Reply) -> None:
        if request.number == 2:
            reply.refuse("Service Unavailable", 503)
            reply.headers["Retry-After"] = "0"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, **PAGES})

    assert_one_point_each(run, service)
    (line,) = ended(run.errors)
    assert (line.rows, line.requests) == (25, len(service.asked("Orders")))


def test_what_batch_files_took_is_measured_alike(run_tap: RunTap, tmp_path: Path) -> None:
    service = Service(orders(25), orders(3, name="Quiet"))
    storage = {"root": tmp_path.as_uri(), "prefix": ""}
    files = {"encoding": {"format": "jsonl"}, "storage": storage}
    with service.running():
        run = run_tap({"url": service.url, **PAGES, "batch_config": files})

    assert "BATCH" in {message["type"] for message in run.messages}
    assert_one_point_each(run, service)
    assert [line.rows for line in ended(run.errors)] == [25, 3]


def test_a_stream_that_fails_has_its_points_too_and_they_say_so(run_tap: RunTap) -> None:
    service = Service(orders(25), orders(3, name="Quiet"))

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "Orders" and request.number > 1:
            reply.refuse("no rights", 403)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, **PAGES}, check=False)

    assert run.exit_code == 1
    assert_one_point_each(run, service)
    assert [point["tags"]["status"] for point in points(run.errors, COUNT)] == [
        "failed",
        "succeeded",
    ]
    assert [line.stream for line in ended(run.errors)] == ["Quiet"]


def test_each_tenant_has_points_of_its_own_without_any_secret(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=30)
    header = {"name": "X-Key", "value": "hidden-in-a-header", "in": "header"}
    run = run_tap(
        settings(
            site,
            tenants=[TENANT, OTHER],
            entity_sets=["SOOrder"],
            page_size=10,
            secret_additional_properties=[header],
        )
    )

    asked = [record.set for record in site.requests if "SOOrder" in (record.set or "")]
    for name in (COUNT, DURATION):
        found = points(run.errors, name)
        assert [point["tags"]["context"] for point in found] == [
            {"_tenant": TENANT},
            {"_tenant": OTHER},
        ]
        assert {point["tags"]["endpoint"] for point in found} == {f"/{asked[0]}"}
    assert sum(point["value"] for point in points(run.errors, COUNT)) == len(asked)
    for text in ("hidden-in-a-header", "secret", "admin", "127.0.0.1"):
        assert not lines_of("\n".join(lines(run, "METRIC")), text)


def test_the_line_at_the_end_says_how_long_the_service_took(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=40, habits=Habits(delay_seconds=0.2))
    run = run_tap(settings(site, entity_sets=["SOOrder"], page_size=20))

    (line,) = ended(run.errors)
    assert line.service >= 0.19 * line.requests
    assert line.seconds >= line.service - 0.1
    assert line.target < 0.2
    assert line.sessions == 1
    (point,) = points(run.errors, DURATION)
    assert point["value"] == pytest.approx(line.service, abs=0.06)


def test_the_waits_of_several_sessions_add_up_and_the_line_says_so(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=1500, habits=Habits(delay_seconds=0.05))
    run = run_tap(settings(site, entity_sets=["SOOrder"], page_size=20, max_pool_size=4))

    (line,) = ended(run.errors)
    assert 1 < line.sessions <= site.most_sessions_open <= 4
    assert line.service >= 0.05 * line.requests


def test_the_line_at_the_end_says_how_long_the_target_took(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service, _ = service_of(30)
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(messages, "time", SimpleNamespace(monotonic=lambda: clock.now))

    class SlowTarget(io.BytesIO):
        @override
        def write(self, lines: t.Any) -> int:
            clock.now += 0.7
            return super().write(lines)

    caplog.set_level("INFO")
    with service.running(), contextlib.redirect_stdout(io.TextIOWrapper(SlowTarget())):
        tap = TapAcumatica(config={"url": service.url, "page_size": 10})
        try:
            tap.sync_streams()
        finally:
            tap.close()

    (line,) = ended(caplog.text)
    assert line.rows == 30
    assert line.target >= 0.7 * 3
