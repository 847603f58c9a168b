"""The plugins of the Meltano project that differ from the main one, and what they load."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from demo import compare, meltano
from demo.sandbox import sandbox as run_sandbox
from tests.meltano_runs import count, run

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.postgres import Postgres
    from demo.sandbox import RunningSandbox

ROWS = 400

pytestmark = pytest.mark.usefixtures("plugins")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with run_sandbox(tmp_path_factory.mktemp("sandbox"), ROWS) as running:
        yield running


def test_the_refreshing_plugin_reads_changes_only(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    project = orders(source, postgres, "refresh", tmp_path)

    first = run(project, "tap-acumatica-refresh")
    second = run(project, "tap-acumatica-refresh")

    assert first.records["SOOrder"] == count(postgres, "refresh", "SOOrder")
    assert second.records.get("SOOrder", 0) < first.records["SOOrder"]


def test_the_plugin_without_refresh_reads_everything_every_time(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    project = orders(source, postgres, "no_refresh", tmp_path)

    first = run(project, "tap-acumatica-no-refresh")
    second = run(project, "tap-acumatica-no-refresh")

    assert first.records["SOOrder"] == count(postgres, "no_refresh", "SOOrder")
    assert second.records["SOOrder"] == first.records["SOOrder"]


def test_inquiries_whose_titles_share_an_end_get_tables_of_their_own(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    settings = {
        **source.settings(),
        **meltano.target_settings(postgres, "inquiries"),
        "TAP_ACUMATICA_INTERFACE": "gi",
        "TAP_ACUMATICA_ENTITY_SETS": '["*-Customers"]',
    }

    done = run(meltano.Project(tmp_path, settings))

    assert done.records["AR_Customers"] == count(postgres, "inquiries", "AR_Customers")
    assert done.records["CR_Customers"] == count(postgres, "inquiries", "CR_Customers")
    assert done.records["AR_Customers"] != done.records["CR_Customers"]


def test_date_times_arrive_in_utc_whatever_the_time_zone_of_the_database(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE new_york")
        connection.execute("ALTER DATABASE new_york SET timezone TO 'America/New_York'")
    elsewhere = replace(postgres, database="new_york")

    settings = {**source.settings(), **meltano.target_settings(elsewhere, "clocks")}

    run(meltano.Project(tmp_path, settings))

    loaded = compare.compare(source.database, elsewhere, "clocks")
    assert [str(table) for table in loaded if table.unequal] == []


def orders(
    source: RunningSandbox, postgres: Postgres, schema: str, folder: Path
) -> meltano.Project:
    settings = {
        **source.settings(),
        **meltano.target_settings(postgres, schema),
        "TAP_ACUMATICA_ENTITY_SETS": '["SOOrder"]',
    }
    return meltano.Project(folder, settings)
