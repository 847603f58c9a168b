"""Flattens records by the schema that was flattened: the same columns, whatever is null."""

from __future__ import annotations

import typing as t

from singer_sdk.helpers._flattening import flatten_key
from singer_sdk.singerlib.json import serialize_json

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from singer_sdk.helpers._flattening import FlatteningOptions


class Flattener:
    """Flattens the records of one schema.

    The SDK follows the members of each record instead: an object that is null leaves as a column
    that SCHEMA does not name, and the columns of its members are not set to null.
    """

    def __init__(self, schema: Mapping[str, t.Any], options: FlatteningOptions) -> None:
        """Take the schema apart.

        Args:
            schema: The schema before it is flattened.
            options: How deep, and how names are joined.
        """
        self._options = options
        self._columns = list(self._members(schema, []))

    def _members(
        self, schema: Mapping[str, t.Any], parents: list[str]
    ) -> Iterator[tuple[str, list[str]]]:
        options = self._options
        for name, member in schema.get("properties", {}).items():
            is_object = "object" in member.get("type", ()) and "properties" in member
            if is_object and len(parents) < options.max_level:
                yield from self._members(member, [*parents, name])
            else:
                key = flatten_key(
                    name, parents, options.separator, max_key_length=options.max_key_length
                )
                yield key, [*parents, name]

    def flattened(self, record: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A record with the columns of the flattened schema; lists and objects become JSON."""
        found = {}
        for column, (first, *path) in self._columns:
            if first not in record:
                continue
            value = record[first]
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            found[column] = serialize_json(value) if isinstance(value, dict | list) else value
        return found
