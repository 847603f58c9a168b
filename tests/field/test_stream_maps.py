"""A map holds on every path, its faults are the stream's own, and amounts can be computed with."""

from __future__ import annotations

import gzip
import hashlib
import json
import typing as t
from decimal import Decimal

import pytest

from tests.field.orders import assert_one_error, missed, orders, schema, service_of
from tests.field.service import Service, shown

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RunTap, TapRun

PRIVATE = {"Orders": {"Note": "__NULL__", "hash": "md5(Note)", "__filter__": "Id > 20"}}


def batches(folder: Path) -> dict[str, t.Any]:
    """A configuration that writes rows into files."""
    return {
        "encoding": {"format": "jsonl", "compression": "none"},
        "storage": {"root": folder.as_uri(), "prefix": ""},
    }


def in_files(run: TapRun, folder: Path) -> list[dict[str, t.Any]]:
    """The rows of all BATCH files."""
    names = [f for m in run.messages if m["type"] == "BATCH" for f in m["manifest"]]
    rows = []
    for name in names:
        content = (folder / name.rpartition("/")[2]).read_bytes()
        text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        rows += [json.loads(line) for line in text.decode().splitlines()]
    return rows


def test_what_a_map_leaves_out_leaves_by_no_path(run_tap: RunTap, tmp_path: Path) -> None:
    service, table = service_of()
    with service.running():
        config = {
            "url": service.url,
            "batch_config": batches(tmp_path),
            "stream_maps": PRIVATE,
        }
        run = run_tap(config, check=False)
    if run.exit_code != 0:
        assert_one_error(run, "stream_maps", "batch_config", exit_code=2)
        assert service.requests == []
        return
    rows = [*run.records("Orders"), *in_files(run, tmp_path)]
    assert sorted(row["Id"] for row in rows) == [21, 22, 23, 24, 25]
    names = set(schema(run)["schema"]["properties"])
    for row in rows:
        assert set(row) <= names
        assert "Note" not in row
        note = table.row(Id=row["Id"])["Note"]
        assert row["hash"] == hashlib.md5(note.encode(), usedforsecurity=False).hexdigest()


def test_a_column_that_is_not_selected_is_in_no_file(run_tap: RunTap, tmp_path: Path) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url, "batch_config": batches(tmp_path), "use_select": False}
        catalog = run_tap(config, "--discover").document
        for item in catalog["streams"][0]["metadata"]:
            if list(item["breadcrumb"])[-1:] == ["Note"]:
                item["metadata"]["selected"] = False
        run = run_tap(config, catalog=catalog)
    rows = in_files(run, tmp_path)
    assert len(rows) == 25
    assert not any("Note" in row for row in rows)


@pytest.mark.parametrize("maps", [{"Orders": "__NULL__"}, {"Quiet": {}, "__else__": "__NULL__"}])
def test_a_stream_that_a_map_leaves_out_is_not_read_and_keeps_its_bookmark(
    run_tap: RunTap, maps: dict[str, t.Any]
) -> None:
    table = orders()
    service = Service(table, orders(name="Quiet"))
    with service.running():
        config: dict[str, t.Any] = {"url": service.url}
        first = run_tap(config)
        asked = len(service.asked("Orders"))
        for row in table.rows[:24]:
            row["LastModifiedDateTime"] = shown(service.now)
        second = run_tap({**config, "stream_maps": maps}, state=first.state)
        assert len(service.asked("Orders")) == asked
        third = run_tap(config, state=second.state or first.state)
    assert second.records("Orders") == []
    assert missed(table, third) in ([], [25])


def test_an_expression_that_fails_is_the_fault_of_its_stream_alone(run_tap: RunTap) -> None:
    table, quiet = orders(), orders(5, name="Quiet")
    table.row(Id=7)["Note"] = None
    service = Service(table, quiet)
    maps = {"Orders": {"Copy": "md5(Note)"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps}, check=False)
    assert_one_error(run, "Orders", "Copy", "md5(Note)")
    assert missed(quiet, run) == []


@pytest.mark.parametrize(
    ("expression", "times", "plus"),
    [
        ("Total * 1.19", "1.19", "0"),
        ("Total + 1", "1", "1"),
        ("Total / 2", "0.5", "0"),
        ("Total - 0.5", "1", "-0.5"),
        ("float(Total)", "1", "0"),
    ],
)
def test_amounts_can_be_computed_with(
    run_tap: RunTap, expression: str, times: str, plus: str
) -> None:
    service, table = service_of()
    maps = {"Orders": {"Gross": expression, "__filter__": "Total > 10.5"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps})
    found = {record["Id"]: Decimal(str(record["Gross"])) for record in run.records("Orders")}
    wanted = {
        row["Id"]: row["Total"] * Decimal(times) + Decimal(plus)
        for row in table.rows
        if row["Total"] > Decimal("10.5")
    }
    assert found.keys() == wanted.keys()
    assert all(abs(found[key] - wanted[key]) < Decimal("1e-9") for key in wanted)


def test_an_operator_with_a_mistake_is_an_error_that_names_the_right_one(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        maps = {"Orders": {"__filtr__": "Id > 1"}}
        run = run_tap({"url": service.url, "stream_maps": maps}, check=False)
    assert_one_error(run, "Orders: 'stream_maps' has '__filtr__'; did you mean __filter__?")


def test_maps_that_leave_out_everything_are_warned_of(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": {"__else__": "__NULL__"}})
    assert not run.records("Orders")
    assert "'stream_maps' leaves out all streams that are selected" in run.errors


def test_a_map_that_takes_the_key_away_leaves_an_empty_one(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        maps = {"Orders": {"__key_properties__": None}}
        run = run_tap({"url": service.url, "stream_maps": maps})
    assert schema(run)["key_properties"] == []
    assert len(run.records("Orders")) == 25


def test_the_size_of_batch_files_is_no_unknown_setting(run_tap: RunTap, tmp_path: Path) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url, "batch_config": {**batches(tmp_path), "batch_size": 10}}
        run = run_tap(config)
    assert "'batch_size' is unknown" not in run.errors
    assert len(in_files(run, tmp_path)) == 25
    assert sum(m["type"] == "BATCH" for m in run.messages) == 3


def test_flattening_that_shortens_a_column_of_the_key_is_an_error(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        config = {
            "url": service.url,
            "flattening_enabled": True,
            "flattening_max_depth": 2,
        }
        fine = run_tap(config)
        run = run_tap({**config, "flattening_max_key_length": 1}, check=False)
    assert len(fine.records("Orders")) == 25
    assert_one_error(run, "'flattening_max_key_length' shortens Id,")
