"""Catalogs that say one thing in two places, or in forms of other tools."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.field.orders import (
    COLUMNS,
    assert_complete,
    assert_one_error,
    lines,
    order,
    schema,
    service_of,
    stamp,
    warnings,
)
from tests.field.service import Service, Table

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunTap, TapRun

Entry = dict[str, t.Any]


def root_of(entry: Entry) -> dict[str, t.Any]:
    found: dict[str, t.Any] = next(i["metadata"] for i in entry["metadata"] if not i["breadcrumb"])
    return found


def column_of(entry: Entry, name: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = next(
        i["metadata"] for i in entry["metadata"] if i["breadcrumb"] == ["properties", name]
    )
    return found


def edited(run_tap: RunTap, service: Service, edit: Callable[[Entry], t.Any]) -> TapRun:
    """A run with a discovered catalog whose only entry was edited."""
    with service.running():
        config = {"url": service.url, "daily_lookback_hours": 0}
        catalog = run_tap(config, "--discover").document
        edit(catalog["streams"][0])
        return run_tap(config, catalog=catalog, check=False)


def created() -> Service:
    rows = [{**order(n), "Created": stamp(100 - n)} for n in range(1, 26)]
    return Service(Table("Orders", {**COLUMNS, "Created": "Edm.DateTimeOffset"}, ["Id"], rows))


# Nothing to read


@pytest.mark.parametrize(
    ("catalog", "word"),
    [
        ({}, 'has no "streams"'),
        ({"url": "https://company.example"}, "is not a Singer catalog, but a configuration"),
        ({"bookmarks": {}}, "is not a Singer catalog, but a state"),
        ({"streams": {}}, "is not a Singer catalog"),
        ({"streams": [{"schema": {}}]}, "tap_stream_id"),
        ({"streams": [{"stream": "users"}, {"stream": "posts"}]}, "users"),
    ],
)
def test_a_file_that_is_no_catalog_of_this_service_is_refused(
    run_tap: RunTap, catalog: dict[str, t.Any], word: str
) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url}, catalog=catalog, check=False)
    assert_one_error(run, word, "catalog.json", exit_code=2)


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: root_of(entry).update(selected=False),
        lambda entry: root_of(entry).update(selected="false"),
        lambda entry: root_of(entry).update(selected=0),
        lambda entry: entry.update(selected=False),
        lambda entry: entry.update(selected="no"),
    ],
    ids=["false", "text", "number", "entry", "entry as text"],
)
def test_a_catalog_that_selects_nothing_is_warned_of(
    run_tap: RunTap, edit: Callable[[Entry], t.Any]
) -> None:
    run = edited(run_tap, service_of()[0], edit)
    assert run.exit_code == 0
    assert not run.records("Orders")
    (said,) = warnings(run)
    assert "catalog.json selects no stream, so nothing is read" in said


def test_an_empty_catalog_is_warned_of(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url}, catalog={"streams": []})
    assert [line for line in warnings(run) if "selects no stream" in line]


# Other forms


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: entry.update(schema=json.dumps(entry["schema"])),
        lambda entry: entry.update(schema=None),
        lambda entry: entry["schema"].update(properties=None),
        lambda entry: entry["schema"]["properties"].update(Note=None),
        lambda entry: entry.update(metadata=None),
        lambda entry: entry["metadata"].append({"metadata": {"selected": True}}),
        lambda entry: root_of(entry).clear(),
        lambda entry: entry.update(metadata=[i for i in entry["metadata"] if i["breadcrumb"]]),
        lambda entry: root_of(entry).pop("entity-set"),
        lambda entry: root_of(entry).update(selected="true"),
        lambda entry: entry.pop("tap_stream_id"),
        lambda entry: entry.update(key_properties="Id"),
        lambda entry: entry["schema"]["properties"].pop("Id"),
    ],
    ids=[
        "schema as text",
        "no schema",
        "no properties",
        "column is null",
        "no metadata",
        "no breadcrumb",
        "empty root",
        "no root",
        "no entity set",
        "selected as text",
        "no id",
        "key as text",
        "key not in the schema",
    ],
)
def test_what_can_only_mean_one_thing_is_used(
    run_tap: RunTap, edit: Callable[[Entry], t.Any]
) -> None:
    service, table = service_of()
    run = edited(run_tap, service, edit)
    assert_complete(run, table)
    assert schema(run)["key_properties"] == ["Id"]
    assert {*schema(run)["schema"]["properties"]} == {*COLUMNS}
    assert not warnings(run)


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: entry.update(schema="{"),
        lambda entry: entry["schema"].update(properties=["Id"]),
        lambda entry: root_of(entry).update(selected="perhaps"),
        lambda entry: entry.update(key_properties={"Id": 1}),
        lambda entry: entry.update(replication_key=["LastModifiedDateTime", "Id"]),
        lambda entry: entry["metadata"].append({"breadcrumb": [], "metadata": ["selected"]}),
    ],
    ids=[
        "cut off",
        "properties as list",
        "perhaps",
        "key as object",
        "two replication keys",
        "metadata as list",
    ],
)
def test_what_means_nothing_is_refused(run_tap: RunTap, edit: Callable[[Entry], t.Any]) -> None:
    run = edited(run_tap, service_of()[0], edit)
    assert_one_error(run, "catalog", exit_code=2)
    assert not run.messages


def test_two_entries_of_one_stream_are_refused_where_they_differ(run_tap: RunTap) -> None:
    service, table = service_of()
    with service.running():
        config = {"url": service.url}
        entry = run_tap(config, "--discover").document["streams"][0]
        same = run_tap(config, catalog={"streams": [entry, entry]})
        other = {**entry, "replication_method": "FULL_TABLE"}
        run = run_tap(config, catalog={"streams": [entry, other]}, check=False)
    assert_complete(same, table)
    assert_one_error(run, "two entries of the stream Orders", exit_code=2)


def test_another_name_for_output_is_warned_of(run_tap: RunTap) -> None:
    service, table = service_of()
    run = edited(run_tap, service, lambda entry: entry.update(stream="Bestellungen"))
    assert_complete(run, table)
    assert [line for line in warnings(run) if "Bestellungen" in line and "stream_maps" in line]


# Columns


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: column_of(entry, "Note").update(selected="false"),
        lambda entry: entry["metadata"].append(
            {"breadcrumb": ["properties", "note"], "metadata": {"selected": False}}
        ),
    ],
    ids=["as text", "in another case"],
)
def test_a_column_that_is_deselected_in_whatever_form_does_not_leave(
    run_tap: RunTap, edit: Callable[[Entry], t.Any]
) -> None:
    run = edited(run_tap, service_of()[0], edit)
    assert run.exit_code == 0
    assert "Note" not in schema(run)["schema"]["properties"]
    assert all("Note" not in record for record in run.records("Orders"))


@pytest.mark.parametrize("breadcrumb", [["properties", "Nope"], ["Note"]])
def test_metadata_of_a_column_that_is_not_there_is_named(
    run_tap: RunTap, breadcrumb: list[str]
) -> None:
    item = {"breadcrumb": breadcrumb, "metadata": {"selected": False}}
    run = edited(run_tap, service_of()[0], lambda entry: entry["metadata"].append(item))
    assert [line for line in warnings(run) if breadcrumb[-1] in line and "no effect" in line]


def test_columns_that_came_after_the_catalog_are_named_with_the_way_to_get_them(
    run_tap: RunTap,
) -> None:
    service = created()
    run = edited(run_tap, service, lambda entry: entry["schema"]["properties"].pop("Created"))
    assert run.exit_code == 0
    (said,) = warnings(run)
    assert "Created" in said
    assert "--refresh-catalog" in said


# The replication key and method


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: root_of(entry).update({"replication-key": "Created"}),
        lambda entry: entry.update(replication_key="Created"),
        lambda entry: root_of(entry).update({"valid-replication-keys": ["Created"]}),
        lambda entry: root_of(entry).update({"replication-key": "created"}),
    ],
    ids=["metadata", "entry", "valid", "in another case"],
)
def test_the_replication_key_that_differs_from_discoverys_is_used(
    run_tap: RunTap, edit: Callable[[Entry], t.Any]
) -> None:
    service = created()
    run = edited(run_tap, service, edit)
    assert run.state["bookmarks"]["Orders"]["replication_key"] == "Created"
    assert any(request.orderby[:1] == ["Created"] for request in service.requests)


def test_where_both_places_differ_from_discovery_both_are_named(run_tap: RunTap) -> None:
    def edit(entry: Entry) -> None:
        root_of(entry)["replication-key"] = "Created"
        entry["replication_key"] = "Note"

    run = edited(run_tap, created(), edit)
    assert run.state["bookmarks"]["Orders"]["replication_key"] == "Created"
    assert [line for line in warnings(run) if "'replication_key' says Note" in line]


@pytest.mark.parametrize(
    ("key", "why"), [("Nope", "not a column"), ("Note", "not a timestamp"), ("Id", "timestamp")]
)
def test_a_replication_key_that_cannot_be_used_is_said(run_tap: RunTap, key: str, why: str) -> None:
    service, table = service_of()
    run = edited(run_tap, service, lambda entry: root_of(entry).update({"replication-key": key}))
    assert_complete(run, table)
    assert [line for line in warnings(run) if key in line and why in line]
    assert "replication_key_value" not in str(run.state)


def test_a_replication_key_that_is_deselected_is_read_and_said(run_tap: RunTap) -> None:
    service, table = service_of()
    column = {"selected": False, "inclusion": "available"}
    run = edited(
        run_tap, service, lambda entry: column_of(entry, "LastModifiedDateTime").update(column)
    )
    assert_complete(run, table)
    assert [line for line in warnings(run) if "LastModifiedDateTime" in line]


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: root_of(entry).update({"replication-method": "FULL_TABLE"}),
        lambda entry: root_of(entry).update({"forced-replication-method": "full_table"}),
        lambda entry: entry.update(replication_method="FULL_TABLE"),
    ],
    ids=["metadata", "forced", "entry"],
)
def test_the_replication_method_that_differs_from_discoverys_is_used(
    run_tap: RunTap, edit: Callable[[Entry], t.Any]
) -> None:
    service, table = service_of()
    run = edited(run_tap, service, edit)
    assert_complete(run, table)
    assert [line for line in lines(run, "INFO") if "full_table mode" in line]


def test_an_incremental_read_without_a_timestamp_is_said(run_tap: RunTap) -> None:
    plain = {name: kind for name, kind in COLUMNS.items() if name != "LastModifiedDateTime"}
    rows = [{name: order(n)[name] for name in plain} for n in range(1, 6)]
    service = Service(Table("Orders", plain, ["Id"], rows))
    run = edited(
        run_tap, service, lambda entry: root_of(entry).update({"replication-method": "INCREMENTAL"})
    )
    assert len(run.records("Orders")) == 5
    assert [line for line in warnings(run) if "INCREMENTAL" in line and "whole stream" in line]


# The key


@pytest.mark.parametrize(
    "edit",
    [
        lambda entry: entry.update(key_properties=["Note"]),
        lambda entry: root_of(entry).update({"table-key-properties": ["Note"]}),
        lambda entry: root_of(entry).update({"view-key-properties": ["Note"]}),
        lambda entry: root_of(entry).update({"view-key-properties": "Note"}),
    ],
    ids=["entry", "table", "view", "as text"],
)
def test_the_key_that_differs_from_discoverys_is_used(
    run_tap: RunTap, edit: Callable[[Entry], t.Any]
) -> None:
    run = edited(run_tap, service_of()[0], edit)
    assert run.exit_code == 0, run.errors
    assert schema(run)["key_properties"] == ["Note"]
    assert not [line for line in warnings(run) if "contradicts" in line]


def test_where_both_keys_differ_from_discoverys_both_are_named(run_tap: RunTap) -> None:
    def edit(entry: Entry) -> None:
        entry["key_properties"] = ["Note"]
        root_of(entry)["table-key-properties"] = ["Total"]

    run = edited(run_tap, service_of()[0], edit)
    assert schema(run)["key_properties"] == ["Total"]
    assert [line for line in warnings(run) if "says Total" in line and "says Note" in line]


@pytest.mark.parametrize("page_size", [2, 7, 2000])
@pytest.mark.parametrize("tracking", ["date", "none"])
def test_a_key_that_has_grown_since_is_said_and_no_row_is_lost_unseen(
    run_tap: RunTap, page_size: int, tracking: str
) -> None:
    rows = [{**order(n), "Line": line} for n in range(1, 10) for line in (1, 2, 3)]
    table = Table("Orders", {**COLUMNS, "Line": "Edm.Int32"}, ["Id", "Line"], rows)
    service = Service(table)
    with service.running():
        config = {"url": service.url, "page_size": page_size, "tracking_type": tracking}
        catalog = run_tap(config, "--discover").document
        entry = catalog["streams"][0]
        entry["key_properties"] = root_of(entry)["table-key-properties"] = ["Id"]
        del entry["schema"]["properties"]["Line"]
        run = run_tap(config, catalog=catalog, check=False)
    assert [line for line in warnings(run) if "key is Id, and the service's is Id, Line" in line]
    assert run.exit_code == 1
    assert "several rows have the key Id" in run.errors
