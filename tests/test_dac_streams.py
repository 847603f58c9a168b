"""Data access classes as streams, through the command line."""

from __future__ import annotations

import typing as t

import pytest

from tests.sandbox_site import OTHER, TENANT, assert_same, expected, settings, upserted

if t.TYPE_CHECKING:
    from tests.conftest import MakeSandbox, RunTap

ORDER = ("OrderType", "OrderNbr")


def _entry(catalog: dict[str, t.Any], stream: str) -> dict[str, t.Any]:
    return next(entry for entry in catalog["streams"] if entry["tap_stream_id"] == stream)


def _select_only(catalog: dict[str, t.Any], *streams: str) -> dict[str, t.Any]:
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return catalog


def test_every_row_arrives_digit_for_digit_and_a_second_run_reads_only_changes(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=120)
    config = settings(
        site, page_size=25, entity_sets=["SOOrder", "SOLine", "GLTran", "CurrencyInfo"]
    )
    catalog = run_tap(config, "--discover").document
    first = run_tap(config, catalog=catalog)
    assert_same(upserted(first.records("SOOrder"), ORDER), expected(site, "SOOrder", ORDER))
    key = tuple(_entry(catalog, "GLTran")["key_properties"][1:])
    assert_same(upserted(first.records("GLTran"), key), expected(site, "GLTran", key))
    assert len(first.records("SOOrder")) == len(site.rows(TENANT, "SOOrder"))

    changed = site.rows(TENANT, "SOOrder")[7]
    site.update(TENANT, "SOOrder", {name: changed[name] for name in ORDER}, OrderDesc="changed")
    site.insert(TENANT, "SOOrder", OrderType="SO", OrderNbr="NEW001", OrderDesc="new")
    second = run_tap({**config, "time_offset": 0}, catalog=catalog, state=first.state)

    read = {record["OrderDesc"] for record in second.records("SOOrder")}
    assert {"changed", "new"} <= read
    assert len(second.records("SOOrder")) <= 2 + 1  # and the row of the bookmark
    merged = {
        **upserted(first.records("SOOrder"), ORDER),
        **upserted(second.records("SOOrder"), ORDER),
    }
    assert_same(merged, expected(site, "SOOrder", ORDER))
    assert len(second.records("CurrencyInfo")) == len(site.rows(TENANT, "CurrencyInfo"))


