"""Keys that the user vouches for, in the settings or in the catalog; and which set a stream is."""

from __future__ import annotations

import typing as t

import pytest

from tests.field.orders import orders, schema, stamp, warnings
from tests.field.service import Row, Service, Table

if t.TYPE_CHECKING:
    from tests.conftest import RunTap

GI = "/t/Company/api/odata/gi"
USER = {"username": "reader", "password": "none-is-asked-for"}
COLUMNS = {
    "Code": "Edm.String",
    "Id": 'Edm.Int32 Nullable="false"',
    "Note": "Edm.String",
    "LastModifiedDateTime": "Edm.DateTimeOffset",
}


def parts(rows: int = 12, *, key: t.Sequence[str] = ("Code",)) -> Table:
    """Two rows of each code."""
    table = Table("Spare Parts", COLUMNS, key)
    for number in range(rows):
        row: Row = {"Code": f"C{number // 2}", "Id": number, "Note": "same"}
        table.rows.append(row | {"LastModifiedDateTime": stamp(number // 2)})
    return table


def root_of(catalog: dict[str, t.Any]) -> dict[str, t.Any]:
    (entry,) = catalog["streams"]
    found: dict[str, t.Any] = next(i["metadata"] for i in entry["metadata"] if not i["breadcrumb"])
    return found


@pytest.mark.parametrize("name", ["Spare_Parts", "Spare Parts"])
def test_a_key_may_be_given_by_the_name_of_the_stream_or_of_the_set(
    run_tap: RunTap, name: str
) -> None:
    service = Service(parts(), path=GI)
    with service.running():
        run = run_tap({"url": service.url, "keys": {name: ["Id"]}, **USER})
    records = run.records("Spare_Parts")
    assert {record["Id"] for record in records} == set(range(12))
    assert len({record["_key"] for record in records}) == 12


def test_a_key_without_nulls_is_not_hashed_where_the_service_says_so(run_tap: RunTap) -> None:
    service = Service(parts())
    with service.running():
        run = run_tap({"url": service.url, "keys": {"Spare Parts": ["Id"]}})
    assert schema(run, "Spare_Parts")["key_properties"] == ["Id"]
    assert schema(run, "Spare_Parts")["schema"]["properties"]["Id"]["type"] == ["integer"]
    assert {record["Id"] for record in run.records("Spare_Parts")} == set(range(12))


def test_a_column_that_is_not_there_is_refused_with_the_nearest_one(run_tap: RunTap) -> None:
    service = Service(parts())
    with service.running():
        config = {"url": service.url, "keys": {"Spare_Parts": ["Cod"]}}
        run = run_tap(config, "--discover", check=False)
    assert run.exit_code == 2
    assert "'keys' is wrong: Spare_Parts has no column 'Cod'" in run.errors
    assert "the nearest is 'Code'" in run.errors


def test_a_stream_that_is_not_there_is_warned_of(run_tap: RunTap) -> None:
    service = Service(parts())
    with service.running():
        config = {"url": service.url, "keys": {"Parts": ["Id"], "Spare Parts": ["Id"]}}
        run = run_tap(config, "--discover")
    assert "'keys' names Parts, which the service does not offer" in "".join(warnings(run))


def test_a_key_that_the_catalog_changes_counts_as_given(run_tap: RunTap) -> None:
    service = Service(parts(), path=GI)
    with service.running():
        config = {"url": service.url, **USER}
        catalog = run_tap(config, "--discover").document
        catalog["streams"][0]["key_properties"] = ["Id"]
        run = run_tap(config, catalog=catalog)
    assert schema(run, "Spare_Parts")["key_properties"] == ["Id"]
    assert {record["Id"] for record in run.records("Spare_Parts")} == set(range(12))
    assert service.asked("Spare Parts")[0].orderby[-1] == "Id"


def test_the_setting_is_newer_than_the_key_of_a_catalog(run_tap: RunTap) -> None:
    service = Service(parts())
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        assert catalog["streams"][0]["key_properties"] == ["_key"]
        run = run_tap({**config, "keys": {"Spare Parts": ["Id"]}}, catalog=catalog)
        back = run_tap({**config, "keys": {"Spare Parts": ["Id"]}}, "--discover").document
        hashed = run_tap({**config, "keys": {"Spare Parts": ["Note", "Code", "Id"]}}, catalog=back)
    assert schema(run, "Spare_Parts")["key_properties"] == ["Id"]
    assert schema(hashed, "Spare_Parts")["key_properties"] == ["_key"]
    assert all(record["_key"] for record in hashed.records("Spare_Parts"))


def test_where_no_columns_identify_a_row_rows_of_one_key_are_numbered(run_tap: RunTap) -> None:
    service = Service(parts(key=["Id"]))
    for row in service.tables["Spare Parts"].rows:
        row["Id"] //= 3
    with service.running():
        config = {"url": service.url, "tracking_type": "none"}
        refused = run_tap(config, check=False)
        run = run_tap({**config, "keys": {"Spare Parts": []}})
    assert refused.exit_code == 1
    assert "none ([])" in refused.errors
    assert len({record["_key"] for record in run.records("Spare_Parts")}) == 12
    (warning,) = warnings(run)
    assert "emit_activate_version_messages" in warning


def test_with_activate_version_there_is_nothing_to_warn_of(run_tap: RunTap) -> None:
    service = Service(parts(), path=GI)
    with service.running():
        config = {"url": service.url, "tracking_type": "none", **USER}
        run = run_tap({**config, "emit_activate_version_messages": True})
    assert len({record["_key"] for record in run.records("Spare_Parts")}) == 12
    assert not warnings(run)
    assert [message["type"] for message in run.messages[-2:]] == ["ACTIVATE_VERSION", "STATE"]


def test_catalog_and_state_say_which_entity_set_a_stream_is(run_tap: RunTap) -> None:
    service = Service(orders(3, name="A-B"))
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        again = run_tap(config, "--discover", catalog=catalog).document
        run = run_tap(config, catalog=catalog)
    assert root_of(catalog)["entity-set"] == root_of(again)["entity-set"] == "A-B"
    assert run.state["bookmarks"]["A_B"]["entity_set"] == "A-B"


def test_without_a_catalog_the_state_remembers_it(run_tap: RunTap) -> None:
    service = Service(orders(3, name="A-B"))
    with service.running():
        config = {"url": service.url}
        first = run_tap(config)
        service.tables = {name: orders(3, name=name) for name in ("A_B", "A-B")}
        second = run_tap(config, state=first.state)
        service.tables.pop("A-B")
        third = run_tap(config, state=first.state, check=False)
        without = run_tap({**config, "exclude_entity_sets": ["A_B"]}, state=first.state)
    assert second.state["bookmarks"]["A_B"]["entity_set"] == "A-B"
    assert len(second.state["bookmarks"]) == 2
    assert third.exit_code == 2
    assert "A_B was the entity set 'A-B'" in third.errors
    assert not third.messages
    assert without.exit_code == 0


def test_a_catalog_and_a_state_of_different_sets_are_refused(run_tap: RunTap) -> None:
    service = Service(orders(3, name="A-B"))
    with service.running():
        config = {"url": service.url}
        first = run_tap(config)
        service.tables["A_B"] = orders(3, name="A_B")
        catalog = run_tap(config, "--discover").document
        run = run_tap(config, catalog=catalog, state=first.state, check=False)
    assert run.exit_code == 2
    assert "the state is of the entity set 'A-B'" in run.errors
