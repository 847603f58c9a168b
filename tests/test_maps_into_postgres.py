"""Computed columns in PostgreSQL: of the right type, right to the last digit, by every way out."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from decimal import Decimal

import pytest

from demo import compare, meltano
from tests.field.orders import orders
from tests.field.service import Service

if t.TYPE_CHECKING:
    from pathlib import Path

    from demo.postgres import Postgres

pytestmark = pytest.mark.usefixtures("plugins")

TARGET = meltano.ROOT / ".meltano/loaders/target-postgres/venv/bin/target-postgres"
COMPUTED: dict[str, tuple[str, str, t.Callable[[Decimal], t.Any]]] = {
    "Gross": ("Total * 1.19", "numeric", lambda total: total * Decimal("1.19")),
    "Less": ("Total - 0.5", "numeric", lambda total: total - Decimal("0.5")),
    "Half": ("Total / 2", "numeric", lambda total: total / 2),
    "Square": ("Total ** 2", "numeric", lambda total: total**2),
    "Cents": ("round(Total, 2)", "numeric", lambda total: round(total, 2)),
    "Whole": ("int(Total)", "bigint", int),
    "Text": ("str(Total)", "text", str),
    "Large": ("Total > 22.125", "boolean", lambda total: total > Decimal("22.125")),
    "Total": ("Total * 1.0001", "numeric", lambda total: total * Decimal("1.0001")),
}


@pytest.mark.parametrize("by_batch", [False, True])
def test_computed_columns_arrive(postgres: Postgres, tmp_path: Path, *, by_batch: bool) -> None:
    schema = f"computed_{by_batch}".lower()
    table = orders(25)
    service = Service(table)
    config: dict[str, t.Any] = {
        "stream_maps": {
            "Orders": {
                **{name: expression for name, (expression, _, _) in COMPUTED.items()},
                "Note": "__NULL__",
                "__filter__": "Total > 20.5",
            }
        }
    }
    if by_batch:
        storage = {"root": tmp_path.as_uri(), "prefix": ""}
        config["batch_config"] = {"encoding": {"format": "jsonl"}, "storage": storage}
    with service.running():
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"url": service.url, **config}), encoding="utf-8")
        command = [sys.executable, "-m", "tap_acumatica", "--config", str(path)]
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    settings = {
        "host": postgres.host,
        "port": postgres.port,
        "user": postgres.user,
        "password": postgres.password,
        "database": postgres.database,
        "default_target_schema": schema,
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    subprocess.run([TARGET, "--config", path], input=output, check=True)
    with postgres.connect() as connection:
        name = compare.table_name(connection, schema, "Orders")
        types = dict(
            connection.execute(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = %s AND table_name = %s",
                (schema, name),
            ).fetchall()
        )
        columns = ", ".join(f'"{column}"' for column in ("Id", *COMPUTED))
        rows = connection.execute(f'SELECT {columns} FROM "{schema}"."{name}"').fetchall()  # noqa: S608
    assert {column: types[column] for column in COMPUTED} == {
        column: kind for column, (_, kind, _) in COMPUTED.items()
    }
    assert "Note" not in types
    totals = {row["Id"]: row["Total"] for row in table.rows}
    assert sorted(row[0] for row in rows) == [21, 22, 23, 24, 25]
    for key, *values in rows:
        wanted = [function(totals[key]) for _, _, function in COMPUTED.values()]
        assert values == wanted
