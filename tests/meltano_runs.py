"""``meltano run`` as the tests use it, and what is then in PostgreSQL."""

from __future__ import annotations

import typing as t

from demo import compare, meltano

if t.TYPE_CHECKING:
    from demo.postgres import Postgres


def run(project: meltano.Project, tap: str = "tap-acumatica") -> meltano.Run:
    """Run a tap into PostgreSQL; the test fails if that fails."""
    done = project.run(tap)
    assert done.exit_code == 0, meltano.last_lines(done)
    return done


def count(server: Postgres, schema: str, stream: str) -> int:
    """The number of rows in the table of a stream."""
    with server.connect() as connection:
        table = compare.table_name(connection, schema, stream)
        row = connection.execute(f'SELECT count(*) FROM "{schema}"."{table}"').fetchone()  # noqa: S608
    assert row is not None
    found: int = row[0]
    return found
