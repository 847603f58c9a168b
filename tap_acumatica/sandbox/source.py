"""What a query reads from: a data access class or an inquiry, with one interface."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from . import errors
from .store import comparable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Column, Entity, Inquiry, Model
    from .store import Store


@dataclass(frozen=True)
class Source:
    """Tables, a condition, and columns as SQL expressions."""

    set_name: str
    type_name: str
    tables: str
    condition: str
    columns: Mapping[str, Column]
    expressions: Mapping[str, str]
    key: tuple[str, ...]
    order: tuple[str, ...]
    entity: Entity | None = None
    inquiry: Inquiry | None = None
    parameters: tuple[object, ...] = field(default=())

    def column(self, name: str) -> Column:
        """Return a column that the metadata shows.

        Raises:
            QueryError: if there is no such column.
        """
        found = self.columns.get(name)
        if found is None or found.hidden:
            raise errors.unknown_property(name, self.type_name)
        return found

    def filterable(self, name: str, option: str) -> Column:
        """Return a column that can be filtered and sorted by.

        Raises:
            EmptyAnswerError: if it is a calculated column.
            QueryError: if it cannot for another reason.
        """
        found = self.column(name)
        if found.formula:
            raise errors.EmptyAnswerError(name)
        if found.virtual:
            # Acumatica's own message has the placeholder, too.
            msg = "Filter on '{0}' is not allowed because it is a virtual field"
            raise errors.QueryError(msg)
        if not found.filterable or not found.stored:
            raise errors.not_allowed(name, option)
        return found

    def restricted(self, share: int) -> Source:
        """Return the source with one of so many rows."""
        # An inquiry is in the order of its rows, a class in that of its key.
        number = self.order[0] if self.inquiry else "r.rowid"
        return replace(self, condition=f"({self.condition}) AND {number} % {share} = 0")

    def comparable(self, name: str) -> str:
        """Return the expression for comparing a column."""
        return comparable(self.columns[name], self.expressions[name])


def of_entity(store: Store, tenant: str, entity: Entity, set_name: str, alias: str = "r") -> Source:
    """Return the source behind an entity set of a data access class."""
    expressions = {name: f'{alias}."{name}"' for name, c in entity.columns.items() if c.stored}
    return Source(
        set_name=set_name,
        type_name=entity.name,
        tables=f"{store.table(tenant, entity.table)} {alias}",
        condition=entity.where or "1",
        columns=entity.columns,
        expressions=expressions,
        key=entity.key,
        order=tuple(comparable(entity.columns[name], expressions[name]) for name in entity.key),
        entity=entity,
    )


def of_inquiry(store: Store, tenant: str, inquiry: Inquiry) -> Source:
    """Return the source behind a generic inquiry."""
    return Source(
        set_name=inquiry.title,
        type_name="GI.Row",
        tables=store.from_clause(tenant, inquiry),
        condition=inquiry.condition,
        columns=inquiry.columns,
        expressions={name: c.expression for name, c in inquiry.columns.items()},
        key=inquiry.key,
        order=inquiry.order,
        inquiry=inquiry,
    )


@dataclass(frozen=True)
class Joiner:
    """Joins a row with the rows that a navigation property leads to."""

    store: Store
    tenant: str
    model: Model

    def follow(self, source: Source, name: str, depth: int) -> tuple[Source, bool]:
        """Return the source of the related rows, and whether there can be many.

        Raises:
            QueryError: if there is no such navigation property.
        """
        navigation = source.entity.navigation.get(name) if source.entity else None
        if navigation is None or source.entity is None:
            raise errors.unknown_property(name, source.type_name)
        alias = f"r{depth}"
        target = self.model.entities[navigation.target]
        other = of_entity(self.store, self.tenant, target, target.sets[0], alias)
        where = target.where or "1"
        joined = " AND ".join(
            f"{other.expressions[far]} = {source.expressions[near]}"
            for near, far in navigation.join
        )
        # Unqualified names in the condition would refer to the outer row.
        condition = f"{joined} AND {_qualified(where, target, alias)}"
        return (
            Source(
                set_name=other.set_name,
                type_name=other.type_name,
                tables=other.tables,
                condition=condition,
                columns=other.columns,
                expressions=other.expressions,
                key=other.key,
                order=other.order,
                entity=target,
            ),
            navigation.collection,
        )


def _qualified(where: str, entity: Entity, alias: str) -> str:
    first = where.partition(" ")[0]
    return f"{alias}.{where}" if first in entity.columns else where
