"""Where a small request works and a large one does not, the size is to blame, and nothing else."""

from __future__ import annotations

import typing as t

import pytest

from tests.field.orders import (
    assert_asks_as_usual,
    assert_bookmarked,
    assert_complete,
    assert_one_error,
    missed,
    orders,
    service_of,
    warnings,
)
from tests.field.service import Service

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request, Table

TOP = (
    "The limit of '{}' for Top query has been exceeded. "
    "The value from the incoming request is '{}'."
)
"""In the words of Microsoft's OData library."""


def pages(service: Service, name: str = "Orders") -> list[int]:
    """The sizes that were asked for, without small questions on the side."""
    return [r.top for r in service.asked(name) if r.top is not None and r.top > 2]


def over(most: int, spoil: Callable[[Request, Reply], None]) -> Callable[[Request, Reply], None]:
    """Spoil requests for more rows than that; one without ``$top`` is one for all."""

    def only(request: Request, reply: Reply) -> None:
        if request.top is None or request.top > most:
            spoil(request, reply)

    return only


def assert_only_the_size_was_given_up(run: TapRun, service: Service, table: Table) -> None:
    assert_complete(run, table)
    assert_bookmarked(run, table)
    assert_asks_as_usual(service, table.name)
    assert all(r.top is not None for r in service.asked(table.name))
    assert not any("select" in line or "order" in line.lower() for line in said(run))


def said(run: TapRun) -> list[str]:
    """The warnings, without the name of the stream."""
    return [line.replace("Orders", "") for line in warnings(run)]


@pytest.mark.parametrize("rows", [25, 250])
def test_the_limit_that_a_refusal_names_is_the_page_from_then_on(
    run_tap: RunTap, rows: int
) -> None:
    service, table = service_of(rows)
    service.spoil = over(100, lambda q, reply: reply.refuse(TOP.format(100, q.top)))
    with service.running():
        run = run_tap({"url": service.url})
    assert_only_the_size_was_given_up(run, service, table)
    sizes = pages(service)
    assert [size for size in sizes if size > 100] == [2000]
    assert 100 in sizes


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "The query specified in the URI is not valid. " + TOP.format(100, 2000)),
        (400, "Das Limit von '100' für die Top-Abfrage wurde überschritten."),
        (400, "Requested page size is greater than the maximum of 100"),
        (400, "Bad Request"),
        (413, "Request Entity Too Large"),
        (422, "top must be less than or equal to 100"),
        (501, "Page size not supported"),
        (403, "Too many rows requested"),
    ],
)
def test_a_page_that_is_refused_in_any_words_is_made_smaller(
    run_tap: RunTap, status: int, message: str
) -> None:
    service, table = service_of(120)
    service.spoil = over(100, lambda _, reply: reply.refuse(message, status))
    with service.running():
        run = run_tap({"url": service.url})
    assert_only_the_size_was_given_up(run, service, table)


DENIED = (
    "Denial Code 513. The system was unable to gather the data needed to complete the operation "
    "due to data size limits."
)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (502, "Bad Gateway"),
        (504, "Gateway Time-out"),
        (500, DENIED),
        (500, DENIED.replace("513", "510").replace("data size", "SQL timeout")),
        (503, "Service Unavailable"),
        (408, "Request Timeout"),
    ],
)
def test_a_page_that_fails_twice_is_made_smaller_and_stays_so(
    run_tap: RunTap, status: int, text: str
) -> None:
    service, table = service_of(300)
    service.spoil = over(200, lambda _, reply: reply.html(status, text))
    with service.running():
        run = run_tap({"url": service.url})
    assert_only_the_size_was_given_up(run, service, table)
    sizes = pages(service)
    worked = next(place for place, size in enumerate(sizes) if size <= 200)
    assert max(sizes[worked:]) <= 200
    assert all(sizes.count(size) <= 2 for size in set(sizes) if size > 200)


def test_a_connection_that_closes_on_large_pages_is_one_that_wants_small_ones(
    run_tap: RunTap,
) -> None:
    service, table = service_of(300)
    service.spoil = over(500, lambda _, reply: reply.close())
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 4})
    assert_only_the_size_was_given_up(run, service, table)
    sizes = pages(service)
    worked = next(place for place, size in enumerate(sizes) if size <= 500)
    assert max(sizes[worked:]) <= 500
    assert all(sizes.count(size) <= 2 for size in set(sizes) if size > 500)


def test_a_gateway_that_cuts_large_answers_off_gets_small_ones(run_tap: RunTap) -> None:
    service, table = service_of(300)

    def cut(_request: Request, reply: Reply) -> None:
        reply.cut_at = 16_384

    service.spoil = cut
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 4})
    assert_only_the_size_was_given_up(run, service, table)


def test_rows_that_grow_wide_late_shrink_the_page_when_they_are_met(run_tap: RunTap) -> None:
    service, table = service_of(120)
    for row in table.rows[80:]:
        row["Note"] = "wide " * 200

    def too_much(_request: Request, reply: Reply) -> None:
        if len(reply.encoded()) > 30_000:
            reply.html(502, "upstream sent too big an answer")

    service.spoil = too_much
    with service.running():
        run = run_tap({"url": service.url, "page_size": 60})
    assert_only_the_size_was_given_up(run, service, table)


def test_a_limit_is_met_once_and_not_by_each_page(run_tap: RunTap) -> None:
    service, table = service_of(250)
    service.spoil = over(50, lambda q, reply: reply.refuse(TOP.format(50, q.top)))
    with service.running():
        run = run_tap({"url": service.url})
    assert_only_the_size_was_given_up(run, service, table)
    assert len([size for size in pages(service) if size > 50]) <= 2
    assert len(service.requests) <= 15


@pytest.mark.parametrize("config", [{}, {"tracking_type": "none"}])
def test_a_limit_of_one_stream_leaves_the_others_their_pages(
    run_tap: RunTap, config: dict[str, str]
) -> None:
    limited, other = orders(120), orders(120, name="Zebra")
    service = Service(limited, other)

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "Orders":
            over(100, lambda q, r: r.refuse(TOP.format(100, q.top)))(request, reply)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, **config})
    assert missed(limited, run) == []
    assert missed(other, run) == []
    assert all(r.select for r in service.requests)


def test_what_a_small_page_does_not_mend_is_not_blamed_on_the_size(run_tap: RunTap) -> None:
    service, _ = service_of(300)
    service.spoil = lambda _, reply: reply.html(500, "Object reference not set")
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 3}, check=False)
    assert run.exit_code in {1, 3}
    assert_one_error(run, "Orders", "500", exit_code=run.exit_code)
    assert "page_size" not in run.errors
    assert len(service.requests) <= 12
