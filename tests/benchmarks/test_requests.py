"""The proxy that counts what a tap asks for, and what the benchmark makes of it."""

from __future__ import annotations

import typing as t

import pytest
import requests

from benchmarks.floor import Run, Stream, purpose
from benchmarks.proxy import Asked, CountingProxy, Kind, by_name, classify, counting, counts
from tap_acumatica.sandbox import Habits, Sandbox

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = "/t/Company/api/odata/dac"
ORDERS = f"{ROOT}/PX_Objects_SO_SOOrder"
SIGN_IN = ("admin", "secret")


@pytest.fixture(scope="module")
def site() -> Iterator[Sandbox]:
    with Sandbox(100, habits=Habits(max_page=40, next_link="absolute")) as found:
        yield found


@pytest.fixture
def proxy(site: Sandbox) -> Iterator[CountingProxy]:
    site.reset_log()
    with counting(site.url, ROOT) as found:
        yield found


@pytest.mark.parametrize(
    ("method", "target", "kind", "name"),
    [
        ("GET", f"{ORDERS}?$top=5", Kind.ROWS, "PX_Objects_SO_SOOrder"),
        ("GET", f"{ROOT}/AR-Open%20Documents", Kind.ROWS, "AR-Open Documents"),
        ("GET", f"{ROOT}/Sales_WithParameters(Site='A%2FB')", Kind.ROWS, "Sales_WithParameters"),
        ("GET", f"{ROOT}/$metadata", Kind.METADATA, f"{ROOT}/$metadata"),
        ("GET", f"{ROOT}/%24metadata", Kind.METADATA, f"{ROOT}/$metadata"),
        ("POST", "/entity/auth/logout", Kind.SIGN_OUT, "/entity/auth/logout"),
        ("POST", "/erp/Entity/Auth/Logout", Kind.SIGN_OUT, "/erp/Entity/Auth/Logout"),
        ("GET", f"{ROOT}/", Kind.OTHER, f"{ROOT}/"),
        ("GET", ROOT, Kind.OTHER, ROOT),
        ("GET", "/t/Other/api/odata/dac/SOOrder", Kind.OTHER, "/t/Other/api/odata/dac/SOOrder"),
        ("POST", "/identity/connect/token", Kind.OTHER, "/identity/connect/token"),
    ],
)
def test_a_request_is_classified_by_method_and_path(
    method: str, target: str, kind: Kind, name: str
) -> None:
    asked = classify(method, target, ROOT)
    assert (asked.kind, asked.name) == (kind, name)


def test_proxy_counts_each_request_by_kind_and_entity_set(
    site: Sandbox, proxy: CountingProxy
) -> None:
    with requests.Session() as session:
        session.auth = SIGN_IN
        session.get(f"{proxy.url}{ROOT}/$metadata", timeout=10).raise_for_status()
        for skip in (0, 30):
            session.get(f"{proxy.url}{ORDERS}?$top=30&$skip={skip}", timeout=10).raise_for_status()
        assert session.get(f"{proxy.url}{ROOT}/Nothing", timeout=10).status_code == 404
        session.post(f"{proxy.url}/entity/auth/logout", timeout=10).raise_for_status()
    asked = proxy.take()
    assert counts(asked) == {Kind.ROWS: 3, Kind.METADATA: 1, Kind.SIGN_OUT: 1, Kind.OTHER: 0}
    rows = by_name(asked)
    assert [str(one) for one in rows["PX_Objects_SO_SOOrder"]] == [
        "$top=30 $skip=0",
        "$top=30 $skip=30",
    ]
    assert [one.status for one in rows["Nothing"]] == [404]
    assert len(site.requests) == len(asked)
    assert (site.sessions_opened, site.sessions_closed) == (1, 1), "cookies pass both ways"
    assert proxy.take() == []


