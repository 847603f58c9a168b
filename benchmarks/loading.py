"""``meltano run`` into PostgreSQL: compares the tap with the stock tap.

The loader takes far longer for a RECORD message than any tap, as it validates each one and inserts
them with statements. BATCH files and COPY save most of that.
"""

from __future__ import annotations

import json
import logging
import sys
import typing as t

import yaml
from psycopg import sql

from benchmarks.dataset import LINES
from benchmarks.process import BenchmarkError
from benchmarks.results import Findings, Options, Result, ratios
from benchmarks.server import SMALL, serving
from benchmarks.taps import OURS
from demo import compare, meltano
from demo.postgres import postgres

if t.TYPE_CHECKING:
    from pathlib import Path

    from demo.postgres import Postgres

logger = logging.getLogger(__name__)

_STOCK = "tap-stock"
_BATCHES = f"{OURS} by BATCH files"


def loading(options: Options, folder: Path) -> Findings:
    """``meltano run`` into PostgreSQL, each time into an empty schema."""
    rows = options.share(1, 5)
    meltano.install()
    seconds: dict[str, list[float]] = {_STOCK: [], OURS: [], _BATCHES: []}
    with serving(rows) as address, postgres() as server:
        for number in range(options.runs):
            for way, found in seconds.items():
                schema = f"run{number}_{len(way)}"
                took = _run(way, address, server, schema, folder / schema)
                _check(server, schema, rows)
                found.append(took)
                logger.info("  %d/%d %s: %.2f s", number + 1, options.runs, way, took)
    name = f"meltano run into PostgreSQL, {rows:,} rows: faster than the stock tap"
    return Findings(
        [
            Result(f"{name}, default settings", ratios(seconds, _STOCK, OURS)),
            Result(
                f"{name}, by BATCH files and COPY", ratios(seconds, _STOCK, _BATCHES), at_least=3
            ),
        ],
        notes=[
            (
                "meltano run: the stock tap, compared with ours, both with the loader's default "
                "settings, and with ours with `batch_config` and the loader's `use_copy`. With "
                "default settings, the loader takes most of the time."
            )
        ],
    )


def _run(way: str, address: str, server: Postgres, schema: str, folder: Path) -> float:
    folder.mkdir()
    batches = folder / "batches"
    batches.mkdir()
    settings = {
        **(_fast(batches) if way == _BATCHES else {}),
        "TAP_ACUMATICA_URL": f"{address}{SMALL}",
        "TAP_ACUMATICA_ENTITY_SETS": f'["{LINES}"]',
        "TAP_STOCK_URL": address,
        **meltano.target_settings(server, schema),
    }
    project = meltano.Project(folder, settings)
    _add_stock(folder)
    run = project.run(_STOCK if way == _STOCK else OURS)
    if run.exit_code:
        raise BenchmarkError(meltano.last_lines(run))
    return run.seconds


def _fast(batches: Path) -> dict[str, str]:
    """Settings for loading large amounts of data."""
    config = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": batches.as_uri()},
    }
    return {"TAP_ACUMATICA_BATCH_CONFIG": json.dumps(config), "TARGET_POSTGRES_USE_COPY": "true"}


def _add_stock(folder: Path) -> None:
    """Add the stock tap to the plugins of a project."""
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
