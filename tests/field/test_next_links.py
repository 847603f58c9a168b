"""A next link says that there is more; where it leads may be nowhere."""

from __future__ import annotations

import typing as t

import pytest

from tests.field.orders import (
    assert_bookmarked,
    assert_complete,
    assert_one_error,
    order,
    service_of,
    value,
    warnings,
)
from tests.field.service import Service, Table, internal_host

if t.TYPE_CHECKING:
    from tests.conftest import RunTap
    from tests.field.service import Reply, Request

FULL = {"tracking_type": "none"}
NEXT = "@odata.nextLink"


@pytest.mark.parametrize("config", [{}, FULL])
def test_a_link_that_lacks_what_a_gateway_put_before_it_is_not_needed(
    run_tap: RunTap, config: dict[str, str]
) -> None:
    service, table = service_of(cap=10)
    service.path = "/gateway/erp/odata"
    with service.running():
        service.link_root = f"http://127.0.0.1:{service.port}/odata"
        run = run_tap({"url": service.url, **config})
    assert_complete(run, table)
    assert not any(target.startswith("/odata") for target in service.targets)
    assert warnings(run) == []


@pytest.mark.parametrize("config", [{}, FULL])
@pytest.mark.parametrize("address", ["127.0.0.2", "127.0.0.1"])
def test_a_host_that_a_link_names_is_never_contacted(
    run_tap: RunTap, config: dict[str, str], address: str
) -> None:
    service, table = service_of(cap=10)
    with service.running(), internal_host(address) as internal:
        service.link_root = f"http://{internal.name}/odata"
        run = run_tap({"url": service.url, **config})
    assert internal.contacts == 0
    assert_complete(run, table)
    if not config:
        assert_bookmarked(run, table)


@pytest.mark.parametrize("config", [{}, FULL])
@pytest.mark.parametrize("rows", ["without value", "empty"])
@pytest.mark.parametrize("spoilt", [{2}, {1, 2}, {3}])
def test_a_page_without_rows_is_a_page_without_rows(
    run_tap: RunTap, config: dict[str, str], rows: str, spoilt: set[int]
) -> None:
    """A service that filters behind its paging: nothing here, more behind the link."""
    service, table = service_of(cap=10)
    table.link = None
    pages = 0

    def spoil(request: Request, reply: Reply) -> None:
        nonlocal pages
        if "null" in request.query.get("$filter", "") and reply.rows == []:
            return
        pages += 1
        if pages in spoilt and reply.rows:
            reply.members[NEXT] = service.link_to_the_same(request)
            reply.rows = None if rows == "without value" else []

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, **config})
    assert_complete(run, table)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "Orders?$skiptoken=%%%",
        "https://[broken",
        "javascript:void(0)",
        "../../Orders?$skiptoken=10",
        "?$skiptoken=10",
        "http://erp.internal.example:8080/odata/Orders?$skiptoken=10",
        "//erp.internal.example/odata/Orders?$skiptoken=10",
        "{here}",
        "{root}/Orders?$skiptoken=gone",
        "{root}/Orders",
        "{root}/Orders?$filter=Id gt 10&$select=Note",
    ],
)
def test_rows_are_found_by_value_whatever_the_link_says(run_tap: RunTap, link: str) -> None:
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        if NEXT in reply.members:
            here = f"http://127.0.0.1:{service.port}{request.target}"
            reply.members[NEXT] = link.replace("{here}", here).replace("{root}", service.url)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert_bookmarked(run, table)
    assert warnings(run) == []


@pytest.mark.parametrize("link", [NEXT, "@nextLink"])
def test_a_link_on_the_last_page_leads_to_nothing(run_tap: RunTap, link: str) -> None:
    """Some services write one where the page is full, and some on every page."""
    service, table = service_of(20, cap=10)

    def spoil(_request: Request, reply: Reply) -> None:
        if reply.rows:
            reply.members[link] = f"{service.url}/Orders?$skiptoken=999"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert len(service.requests) <= 15


def test_a_link_that_is_null_is_none(run_tap: RunTap) -> None:
    service, table = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.members[NEXT] = None

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)


@pytest.mark.parametrize("status", [400, 404, 410, 500])
def test_a_token_that_the_service_has_forgotten_costs_nothing(run_tap: RunTap, status: int) -> None:
    """Tokens live in the memory of one of several servers behind one name."""
    service, table = service_of(cap=10)
    table.link = None

    def spoil(request: Request, reply: Reply) -> None:
        if "$skiptoken" in request.query:
            reply.refuse("The skip token is invalid or expired.", status)
            reply.headers["Retry-After"] = "0"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert_bookmarked(run, table)


# Where nothing can be sought by


def keyless(rows: int = 25) -> Table:
    """A view: no key, no stamp."""
    numbered = [order(number) for number in range(1, rows + 1)]
    columns = {"Note": "Edm.String", "Total": "Edm.Decimal"}
    table = Table(
        "Report", columns, [], [{name: row[name] for name in columns} for row in numbered]
    )
    table.cap, table.link = 10, None
    return table


def refuse_positions(request: Request, reply: Reply) -> None:
    """It pages by its own links only."""
    for option in ("$skip", "$orderby", "$filter"):
        if option in request.query and "$skiptoken" not in request.query:
            reply.refuse(f"The query option '{option}' is not supported.")


def test_links_are_followed_where_rows_cannot_be_found_otherwise(run_tap: RunTap) -> None:
    table = keyless()
    service = Service(table)
    service.spoil = refuse_positions
    with service.running():
        run = run_tap({"url": service.url})
    assert run.exit_code == 0, run.errors
    found = [tuple(value(record).values()) for record in run.records("Report")]
    assert sorted(set(found)) == sorted(tuple(row.values()) for row in table.rows)


@pytest.mark.parametrize("address", ["127.0.0.2", "127.0.0.1"])
def test_where_only_a_foreign_link_leads_on_the_stream_is_complete_or_says_so(
    run_tap: RunTap, address: str
) -> None:
    """The scheme, the host and the port are the ones that were configured, or it is an error."""
    table = keyless()
    service = Service(table)
    service.spoil = refuse_positions
    with service.running(), internal_host(address) as internal:
        service.link_root = f"http://{internal.name}/odata"
        run = run_tap({"url": service.url}, check=False)
    assert internal.contacts == 0
    if run.exit_code == 0:
        found = {tuple(value(record).values()) for record in run.records("Report")}
        assert found == {tuple(row.values()) for row in table.rows}
    else:
        assert_one_error(run, "Report", "link")


def test_links_that_lead_in_a_circle_end_in_an_error(run_tap: RunTap) -> None:
    table = keyless()
    service = Service(table)

    def spoil(request: Request, reply: Reply) -> None:
        refuse_positions(request, reply)
        if NEXT in reply.members and "$skiptoken" in request.query:
            reply.members[NEXT] = f"http://127.0.0.1:{service.port}{request.target}"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "Report", "link")
    assert len(service.requests) <= 30
