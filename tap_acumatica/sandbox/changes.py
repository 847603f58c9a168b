"""Changes to rows, as users of the ERP would make them."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

from .clock import stored
from .seed import IDENTITIES
from .store import comparable, to_database

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Column, Entity
    from .store import Store

DISCRIMINATORS = {
    "Customer": ("Type", "CU"),
    "Vendor": ("Type", "VE"),
    "PMProject": ("BaseType", "P"),
}
_CHANGES = ("updated", "updated", "inserted", "deleted")
SETTINGS = frozenset(
    {"Account", "Sub", "Branch", "Ledger", "INSite", "Terms", "GLSetup", "ADLAccount"}
)


def update(
    store: Store, tenant: str, entity: Entity, key: Mapping[str, Any], **values: Any
) -> None:
    """Change a row and its time of last modification."""
    columns = entity.columns
    values = _stamp_values(store, entity, ("LastModifiedDateTime",)) | values
    # Not every table has such a column.
    sets = ", ".join(f'"{name}" = ?' for name in values) or "rowid = rowid"
    where, parameters = _key_condition(entity, key)
    store.change(
        f"UPDATE {store.table(tenant, entity.table)} SET {sets} WHERE {where}",  # noqa: S608 - names of ours
        [*(to_database(columns[name], value) for name, value in values.items()), *parameters],
    )


def insert(store: Store, tenant: str, entity: Entity, **values: Any) -> None:
    """Add a row; missing values are null, or zero in columns that are not nullable.

    Raises:
        ValueError: if a key column is missing.
    """
    missing = [name for name in entity.key if name not in values]
    kind = DISCRIMINATORS.get(entity.class_name)
    if kind is not None:
        values.setdefault(*kind)
        missing = [name for name in missing if name != kind[0]]
    if missing:
        msg = f"a new row of {entity.class_name} needs values for {', '.join(missing)}"
        raise ValueError(msg)
    row: dict[str, Any] = {
        c.name: "" if c.edm == "String" else 0
        for c in entity.columns.values()
        if c.stored and not c.nullable
    }
    row |= _stamp_values(store, entity, ("LastModifiedDateTime", "CreatedDateTime"))
    if "NoteID" in entity.columns:
        row["NoteID"] = _guid(store)
    _insert(store, tenant, entity, row | values)


def delete(store: Store, tenant: str, entity: Entity, key: Mapping[str, Any]) -> None:
    """Remove a row from its table."""
    where, parameters = _key_condition(entity, key)
    table = store.table(tenant, entity.table)
    store.change(f"DELETE FROM {table} WHERE {where}", parameters)  # noqa: S608 - names of ours


def touch_random(store: Store, tenant: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Set the modification time of `count` random rows to now; return entity sets and keys."""
    entities = [e for e in store.tenants[tenant].roots() if e.listed and e.key and not e.singleton]
    touched = []
    for _ in range(count):
        entity = store.random.choice(entities)
        row = _random_row(store, tenant, entity)
        if row is not None:
            key = {name: row[name] for name in entity.key}
            update(store, tenant, entity, key)
            touched.append((entity.sets[-1], key))
    return touched


def change_some(store: Store, tenant: str, count: int) -> dict[str, dict[str, int]]:
    """Change, add and delete `count` random rows of a tenant, in the ratio 2 to 1 to 1."""
    entities = [
        e for e in store.tenants[tenant].roots() if e.listed and e.key and e.table not in SETTINGS
    ]
    done: dict[str, dict[str, int]] = {}
    for kind in itertools.islice(itertools.cycle(_CHANGES), count):
        entity = store.random.choice(entities)
        row = _random_row(store, tenant, entity)
        if row is None:
            continue
        key = {name: row[name] for name in entity.key}
        tally = done.setdefault(entity.sets[-1], {"updated": 0, "inserted": 0, "deleted": 0})
        if kind == "inserted":
            _insert(store, tenant, entity, _copy_with_new_key(store, tenant, entity, row))
        elif kind == "deleted":
            delete(store, tenant, entity, key)
        else:
            update(store, tenant, entity, key)
        tally[kind] += 1
    return done


def _insert(store: Store, tenant: str, entity: Entity, row: Mapping[str, Any]) -> None:
    columns = _table_columns(store, tenant, entity)
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" for _ in row)
    store.change(
        f"INSERT INTO {store.table(tenant, entity.table)} ({names}) VALUES ({marks})",  # noqa: S608 - names of ours
        [to_database(columns[name], value) for name, value in row.items()],
    )


def _table_columns(store: Store, tenant: str, entity: Entity) -> dict[str, Column]:
    return {c.name: c for c in store.tenants[tenant].table_columns(entity)}


def _random_row(store: Store, tenant: str, entity: Entity) -> dict[str, Any] | None:
    table = store.table(tenant, entity.table)
    columns = list(_table_columns(store, tenant, entity))
    names = ", ".join(f'"{name}"' for name in columns)
    last = store.fetch(f"SELECT max(rowid) FROM {table}")[0][0] or 0  # noqa: S608 - names of ours
    found = store.fetch(
        f"SELECT {names} FROM {table} WHERE rowid >= ? ORDER BY rowid LIMIT 1",  # noqa: S608 - names of ours
        (store.random.randint(1, max(last, 1)),),
    )
    return dict(zip(columns, found[0], strict=True)) if found else None


def _copy_with_new_key(
    store: Store, tenant: str, entity: Entity, row: dict[str, Any]
) -> dict[str, Any]:
    """Return a copy of a row under a new key."""
    columns = _table_columns(store, tenant, entity)
    row |= _stamp_values(store, entity, ("LastModifiedDateTime", "CreatedDateTime"))
    if "NoteID" in row:
        row["NoteID"] = _guid(store)
    numbers = {IDENTITIES.get(entity.table, "")} & columns.keys()
    numbers |= {name for name in entity.key if columns[name].edm.startswith("Int")}
    for name in numbers:
        sql = f'SELECT max("{name}") + 1 FROM {store.table(tenant, entity.table)}'  # noqa: S608 - names of ours
        row[name] = store.fetch(sql)[0][0]
    for name in entity.key:
        if name.endswith(("Nbr", "CD")) and columns[name].edm == "String":
            fresh = f"N{store.random.randrange(16**9):09x}".upper()
            row[name] = fresh.ljust(len(row[name]))
    return row


def _stamp_values(store: Store, entity: Entity, names: tuple[str, ...]) -> dict[str, Any]:
    now = stored(store.clock.now())
    found: dict[str, Any] = {name: now for name in names if name in entity.columns}
    if "tstamp" in entity.columns:
        found["tstamp"] = store.next_row_version()
    return found


def _guid(store: Store) -> str:
    return str(uuid.UUID(int=store.random.getrandbits(128), version=4))


def _key_condition(entity: Entity, key: Mapping[str, Any]) -> tuple[str, list[object]]:
    terms, parameters = ["1"], []
    for name, value in key.items():
        column = entity.columns[name]
        terms.append(f"{comparable(column, name)} = {comparable(column, '?')}")
        parameters.append(to_database(column, value))
    return " AND ".join(terms), parameters
