"""Tenants that cannot be read, that come, go, or are written in another way."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.sandbox_site import OTHER, TENANT, settings

if t.TYPE_CHECKING:
    from tests.conftest import MakeSandbox, RunTap, TapRun

ORDERS = ["SOOrder"]
WRONG = {OTHER: {"username": "admin", "password": "not the one"}}


def lines(run: TapRun, level: str) -> list[str]:
    return [line for line in run.errors.splitlines() if level in line]


def read(run: TapRun, tenant: str) -> int:
    return sum(record["_tenant"] == tenant for record in run.records("SOOrder"))


# Discovery


def test_discovery_writes_the_catalog_of_the_tenants_that_can_be_read(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    config = settings(sandbox(rows=20), tenants=[TENANT, OTHER], entity_sets=ORDERS)
    run = run_tap({**config, "tenant_credentials": WRONG}, "--discover", check=False)
    assert run.exit_code == 1
    assert [entry["tap_stream_id"] for entry in run.document["streams"]] == ORDERS
    refused, summary = lines(run, "ERROR")
    assert f"'username' and 'password' of tenant '{OTHER}' in 'tenant_credentials'" in refused
    assert "the catalog of the others was written" in summary
    assert "take it out of 'tenants'" in summary


def test_discovery_that_reads_nothing_says_that_no_catalog_was_written(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    config = settings(sandbox(rows=20), tenants=[TENANT, OTHER], password="not the one")
    for tenants in ([TENANT], [TENANT, OTHER]):
        run = run_tap({**config, "tenants": tenants}, "--discover", check=False)
        assert run.exit_code == 4
        assert not run.output
        assert "no catalog was written, since" in lines(run, "ERROR")[-1]
        assert "set 'username' and 'password'" in run.errors


def test_a_password_of_one_tenant_and_a_user_of_all_are_told_apart(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    config = settings(sandbox(rows=20), tenants=[TENANT])
    own = {TENANT: {"password": "not the one"}}
    run = run_tap({**config, "tenant_credentials": own}, "--discover", check=False)
    own_place = f"'password' of tenant '{TENANT}' in 'tenant_credentials'"
    assert f"set 'username' and {own_place}" in run.errors


# Catalog and state


@pytest.fixture
def site(sandbox: MakeSandbox) -> dict[str, t.Any]:
    return settings(
        sandbox(rows=40),
        tenants=[TENANT],
        entity_sets=ORDERS,
        time_offset=0,
        daily_lookback_hours=0,
    )


def test_a_new_tenant_is_read_from_its_start_and_one_that_left_keeps_its_bookmark(
    run_tap: RunTap, site: dict[str, t.Any]
) -> None:
    catalog = run_tap(site, "--discover").document
    first = run_tap(site, catalog=catalog)
    both = run_tap({**site, "tenants": [TENANT, OTHER]}, catalog=catalog, state=first.state)
    alone = run_tap({**site, "tenants": [OTHER]}, catalog=catalog, state=both.state)
    assert 0 < read(both, TENANT) < read(first, TENANT) / 4
    assert read(both, OTHER) > read(both, TENANT)
    assert read(alone, OTHER) < read(both, OTHER)
    held = {p["context"]["_tenant"] for p in alone.state["bookmarks"]["SOOrder"]["partitions"]}
    assert held == {TENANT, OTHER}


def test_a_tenant_under_another_name_is_new_and_said_so(
    run_tap: RunTap, site: dict[str, t.Any]
) -> None:
    first = run_tap(site)
    run = run_tap({**site, "tenants": [OTHER]}, state=first.state)
    assert read(run, OTHER)
    assert [line for line in lines(run, "WARNING") if TENANT in line and OTHER in line]


def test_a_tenant_in_another_case_is_refused(run_tap: RunTap, site: dict[str, t.Any]) -> None:
    first = run_tap(site)
    run = run_tap({**site, "tenants": [TENANT.lower()]}, state=first.state, check=False)
    assert run.exit_code == 2
    assert not run.messages
    (said,) = lines(run, "ERROR")
    assert f"'{TENANT}'" in said
    assert f"'{TENANT.lower()}'" in said


@pytest.mark.parametrize("tenants", [[TENANT], [TENANT, OTHER]])
def test_a_bookmark_without_a_tenant_is_refused_where_tenants_are_set(
    run_tap: RunTap, site: dict[str, t.Any], tenants: list[str]
) -> None:
    held = {"replication_key": "LastModifiedDateTime", "replication_key_value": "2024-03-01"}
    state = {"bookmarks": {"SOOrder": held}}
    run = run_tap({**site, "tenants": tenants}, state=state, check=False)
    assert run.exit_code == 2
    assert "of a run without 'tenants'" in lines(run, "ERROR")[0]


def test_the_lowest_of_several_bookmarks_of_a_tenant_counts(
    run_tap: RunTap, site: dict[str, t.Any]
) -> None:
    first = run_tap(site)
    (own,) = first.state["bookmarks"]["SOOrder"]["partitions"]
    older = {**own, "replication_key_value": "2001-01-01T00:00:00Z"}
    mapped = {str(number): each for number, each in enumerate([own, older, own])}
    for given in ([own, older, own], mapped):
        state = {"bookmarks": {"SOOrder": {"partitions": given}}}
        run = run_tap(site, state=state)
        assert read(run, TENANT) == read(first, TENANT)
        assert [line for line in lines(run, "WARNING") if "the lowest bookmark counts" in line]
        assert len(run.state["bookmarks"]["SOOrder"]["partitions"]) == 1


def test_partitions_by_number_or_by_tenant_are_used(
    run_tap: RunTap, site: dict[str, t.Any]
) -> None:
    first = run_tap(site)
    (own,) = first.state["bookmarks"]["SOOrder"]["partitions"]
    bare = {name: value for name, value in own.items() if name != "context"}
    for given in ({"0": own}, {TENANT: bare}):
        run = run_tap(site, state={"bookmarks": {"SOOrder": {"partitions": given}}})
        assert 0 < read(run, TENANT) < read(first, TENANT) / 4


def test_a_catalog_made_without_tenants_gets_the_column_and_the_key(
    run_tap: RunTap, site: dict[str, t.Any]
) -> None:
    """Rows of two tenants with one key would overwrite each other."""
    catalog = run_tap(site, "--discover").document
    text = json.dumps(catalog).replace('"_tenant", ', "")
    without = json.loads(text)
    (entry,) = without["streams"]
    del entry["schema"]["properties"]["_tenant"]
    entry["metadata"] = [i for i in entry["metadata"] if "_tenant" not in i["breadcrumb"]]
    run = run_tap({**site, "tenants": [TENANT, OTHER]}, catalog=without)
    assert read(run, TENANT)
    assert read(run, OTHER)
    (schema,) = [message for message in run.messages if message["type"] == "SCHEMA"]
    assert schema["key_properties"] == ["_tenant", *entry["key_properties"]]
    assert schema["schema"]["properties"]["_tenant"]
    assert [line for line in lines(run, "WARNING") if "made without 'tenants'" in line]


def test_a_catalog_made_with_tenants_loses_them_where_none_are_set(
    run_tap: RunTap, site: dict[str, t.Any]
) -> None:
    catalog = run_tap(site, "--discover").document
    root = {**site, "url": f"{site['url']}/t/{TENANT}/api/odata/dac"}
    del root["tenants"]
    run = run_tap(root, catalog=catalog)
    (schema,) = [message for message in run.messages if message["type"] == "SCHEMA"]
    assert "_tenant" not in schema["key_properties"]
    assert schema["schema"]["properties"].keys() == run.records("SOOrder")[0].keys()
    assert [line for line in lines(run, "WARNING") if "made with 'tenants'" in line]
