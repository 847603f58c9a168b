"""Rows that are gone at the source, in PostgreSQL: they go with a full read, if that is sure."""

from __future__ import annotations

import json
import subprocess
import typing as t

import pytest

from demo import compare, meltano
from tests.field.orders import service_of
from tests.test_every_type_in_postgres import TARGET, shipped

if t.TYPE_CHECKING:
    from pathlib import Path

    from demo.postgres import Postgres
    from tests.conftest import RunTap, TapRun

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plugins")]

ROWS = 10


@pytest.mark.parametrize("hard_delete", [False, True])
def test_rows_that_are_gone_stay_until_the_read_is_sure(
    run_tap: RunTap, postgres: Postgres, tmp_path: Path, *, hard_delete: bool
) -> None:
    service, table = service_of(ROWS)
    schema = f"gone_{hard_delete}".lower()
    named = meltano.target_settings(postgres, schema)
    given = {name.removeprefix("TARGET_POSTGRES_").lower(): v for name, v in named.items()}
    target = tmp_path / "target.json"
    settings = {**given, "port": postgres.port, **shipped(), "hard_delete": hard_delete}
    target.write_text(json.dumps(settings), encoding="utf-8")

    def load(state: dict[str, t.Any] | None, **more: t.Any) -> TapRun:
        config = {"url": service.url, "tracking_type": "none", **more}
        config["emit_activate_version_messages"] = True
        run = run_tap(config, state=state, check=False)
        command = [str(TARGET), "--config", str(target)]
        subprocess.run(command, input=run.output.encode(), check=True, capture_output=True)
        return run

    def held() -> set[int]:
        """The rows that count: those that are there and not marked as deleted."""
        with postgres.connect() as connection:
            name = compare.table_name(connection, schema, "Orders")
            query = f'SELECT "Id" FROM "{schema}"."{name}" WHERE _sdc_deleted_at IS NULL'  # noqa: S608
            return {row[0] for row in connection.execute(query).fetchall()}

    everything = {*range(1, ROWS + 1)}
    with service.running():
        first = load(None)
        assert (first.exit_code, held()) == (0, everything)
        del table.rows[6:]
        shrunk = load(first.state)
        assert (shrunk.exit_code, held()) == (1, everything)
        filtered = load(first.state, filters={"Orders": "Id ge 3"})
        assert (filtered.exit_code, held()) == (0, everything)
        accepted = load(shrunk.state, max_drop_percent=100)
        assert (accepted.exit_code, held()) == (0, {*range(1, 7)})
