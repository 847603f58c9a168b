"""One probe condemns no ability: what is given up is what was refuted, twice, and there alone."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from tests.field.orders import (
    assert_asks_as_usual,
    assert_bookmarked,
    assert_complete,
    bookmark,
    latest,
    missed,
    orders,
    service_of,
    stamp,
    warnings,
)
from tests.field.service import Service, Table, instant, shown

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunTap
    from tests.field.service import Reply, Request

CLAUSES = (
    "The number of clauses in $orderby query option exceeded the maximum number allowed. "
    "The maximum number of $orderby clauses allowed is 5."
)


def answered_without(service: Service, request: Request, reply: Reply, *left_out: str) -> None:
    """Answer as if the terms of these operators were not there."""
    terms = [f"{t.name} {t.operator} {t.literal}" for t in request.terms if not drops(t, left_out)]
    query = {**request.query, "$filter": " and ".join(terms)}
    if not terms:
        del query["$filter"]
    right = service.answer(service.tables[request.entity_set], query)
    reply.rows, reply.members = right.rows, right.members


def drops(term: t.Any, left_out: tuple[str, ...]) -> bool:
    written = "null" if term.literal == "null" else "value"
    return f"{term.operator} {written}" in left_out


# Filters


@pytest.mark.parametrize("ignored", [("eq null", "ne null"), ("eq null",), ("ne null",)])
@pytest.mark.parametrize("cap", [None, 10])
def test_a_null_that_is_ignored_says_nothing_about_other_comparisons(
    run_tap: RunTap, ignored: tuple[str, ...], cap: int | None
) -> None:
    """Business Central does so."""
    service, table = service_of(cap=cap)
    service.spoil = lambda request, reply: answered_without(service, request, reply, *ignored)
    with service.running():
        first = run_tap({"url": service.url})
        table.row(Id=4)["LastModifiedDateTime"] = shown(service.now)
        start = len(service.requests)
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert instant(bookmark(first)) == instant(stamp(25))
    assert len(latest(second)) < 20
    terms = [term for request in service.requests[start:] for term in request.terms]
    assert any(term.operator in {"ge", "gt"} for term in terms)
    assert not any("$filter" in line for line in warnings(first) + warnings(second))


@pytest.mark.parametrize("status", [400, 500, 501])
def test_a_null_that_is_refused_says_nothing_about_other_comparisons(
    run_tap: RunTap, status: int
) -> None:
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        if "null" in request.query.get("$filter", ""):
            reply.refuse("Comparison with null is not supported.", status)
            reply.headers["Retry-After"] = "0"

    service.spoil = spoil
    with service.running():
        first = run_tap({"url": service.url, "max_retries": 2})
        table.row(Id=4)["LastModifiedDateTime"] = shown(service.now)
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert instant(bookmark(first)) == instant(stamp(25))
    assert len(latest(second)) < 20


@pytest.mark.parametrize("operators", [{"gt"}, {"lt", "le"}, {"eq"}])
def test_an_operator_that_is_refused_says_nothing_about_the_others(
    run_tap: RunTap, operators: set[str]
) -> None:
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        refused = operators & {term.operator for term in request.terms}
        if refused:
            reply.refuse(f"The operator '{refused.pop()}' is not supported.")

    service.spoil = spoil
    with service.running():
        first = run_tap({"url": service.url})
        table.row(Id=4)["LastModifiedDateTime"] = shown(service.now)
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert instant(bookmark(first)) == instant(stamp(25))
    assert len(latest(second)) < 20


@pytest.mark.parametrize("config", [{}, {"tracking_type": "none"}])
def test_two_comparisons_may_be_too_many_where_one_is_not(
    run_tap: RunTap, config: dict[str, str]
) -> None:
    service, table = service_of(cap=10)
    for row in table.rows[4:20]:
        row["LastModifiedDateTime"] = stamp(5)

    def spoil(request: Request, reply: Reply) -> None:
        if len(request.terms) > 1:
            reply.refuse("The node count limit of '3' has been exceeded.")

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, **config})
    assert_complete(run, table)


# Orders


def wide(rows: int) -> Table:
    keys = ["K1", "K2", "K3", "K4", "K5", "K6"]
    table = Table(
        "Adjustments",
        {
            **dict.fromkeys(keys, 'Edm.Int32 Nullable="false"'),
            "Note": "Edm.String",
            "LastModifiedDateTime": "Edm.DateTimeOffset",
        },
        keys,
    )
    for n in range(rows):
        key = dict(zip(keys, (1, n // 100, n // 50, n // 10, n // 5, n), strict=True))
        table.rows.append({**key, "Note": f"Row {n}", "LastModifiedDateTime": stamp(n // 3)})
    return table


@pytest.mark.parametrize("config", [{}, {"tracking_type": "none"}])
@pytest.mark.parametrize("clauses", [5, 3, 1])
def test_the_longest_order_that_is_taken_is_used(
    run_tap: RunTap, config: dict[str, str], clauses: int
) -> None:
    """The default of Microsoft's library is five; many keys are that long without a stamp."""
    table = wide(300)
    table.cap, table.link = 50, ""
    service = Service(table)

    def spoil(request: Request, reply: Reply) -> None:
        if len(request.orderby) > clauses:
            reply.refuse(CLAUSES.replace("5", str(clauses)))

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, **config})
    assert missed(table, run, key="K6") == []
    if not config:
        newest = run.state["bookmarks"]["Adjustments"]["replication_key_value"]
        assert instant(newest) == instant(stamp(99))
    lengths = [len(request.orderby) for request in service.requests]
    assert max(length for length in lengths if length <= clauses) == clauses
    assert len([length for length in lengths if length > clauses]) <= 8
    assert all(request.orderby and request.select for request in service.requests)


