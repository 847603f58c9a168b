"""The tables in SQLite: each tenant has its own set in one database."""

from __future__ import annotations

import base64
import json
import logging
import random
import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import inquiry_rows
from . import seed as seeding
from .clock import from_stored, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from .clock import Clock
    from .model import Column, Entity, Inquiry, Model

log = logging.getLogger("tap_acumatica.sandbox")

REPORT_SECONDS = 5.0
"""Between two reports on rows that are still being made."""
FIRST_ROW_VERSION = 100_000_000
_SQL_TYPES = {"Int16": "INTEGER", "Int32": "INTEGER", "Int64": "INTEGER", "Boolean": "INTEGER"}


class Store:
    """Rows by tenant. Thread-safe: only one statement runs at a time."""

    def __init__(  # noqa: PLR0913 - each is an independent setting
        self,
        tenants: Mapping[str, Model],
        *,
        rows: int,
        seed: int,
        clock: Clock,
        database: str | None = None,
        until: datetime | None = None,
    ) -> None:
        self.tenants = dict(tenants)
        self.clock = clock
        self.lock = threading.RLock()
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.commit_delay: Callable[[], int] = lambda: 0
        self._prefixes = {name: f"t{index}_" for index, name in enumerate(tenants)}
        self._pending: list[tuple[int, str, Sequence[object]]] = []
        self._ticks = 0
        self._db = sqlite3.connect(
            database or ":memory:", check_same_thread=False, isolation_level=None
        )
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = MEMORY")
        self._db.create_collation("DECIMALS", _compare_decimals)
        self._db.create_function("rowversion", 1, row_version, deterministic=True)
        self._fill(rows, seed, until or _midnight_before(clock.now(), 3))
        self._versions = FIRST_ROW_VERSION

    def close(self) -> None:
        """Close the database; rows in a file are kept."""
        with self.lock:
            self._db.close()

    def fetch(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.lock, closing(self._db.cursor()) as cursor:
            return cursor.execute(sql, parameters).fetchall()

    def table(self, tenant: str, name: str) -> str:
        """Return the quoted name of a tenant's table."""
        return f'"{self._prefixes[tenant]}{name}"'

    def from_clause(self, tenant: str, inquiry: Inquiry) -> str:
        """Return the tables of an inquiry for this tenant."""
        text = inquiry.tables
        for entity in self.tenants[tenant].roots():
            text = text.replace(f"{{{entity.table}}}", self.table(tenant, entity.table))
        return text

    def rows(self, tenant: str, entity: Entity) -> list[dict[str, Any]]:
        """Return all rows as Python values, with hidden columns, in the order of the key."""
        columns = [column for column in entity.columns.values() if column.stored]
        names = ", ".join(f'"{column.name}"' for column in columns)
        order = ", ".join(f'"{name}"' for name in entity.key) or "rowid"
        sql = (
            f"SELECT {names} FROM {self.table(tenant, entity.table)}"  # noqa: S608 - names of ours
            f" WHERE {entity.where or '1'} ORDER BY {order}"
        )
        return [
            {c.name: from_database(c, v) for c, v in zip(columns, row, strict=True)}
            for row in self.fetch(sql)
        ]

    def change(self, sql: str, parameters: Sequence[object]) -> None:
        """Run a statement, or hold it back if commits are delayed."""
        with self.lock:
            delay = self.commit_delay()
            if delay > 0:
                self._pending.append((self._ticks + delay, sql, parameters))
            else:
                self._db.execute(sql, parameters)

    def tick(self) -> None:
        """Count a data request, and run the statements that were held back until now."""
        with self.lock:
            self._ticks += 1
            due = [change for change in self._pending if change[0] < self._ticks]
            self._pending = [change for change in self._pending if change[0] >= self._ticks]
            for _, sql, parameters in due:
                self._db.execute(sql, parameters)

    def next_row_version(self) -> str:
        """Return a row version higher than all others."""
        with self.lock:
            self._versions += 1
            return row_version(self._versions)

    def _fill(self, rows: int, seed: int, until: datetime) -> None:
        marks = json.dumps({"tenants": list(self.tenants)})
        self._db.execute("CREATE TABLE IF NOT EXISTS sandbox (marks TEXT)")
        found = self.fetch("SELECT marks FROM sandbox")
        if found:
            if found[0][0] != marks:
                msg = "the database file belongs to other tenants; choose another file"
                raise ValueError(msg)
            return
        self._db.execute("BEGIN")
        for index, (tenant, model) in enumerate(self.tenants.items()):
            counts = seeding.counts(rows if index == 0 else rows // 2)
            plan = seeding.Plan(seed + index * 7919, counts, until)
            for entity in model.roots():
                self._db.set_progress_handler(_reporter(f"{entity.table} of {tenant}"), 100_000)
                self._create(tenant, entity, model.table_columns(entity), plan)
        self._db.set_progress_handler(None, 0)
        self._db.execute("INSERT INTO sandbox VALUES (?)", (marks,))
        self._db.execute("COMMIT")

    def _create(
        self, tenant: str, entity: Entity, columns: list[Column], plan: seeding.Plan
    ) -> None:
        target = self.table(tenant, entity.table)
        definitions = ", ".join(f'"{c.name}" {_SQL_TYPES.get(c.edm, "TEXT")}' for c in columns)
        self._db.execute(f"CREATE TABLE {target} ({definitions})")
        rows = inquiry_rows.rows(entity.table, list(self.tenants[tenant].inquiries.values()))
        if rows is None:
            self._db.execute(seeding.insert_statement(entity.table, target, columns, plan))
        for row in rows or ():
            values = [to_database(column, row.get(column.name)) for column in columns]
            places = ", ".join("?" * len(columns))
            self._db.execute(f"INSERT INTO {target} VALUES ({places})", values)  # noqa: S608 - names of ours
        by_name = {column.name: column for column in columns}
        keys = [comparable(by_name[name], f'"{name}"') for name in entity.key]
        joins = {local for local in entity.key if len(entity.key) > 1}
        joins |= {seeding.IDENTITIES.get(entity.table, "")} - {""}
        indexes = [keys] if keys else []
        if "LastModifiedDateTime" in by_name and keys:
            indexes.append(['"LastModifiedDateTime"', *keys])
        indexes += [[f'"{name}"'] for name in sorted(joins) if name.endswith(("ID", "Nbr"))]
        for number, terms in enumerate(indexes):
            name = f'"{self._prefixes[tenant]}{entity.table}_{number}"'
            self._db.execute(f"CREATE INDEX {name} ON {target} ({', '.join(terms)})")


def comparable(column: Column, expression: str) -> str:
    """Return the expression for comparing and sorting a column.

    As in SQL Server by default, strings ignore case and trailing spaces.
    """
    if column.edm == "String":
        return f"rtrim({expression}) COLLATE NOCASE"
    if column.edm == "Decimal":
        return f"{expression} COLLATE DECIMALS"
    return expression


def to_database(column: Column, value: object) -> object:
    """Convert a Python value to the form in the database."""
    if value is None:
        return None
    if column.edm == "DateTimeOffset" and not isinstance(value, str):
        moment: Any = value
        return stored(moment)
    if column.edm == "Decimal":
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    if column.edm == "Boolean":
        return int(bool(value))
    return value if isinstance(value, (int, str)) else str(value)


def from_database(column: Column, value: Any) -> object:
    """Convert a value in the database to a Python value; GUIDs and binaries stay text."""
    if value is None:
        return None
    if column.edm == "DateTimeOffset":
        return from_stored(value)
    if column.edm == "Decimal":
        return Decimal(value)
    return bool(value) if column.edm == "Boolean" else value


def row_version(number: int) -> str:
    """Return a `tstamp` value: eight bytes in Base64."""
    return base64.b64encode(number.to_bytes(8, "big")).decode()


def _reporter(what: str) -> Callable[[], int]:
    """Return a function that says every few seconds what is being prepared."""
    began = last = time.monotonic()

    def report() -> int:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_SECONDS:
            last = now
            log.info("Still preparing %s (%.0f seconds) ...", what, now - began)
        return 0

    return report


def _compare_decimals(left: str, right: str) -> int:
    one, other = Decimal(left), Decimal(right)
    return (one > other) - (one < other)


def _midnight_before(moment: datetime, days: int) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days)
