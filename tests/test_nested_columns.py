"""Nested columns: the same by every way out, flattened or not, without what is deselected."""

from __future__ import annotations

import importlib
import json
import typing as t
from decimal import Decimal

import pytest

from tests.sandbox_site import settings

if t.TYPE_CHECKING:
    from tests.conftest import MakeSandbox, RunTap


@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_nested_columns_leave_alike_by_files_and_deselected_members_by_no_way(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: t.Any, form: str, *, flat: bool
) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    site = sandbox(rows=20)
    config = settings(
        site,
        entity_sets=["SOOrder"],
        expand={
            "SalesOrder": [
                "BranchByBranchID($select=BranchCD,BranchID)",
                "SOLineCollection($select=LineNbr,OrderQty)",
            ]
        },
        **({"flattening_enabled": True, "flattening_max_depth": 2} if flat else {}),
    )
    catalog = run_tap(config, "--discover").document
    members = "properties", "SOLineCollection", "items", "properties", "OrderQty"
    catalog["streams"][0]["metadata"] += [
        {"breadcrumb": breadcrumb, "metadata": {"inclusion": "available", "selected": False}}
        for breadcrumb in (
            ["properties", "BranchByBranchID", "properties", "BranchID"],
            list(members),
        )
    ]
    run = run_tap(config, catalog=catalog)
    files = {"encoding": {"format": form, "compression": "none"}, "storage": {"root": ""}}
    files["storage"]["root"] = tmp_path.as_uri()
    in_files = run_tap({**config, "batch_config": files}, catalog=catalog)
    (said,) = [m for m in run.messages if m["type"] == "SCHEMA"]
    assert [m["schema"] for m in in_files.messages if m["type"] == "SCHEMA"] == [said["schema"]]
    assert '"BranchID"' not in json.dumps(said["schema"]["properties"].get("BranchByBranchID"))
    rows: list[dict[str, t.Any]] = []
    for message in in_files.messages:
        for url in message.get("manifest", ()):
            rows += _rows(tmp_path / url.rpartition("/")[2], form)
    records = run.records("SOOrder")
    assert records
    for record, row in zip(records, rows, strict=True):
        assert set(record) <= set(said["schema"]["properties"])
        assert "OrderQty" not in json.dumps(record["SOLineCollection"])
        assert {n: v for n, v in _same(row).items() if v is not None} == {
            n: v for n, v in _same(record).items() if v is not None
        }


def _rows(path: t.Any, form: str) -> list[dict[str, t.Any]]:
    if form == "jsonl":
        return [json.loads(line, parse_float=str) for line in path.read_text("utf-8").splitlines()]
    parquet = importlib.import_module("pyarrow.parquet")
    return t.cast("list[dict[str, t.Any]]", parquet.read_table(path).to_pylist())


def _same(value: t.Any) -> t.Any:
    """A value as it is compared: numbers, also those read as text, by value."""
    if isinstance(value, dict):
        return {name: _same(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_same(member) for member in value]
    try:
        return value if isinstance(value, bool) or value is None else Decimal(str(value))
    except ArithmeticError:
        return value
