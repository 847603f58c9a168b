"""The types that a catalog gives to columns, where they differ from those of the metadata.

The catalog decides how a value is read: as a text any JSON value will do, digit for digit.
"""

from __future__ import annotations

import typing as t

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata import lenient
from tap_acumatica.odata.types import integer_range

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Schema = t.Mapping[str, t.Any]
Convert = t.Callable[[t.Any], t.Any]

_FORMATS = frozenset({"date-time", "date", "uuid"})
_LIMITS = integer_range("Edm.Int64") or (0, 0)


def changed_types(
    declared: Mapping[str, Schema], wanted: Mapping[str, Schema]
) -> dict[str, Schema]:
    """The columns that the catalog types otherwise than the metadata.

    Args:
        declared: Discovered JSON Schemas, by column.
        wanted: JSON Schemas in the input catalog, by column.
    """
    return {
        name: schema
        for name, schema in wanted.items()
        if name in declared and isinstance(schema, dict) and _differs(declared[name], schema)
    }


def schema_conversion(schema: Schema, to_time: Callable[[str], str] = lambda text: text) -> Convert:
    """A function that converts any value that is not null to a type in the catalog.

    It raises ``ValueMismatchError`` for a value that is none of the type.

    Args:
        schema: JSON Schema of the column.
        to_time: Converts a date-time to the form in which it is emitted.
    """
    kinds = _kinds(schema)
    readers = [_reader(kind, schema, to_time) for kind in sorted(kinds, key="string".__eq__)]
    if not readers:
        return _unchanged
    if len(readers) == 1:
        return readers[0]

    def convert(value: t.Any) -> t.Any:
        for read in readers[:-1]:
            try:
                return read(value)
            except ValueMismatchError:  # noqa: PERF203  one of a few types
                continue
        return readers[-1](value)

    return convert


def _differs(before: Schema, after: Schema) -> bool:
    kinds = _kinds(after)
    if not kinds or set(_kinds(before)) != set(kinds):
        return bool(kinds)
    if kinds == ["integer"]:
        limits = _limits(after, (None, None))
        return limits not in {(None, None), _limits(before, (None, None))}
    # A date-time that is emitted as a date is read as one, by whatever says so.
    formats = (_format(before), _format(after))
    return kinds == ["string"] and formats[0] != formats[1] and formats != ("date-time", "date")


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type")
    listed = [kinds] if isinstance(kinds, str) else kinds or []
    return [kind for kind in listed if kind != "null"]


def _format(schema: Schema) -> str | None:
    found = schema.get("format")
    return found if found in _FORMATS else None


def _limits(schema: Schema, default: tuple[t.Any, t.Any]) -> tuple[t.Any, t.Any]:
    return schema.get("minimum", default[0]), schema.get("maximum", default[1])


def _reader(kind: str, schema: Schema, to_time: Callable[[str], str]) -> Convert:
    if kind == "integer":
        return lenient.integer(*_limits(schema, _LIMITS))
    if kind == "string" and (found := _format(schema)):
        return {
            "date-time": lambda value: to_time(lenient.date_time(value)),
            "date": lenient.date,
            "uuid": lenient.guid,
        }[found]
    return _READERS.get(kind, _unchanged)


def _instance_of(kind: type, expected: str) -> Convert:
    def read(value: t.Any) -> t.Any:
        if not isinstance(value, kind):
            msg = f"is not {expected}"
            raise ValueMismatchError(msg)
        return value

    return read


def _unchanged(value: t.Any) -> t.Any:
    return value


_READERS: dict[str, Convert] = {
    "string": lenient.text,
    "number": lenient.number,
    "boolean": lenient.boolean,
    "object": _instance_of(dict, "an object"),
    "array": _instance_of(list, "a list"),
}