def test_up_to_three_aliases_of_a_dac_are_one_stream_and_any_of_them_selects_it(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    for alias in ("SalesOrder", "PX_Objects_SO_SOOrder", "SOOrd*", "PX.Objects.SO.SOOrder"):
        catalog = run_tap(settings(site, entity_sets=[alias]), "--discover").document
        assert [entry["tap_stream_id"] for entry in catalog["streams"]] == ["SOOrder"], alias
    excluded = run_tap(settings(site, exclude_entity_sets=["SalesOrder"]), "--discover").document
    names = [entry["tap_stream_id"] for entry in excluded["streams"]]
    assert "SOOrder" not in names
    assert "SOLine" in names


def test_with_a_catalog_only_selected_streams_are_read(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(site)
    catalog = _select_only(run_tap(config, "--discover").document, "Ledger")
    site.reset_log()
    run = run_tap(config, catalog=catalog)
    assert {record.entity for record in site.requests if record.number} == {"Ledger"}
    assert {m["stream"] for m in run.messages if "stream" in m} == {"Ledger"}


def test_singletons_are_streams_of_one_row(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    run = run_tap(settings(site, entity_sets=["GLSetup", "PX_Objects_GL_ADL_Account"]))
    assert len(run.records("GLSetup")) == 1
    assert len(run.records("PX_Objects_GL_ADL_Account")) == 1


def test_columns_that_cannot_be_filtered_are_neither_selected_nor_offered(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(site, entity_sets=["SOOrder", "Customer"])
    catalog = run_tap(config, "--discover").document
    assert "NoteText" not in _entry(catalog, "SOOrder")["schema"]["properties"]
    run = run_tap(config, catalog=catalog)
    assert "WARNING" not in run.errors  # also those that only the base DAC's set names
    asked = [r for r in site.requests if "NoteText" in r.query.get("$select", "")]
    assert [r.query["$top"] for r in asked] == ["1"]  # discovery asks once whether it is given


def test_hidden_columns_that_the_catalog_names_are_kept_without_select(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, habits=Habits(hidden_columns=True))
    config = settings(site, entity_sets=["GLTran"], use_select=False)
    catalog = run_tap(config, "--discover").document
    _entry(catalog, "GLTran")["schema"]["properties"]["AccountID"] = {"type": ["integer", "null"]}
    run = run_tap(config, catalog=catalog)
    assert {record["AccountID"] for record in run.records("GLTran")} == {
        row["AccountID"] for row in site.rows(TENANT, "GLTran")
    }


def test_expanded_navigation_properties_arrive_as_nested_objects(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(
        site,
        entity_sets=["SOOrder"],
        expand={
            "SalesOrder": [
                "BranchByBranchID($select=BranchCD)",
                "SOLineCollection($select=LineNbr)",
            ]
        },
    )
    catalog = run_tap(config, "--discover").document
    schema = _entry(catalog, "SOOrder")["schema"]["properties"]
    assert schema["BranchByBranchID"]["properties"]["BranchCD"]["type"] == ["string", "null"]
    assert schema["SOLineCollection"]["type"] == ["array", "null"]
    run = run_tap(config, catalog=catalog)
    lines = {(row["OrderType"], row["OrderNbr"]) for row in site.rows(TENANT, "SOLine")}
    for record in run.records("SOOrder"):
        assert set(record["BranchByBranchID"] or {"BranchCD": 1}) == {"BranchCD"}
        assert bool(record["SOLineCollection"]) == (
            (record["OrderType"], record["OrderNbr"]) in lines
        )


def test_a_wrong_expansion_is_named(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    run = run_tap(settings(site, expand={"SOOrder": ["Nothing"]}), "--discover", check=False)
    assert run.exit_code == 2
    assert "'expand' is wrong: SOOrder: " in run.errors
    assert "has no navigation property 'Nothing'" in run.errors


def test_trailing_blanks_are_cut_where_that_is_wished(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    padded = run_tap(settings(site, entity_sets=["INSite"])).records("INSite")
    trimmed = run_tap(settings(site, entity_sets=["INSite"], trim_strings=True)).records("INSite")
    assert any(record["SiteCD"].endswith(" ") for record in padded)
    assert [record["SiteCD"] for record in trimmed] == [
        record["SiteCD"].rstrip() for record in padded
    ]


def test_schema_key_and_method_of_the_catalog_are_honoured(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(site, entity_sets=["SOOrder"])
    catalog = run_tap(config, "--discover").document
    entry = _entry(catalog, "SOOrder")
    entry["schema"]["properties"]["CuryOrderTotal"] = {"type": ["string", "null"]}
    entry["schema"]["properties"]["OrderDate"]["format"] = "date"
    entry["key_properties"] = ["NoteID"]
    entry["replication_method"] = "FULL_TABLE"
    run = run_tap(config, catalog=catalog)
    schema = next(m for m in run.messages if m["type"] == "SCHEMA")
    assert schema["key_properties"] == ["NoteID"]
    assert schema["schema"]["properties"]["CuryOrderTotal"]["type"] == ["string", "null"]
    source = expected(site, "SOOrder", ORDER)
    for record in run.records("SOOrder"):
        row = source[record["OrderType"], record["OrderNbr"]]
        assert record["CuryOrderTotal"] == str(row["CuryOrderTotal"])
        assert record["OrderDate"] == (row["OrderDate"] or "")[:10] or row["OrderDate"] is None
    assert "replication_key_value" not in str(run.state)


def test_a_column_that_the_service_no_longer_has_is_warned_of_by_name(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(site, entity_sets=["SOOrder"])
    catalog = run_tap(config, "--discover").document
    _entry(catalog, "SOOrder")["schema"]["properties"]["UsrGone"] = {"type": ["string", "null"]}
    run = run_tap(config, catalog=catalog)
    assert "UsrGone" in next(line for line in run.errors.splitlines() if "WARNING" in line)
    assert len(run.records("SOOrder")) == len(site.rows(TENANT, "SOOrder"))


def test_a_stream_that_is_gone_is_named_and_the_others_are_read(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(site, entity_sets=["SOOrder", "SOLine"])
    catalog = run_tap(config, "--discover").document
    run = run_tap({**config, "exclude_entity_sets": ["SOLine"]}, catalog=catalog, check=False)
    assert run.exit_code == 1
    assert "SOLine is selected in the catalog, but the service does not offer it" in run.errors
    assert len(run.records("SOOrder")) == len(site.rows(TENANT, "SOOrder"))


@pytest.mark.parametrize("tracking", ["none", "date"])
def test_tracking_type_decides_between_incremental_and_full_table(
    sandbox: MakeSandbox, run_tap: RunTap, tracking: str
) -> None:
    site = sandbox(rows=20)
    config = settings(site, entity_sets=["SOOrder", "CurrencyInfo"], tracking_type=tracking)
    catalog = run_tap(config, "--discover").document
    methods = {entry["tap_stream_id"]: entry["replication_method"] for entry in catalog["streams"]}
    assert methods["CurrencyInfo"] == "FULL_TABLE"
    assert methods["SOOrder"] == ("INCREMENTAL" if tracking == "date" else "FULL_TABLE")


def test_activate_version_comes_after_the_last_record(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    run = run_tap(
        settings(
            site, entity_sets=["Ledger"], tracking_type="none", emit_activate_version_messages=True
        )
    )
    kinds = [message["type"] for message in run.messages if message["type"] != "STATE"]
    assert kinds.index("ACTIVATE_VERSION") == len(kinds) - 1
    versions = {m["version"] for m in run.messages if m["type"] in {"RECORD", "ACTIVATE_VERSION"}}
    assert len(versions) == 1


def test_a_stream_cut_off_activates_no_version(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    habits = Habits(status_on=lambda record: 503 if record.number > 2 else None)
    site = sandbox(rows=60, habits=habits)
    config = settings(
        site,
        entity_sets=["CurrencyInfo"],
        page_size=10,
        emit_activate_version_messages=True,
        max_retries=1,
    )
    run = run_tap(config, check=False)
    assert run.exit_code == 3
    assert run.records("CurrencyInfo")
    assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]


def test_a_tenant_that_cannot_be_reached_activates_no_version(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    config = settings(
        site,
        tenants=[TENANT, "Nobody"],
        entity_sets=["Ledger"],
        tracking_type="none",
        emit_activate_version_messages=True,
    )
    run = run_tap(config, check=False)
    assert run.exit_code == 1
    assert run.records("Ledger")
    assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]


def test_stream_maps_flattening_and_batch_files_work(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: t.Any
) -> None:
    site = sandbox(rows=20)
    config = settings(site, entity_sets=["Ledger"])
    mapped = run_tap({**config, "stream_maps": {"Ledger": {"Name": "LedgerCD.lower()"}}})
    assert all(r["Name"] == r["LedgerCD"].lower() for r in mapped.records("Ledger"))
    batch = run_tap(
        {
            **config,
            "batch_config": {
                "encoding": {"format": "jsonl", "compression": "gzip"},
                "storage": {"root": tmp_path.as_uri(), "prefix": "part-"},
            },
        }
    )
    assert [m for m in batch.messages if m["type"] == "BATCH"]
    assert not batch.records("Ledger")
    assert list(tmp_path.glob("part-*"))


def test_each_tenant_has_its_rows_its_key_and_its_bookmark(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=40)
    config = settings(
        site, tenants=[TENANT, "Calipso%20LLC"], entity_sets=["SOOrder", "POOrder", "BAccount"]
    )
    catalog = run_tap(config, "--discover").document
    assert _entry(catalog, "SOOrder")["key_properties"][0] == "_tenant"
    run = run_tap(config, catalog=catalog)
    for tenant in (TENANT, OTHER):
        own = [r for r in run.records("SOOrder") if r["_tenant"] == tenant]
        assert_same(upserted(own, ORDER), expected(site, "SOOrder", ORDER, tenant))
    partitions = run.state["bookmarks"]["SOOrder"]["partitions"]
    assert {p["context"]["_tenant"] for p in partitions} == {TENANT, OTHER}
    assert all(p["replication_key_value"].endswith("+00:00") for p in partitions)
    second = run_tap({**config, "time_offset": 0}, catalog=catalog, state=run.state)
    assert len(second.records("SOOrder")) < len(run.records("SOOrder")) / 4
    held = {tenant: {r["_tenant"] for r in run.records("POOrder")} for tenant in (TENANT,)}
    assert held == {TENANT: {TENANT}}  # the other tenant lacks this table


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_singleton_that_is_refused_fails_alone(
    sandbox: MakeSandbox, run_tap: RunTap, status: int
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    def refuse(record: t.Any) -> int | None:
        return status if record.entity == "GLSetup" else None

    site = sandbox(rows=20, habits=Habits(status_on=refuse))
    config = settings(site, entity_sets=["Account", "GLSetup", "Ledger"], max_retries=1)
    run = run_tap(config, check=False)
    assert run.exit_code == (3 if status == 503 else 1), run.errors
    assert run.records("Ledger")
    assert run.records("PX_Objects_GL_Account")
    errors = [line for line in run.errors.splitlines() if "ERROR" in line]
    assert len(errors) == 2
    assert "GLSetup" in errors[0]


def test_a_singleton_that_is_a_page_fails_alone(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, habits=Habits(html_on=lambda record: record.entity == "GLSetup"))
    run = run_tap(settings(site, entity_sets=["GLSetup", "Ledger"]), check=False)
    assert run.exit_code == 1
    assert run.records("Ledger")
    assert "a web page (it says: Sign In) came instead of data" in run.errors
