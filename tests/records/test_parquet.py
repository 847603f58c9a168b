"""Parquet files hold the values of RECORD messages, in columns of the types that SCHEMA says."""

from __future__ import annotations

import io
import typing as t
from decimal import Decimal

import pytest

from tap_acumatica.records.parquet import encode_parquet

pq = pytest.importorskip("pyarrow.parquet")

MONEY = {"type": ["number", "null"]}


def read(records: list[dict[str, t.Any]], columns: dict[str, t.Any]) -> tuple[t.Any, t.Any]:
    content = encode_parquet(records, {"properties": columns}, compression="none")
    table = pq.read_table(io.BytesIO(content))
    return table.to_pylist(), table.schema


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], "decimal128(38, 18)"),
        ([Decimal("0.1"), Decimal("12345678901234567890.123456789")], "decimal128(38, 18)"),
        ([Decimal("1E+3"), None], "decimal128(38, 18)"),
        ([Decimal("-0.00000001"), 5], "decimal128(38, 18)"),
        ([0.1, Decimal("0.10")], "decimal128(38, 18)"),
        ([Decimal(10**37), Decimal("0.0001")], "decimal256(76, 38)"),
        ([Decimal("1e300"), Decimal("1e-300")], "double"),
        ([Decimal(0), Decimal("0.000")], "decimal128(38, 18)"),
        ([Decimal("1e-40"), 1], "decimal256(76, 40)"),
    ],
)
def test_numbers_keep_their_digits(values: list[t.Any], kind: str) -> None:
    rows, schema = read([{"A": value} for value in values], {"A": MONEY})
    assert str(schema.field("A").type) == kind
    wanted = [None if v is None else Decimal(str(v)) for v in values]
    assert [None if r["A"] is None else Decimal(str(r["A"])) for r in rows] == wanted


def test_a_declared_scale_is_kept_whatever_the_values() -> None:
    _, schema = read([{"A": None}], {"A": {**MONEY, "precision": 19, "scale": 4}})
    assert str(schema.field("A").type) == "decimal128(38, 4)"


def test_a_column_has_one_type_in_all_files_of_a_stream() -> None:
    inner = {"type": ["object", "null"], "properties": {"N": MONEY}}
    kinds = {
        str(read([{"A": value, "B": {"N": value}}], {"A": MONEY, "B": inner})[1])
        for value in (1, Decimal("1.5"), Decimal("1.25"), 0.1, None, Decimal("1E+9"))
    }
    assert len(kinds) == 1


def test_a_whole_number_beyond_64_bits_is_kept() -> None:
    rows, _ = read([{"A": 2**64}, {"A": -1}], {"A": {"type": ["integer"]}})
    assert [row["A"] for row in rows] == [2**64, -1]


def test_numbers_that_json_does_not_have_are_null_as_they_are_there() -> None:
    rows, _ = read([{"A": float("nan")}, {"A": float("inf")}], {"A": MONEY})
    assert [row["A"] for row in rows] == [None, None]


def test_objects_and_lists_are_nested_and_a_null_stays_null() -> None:
    item = {"type": ["object", "null"], "properties": {"N": MONEY, "T": {"type": "string"}}}
    columns: dict[str, t.Any] = {
        "One": item,
        "Many": {"type": ["array", "null"], "items": item},
        "Texts": {"type": ["array", "null"], "items": {"type": ["string"]}},
        "Open": {"type": ["object", "null"]},
        "None": {"type": ["object", "null"], "properties": {}},
    }
    records: list[dict[str, t.Any]] = [
        {
            "One": {"N": Decimal("1.5"), "T": "a"},
            "Many": [{"N": Decimal("2.25"), "T": "b"}, None, {"N": None, "T": None}],
            "Texts": ["x", None],
            "Open": {"a": [Decimal("1.10")]},
            "None": {},
        },
        dict.fromkeys(columns),
        {"One": {"N": None, "T": None}, "Many": [], "Texts": [], "Open": {}, "None": None},
    ]
    rows, _ = read(records, columns)
    assert rows[0] == {**records[0], "Open": '{"a":[1.10]}', "None": "{}"}
    assert rows[1] == records[1]
    assert rows[2] == {**records[2], "Open": "{}"}
