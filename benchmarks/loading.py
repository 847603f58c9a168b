"""``meltano run`` into PostgreSQL: compares the tap with the stock tap.

By default the loader takes far longer for a RECORD message than any tap. So the project ships other
settings for it; what the tap alone gains shows where both have them.
"""

from __future__ import annotations

import logging
import statistics
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
_STOCK_AS_OURS = "tap-stock, loader as shipped here"
LOADER = "target-postgres"


def loading(options: Options, folder: Path) -> Findings:
    """``meltano run`` into PostgreSQL, each time into an empty schema."""
    rows = options.share(1, 5)
    meltano.install()
    ways = (OURS, _STOCK_AS_OURS, _STOCK)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    with serving(rows) as address, postgres() as server:
        with server.connect() as connection:
            version = connection.info.server_version // 10_000
        for number in range(options.runs):
            for place, way in enumerate(ways):
                if way == _STOCK and 1 < options.runs == number + 1:
                    continue
                schema = f"run{number}_{place}"
                took = _run(way, address, server, schema, folder / schema)
                _check(server, schema, rows)
                seconds[way].append(took)
                logger.info("  %d/%d %s: %.2f s", number + 1, options.runs, way, took)
    name = f"meltano run into PostgreSQL, {rows:,} rows"
    return Findings(
        [
            Result(
                f"{name}, as shipped: faster than the stock tap and loader",
                ratios(seconds, _STOCK, OURS),
                at_least=4,
            ),
            Result(
                f"{name}: faster than the stock tap with the same loader settings",
                ratios(seconds, _STOCK_AS_OURS, OURS),
                at_least=1.3,
            ),
        ],
        notes=[
            f"meltano run into PostgreSQL {version}: whole runs, Meltano's own start included; "
            + ", ".join(f"{way} {statistics.median(found):.1f} s" for way, found in seconds.items())
            + f". The loader's settings as shipped: {_shipped_settings()}."
        ],
    )


def _run(way: str, address: str, server: Postgres, schema: str, folder: Path) -> float:
    folder.mkdir()
    settings = {
        "TAP_ACUMATICA_URL": f"{address}{SMALL}",
        "TAP_ACUMATICA_ENTITY_SETS": f'["{LINES}"]',
        "TAP_STOCK_URL": address,
        **meltano.target_settings(server, schema),
    }
    project = meltano.Project(folder, settings)
    _add_stock(folder, default_loader=way == _STOCK)
    run = project.run(OURS if way == OURS else _STOCK)
    if run.exit_code:
        raise BenchmarkError(meltano.last_lines(run))
    return run.seconds


def _loader(project: dict[str, t.Any]) -> dict[str, t.Any]:
    """The loader's entry in a project."""
    loaders = t.cast("list[dict[str, t.Any]]", project["plugins"]["loaders"])
    return next(each for each in loaders if each["name"] == LOADER)


def _shipped_settings() -> str:
    project = yaml.safe_load((meltano.ROOT / "meltano.yml").read_text(encoding="utf-8"))
    config = _loader(project).get("config", {})
    return ", ".join(f"{name}: {value}" for name, value in config.items()) or "its defaults"


def _add_stock(folder: Path, *, default_loader: bool) -> None:
    """Add the stock tap to the plugins of a project; take the loader's settings out of it."""
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
    if default_loader:
        _loader(project).pop("config", None)
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
