"""Columns of a service that bear the names that the tap, or the targets, use themselves."""

from __future__ import annotations

import gzip
import json
import typing as t
from urllib.parse import urlsplit

import pytest

from tests.field.orders import COLUMNS, order, schema, warnings
from tests.field.service import Service, Table

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RunTap, TapRun

NAMES = ("_tenant", "_key", "_sdc_deleted_at", "_sdc_extracted_at", "_SDC_Batched_At")


def service_with(*names: str, path: str = "/odata", key: tuple[str, ...] = ("Id",)) -> Service:
    columns = {**COLUMNS, **dict.fromkeys(names, 'Edm.String Nullable="false"')}
    rows = [{**order(n), **{name: f"{name} {n}" for name in names}} for n in range(1, 6)]
    return Service(Table("Orders", columns, key, rows), path=path)


def assert_each_value_came(rows: list[dict[str, t.Any]], *names: str) -> None:
    assert len(rows) == 5
    for row in rows:
        assert {f"{name} {row['Id']}" for name in names} <= set(map(str, row.values())), row


def tenants_of(service: Service) -> dict[str, t.Any]:
    root = urlsplit(service.url)
    return {
        "url": f"{root.scheme}://{root.netloc}",
        "interface": "gi",
        "tenants": ["A"],
        "username": "admin",
        "password": "secret",
    }


def said_once(run: TapRun) -> bool:
    return len([line for line in warnings(run) if "under other names" in line]) == 1


def test_without_a_column_of_its_own_the_tap_keeps_the_names(run_tap: RunTap) -> None:
    service = service_with("_tenant", "_key", key=("_key",))
    with service.running():
        run = run_tap({"url": service.url})
    assert schema(run)["key_properties"] == ["_key"]
    for row in run.records("Orders"):
        assert (row["_key"], row["_tenant"]) == (f"_key {row['Id']}", f"_tenant {row['Id']}")


def test_what_targets_would_overwrite_has_another_name(run_tap: RunTap) -> None:
    service = service_with(*NAMES)
    with service.running():
        config = {"url": service.url}
        run = run_tap(config)
        again = run_tap(config, catalog=run_tap(config, "--discover").document, state=run.state)
    assert_each_value_came(run.records("Orders"), *NAMES)
    assert run.records("Orders")[0]["service_sdc_extracted_at"]
    assert not [name for name in run.records("Orders")[0] if name.lower().startswith("_sdc_")]
    assert said_once(run)
    assert said_once(again)
    assert schema(again)["schema"]["properties"].keys() == run.records("Orders")[0].keys()


@pytest.mark.parametrize("name", ["_tenant", "_Tenant"])
def test_with_tenants_both_columns_are_there(run_tap: RunTap, name: str) -> None:
    service = service_with(name, "_key", path="/t/A/api/odata/gi")
    with service.running():
        config = tenants_of(service)
        catalog = run_tap(config, "--discover").document
        run = run_tap(config, catalog=catalog)
    rows = run.records("Orders")
    assert_each_value_came(rows, name, "_key")
    assert {row["_tenant"] for row in rows} == {"A"}
    assert schema(run)["key_properties"][0] == "_tenant"
    assert len({tuple(row[n] for n in schema(run)["key_properties"]) for row in rows}) == 5
    assert said_once(run)


def test_a_hashed_key_leaves_the_services_column_alone(run_tap: RunTap) -> None:
    service = service_with("_key")
    for row in service.tables["Orders"].rows:
        row["Total"] = None
    with service.running():
        run = run_tap({"url": service.url, "tracking_type": "none", "keys": {"Orders": []}})
    rows = run.records("Orders")
    assert_each_value_came(rows, "_key")
    assert schema(run)["key_properties"] == ["_key"]
    assert len({row["_key"] for row in rows}) == 5
    assert not any(str(row["_key"]).startswith("_key ") for row in rows)


def test_rows_that_are_numbered_keep_the_services_column(run_tap: RunTap) -> None:
    service = service_with("_key")
    for row in service.tables["Orders"].rows:
        row["LastModifiedDateTime"] = order(1)["LastModifiedDateTime"]
    service.tables["Orders"].key = ("LastModifiedDateTime",)
    with service.running():
        config = {"url": service.url, "tracking_type": "none", "keys": {"Orders": []}}
        run = run_tap(config)
    rows = run.records("Orders")
    assert_each_value_came(rows, "_key")
    assert len({row["_key"] for row in rows}) == 5


def test_batch_files_hold_the_same(run_tap: RunTap, tmp_path: Path) -> None:
    service = service_with(*NAMES)
    files = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri(), "prefix": "part-"},
    }
    with service.running():
        run = run_tap({"url": service.url, "batch_config": files})
    held = [
        json.loads(line)
        for path in sorted(tmp_path.glob("part-*"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    assert_each_value_came(held, *NAMES)
    assert {*held[0]} == {*schema(run)["schema"]["properties"]}


def test_the_time_of_deletion_and_a_column_of_that_name_are_both_there(run_tap: RunTap) -> None:
    service = service_with("_sdc_deleted_at")
    table = service.tables["Orders"]
    table.columns["DeletedDatabaseRecord"] = "Edm.Boolean"
    table.attributes["DeletedDatabaseRecord"] = ""
    for row in table.rows:
        row["DeletedDatabaseRecord"] = row["Id"] == 3
    with service.running():
        run = run_tap({"url": service.url, "deleted_records": "soft"})
    rows = run.records("Orders")
    assert_each_value_came(rows, "_sdc_deleted_at")
    assert [row["Id"] for row in rows if row["_sdc_deleted_at"]] == [3]


def test_changes_may_be_read_by_a_column_that_has_another_name(run_tap: RunTap) -> None:
    """A warehouse that a Singer target loaded is offered over OData."""
    service = service_with()
    table = service.tables["Orders"]
    table.columns["_sdc_batched_at"] = "Edm.DateTimeOffset"
    table.attributes["_sdc_batched_at"] = ""
    for row in table.rows:
        row["_sdc_batched_at"] = row["LastModifiedDateTime"]
    with service.running():
        config = {
            "url": service.url,
            "tracking_fields": ["_sdc_batched_at"],
            "time_offset": 0,
            "daily_lookback_hours": 0,
        }
        catalog = run_tap(config, "--discover").document
        first = run_tap(config, catalog=catalog)
        second = run_tap(config, catalog=catalog, state=first.state)
    assert first.state["bookmarks"]["Orders"]["replication_key"] == "service_sdc_batched_at"
    assert len(first.records("Orders")) == 5
    assert [row["Id"] for row in second.records("Orders")] == [5]
