"""What a service changes about itself, on its whole way into PostgreSQL: nothing is overwritten."""

from __future__ import annotations

import json
import subprocess
import typing as t
from decimal import Decimal

import pytest

from demo import compare, meltano
from tests.field.orders import lines, order, service_of, stamp, warnings
from tests.test_every_type_in_postgres import TARGET, shipped

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.postgres import Postgres
    from tests.conftest import RunTap, TapRun
    from tests.field.service import Service, Table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plugins")]

ROWS = 6


class Warehouse:
    """Runs from a service into a schema of PostgreSQL, each with the state of the one before."""

    def __init__(
        self, run_tap: RunTap, service: Service, server: Postgres, folder: Path, schema: str
    ) -> None:
        self._run_tap = run_tap
        self._server = server
        self._schema = schema
        self._config = {"url": service.url, "max_retries": 1, "time_offset": 0}
        self._state: dict[str, t.Any] | None = None
        named = meltano.target_settings(server, schema)
        given = {name.removeprefix("TARGET_POSTGRES_").lower(): v for name, v in named.items()}
        self._target = folder / "target.json"
        config = {**given, "port": server.port, **shipped()}
        self._target.write_text(json.dumps(config), encoding="utf-8")
        self.catalog: dict[str, t.Any] = {}
        self.discover()

    def discover(self) -> None:
        self.catalog = self._run_tap(self._config, "--discover").document

    def load(self) -> TapRun:
        """One run, whether or not it fails."""
        run = self._run_tap(self._config, catalog=self.catalog, state=self._state, check=False)
        assert "Traceback" not in run.errors, run.errors
        subprocess.run(
            [TARGET, "--config", self._target],
            input=run.output.encode(),
            check=True,
            capture_output=True,
        )
        self._state = run.state or self._state
        return run

    @property
    def rows(self) -> dict[int, dict[str, t.Any]]:
        """What the table holds, by key, without the loader's own columns."""
        with self._server.connect() as connection:
            name = compare.table_name(connection, self._schema, "Orders")
            cursor = connection.execute(f'SELECT * FROM "{self._schema}"."{name}"')  # noqa: S608
            columns = [each.name for each in cursor.description or ()]
            found = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        kept = [{n: v for n, v in row.items() if not n.startswith("_sdc_")} for row in found]
        return {row["Id"]: row for row in kept}


@pytest.fixture
def drifting(
    run_tap: RunTap, postgres: Postgres, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Service, Table, Warehouse]]:
    """A service whose rows were loaded once."""
    service, table = service_of(ROWS)
    schema = request.node.name.replace("[", "_").replace("]", "")[-50:].lower()
    with service.running():
        warehouse = Warehouse(run_tap, service, postgres, tmp_path, schema)
        assert warehouse.load().exit_code == 0
        assert len(warehouse.rows) == ROWS
        yield service, table, warehouse


Drifting = tuple["Service", "Table", Warehouse]


def change(table: Table, number: int, **values: t.Any) -> None:
    table.row(Id=number).update(values, LastModifiedDateTime=stamp(100 + number))


def drop(table: Table, name: str) -> list[t.Any]:
    """Take a column away; its values."""
    del table.columns[name], table.attributes[name]
    return [row.pop(name) for row in table.rows]


def add(table: Table, name: str, kind: str, values: list[t.Any]) -> None:
    table.columns[name], table.attributes[name] = kind, ""
    for row, value in zip(table.rows, values, strict=True):
        row[name] = value


def test_a_new_property_arrives_with_the_next_discovery(drifting: Drifting) -> None:
    _, table, warehouse = drifting
    add(table, "Branch", "Edm.String", ["MAIN"] * ROWS)
    change(table, 1, Note="a")
    assert warehouse.load().exit_code == 0
    assert warehouse.rows[1]["Note"] == "a"
    assert "Branch" not in warehouse.rows[1]
    warehouse.discover()
    change(table, 2, Note="b")
    assert warehouse.load().exit_code == 0
    assert warehouse.rows[2]["Branch"] == "MAIN"
    assert warehouse.rows[3]["Branch"] is None  # it has not been read since


@pytest.mark.parametrize("rediscovered", [False, True])
def test_a_property_that_is_gone_keeps_its_values(
    drifting: Drifting, *, rediscovered: bool
) -> None:
    _, table, warehouse = drifting
    drop(table, "Total")
    change(table, 1, Note="a")
    if rediscovered:
        warehouse.discover()
    run = warehouse.load()
    assert run.exit_code == 0, run.errors
    assert rediscovered or any("Total" in warning for warning in warnings(run))
    assert warehouse.rows[1]["Note"] == "a"
    assert warehouse.rows[1]["Total"] == order(1)["Total"]


def test_a_property_that_is_lost_for_a_while_is_overwritten_by_nothing(
    drifting: Drifting,
) -> None:
    _, table, warehouse = drifting
    values = drop(table, "Total")
    change(table, 1, Note="a")
    assert warehouse.load().exit_code == 0
    add(table, "Total", "Edm.Decimal", values)
    change(table, 1, Total=Decimal("7.5"))
    change(table, 2, Note="b")
    assert warehouse.load().exit_code == 0
    assert warehouse.rows[1]["Total"] == Decimal("7.5")
    assert warehouse.rows[2]["Total"] == order(2)["Total"]


def test_a_property_of_another_type_is_read_as_the_catalog_says_or_fails_its_stream(
    drifting: Drifting,
) -> None:
    _, table, warehouse = drifting
    drop(table, "Total")
    add(table, "Total", "Edm.String", ["7.5"] * ROWS)
    change(table, 1)
    run = warehouse.load()
    assert run.exit_code == 0, run.errors
    assert warehouse.rows[1]["Total"] == Decimal("7.5")
    change(table, 2, Total="7.50 EUR")
    run = warehouse.load()
    assert run.exit_code == 1
    assert any("Total" in line and "Id=2" in line for line in lines(run, "ERROR"))
    assert warehouse.rows[2]["Total"] == order(2)["Total"]


def test_a_property_that_is_renamed_is_a_new_column_and_the_old_one_keeps_its_values(
    drifting: Drifting,
) -> None:
    _, table, warehouse = drifting
    add(table, "Remark", "Edm.String", drop(table, "Note"))
    change(table, 1, Remark="a")
    run = warehouse.load()
    assert run.exit_code == 0, run.errors
    assert any("Note" in warning for warning in warnings(run))
    assert warehouse.rows[1]["Note"] == order(1)["Note"]
    warehouse.discover()
    change(table, 2, Remark="b")
    assert warehouse.load().exit_code == 0
    assert warehouse.rows[2]["Remark"] == "b"
    assert warehouse.rows[2]["Note"] == order(2)["Note"]


def test_an_entity_set_that_is_gone_fails_alone_and_goes_on_when_it_is_back(
    drifting: Drifting,
) -> None:
    service, table, warehouse = drifting
    gone = service.tables.pop("Orders")
    run = warehouse.load()
    assert run.exit_code != 0
    assert any("Orders" in line for line in lines(run, "ERROR"))
    assert len(warehouse.rows) == ROWS
    service.tables["Orders"] = gone
    change(table, 1, Note="back")
    asked = len(service.asked("Orders"))
    assert warehouse.load().exit_code == 0
    assert warehouse.rows[1]["Note"] == "back"
    assert any("$filter" in request.query for request in service.asked("Orders")[asked:])
