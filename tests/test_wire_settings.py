"""Settings of the wire, through the command line: what is sent, what is told, what is kept."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote_plus

import pytest

from tests.odata_service import ODataService
from tests.sandbox_site import TENANT, settings
from tests.test_any_odata_service import ledger

if t.TYPE_CHECKING:
    from tests.conftest import MakeSandbox, RunTap

HUSH = "hu$h/hu+sh"
REQUEST = re.compile(r"(GET|POST) (/\S*) (\d{3}) (\d+) ms (\d+) bytes")


def test_additional_properties_go_with_each_request(run_tap: RunTap) -> None:
    service = ODataService(ledger())
    service.page_limit = 7
    with service.running():
        config = {
            "url": service.url,
            "locale": "French (Canada)",
            "additional_properties": [
                {"name": "X-Caller", "value": "warehouse", "in": "header"},
                {"name": "company", "value": "A & B", "in": "query"},
            ],
            "secret_additional_properties": [
                {"name": "Ocp-Apim-Subscription-Key", "value": HUSH, "in": "header"},
                {"name": "key", "value": HUSH, "in": "query"},
            ],
            "verbosity": 5,
        }
        run = run_tap(config, "--discover")
        run = run_tap(config, catalog=run.document)
    assert len(run.records("Ledger")) == 60
    assert len(service.log) > 10
    for request in service.log:
        assert request.query["company"] == "A & B"
        assert request.query["key"] == HUSH
        assert request.headers["X-Caller"] == "warehouse"
        assert request.headers["Ocp-Apim-Subscription-Key"] == HUSH
        assert request.headers["Accept-Language"] == "fr-CA"
    assert HUSH not in unquote_plus(run.output + run.errors)


def test_a_secret_that_the_service_repeats_in_an_error_is_not_shown(run_tap: RunTap) -> None:
    service = ODataService(ledger())
    service.refuse(
        "Ledger",
        "key",
        400,
        f'{{"error":{{"message":"bad query key={HUSH}, key=hu%24h%2Fhu%2Bsh"}}}}',
    )
    with service.running():
        run = run_tap(
            {
                "url": service.url,
                "secret_additional_properties": [{"name": "key", "value": HUSH, "in": "query"}],
                "verbosity": 5,
            },
            check=False,
        )
    assert run.exit_code == 1
    assert "bad query key=***" in run.errors
    assert HUSH not in unquote_plus(run.output + run.errors)


@pytest.mark.parametrize("verbosity", [1, 2, 3, 4, 5])
def test_each_request_is_told_from_verbosity_3_on(
    sandbox: MakeSandbox, run_tap: RunTap, verbosity: int
) -> None:
    site = sandbox(rows=40)
    config = settings(site, entity_sets=["SOOrder"], page_size=10, verbosity=verbosity)
    run = run_tap(config)
    orders = run.records("SOOrder")
    told = REQUEST.findall(run.errors) if verbosity == 3 else re.findall("GET /", run.errors)
    assert len(told) == (len(site.requests) if verbosity == 3 else 0) or verbosity > 3
    assert ("what changed by LastModifiedDateTime, else sorted by" in run.errors) is (verbosity > 1)
    assert ("rows are decoded column by column, behind" in run.errors) is (verbosity > 1)
    assert ("s behind this machine's" in run.errors or "s ahead of" in run.errors) is (
        verbosity > 1
    )
    assert ("$filter=LastModifiedDateTime ge …" in run.errors) is (verbosity > 3)
    assert ("sent Authorization: …" in run.errors) is (verbosity > 4)
    assert ("sent Cookie: …" in run.errors) is (verbosity > 4)
    for hidden in ("secret", "YWRtaW46c2VjcmV0", ".ASPXAUTH", orders[0]["OrderNbr"]):
        assert hidden not in run.errors
    if verbosity == 3:
        assert {method for method, *_ in told} == {"GET", "POST"}
        assert {path for _, path, *_ in told} >= {
            f"/t/{TENANT}/api/odata/dac/$metadata",
            "/entity/auth/logout",
        }


def test_nothing_of_an_address_is_logged_at_debug_either(
    sandbox: MakeSandbox, run_tap: RunTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAP_ACUMATICA_LOGLEVEL", "DEBUG")
    site = sandbox(rows=40)
    run = run_tap(
        settings(
            site,
            entity_sets=["SOOrder"],
            page_size=10,
            tracking_type="none",
            secret_additional_properties=[{"name": "key", "value": HUSH, "in": "query"}],
        )
    )
    assert "DEBUG" in run.errors
    assert HUSH not in unquote_plus(run.errors)
    assert run.records("SOOrder")[0]["OrderNbr"] not in run.errors


def test_without_pooling_each_request_signs_out(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=40)
    run = run_tap(settings(site, entity_sets=["SOOrder"], page_size=10, pooling=False))
    assert len(run.records("SOOrder")) == len(site.rows(TENANT, "SOOrder"))
    asked = [record for record in site.requests if record.method == "GET"]
    assert len(asked) > 5
    assert site.sessions_opened == site.sessions_closed == len(asked)
    assert all(record.headers["connection"] == "close" for record in asked)


@pytest.mark.parametrize(("seconds", "kept"), [(60, True), (0, False)])
def test_connections_are_kept_as_long_as_pool_idle_timeout_says(
    run_tap: RunTap, seconds: int, *, kept: bool
) -> None:
    service = ODataService(ledger())
    with service.running():
        run = run_tap({"url": service.url, "page_size": 7, "pool_idle_timeout": seconds})
    assert len(run.records("Ledger")) == 60
    assert (service.connections < 3) is kept
    assert (service.connections == len(service.log)) is not kept


@pytest.mark.parametrize("links", ["token", "skip"])
@pytest.mark.parametrize("tracking", ["date", "none"])
def test_without_client_side_paging_only_the_links_are_followed(
    run_tap: RunTap, links: t.Literal["token", "skip"], tracking: str
) -> None:
    service = ODataService(ledger())
    service.page_limit, service.links, service.relative = 7, links, True
    config = {"client_side_paging": False, "tracking_type": tracking, "time_offset": 0}
    with service.running():
        first = run_tap({"url": service.url, **config})
        service.log.clear()
        second = run_tap({"url": service.url, **config}, state=first.state)
    assert len({row["Entry"] for row in first.records("Ledger")}) == 60
    pages = [request for request in service.requests("Ledger") if "$skiptoken" in request.query]
    assert bool(pages) is (links == "token" and tracking == "none")
    assert len(second.records("Ledger")) == (1 if tracking == "date" else 60)
