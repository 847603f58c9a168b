"""Generic inquiries as streams, through the command line."""

from __future__ import annotations

import typing as t

from tests.sandbox_site import settings

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSandbox, RunTap


def test_titles_become_safe_names_that_do_not_collide(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    catalog = run_tap(settings(site, interface="gi"), "--discover").document
    names = [entry["tap_stream_id"] for entry in catalog["streams"]]
    assert {"AR_Customers", "CR_Customers", "AR_Open_Documents", "AP_Open_Documents"} <= set(names)
    assert not any(character in name for name in names for character in "-. ")


def test_inquiries_are_keyed_by_a_hash_of_keys_that_may_be_null(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=60)
    config = settings(
        site, interface="gi", page_size=10, entity_sets=["BI-ARInvoices", "Customer Contacts"]
    )
    catalog = run_tap(config, "--discover").document
    assert [e["key_properties"] for e in catalog["streams"]] == [["_tenant", "_key"]] * 2
    run = run_tap(config, catalog=catalog)
    for stream in ("BI_ARInvoices", "Customer_Contacts"):
        keys = [record["_key"] for record in run.records(stream)]
        assert len(keys) == len(set(keys)) > 0
    again = run_tap(config, catalog=catalog)
    assert {r["_key"] for r in again.records("BI_ARInvoices")} == {
        r["_key"] for r in run.records("BI_ARInvoices")
    }


def test_keys_that_are_no_result_columns_are_never_filtered_by(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=60)
    run_tap(
        settings(
            site, interface="gi", page_size=10, entity_sets=["BI-ARInvoices", "AR-Open Documents"]
        )
    )
    filters = " ".join(record.query.get("$filter", "") for record in site.requests)
    assert "ContractCD" not in filters
    assert "TermsID" not in filters


def test_an_inquiry_with_parameters_is_refused_without_them(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(site, interface="gi", entity_sets=["DB-StorageDetails", "AR-Customers"])
    discovered = run_tap(config, "--discover")
    assert "Warehouse (Edm.String)" in discovered.errors
    assert run_tap(config).records("DB_StorageDetails") == []
    for entry in discovered.document["streams"]:
        entry["metadata"][-1]["metadata"]["selected"] = True
    catalog = discovered.document
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = True
    run = run_tap(config, catalog=catalog, check=False)
    assert run.exit_code == 1
    assert "DB_StorageDetails has parameters" in run.errors
    assert "inquiry_parameters" in run.errors
    assert run.records("AR_Customers")
    assert not run.records("DB_StorageDetails")


def test_an_inquiry_with_parameters_is_read_by_its_function(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=60)
    config = settings(
        site,
        interface="gi",
        page_size=10,
        entity_sets=["DB-StorageDetails"],
        inquiry_parameters={"DB-StorageDetails": {"Warehouse": "MAIN"}},
    )
    run = run_tap(config)
    assert {r["Warehouse"].strip() for r in run.records("DB_StorageDetails")} == {"MAIN"}
    asked = [r for r in site.requests if r.number and r.interface == "gi"]
    assert all("WithParameters(" in r.path for r in asked)


def test_parameters_are_checked_against_the_metadata(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    for given, complaint in (
        ({"Warehous": "MAIN"}, "has no 'Warehous'; its parameters: Warehouse (Edm.String)"),
        ({"Warehouse": 5}, "the value of Warehouse is not a string"),
        ({}, "needs 'Warehouse'"),
    ):
        config = settings(site, interface="gi", inquiry_parameters={"DB-StorageDetails": given})
        run = run_tap(config, "--discover", check=False)
        assert run.exit_code == 2
        assert complaint in run.errors


def test_a_tracking_column_that_cannot_be_filtered_makes_the_stream_a_full_read(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=60, habits=Habits(refuse_filter={"AR-Customers": "empty"}))
    config = settings(site, interface="gi", page_size=3, entity_sets=["AR-Customers"])
    plain = run_tap(config)
    site.habits.refuse_filter = {}
    full = run_tap(config)
    assert {r["_key"] for r in plain.records("AR_Customers")} == {
        r["_key"] for r in full.records("AR_Customers")
    }
    assert "WARNING" in plain.errors


def test_the_real_shape_of_inquiries_keeps_customers_apart(shared_data: Path) -> None:
    from tap_acumatica.acumatica.addresses import GI  # noqa: PLC0415
    from tap_acumatica.acumatica.entity_sets import entities  # noqa: PLC0415
    from tap_acumatica.odata.csdl import parse_metadata  # noqa: PLC0415

    model = parse_metadata((shared_data / "acumatica-gi-metadata.xml").read_bytes())
    found = {entity.stream: entity for entity in entities(model, GI)}
    assert found["AR_Customers"].entity_set.name == "AR-Customers"
    assert found["CR_Customers"].entity_set.name == "CR-Customers"
    assert {name for name, entity in found.items() if entity.function} == {
        "DB_StorageDetails",
        "PM_Project_Summary",
        "ItemAvailabilityData",
    }


def test_the_definitions_of_inquiries_are_kept_in_the_catalog(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(site, interface="gi", entity_sets=["AR-Open Documents", "BI-ARInvoices"])
    discovered = run_tap(config, "--discover")
    assert "joins 4 tables" in discovered.errors
    kept = {
        entry["tap_stream_id"]: entry["metadata"][-1]["metadata"]["inquiry"]["Company"]
        for entry in discovered.document["streams"]
    }
    assert kept["AR_Open_Documents"]["formulas"] == ["DaysPastDue"]
    assert kept["BI_ARInvoices"]["tables"] == 4
    tables = [r for r in site.requests if r.interface == "dac"]
    assert len(tables) == len({r.path for r in tables}) == 6
    assert site.sessions_opened == site.sessions_closed == 1
