"""The columns, keys and JSON Schema of a stream."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from tap_acumatica.odata.types import is_primitive, is_timestamp, json_schema
from tap_acumatica.records.deletion import DELETED_COLUMN, deletion_flag

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model, Property

Schema = dict[str, t.Any]

TENANT_COLUMN = "_tenant"
KEY_COLUMN = "_key"
ROW_KEY = "_key()"
"""What a row calls its hashed key where the service has a property with the usual name."""
_OWN_COLUMNS = (TENANT_COLUMN, KEY_COLUMN, DELETED_COLUMN)
_OF_TARGETS = "_sdc_"
MAX_DEPTH = 5
"""Objects within objects that are described; what lies deeper is JSON in a text."""


@dataclass(slots=True)
class RecordShape:
    """What the records of one entity set look like.

    Attributes:
        properties: Structural properties by name, in declared order.
        key: Names of the properties that identify a row: the entity's key, or one given instead.
        schema: JSON Schema of a record, including the columns that the tap adds.
        key_properties: Key of the records, for the target.
        dates: Names of timestamp columns that are emitted as dates.
        hashed: Whether the key is hashed into ``_key``.
        renamed: Columns of the properties that are not emitted under their own names, since the
            tap or the targets use these names themselves.
        taken: Names of the tap's own columns that properties bear, where the tap adds none.
    """

    properties: dict[str, Property]
    key: tuple[str, ...]
    schema: Schema = field(default_factory=dict)
    key_properties: tuple[str, ...] = ()
    dates: frozenset[str] = frozenset()
    hashed: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()

    @property
    def added(self) -> frozenset[str]:
        """The columns that the tap adds."""
        columns = self.schema["properties"]
        return frozenset(n for n in _OWN_COLUMNS if n in columns and n not in self.taken)

    @property
    def renaming(self) -> str:
        """What a user should know of the columns that have other names."""
        names = ", ".join(f"{name} as {column}" for name, column in self.renamed.items())
        return (
            "the tap or the targets use some of its columns' names themselves, so these columns "
            f"are emitted under other names: {names}"
        )

    def column(self, name: str) -> str:
        """The column that a property is emitted as."""
        return self.renamed.get(name, name)

    def property_of(self, column: str) -> str:
        """The property that is emitted as a column; other names stay."""
        return next((n for n, emitted in self.renamed.items() if emitted == column), column)

    def tracking_field(self, candidates: Iterable[str]) -> str | None:
        """The first candidate that is a timestamp column; None if there is none."""
        for name in candidates:
            prop = self.properties.get(name)
            if name not in self.dates and prop and is_timestamp(prop.type) and not prop.collection:
                return name
        return None


def record_shape(  # noqa: PLR0913  all of them decide the shape
    model: Model,
    type_name: str,
    *,
    hidden: frozenset[str] = frozenset(),
    key: Sequence[str] | None = None,
    hashed_key: bool = False,
    tenant: bool = False,
    singleton: bool = False,
    expansions: Sequence[Expansion] = (),
    is_date: Callable[[str], bool] = lambda _: False,
    deletions: bool = False,
) -> RecordShape:
    """Derive the shape of an entity type's records.

    Args:
        model: The service's model.
        type_name: Qualified name of the entity type.
        hidden: Properties that the service declares but does not return.
        key: Names of the properties that identify a row; None for the entity type's key.
        hashed_key: Whether the records' key is a hash of that key, whose values may be null.
        tenant: Whether records have a ``_tenant`` column.
        singleton: Whether there is only one row.
        expansions: Expanded navigation properties.
        is_date: Whether the timestamp column with this name is emitted as a date.
        deletions: Whether records have a column for the time of deletion, if the service keeps
            deleted rows.
    """
    key = tuple(model.key(type_name) if key is None else key)
    properties = {
        name: model.resolve_definition(prop)
        for name, prop in model.properties(type_name).items()
        if prop.type != "Edm.Stream" and (name not in hidden or name in key)
    }
    if not all(name in properties for name in key):
        key = ()  # part of it is a path into an object; the rest alone would not be unique
    dates = frozenset(
        name
        for name, prop in properties.items()
        if is_timestamp(prop.type) and not prop.collection and is_date(name)
    )
    hashed_key = hashed_key and bool(key)
    shape = RecordShape(properties, key, dates=dates, hashed=hashed_key)
    names = (*properties, *(expansion.navigation.name for expansion in expansions))
    shape.renamed = _renamed(names, tenant=tenant, hashed_key=hashed_key)
    shape.taken = frozenset(names).intersection(_OWN_COLUMNS) - shape.renamed.keys()
    columns: dict[str, Schema] = {}
    keys: list[str] = []
    if tenant:
        columns[TENANT_COLUMN] = {"type": ["string"], "description": "Login name of the tenant"}
        if key or singleton:
            keys.append(TENANT_COLUMN)
    if hashed_key:
        columns[KEY_COLUMN] = {"type": ["string"], "description": f"Hash of {', '.join(key)}"}
        keys.append(KEY_COLUMN)
    else:
        keys.extend(map(shape.column, key))
    for name, prop in properties.items():
        column = columns[shape.column(name)] = property_schema(model, prop)
        if name in dates:
            column["format"] = "date"
        if shape.column(name) in keys:
            column["type"] = [kind for kind in column["type"] if kind != "null"]
    for expansion in expansions:
        columns[shape.column(expansion.navigation.name)] = _expansion_schema(model, expansion)
    if deletions and deletion_flag(properties):
        columns[DELETED_COLUMN] = {"type": ["string", "null"], "format": "date-time"}
    shape.schema = {"type": "object", "properties": columns}
    shape.key_properties = tuple(keys)
    return shape


def _renamed(names: Sequence[str], *, tenant: bool, hashed_key: bool) -> dict[str, str]:
    """New names for what bears a name that the tap or the targets use, in whatever case.

    They depend on the names alone, so they are the same on every run.
    """
    own = {*([TENANT_COLUMN] if tenant else ()), *([KEY_COLUMN] if hashed_key else ())}
    used = {name.casefold() for name in names}
    found: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in own or folded.startswith(_OF_TARGETS):
            column = f"service{name}"
            while column.casefold() in used:
                column += "_"
            used.add(column.casefold())
            found[name] = column
    return found


def property_schema(model: Model, prop: Property, depth: int = 0) -> Schema:
    """JSON Schema of a property; complex types become objects, collections become arrays."""
    schema = _value_schema(model, prop, depth)
    if prop.collection:
        schema = {"type": ["array", "null"], "items": schema}
    if prop.description:
        schema["description"] = prop.description
    return schema


def _value_schema(model: Model, prop: Property, depth: int) -> Schema:
    if is_primitive(prop.type):
        return json_schema(prop.type, prop.facets)
    if model.is_enum(prop.type):
        return {"type": ["string", "null"]}
    if model.structured_type(prop.type) and depth < MAX_DEPTH:
        members = model.properties(prop.type).items()
        return {
            "type": ["object", "null"],
            "properties": {
                name: property_schema(model, model.resolve_definition(member), depth + 1)
                for name, member in members
            },
        }
    return json_schema(prop.type)


def _expansion_schema(model: Model, expansion: Expansion) -> Schema:
    declared = model.properties(expansion.navigation.type)
    names = expansion.select or tuple(declared)
    members = {
        name: property_schema(model, model.resolve_definition(declared[name])) for name in names
    }
    for nested in expansion.nested:
        members[nested.navigation.name] = _expansion_schema(model, nested)
    entity: Schema = {"type": ["object", "null"], "properties": members}
    return (
        {"type": ["array", "null"], "items": entity} if expansion.navigation.collection else entity
    )


def same_but_for_case(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The names that many targets take for one, together.

    >>> same_but_for_case(["Id", "Note", "ID"])
    [('Id', 'ID')]
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.casefold(), []).append(name)
    return [tuple(alike) for alike in found.values() if len(alike) > 1]


def merge_shapes(shapes: Sequence[RecordShape]) -> RecordShape:
    """Merge the shapes of a stream that tenants have customized differently.

    A column whose types differ becomes text. A key that one of them hashes is hashed for all.
    """
    first, *others = sorted(shapes, key=lambda shape: not shape.hashed)
    columns = dict(first.schema["properties"])
    properties = dict(first.properties)
    for other in others:
        for name, schema in other.schema["properties"].items():
            if name not in columns:
                columns[name] = schema
            elif _type_and_format(columns[name]) != _type_and_format(schema):
                columns[name] = {"type": ["string", "null"]}
        properties = {**other.properties, **properties}
    return RecordShape(
        properties,
        first.key,
        {"type": "object", "properties": columns},
        first.key_properties,
        frozenset().union(*(shape.dates for shape in shapes)),
        first.hashed,
        {name: column for shape in shapes for name, column in shape.renamed.items()},
        frozenset().union(*(shape.taken for shape in shapes)),
    )


def _type_and_format(schema: Schema) -> tuple[object, ...]:
    kinds = tuple(sorted(kind for kind in schema.get("type", []) if kind != "null"))
    return (*kinds, schema.get("format"))


def restore_facets(schema: Schema, discovered: Schema) -> None:
    """Restore in ``schema`` what was discovered and is missing in a catalog.

    That is the precision and scale of numbers, which catalogs do not keep, and the format of
    timestamps emitted as dates, which a catalog older than the setting does not have.
    """
    if "precision" in discovered and schema.get("type") == discovered["type"]:
        schema |= {facet: discovered[facet] for facet in ("precision", "scale")}
    if discovered.get("format") == "date" and schema.get("format") == "date-time":
        schema["format"] = "date"
    found = discovered.get("properties", {})
    for name, column in schema.get("properties", {}).items():
        if name in found:
            restore_facets(column, found[name])
    if isinstance(schema.get("items"), dict) and "items" in discovered:
        restore_facets(schema["items"], discovered["items"])