def test_proxy_forwards_answers_unchanged(site: Sandbox, proxy: CountingProxy) -> None:
    headers = {"Host": "site.example"}
    for target in (f"{ORDERS}?$top=50", f"{ORDERS}?$top=1", f"{ROOT}/$metadata", f"{ROOT}/No"):
        plain, passed = (
            requests.get(url + target, auth=SIGN_IN, headers=headers, timeout=10, stream=True)
            for url in (site.url, proxy.url)
        )
        with plain, passed:
            bodies = [answer.raw.read(decode_content=False) for answer in (plain, passed)]
        assert passed.status_code == plain.status_code
        assert bodies[1] == bodies[0]
        assert passed.headers.keys() == plain.headers.keys()
        for name in plain.headers.keys() - {"Date", "Set-Cookie"}:
            assert passed.headers[name] == plain.headers[name], name


def test_links_lead_back_to_the_proxy(proxy: CountingProxy) -> None:
    with requests.Session() as session:
        session.auth = SIGN_IN
        url, pages = f"{proxy.url}{ORDERS}", 0
        while url:
            assert url.startswith(proxy.url)
            answer = session.get(url, timeout=10).json()
            url, pages = answer.get("@odata.nextLink"), pages + 1
    assert pages == 3
    assert len(by_name(proxy.take())["PX_Objects_SO_SOOrder"]) == 3


def test_requests_without_an_answer_are_counted_too(site: Sandbox, proxy: CountingProxy) -> None:
    site.habits.drop_connection_on = lambda _: True
    try:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{proxy.url}{ORDERS}?$top=3", auth=SIGN_IN, timeout=10)
    finally:
        site.habits.drop_connection_on = ()
    assert [one.status for one in proxy.take()] == [0]


@pytest.mark.parametrize(
    ("rows", "tracked", "first", "again"),
    [
        (0, True, 1, 1),
        (2000, True, 1, 1),
        (2001, True, 2, 1),
        (5000, True, 3, 1),
        (0, False, 1, 1),
        (5000, False, 3, 3),
    ],
)
def test_the_least_is_a_request_per_page_or_per_unchanged_stream(
    rows: int, *, tracked: bool, first: int, again: int
) -> None:
    stream = Stream("Order", "Order", tracked=tracked, rows=rows)
    assert stream.floor(changed=True) == first
    assert stream.floor(changed=False) == again


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "page"),
        ("$orderby=A&$top=2000", "page"),
        ("$filter=A ge 5&$orderby=A&$top=2001", "page"),
        ("$top=2000&$skip=1999", "page"),
        ("$filter=A eq null&$top=2000", "null"),
        ("$filter=A ge 5 and A lt 6&$top=2000", "group"),
        ("$filter=A eq 5 and B ge 7&$top=2001", "group"),
        ("$orderby=A desc,B desc&$top=2", "reverse"),
        ("$filter=A le 'x'&$orderby=A desc&$top=1", "other side"),
        ("$orderby=A&$top=2&$skip=1092", "position"),
        ("$filter=A eq 5&$top=1", "few rows"),
    ],
)
def test_the_purpose_of_a_request_shows_in_its_form(query: str, expected: str) -> None:
    assert purpose(classify("GET", f"{ORDERS}?{query}", ROOT)) == expected


def test_the_breakdown_names_streams_above_the_least_and_their_requests() -> None:
    asked = [
        Asked(Kind.METADATA, "$metadata"),
        Asked(Kind.ROWS, "Order", {"$top": "2000"}, 200),
        Asked(Kind.ROWS, "Line", {"$top": "2000"}, 200),
        Asked(Kind.ROWS, "Line", {"$orderby": "ID desc", "$top": "2"}, 503),
        Asked(Kind.ROWS, "Foreign", {}, 200),
    ]
    streams = [
        Stream(name, name, tracked=True, rows=rows) for name, rows in (("Order", 5), ("Line", 7))
    ]
    run = Run("first load", streams, asked)
    assert (run.floor, run.goal) == (2, 7)
    assert run.breakdown() == [
        "Line, 7 rows: 2 for 1",
        "  page: $top=2000",
        "  503 reverse: $orderby=ID desc $top=2",
        "Foreign, no stream: 1",
        "  page: no options",
    ]
    assert run.summary() == "4 for rows (page: 3, reverse: 1), metadata: 1"
