"""Compares all rows in PostgreSQL with the sandbox's database."""

from __future__ import annotations

import json
import sqlite3
import typing as t
import uuid
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from psycopg import sql
from psycopg.rows import dict_row
from typing_extensions import override

from tap_acumatica.sandbox import model

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import psycopg

    from demo.postgres import Postgres

    Row = Mapping[str, t.Any]
    Key = tuple[t.Any, ...]

TRACKING_FIELD = "LastModifiedDateTime"
TENANT = "_tenant"


class ComparisonError(Exception):
    """A table or a column is missing in PostgreSQL."""


@dataclass(frozen=True)
class Table:
    """A stream, compared with its source.

    Attributes:
        stream: Name of the stream.
        source: Number of rows at the source.
        loaded: Number of rows in PostgreSQL.
        missing: Keys of rows at the source that are not in PostgreSQL.
        different: Keys of rows whose values differ.
        deleted: Keys of rows in PostgreSQL that are no longer at the source.
        incremental: Whether the source has the time of the last change.
        recent: Number of rows at the source that are not older than the newest in PostgreSQL,
            less the overlap.
    """

    stream: str
    source: int
    loaded: int
    missing: tuple[Key, ...]
    different: tuple[Key, ...]
    deleted: tuple[Key, ...]
    incremental: bool
    recent: int

    @property
    def unequal(self) -> int:
        """Number of rows at the source that are missing or different in PostgreSQL."""
        return len(self.missing) + len(self.different)

    @override
    def __str__(self) -> str:
        return (
            f"{self.stream}: {len(self.missing)} missing {self.missing[:3]},"
            f" {len(self.different)} different {self.different[:3]}"
        )


def tenants(database: Path) -> list[str]:
    """The tenants in a sandbox's database.

    Args:
        database: The SQLite file.
    """
    with closing(_open(database)) as source:
        marks = source.execute("SELECT marks FROM sandbox").fetchone()[0]
    found: list[str] = json.loads(marks)["tenants"]
    return found


def compare(database: Path, server: Postgres, schema: str, overlap: int = 300) -> list[Table]:
    """Compare each stream of the data access classes with its source, row by row.

    Args:
        database: The sandbox's SQLite file.
        server: The server with the loaded rows.
        schema: The schema with the loaded rows.
        overlap: Seconds before the newest row that are read again; the setting `time_offset`.

    Returns:
        One entry per stream.

    Raises:
        ComparisonError: If a table or a column is missing.
    """
    # The second tenant has one table less and a custom field.
    first = model.load()
    models = [first, model.second_tenant(first)]
    names = tenants(database)
    classes = Counter(entity.class_name for entity in first.entities.values())
    found = []
    with closing(_open(database)) as source, server.connect() as connection:
        for entity in first.entities.values():
            if not entity.listed:
                continue
            stream = _stream(entity, unique=classes[entity.class_name] == 1)
            columns: dict[str, model.Column] = {}
            expected: dict[Key, Row] = {}
            for index, tenant in enumerate(names):
                own = models[min(index, 1)].entities.get(entity.name)
                if own is not None:
                    columns |= _visible(own)
                    expected |= _source_rows(source, f"t{index}_", tenant, own)
            with connection.cursor(row_factory=dict_row) as cursor:
                query = sql.SQL("SELECT * FROM {}").format(
                    sql.Identifier(schema, table_name(connection, schema, stream))
                )
                loaded = _loaded_rows(cursor.execute(query).fetchall(), entity, columns)
            found.append(_compared(stream, expected, loaded, entity, overlap))
    return found


def table_name(connection: psycopg.Connection[tuple[t.Any, ...]], schema: str, stream: str) -> str:
    """The table that a stream was loaded into; targets may change upper case.

    Args:
        connection: Connection to the server.
        schema: Schema of the table.
        stream: Name of the stream.

    Raises:
        ComparisonError: If there is no such table.
    """
    row = connection.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = %s AND lower(table_name) = lower(%s)",
        (schema, stream),
    ).fetchone()
    if row is None:
        raise ComparisonError(f"PostgreSQL has no table for the stream {stream}")
    name: str = row[0]
    return name


def _compared(
    stream: str,
    expected: Mapping[Key, Row],
    loaded: Mapping[Key, Row],
    entity: model.Entity,
    overlap: int,
) -> Table:
    return Table(
        stream=stream,
        source=len(expected),
        loaded=len(loaded),
        missing=tuple(key for key in expected if key not in loaded),
        different=tuple(
            key
            for key, row in expected.items()
            if key in loaded and any(loaded[key].get(name) != row.get(name) for name in row)
        ),
        deleted=tuple(key for key in loaded if key not in expected),
        incremental=TRACKING_FIELD in _visible(entity),
        recent=_recent(expected, loaded, timedelta(seconds=overlap)),
    )


def _recent(expected: Mapping[Key, Row], loaded: Mapping[Key, Row], overlap: timedelta) -> int:
    newest: dict[str, datetime] = {}
    for key, row in loaded.items():
        stamp = row.get(TRACKING_FIELD)
        if stamp is not None:
            newest[key[0]] = max(newest.get(key[0], stamp), stamp)
    return sum(
        1
        for key, row in expected.items()
        if row.get(TRACKING_FIELD) is not None
        and (key[0] not in newest or row[TRACKING_FIELD] >= newest[key[0]] - overlap)
    )


def _stream(entity: model.Entity, *, unique: bool) -> str:
    return entity.class_name if unique else entity.name.replace(".", "_")


def _visible(entity: model.Entity) -> dict[str, model.Column]:
    """The columns that the service returns: not the hidden and the non-filterable ones."""
    return {
        name: column
        for name, column in entity.columns.items()
        if not column.hidden and column.filterable
    }


def _source_rows(
    source: sqlite3.Connection, prefix: str, tenant: str, entity: model.Entity
) -> dict[Key, Row]:
    columns = _visible(entity)
    names = ", ".join(f'"{name}"' for name in columns)
    table = f'"{prefix}{entity.table}"'
    query = f"SELECT {names} FROM {table} WHERE {entity.where or '1'}"  # noqa: S608
    found: dict[Key, Row] = {}
    for values in source.execute(query):
        row = {
            name: _comparable(column, value)
            for (name, column), value in zip(columns.items(), values, strict=True)
        }
        found[(tenant, *(row[name] for name in entity.key))] = row
    return found


def _loaded_rows(
    rows: Iterable[Row], entity: model.Entity, columns: Mapping[str, model.Column]
) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for raw in rows:
        lower = {name.lower(): value for name, value in raw.items()}
        absent = [name for name in columns if name.lower() not in lower]
        if absent:
            raise ComparisonError(
                f"the table of {entity.class_name} lacks the columns {', '.join(absent)}"
            )
        row = {name: _comparable(column, lower[name.lower()]) for name, column in columns.items()}
        found[(lower[TENANT], *(row[name] for name in entity.key))] = row
    return found


def _comparable(column: model.Column, value: object) -> object:
    """Convert a value of either database to one form, which keeps each digit."""
    if value is None:
        return None
    if column.edm == "Decimal":
        return Decimal(str(value))
    if column.edm == "DateTimeOffset":
        return _moment(value)
    if column.edm == "Boolean":
        return bool(value)
    if column.edm == "Guid":
        return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))
    return value


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    else:
        found = datetime.fromisoformat(str(value))
    if found.tzinfo is None:
        return found.replace(tzinfo=timezone.utc)
    return found.astimezone(timezone.utc)


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