@pytest.mark.parametrize("what", ["desc", "two", "none but the key"])
def test_an_order_that_is_refused_leaves_those_that_are_taken(run_tap: RunTap, what: str) -> None:
    service, table = service_of(cap=10)

    def refused(request: Request) -> bool:
        order = request.orderby
        return {
            "desc": any(item.endswith(" desc") for item in order),
            "two": len(order) > 1,
            "none but the key": any(item.split(" ")[0] != "Id" for item in order),
        }[what]

    service.spoil = lambda q, reply: reply.refuse("Invalid order") if refused(q) else None
    with service.running():
        first = run_tap({"url": service.url})
        table.row(Id=4)["LastModifiedDateTime"] = shown(service.now)
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert instant(bookmark(first)) == instant(stamp(25))
    assert len(latest(second)) < 20


@pytest.mark.parametrize("option", ["$skip", "$count"])
def test_an_option_that_is_not_needed_may_be_refused(run_tap: RunTap, option: str) -> None:
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        if option in request.query:
            reply.refuse(f"The query option '{option}' is not supported.", 501)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert_bookmarked(run, table)


# Accidents


def refuse(reply: Reply) -> None:
    reply.refuse("The query specified in the URI is not valid.")


def refuse_as_unsupported(reply: Reply) -> None:
    reply.refuse("The method or operation is not implemented.", 501)


def say_nothing(reply: Reply) -> None:
    reply.body = ""


def restart(reply: Reply) -> None:
    reply.html(503, "The site is being published")


ACCIDENTS = [refuse, refuse_as_unsupported, say_nothing, restart]


@pytest.mark.parametrize("accident", ACCIDENTS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_was_refused_once_is_asked_again_before_anything_is_given_up(
    run_tap: RunTap, accident: Callable[[Reply], None], number: int
) -> None:
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        if request.number == number:
            accident(reply)
            reply.headers["Retry-After"] = "0"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert_bookmarked(run, table)
    assert_asks_as_usual(service)
    assert len(run.records("Orders")) == 25
    assert not any("the service" in line and "Orders" in line for line in warnings(run))


def test_an_order_that_was_broken_once_is_looked_at_again(run_tap: RunTap) -> None:
    """A row that changes between the two looks makes the order look broken."""
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        if any(item.endswith(" desc") for item in request.orderby) and not broken:
            broken.append(request)
            right = service.answer(table, {**request.query, "$orderby": ""})
            reply.rows = right.rows

    broken: list[Request] = []
    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert_bookmarked(run, table)
    assert not any("orderby" in line for line in warnings(run))


# Streams


@pytest.mark.parametrize("option", ["$filter", "$orderby", "$select", "$skip"])
def test_what_one_stream_does_not_take_is_not_given_up_for_the_others(
    run_tap: RunTap, option: str
) -> None:
    """Of one inquiry, formulas cannot be filtered by; the tables beside it are as usual."""
    odd, usual = orders(name="Formulas"), orders()
    odd.cap = usual.cap = 10
    service = Service(odd, usual)

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "Formulas" and option in request.query:
            reply.refuse(f"The query option '{option}' is not supported.")

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert missed(odd, run) == []
    assert_complete(run, usual)
    assert_bookmarked(run, usual)
    assert_asks_as_usual(service)
    assert not any("Orders" in line for line in warnings(run))


def test_a_stream_that_may_not_be_read_says_nothing_about_the_others(run_tap: RunTap) -> None:
    odd, usual = orders(name="Secret"), orders()
    service = Service(odd, usual)

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "Secret":
            reply.refuse("You have insufficient rights to access the object (Secret).", 403)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert run.exit_code == 1
    assert missed(usual, run) == []
    assert_bookmarked(run, usual)
    assert len(service.asked("Secret")) <= 3


def test_a_refusal_of_yesterday_is_no_refusal_of_today(run_tap: RunTap) -> None:
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        if any(item.startswith("LastModifiedDateTime") for item in request.orderby):
            reply.refuse("Invalid order")

    service.spoil = spoil
    with service.running():
        first = run_tap({"url": service.url})
        service.spoil = lambda _request, _reply: None
        service.now += dt.timedelta(hours=1)
        table.row(Id=4)["LastModifiedDateTime"] = shown(service.now)
        second = run_tap({"url": service.url}, state=first.state)
    assert missed(table, first, second) == []
    assert len(latest(second)) < 20
    assert not any("Orders:" in line for line in warnings(second))
