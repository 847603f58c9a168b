"""Parquet files whose columns have the types of the stream's JSON Schema, whatever their values.

Values are those of RECORD messages: dates and times stay the texts that they are there. Decimals
keep all their digits: those that the usual type does not hold make their file's column wider.
"""

from __future__ import annotations

import importlib
import io
import math
import typing as t
from decimal import Decimal

import msgspec

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Schema = t.Mapping[str, t.Any]

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_INT64 = 2**63
_DECIMAL128, _DECIMAL256 = 38, 76
_PLACES = 18
"""Places behind the point where the metadata does not say how many: all files of a stream have the
same, since readers of several files take the type of the first one and round the others."""


def encode_parquet(
    records: Sequence[Mapping[str, t.Any]], schema: Schema, *, compression: str | None
) -> bytes:
    """Encode records as the content of one file.

    Args:
        records: The records.
        schema: JSON Schema of the records.
        compression: ``gzip`` or ``none``; the format's usual one if None.
    """
    arrow, parquet = _arrow(), importlib.import_module("pyarrow.parquet")
    columns = {
        name: _array([record.get(name) for record in records], column)
        for name, column in schema.get("properties", {}).items()
    }
    content = io.BytesIO()
    table = arrow.table(columns)
    parquet.write_table(table, content, compression=compression or "snappy")
    return content.getvalue()


def _arrow() -> t.Any:
    return importlib.import_module("pyarrow")  # an extra, which most people do without


def _array(values: Sequence[t.Any], schema: Schema) -> t.Any:
    """A column of these values, in the type that the schema says."""
    arrow = _arrow()
    match _kind(schema):
        case "boolean":
            return arrow.array(values, arrow.bool_())
        case "integer" if all(v is None or -_INT64 <= v < _INT64 for v in values):
            return arrow.array(values, arrow.int64())
        case "integer" | "number":
            return _numbers(values, schema)
        case "object" if schema.get("properties"):
            return _objects(values, schema)
        case "array" if isinstance(schema.get("items"), dict) and schema["items"]:
            return _lists(values, schema["items"])
        case _:
            return arrow.array([_text(value) for value in values], arrow.string())


def _kind(schema: Schema) -> str | None:
    kinds = schema.get("type")
    others = [k for k in ([kinds] if isinstance(kinds, str) else kinds or ()) if k != "null"]
    return others[0] if len(others) == 1 else None


def _numbers(values: Sequence[t.Any], schema: Schema) -> t.Any:
    arrow = _arrow()
    decimals = [_decimal(value) for value in values]
    declared, places, whole = schema.get("scale"), 0, 0
    for value in (each for each in decimals if each is not None):
        exponent = t.cast("int", value.as_tuple().exponent)
        places = max(places, -exponent)
        whole = max(whole, value.adjusted() + 1)
    usual = declared if isinstance(declared, int) else _PLACES
    if places <= usual and whole <= _DECIMAL128 - usual:
        return arrow.array(decimals, arrow.decimal128(_DECIMAL128, usual))
    wide = max(_DECIMAL256 // 2, places)
    if whole <= _DECIMAL256 - wide:
        return arrow.array(decimals, arrow.decimal256(_DECIMAL256, wide))
    if places + whole <= _DECIMAL256:
        return arrow.array(decimals, arrow.decimal256(_DECIMAL256, places))
    floats = [None if value is None else float(value) for value in decimals]
    return arrow.array(floats, arrow.float64())


def _decimal(value: t.Any) -> Decimal | None:
    """A number digit for digit; null for those that JSON does not have either."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        return None
    return number


def _objects(values: Sequence[t.Any], schema: Schema) -> t.Any:
    arrow = _arrow()
    members = schema["properties"]
    arrays = [
        _array([None if value is None else value.get(name) for value in values], member)
        for name, member in members.items()
    ]
    missing = arrow.array([value is None for value in values], arrow.bool_())
    return arrow.StructArray.from_arrays(arrays, names=list(members), mask=missing)


def _lists(values: Sequence[t.Any], items: Schema) -> t.Any:
    arrow = _arrow()
    offsets: list[int | None] = []
    members: list[t.Any] = []
    for value in values:
        offsets.append(None if value is None else len(members))
        members += value or ()
    offsets.append(len(members))
    return arrow.ListArray.from_arrays(arrow.array(offsets, arrow.int32()), _array(members, items))


def _text(value: t.Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _ENCODER.encode(value).decode()
