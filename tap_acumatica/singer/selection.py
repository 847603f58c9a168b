"""Selection below the columns: members of objects that the catalog deselects."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMN_DEPTH = 2  # ("properties", name): what lies deeper is a column of a column


class NestedSelection:
    """Removes deselected members, in lists as well, from schemas and from records alike."""

    def __init__(self, mask: Mapping[tuple[str, ...], bool]) -> None:
        """Note what is deselected.

        Args:
            mask: Whether a breadcrumb is selected.
        """
        self._paths = [
            tuple(step for step in path if step != "items")
            for path, selected in mask.items()
            if len(path) > _COLUMN_DEPTH and not selected
        ]

    def __bool__(self) -> bool:
        """Whether anything is deselected."""
        return bool(self._paths)

    def remove_from_schema(self, schema: dict[str, t.Any]) -> None:
        """Remove the members from a JSON Schema."""
        for path in self._paths:
            node: t.Any = schema
            *steps, last = path[1::2]
            for step in steps:
                node = _object(node).get("properties", {}).get(step, {})
            _object(node).get("properties", {}).pop(last, None)

    def without(self, record: dict[str, t.Any]) -> dict[str, t.Any]:
        """A record without the members; the one given keeps them."""
        for path in self._paths:
            record = _without(record, path[1::2])
        return record


def _object(schema: t.Any) -> dict[str, t.Any]:
    """The schema of the objects in a list, or of the object itself."""
    while isinstance(schema, dict) and "properties" not in schema and "items" in schema:
        schema = schema["items"]
    return schema if isinstance(schema, dict) else {}


def _without(value: t.Any, path: tuple[str, ...]) -> t.Any:
    if isinstance(value, list):
        return [_without(member, path) for member in value]
    name, *rest = path
    if not isinstance(value, dict) or name not in value:
        return value
    if not rest:
        return {key: member for key, member in value.items() if key != name}
    return {**value, name: _without(value[name], tuple(rest))}
