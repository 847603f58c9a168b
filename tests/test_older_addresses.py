"""Acumatica's two older addresses, through the command line."""

from __future__ import annotations

import typing as t

import pytest

from tap_acumatica.sandbox import Habits
from tests.sandbox_site import TENANT, assert_same, expected, settings, upserted

if t.TYPE_CHECKING:
    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox, RunTap, TapRun

STOCK = "IN_Stock_Items"
ZONE = "America/New_York"


def older(site: Sandbox, **others: t.Any) -> dict[str, t.Any]:
    return settings(site, interface="gi-legacy", page_size=10, **others)


def by_item(rows: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return sorted(rows, key=lambda row: str(row["InventoryID"]))


def bookmark_of(run: TapRun, stream: str) -> str:
    """The bookmark of a stream in the last STATE."""
    found: str = run.state["bookmarks"][stream]["partitions"][0]["replication_key_value"]
    return found


@pytest.mark.parametrize("zone", ["UTC", ZONE])
def test_inquiries_are_the_same_by_each_address_and_in_each_form(
    sandbox: MakeSandbox, run_tap: RunTap, zone: str
) -> None:
    site = sandbox(rows=60, habits=Habits(profile_zone=zone))
    chosen: dict[str, t.Any] = {"entity_sets": ["IN-Stock Items", "AR-Customers"]}
    newer = run_tap(settings(site, interface="gi", page_size=10, **chosen))
    for data_format in ("json", "atom"):
        config = older(site, data_format=data_format, time_zone=zone, **chosen)
        run = run_tap(config)
        for stream in (STOCK, "AR_Customers"):
            key = ("_tenant", "_key")
            assert upserted(run.records(stream), key) == upserted(newer.records(stream), key)
            assert bookmark_of(run, stream) == bookmark_of(newer, stream)
    forms = {r.headers["accept"] for r in site.requests if r.version == "3.0" and r.rows}
    assert forms == {"application/json", "application/atom+xml"}
    assert {record.query.get("$format") for record in site.requests} == {None, "json"}
    assert site.sessions_opened == site.sessions_closed == 3


@pytest.mark.parametrize("data_format", ["json", "atom"])
def test_only_changes_are_read_in_the_zone_of_the_profile(
    sandbox: MakeSandbox, run_tap: RunTap, data_format: str
) -> None:
    site = sandbox(rows=60, habits=Habits(profile_zone=ZONE, max_page=7, next_link="relative"))
    config = older(
        site,
        data_format=data_format,
        time_zone=ZONE,
        entity_sets=["IN-Stock Items"],
        time_offset=0,
    )
    first = run_tap(config)
    items = [row for row in site.rows(TENANT, "InventoryItem") if row["StkItem"]]
    assert len(first.records(STOCK)) == len(items)
    for item in items[:2]:
        key = {"InventoryID": item["InventoryID"]}
        site.update(TENANT, "InventoryItem", key, Descr="changed", LastModifiedDateTime=site.now())
    second = run_tap(config, state=first.state)
    changed = [row for row in second.records(STOCK) if row["Description"] == "changed"]
    assert {row["InventoryID"] for row in changed} == {row["InventoryCD"] for row in items[:2]}
    assert len(second.records(STOCK)) < 5
    asked = [r.query.get("$filter", "") for r in site.requests]
    assert any("datetime'" in text for text in asked)
    assert not any("Z" in text for text in asked if "datetime'" in text)


def test_a_site_that_does_not_look_at_accept_is_read_in_json(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=60, habits=Habits(json_by_accept=False))
    run = run_tap(older(site, entity_sets=["IN-Stock Items"]))
    assert run.records(STOCK)
    rows = [r for r in site.requests if r.rows and r.interface == "gi"]
    assert {r.query.get("$format") for r in rows} == {"json"}


@pytest.mark.parametrize("interface", ["gi-legacy", "dac-legacy"])
def test_no_tenant_is_needed_and_the_seat_is_given_back(
    sandbox: MakeSandbox, run_tap: RunTap, interface: str
) -> None:
    site = sandbox(rows=20, prefix="/ERP")
    config = {
        "url": site.url,
        "interface": interface,
        "username": "admin",
        "password": "secret",
        "entity_sets": ["IN-Stock Items", "InventoryItem"],
    }
    run = run_tap(config)
    rows = run.records(STOCK if interface == "gi-legacy" else "InventoryItem")
    assert rows
    assert not any("_tenant" in row for row in rows)
    assert site.sessions_opened == site.sessions_closed == 1


def test_classes_by_the_older_address_are_those_of_the_source(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=40)
    config = settings(site, interface="dac-legacy", page_size=10, entity_sets=["SOOrder"])
    run = run_tap(config)
    key = ("OrderType", "OrderNbr")
    assert_same(upserted(run.records("SOOrder"), key), expected(site, "SOOrder", key))
    roots = {r.path.rpartition("/")[0] for r in site.requests if r.method == "GET"}
    assert roots == {"/odatav4/Company"}


@pytest.mark.parametrize("root", ["odata/Company", "OData", "ODataV4/Calipso%20LLC"])
def test_whole_service_roots_are_taken_as_given(
    sandbox: MakeSandbox, run_tap: RunTap, root: str
) -> None:
    site = sandbox(rows=20)
    config = {
        "url": f"{site.url}/{root}",
        "interface": "gi-legacy",
        "username": "admin",
        "password": "secret",
        "entity_sets": ["IN-Stock Items", "InventoryItem"],
    }
    assert [m for m in run_tap(config).messages if m["type"] == "RECORD"]
    assert site.sessions_opened == site.sessions_closed == 1


@pytest.mark.parametrize("interface", ["gi-legacy", "dac-legacy"])
def test_an_address_of_an_older_interface_that_holds_nothing_is_named(
    sandbox: MakeSandbox, run_tap: RunTap, interface: str
) -> None:
    site = sandbox(rows=20)
    config = {"username": "admin", "password": "secret", "interface": interface}
    run = run_tap(config | {"url": f"{site.url}/Main"}, check=False)
    root = f"{site.url}/Main/odata{'v4' if interface == 'dac-legacy' else ''}"
    assert run.exit_code == 1
    assert f"there is no OData service at {root} (HTTP 404); check 'url'" in run.errors
    assert f"'interface', which decides what an address means: with {interface}" in run.errors


def test_inquiries_take_their_parameters_as_query_options(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=40)
    parameters = {"DB-StorageDetails": {"Warehouse": "MAIN"}}
    config = older(site, entity_sets=["DB-StorageDetails"], inquiry_parameters=parameters)
    rows = run_tap(config).records("DB_StorageDetails")
    assert rows
    assert {row["Warehouse"].strip() for row in rows} == {"MAIN"}


def test_a_refusal_in_xml_is_understood(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    habits = Habits(refuse_filter={"IN-Stock Items": 400}, gi_error_status=400)
    site = sandbox(rows=200, habits=habits)
    config = older(site, data_format="atom", entity_sets=["IN-Stock Items"])
    run = run_tap(config)
    items = [row for row in site.rows(TENANT, "InventoryItem") if row["StkItem"]]
    assert len({row["_key"] for row in run.records(STOCK)}) == len(items)
    assert "does not take" in run.errors


@pytest.mark.parametrize("data_format", ["json", "atom"])
def test_the_answer_of_another_tenant_is_refused(
    sandbox: MakeSandbox, run_tap: RunTap, data_format: str
) -> None:
    site = sandbox(rows=20, habits=Habits(serves_tenant="Calipso LLC"))
    config = older(site, data_format=data_format, entity_sets=["IN-Stock Items"])
    run = run_tap(config, check=False)
    assert run.exit_code == 1
    assert "the answer comes from tenant 'Calipso LLC'" in run.errors
    assert not run.records(STOCK)
