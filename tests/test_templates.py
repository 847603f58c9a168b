"""The pair of refresh and no refresh as Meltano environments, run into a real PostgreSQL."""

from __future__ import annotations

import typing as t

import pytest

from demo import compare, meltano
from demo.sandbox import sandbox as run_sandbox

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.postgres import Postgres
    from demo.sandbox import RunningSandbox

ROWS = 60
FEW = '["SOOrder", "Customer"]'
UNTRACKED = {
    "Branch",
    "CRActivityStatistics",
    "CurrencyInfo",
    "GLSetup",
    "PX_Objects_GL_ADL_Account",
}

pytestmark = [pytest.mark.usefixtures("plugins"), pytest.mark.slow]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[RunningSandbox]:
    folder = tmp_path / "sandbox"
    folder.mkdir()
    with run_sandbox(folder, ROWS) as running:
        yield running


def project(source: RunningSandbox, postgres: Postgres, folder: Path) -> meltano.Project:
    """A project whose settings leave tenants and schemas to its environments."""
    settings = {**source.settings(), **meltano.target_settings(postgres, "")}
    del settings["TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA"], settings["TAP_ACUMATICA_TENANTS"]
    home = folder / "project"
    home.mkdir()
    return meltano.Project(home, settings)


def run(project: meltano.Project, environment: str, *options: str, **variables: str) -> meltano.Run:
    done = project.run_job("acumatica", environment, *options, **variables)
    assert done.exit_code == 0, meltano.last_lines(done)
    return done


def tenants_in(server: Postgres, schema: str, stream: str) -> dict[str, int]:
    with server.connect() as connection:
        table = compare.table_name(connection, schema, stream)
        rows = connection.execute(
            f'SELECT _tenant, count(*) FROM "{schema}"."{table}" GROUP BY 1'  # noqa: S608
        ).fetchall()
    return dict(rows)


def clear(server: Postgres, *schemas: str) -> None:
    with server.connect() as connection:
        for schema in schemas:
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        connection.commit()


def test_one_tenant(source: RunningSandbox, postgres: Postgres, tmp_path: Path) -> None:
    clear(postgres, "acumatica")
    home = project(source, postgres, tmp_path)
    names = {"ACUMATICA_TENANT": "Company", "TAP_ACUMATICA_REFRESH_ENTITY_SETS": FEW}
    first, second = (run(home, "one-tenant", **names) for _ in range(2))
    assert set(first.records) == {"SOOrder", "Customer"} | UNTRACKED
    for stream, count in first.records.items():
        assert tenants_in(postgres, "acumatica", stream) == {"Company": count}
        again = second.records.get(stream, 0)
        assert (again == count) if stream in UNTRACKED else (again < count)


def test_several_tenants_in_one_set_of_tables(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    clear(postgres, "acumatica")
    home = project(source, postgres, tmp_path)
    tenants = source.settings()["TAP_ACUMATICA_TENANTS"]
    run(home, "consolidated", TAP_ACUMATICA_TENANTS=tenants)
    source.change(20)
    run(home, "consolidated", TAP_ACUMATICA_TENANTS=tenants)
    found = compare.compare(source.database, postgres, "acumatica")
    assert [str(table) for table in found if table.unequal] == []
    assert set(tenants_in(postgres, "acumatica", "SOOrder")) == {"Company", "Calipso LLC"}
    assert set(tenants_in(postgres, "acumatica", "Branch")) == {"Company", "Calipso LLC"}


def test_several_tenants_in_a_schema_each(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    clear(postgres, "company", "calipso")
    home = project(source, postgres, tmp_path)
    for schema, tenant in (("company", "Company"), ("calipso", "Calipso LLC")):
        done = run(
            home,
            "schema-per-tenant",
            f"--state-id-suffix={schema}",
            ACUMATICA_TENANT=tenant,
            ACUMATICA_SCHEMA=schema,
            TAP_ACUMATICA_REFRESH_ENTITY_SETS=FEW,
        )
        for stream in ("SOOrder", "Branch"):
            assert tenants_in(postgres, schema, stream) == {tenant: done.records[stream]}
    states = home.invoke("state", "list")
    for schema in ("company", "calipso"):
        assert f"schema-per-tenant:tap-acumatica-refresh-to-target-postgres:{schema}" in states
