"""``meltano run`` into a PostgreSQL out of a wheel: the tap against the stock one."""

from __future__ import annotations

import logging
import sys
import typing as t

import yaml
from psycopg import sql

from benchmarks.dataset import LINES
from benchmarks.process import BenchmarkError
from benchmarks.results import Findings, Options, Result
from benchmarks.server import SMALL, serving
from benchmarks.taps import OURS
from demo import compare, meltano
from demo.postgres import postgres

if t.TYPE_CHECKING:
    from pathlib import Path

    from demo.postgres import Postgres

logger = logging.getLogger(__name__)

_STOCK = "tap-stock"


def loading(options: Options, folder: Path) -> Findings:
    """The whole of ``meltano run``, into an empty schema each time."""
    rows = options.share(2, 5)
    meltano.install()
    seconds: dict[str, list[float]] = {OURS: [], _STOCK: []}
    with serving(rows) as address, postgres() as server:
        for number in range(options.runs):
            for tap, found in seconds.items():
                schema = f"run{number}_{tap.replace('-', '_')}"
                took = _run(tap, address, server, schema, folder / schema)
                _check(server, schema, rows)
                found.append(took)
                logger.info("  %d/%d %s: %.2f s", number + 1, options.runs, tap, took)
    ratios = [stock / ours for stock, ours in zip(seconds[_STOCK], seconds[OURS], strict=True)]
    name = f"meltano run into PostgreSQL, {rows:,} rows: faster than the stock tap"
    return Findings([Result(name, ratios, at_least=3)])


def _run(tap: str, address: str, server: Postgres, schema: str, folder: Path) -> float:
    folder.mkdir()
    settings = {
        "TAP_ACUMATICA_URL": f"{address}{SMALL}",
        "TAP_ACUMATICA_ENTITY_SETS": f'["{LINES}"]',
        "TAP_STOCK_URL": address,
        **meltano.target_settings(server, schema),
    }
    project = meltano.Project(folder, settings)
    _add_stock(folder)
    run = project.run(tap)
    if run.exit_code:
        raise BenchmarkError(meltano.last_lines(run))
    return run.seconds


def _add_stock(folder: Path) -> None:
    """Define the stock tap in a project, beside the project's own plugins."""
    program = folder / _STOCK
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="{meltano.ROOT}" '
        f'exec "{sys.executable}" -m benchmarks.stock "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    path = folder / "meltano.yml"
    project = yaml.safe_load(path.read_text(encoding="utf-8"))
    project["plugins"]["extractors"].append(
        {
            "name": _STOCK,
            "namespace": "tap_stock",
            "executable": str(program),
            "capabilities": ["catalog", "discover", "state"],
            "settings": [{"name": "url"}],
        }
    )
    path.write_text(yaml.safe_dump(project), encoding="utf-8")


def _check(server: Postgres, schema: str, rows: int) -> None:
    with server.connect() as connection:
        table = sql.Identifier(schema, compare.table_name(connection, schema, LINES))
        cursor = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table))
        loaded = (cursor.fetchone() or (0,))[0]
        dropped = sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema))
        connection.execute(dropped)
    if loaded != rows:
        raise BenchmarkError(f"{loaded} of {rows} rows were loaded into {schema}")
