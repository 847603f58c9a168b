"""``python -m demo``: load a sandbox into PostgreSQL, change it, and load the changes."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from demo import compare, meltano
from demo.postgres import PostgresError, postgres
from demo.sandbox import RunningSandbox, SandboxError, sandbox

if t.TYPE_CHECKING:
    from demo.postgres import Postgres

SCHEMA = "acumatica"
TABLE = "{:<8} {:>8} {:>10} {:>9} {:>15} {:>8}"


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run the demo.

    Args:
        arguments: Command line arguments.

    Returns:
        0 if both runs succeeded and all rows are equal, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1000, help="number of rows in the largest tables"
    )
    parser.add_argument(
        "--changes", type=int, default=50, help="number of rows to change between the runs"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _demo(options.rows, options.changes)
    except (compare.ComparisonError, meltano.MeltanoError, PostgresError, SandboxError) as error:
        _say(str(error))
        return 1


def _demo(rows: int, changes: int) -> int:
    start = time.monotonic()
    _say("installing the Meltano plugins (only once; this can take a minute or two) ...")
    _say(f"  {meltano.install():.1f} s")
    with tempfile.TemporaryDirectory(prefix="tap-acumatica-demo-") as name:
        folder = Path(name)
        _say("starting the sandbox and PostgreSQL ...")
        with sandbox(folder, rows) as source, postgres() as server:
            equal = _load_twice(folder, source, server, changes)
    _say(f"{time.monotonic() - start:.1f} s in total")
    return 0 if equal else 1


def _load_twice(folder: Path, source: RunningSandbox, server: Postgres, changes: int) -> bool:
    settings = {**source.settings(), **meltano.target_settings(server, SCHEMA)}
    project_folder = folder / "project"
    project_folder.mkdir()
    project = meltano.Project(project_folder, settings)

    _say("first run: meltano run tap-acumatica target-postgres ...")
    first = _run(project)
    loaded = compare.compare(source.database, server, SCHEMA)

    _say("changing, adding and deleting rows at the source ...")
    source.change(changes)
    pending = compare.compare(source.database, server, SCHEMA)

    _say("second run: meltano run tap-acumatica target-postgres ...")
    second = _run(project)
    refreshed = compare.compare(source.database, server, SCHEMA)

    _show(TABLE.format("run", "streams", "rows read", "seconds", "rows at source", "unequal"))
    _show_run("first", first, loaded)
    _show_run("second", second, refreshed)
    _show("")
    return _equal([*loaded, *refreshed]) & _only_changes(second, pending)


def _equal(tables: t.Sequence[compare.Table]) -> bool:
    unequal = [table for table in tables if table.unequal]
    for table in unequal:
        _show(f"unequal: {table}")
    if not unequal:
        _show("after each run, all rows of the source were in PostgreSQL, equal in all columns")
    return not unequal


def _only_changes(run: meltano.Run, pending: t.Sequence[compare.Table]) -> bool:
    tracked = [table for table in pending if table.incremental]
    whole = sum(table.source for table in pending if not table.incremental)
    changed = sum(table.unequal for table in tracked)
    read = sum(run.records.get(table.stream, 0) for table in tracked)
    again = sum(table.recent for table in tracked) - changed
    deleted = sum(len(table.deleted) for table in pending)
    _show(f"changed or added at the source between the runs: {changed} rows in tracked tables")
    _show(f"read by the second run: {read} of these rows, including up to {again} read before")
    _show(
        f"  and {whole} rows of tables without a last-modified field, which are always read in full"
    )
    if deleted:
        _show(f"deleted at the source between the runs: {deleted} rows, which PostgreSQL keeps")
    too_many = [
        table.stream for table in tracked if run.records.get(table.stream, 0) > table.recent
    ]
    if too_many:
        _show(f"more than the changed rows was read from {', '.join(too_many)}")
    return not too_many and read >= changed


def _run(project: meltano.Project) -> meltano.Run:
    run = project.run()
    if run.exit_code:
        raise meltano.MeltanoError(meltano.last_lines(run))
    _say(f"  {sum(run.records.values())} rows in {run.seconds:.1f} s")
    return run


def _show_run(title: str, run: meltano.Run, tables: t.Sequence[compare.Table]) -> None:
    row = TABLE.format(
        title,
        sum(1 for count in run.records.values() if count),
        sum(run.records.values()),
        f"{run.seconds:.1f}",
        sum(table.source for table in tables),
        sum(table.unequal for table in tables),
    )
    _show(row)


def _show(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
