"""Nested columns: flattened by the schema, and deselected members leave nowhere."""

from __future__ import annotations

import copy
import typing as t

import pytest
from singer_sdk.helpers._flattening import FlatteningOptions, flatten_record, flatten_schema

from tap_acumatica.singer.flattening import Flattener
from tap_acumatica.singer.selection import NestedSelection

TEXT = {"type": ["string", "null"]}
SCHEMA: dict[str, t.Any] = {
    "type": "object",
    "properties": {
        "Id": {"type": ["integer"]},
        "Address": {
            "type": ["object", "null"],
            "properties": {
                "City": TEXT,
                "Geo": {"type": ["object", "null"], "properties": {"Lat": TEXT}},
            },
        },
        "Lines": {
            "type": ["array", "null"],
            "items": {"type": ["object", "null"], "properties": {"Nbr": TEXT, "Cost": TEXT}},
        },
    },
}
RECORD: dict[str, t.Any] = {
    "Id": 1,
    "Address": {"City": "Bern", "Geo": {"Lat": "46"}},
    "Lines": [{"Nbr": "1", "Cost": "9"}, None],
}


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_full_record_is_flattened_as_the_sdk_does(depth: int) -> None:
    options = FlatteningOptions(enabled=True, max_level=depth)
    schema = flatten_schema(SCHEMA, max_level=depth)
    found = Flattener(SCHEMA, options).flattened(RECORD)
    assert found == flatten_record(RECORD, schema, max_level=depth)
    assert found.keys() == schema["properties"].keys()


@pytest.mark.parametrize("address", [None, {}, {"Geo": None}, {"City": None, "Geo": {}}])
def test_an_object_that_is_null_makes_all_its_columns_null(address: t.Any) -> None:
    options = FlatteningOptions(enabled=True, max_level=3)
    found = Flattener(SCHEMA, options).flattened({"Id": 1, "Address": address, "Lines": None})
    assert found == {"Id": 1, "Address__City": None, "Address__Geo__Lat": None, "Lines": None}


def test_a_column_that_nobody_sent_is_not_made_null() -> None:
    options = FlatteningOptions(enabled=True, max_level=3)
    assert Flattener(SCHEMA, options).flattened({"Id": 1}) == {"Id": 1}


@pytest.mark.parametrize(
    "lines", [("properties", "Lines", "items", "properties", "Cost"), ()], ids=["list", "none"]
)
def test_deselected_members_are_removed_and_the_row_stays_as_it_is(lines: tuple[str, ...]) -> None:
    mask = {
        (): True,
        ("properties", "Address"): True,
        ("properties", "Address", "properties", "City"): False,
        ("properties", "Address", "properties", "Geo", "properties", "Lat"): False,
        **({lines: False} if lines else {}),
    }
    selection = NestedSelection(mask)
    before, schema = copy.deepcopy(RECORD), copy.deepcopy(SCHEMA)
    found = selection.without(RECORD)
    selection.remove_from_schema(schema)
    assert before == RECORD
    assert found["Address"] == {"Geo": {}}
    assert schema["properties"]["Address"]["properties"]["Geo"]["properties"] == {}
    kept = {"Nbr"} if lines else {"Nbr", "Cost"}
    assert set(found["Lines"][0]) == kept
    assert set(schema["properties"]["Lines"]["items"]["properties"]) == kept


def test_without_a_deselected_member_nothing_is_to_be_done() -> None:
    assert not NestedSelection({("properties", "Address"): False})
