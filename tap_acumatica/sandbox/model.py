"""The model of the sandbox's data: types, columns, navigation properties and inquiries."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from . import inquiry_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NUMBERS = frozenset({"Int16", "Int32", "Int64", "Decimal"})


@dataclass(frozen=True)
class Column:
    """A property, shown in the metadata or hidden."""

    name: str
    edm: str
    nullable: bool = True
    description: str | None = None
    hidden: bool = False
    filterable: bool = True
    stored: bool = True
    formula: bool = False
    virtual: bool = False
    appended: bool = False
    expression: str = ""


@dataclass(frozen=True)
class Navigation:
    """A navigation property; `join` matches rows, `constraints` are in the metadata."""

    name: str
    target: str
    collection: bool
    constraints: tuple[tuple[str, str], ...]
    join: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entity:
    """A data access class; `columns`, `key` and `navigation` include those of the base type."""

    name: str
    base: str | None
    singleton: bool
    sets: tuple[str, ...]
    own_key: tuple[str, ...]
    own_columns: tuple[Column, ...]
    own_navigation: tuple[Navigation, ...]
    where: str
    listed: bool = True
    table: str = ""
    key: tuple[str, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    navigation: Mapping[str, Navigation] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The .NET namespace."""
        return self.name.rpartition(".")[0]

    @property
    def class_name(self) -> str:
        """The .NET class."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Inquiry:
    """A generic inquiry: a query over the tables of the data access classes."""

    title: str
    type_name: str
    key: tuple[str, ...]
    tables: str
    condition: str
    order: tuple[str, ...]
    parameters: Mapping[str, tuple[str, str]]
    columns: Mapping[str, Column]

    @property
    def function_import(self) -> str:
        """Name of the function that reads the inquiry with parameters."""
        return f"{self.type_name}_WithParameters"


@dataclass(frozen=True)
class Model:
    """Everything one tenant serves."""

    entities: Mapping[str, Entity]
    inquiries: Mapping[str, Inquiry]
    sets: Mapping[str, Entity]
    functions: Mapping[str, Inquiry]

    def find(self, name: str) -> Entity:
        """Return the entity with this qualified name or entity set.

        Raises:
            KeyError: if there is none.
        """
        found = self.entities.get(name) or self.sets.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def roots(self) -> list[Entity]:
        """Return the entities with a table of their own."""
        return [entity for entity in self.entities.values() if entity.base is None]

    def table_columns(self, root: Entity) -> list[Column]:
        """Return the columns of a table: those of its type and of all derived types."""
        found: dict[str, Column] = {}
        for entity in self.entities.values():
            if entity.table == root.table:
                found.update({c.name: c for c in entity.columns.values() if c.stored})
        return list(found.values())


def _read(name: str) -> list[dict[str, Any]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def _entity(raw: dict[str, Any]) -> Entity:
    barred = set(raw["nonfilterable"])
    columns = [
        Column(
            name,
            edm,
            nullable,
            description,
            filterable=name not in barred,
            # Acumatica's guide selects DeletedDatabaseRecord, although it is not filterable.
            stored=name not in barred or name == "DeletedDatabaseRecord",
        )
        for name, edm, nullable, description in raw["properties"]
    ]
    columns += [Column(name, edm, hidden=True) for name, edm in raw["hidden"]]
    return Entity(
        name=raw["name"],
        base=raw["base"],
        singleton=raw["singleton"],
        sets=tuple(raw["sets"]),
        own_key=tuple(raw["key"]),
        own_columns=tuple(columns),
        own_navigation=tuple(
            Navigation(name, target, collection, _pairs(declared), _pairs(join or declared))
            for name, target, collection, declared, join in raw["navigation"]
        ),
        where=raw["where"],
    )


def _inquiry_table(name: str) -> Entity:
    namespace, friendly, key, columns = inquiry_tables.TABLES[name]
    full = f"{namespace}.{name}"
    return Entity(
        name=full,
        base=None,
        singleton=name in inquiry_tables.SINGLETONS,
        sets=tuple(dict.fromkeys((full.replace(".", "_"), friendly, name))),
        own_key=key,
        own_columns=tuple(Column(each, edm, each not in key) for each, edm in columns.items()),
        own_navigation=(),
        where="",
        listed=False,
    )


def _pairs(pairs: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((local, other) for local, other in pairs)


def _inherit(entity: Entity, known: Mapping[str, Entity]) -> Entity:
    chain = [entity]
    while chain[0].base is not None:
        chain.insert(0, known[chain[0].base])
    root = chain[0]
    table = root.class_name if root.name != "PX.Objects.GL.ADL.Account" else "ADLAccount"
    return replace(
        entity,
        table=table,
        key=root.own_key,
        columns={c.name: c for part in chain for c in part.own_columns},
        navigation={n.name: n for part in chain for n in part.own_navigation},
    )


def _inquiry(raw: dict[str, Any]) -> Inquiry:
    columns = {}
    for name, edm, expression, *marks in raw["columns"]:
        columns[name] = Column(
            name,
            edm,
            expression=expression,
            formula="formula" in marks,
            virtual="virtual" in marks,
            appended="appended" in marks,
        )
    return Inquiry(
        title=raw["title"],
        type_name="".join(c for c in raw["title"] if c.isalnum()),
        key=tuple(raw["key"]),
        tables=raw["tables"],
        condition=raw["condition"],
        order=tuple(raw["order"]),
        parameters={p: (edm, condition) for p, edm, condition in raw.get("parameters", [])},
        columns=columns,
    )


@functools.cache
def load() -> Model:
    """Return the model of the first tenant, which has no customizations."""
    raw = {entity.name: entity for entity in map(_entity, _read("entities.json"))}
    raw |= {entity.name: entity for entity in map(_inquiry_table, inquiry_tables.TABLES)}
    entities = [_inherit(entity, raw) for entity in raw.values()]
    return assemble(entities, [_inquiry(row) for row in _read("inquiries.json")])


def assemble(entities: Sequence[Entity], inquiries: Sequence[Inquiry]) -> Model:
    """Return a model of these entities and inquiries."""
    return Model(
        entities={entity.name: entity for entity in entities},
        inquiries={inquiry.title: inquiry for inquiry in inquiries},
        sets={name: entity for entity in entities for name in entity.sets},
        functions={i.function_import: i for i in inquiries if i.parameters},
    )


def second_tenant(model: Model) -> Model:
    """Return the model of a tenant without purchase orders but with a custom field."""
    entities = []
    for entity in model.entities.values():
        if entity.table == "POOrder":
            continue
        if entity.class_name == "Customer":
            extra = Column("UsrRegion", "String", description="Region")
            entities.append(
                replace(
                    entity,
                    own_columns=(*entity.own_columns, extra),
                    columns={**entity.columns, extra.name: extra},
                )
            )
            continue
        entities.append(entity)
    return assemble(entities, list(model.inquiries.values()))
