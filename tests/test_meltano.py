"""The main job, as most people run it: ``meltano run`` into a real PostgreSQL."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

from demo import compare, meltano
from demo.sandbox import sandbox as run_sandbox

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.postgres import Postgres
    from demo.sandbox import RunningSandbox

ROWS = 400
CHANGES = 60

pytestmark = pytest.mark.usefixtures("plugins")


@dataclass(frozen=True)
class Story:
    """Two runs with changes at the source between them, and what was found after each step."""

    first: meltano.Run
    loaded: list[compare.Table]
    pending: list[compare.Table]
    second: meltano.Run
    refreshed: list[compare.Table]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with run_sandbox(tmp_path_factory.mktemp("sandbox"), ROWS) as running:
        yield running


@pytest.fixture(scope="module")
def story(
    source: RunningSandbox,
    postgres: Postgres,
    plugins: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    settings = {**source.settings(), **meltano.target_settings(postgres, "story")}
    project = meltano.Project(tmp_path_factory.mktemp("project"), settings)
    first = _run(project)
    loaded = compare.compare(source.database, postgres, "story")
    source.change(CHANGES)
    pending = compare.compare(source.database, postgres, "story")
    second = _run(project)
    refreshed = compare.compare(source.database, postgres, "story")
    return Story(first, loaded, pending, second, refreshed)


def test_the_first_run_loads_every_row_as_it_is(story: Story) -> None:
    assert _unequal(story.loaded) == []
    assert [table.stream for table in story.loaded if table.deleted] == []
    assert sum(table.source for table in story.loaded) > ROWS


def test_the_first_run_reads_every_row_once(story: Story) -> None:
    expected = {table.stream: table.source for table in story.loaded if table.source}

    assert {stream: count for stream, count in story.first.records.items() if count} == expected


def test_the_source_was_changed_between_the_runs(story: Story) -> None:
    assert sum(table.unequal for table in story.pending) > 0
    assert sum(len(table.missing) for table in story.pending) > 0


def test_the_second_run_brings_every_change(story: Story) -> None:
    assert _unequal(story.refreshed) == []


def test_the_second_run_reads_only_changes_where_they_can_be_told(story: Story) -> None:
    for table in story.pending:
        read = story.second.records.get(table.stream, 0)
        if table.incremental:
            assert table.unequal <= read <= table.recent, table.stream
        else:
            assert read == table.source, table.stream


def test_the_refreshing_plugin_reads_changes_only(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    project = _orders(source, postgres, "refresh", tmp_path)

    first = _run(project, "tap-acumatica-refresh")
    second = _run(project, "tap-acumatica-refresh")

    assert first.records["SOOrder"] == _count(postgres, "refresh", "SOOrder")
    assert second.records.get("SOOrder", 0) < first.records["SOOrder"]


def test_the_plugin_without_refresh_reads_everything_every_time(
    source: RunningSandbox, postgres: Postgres, tmp_path: Path
) -> None:
    project = _orders(source, postgres, "no_refresh", tmp_path)

    first = _run(project, "tap-acumatica-no-refresh")
    second = _run(project, "tap-acumatica-no-refresh")

    assert first.records["SOOrder"] == _count(postgres, "no_refresh", "SOOrder")
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

    run = _run(meltano.Project(tmp_path, settings))

    assert run.records["AR_Customers"] == _count(postgres, "inquiries", "AR_Customers")
    assert run.records["CR_Customers"] == _count(postgres, "inquiries", "CR_Customers")
    assert run.records["AR_Customers"] != run.records["CR_Customers"]


def _run(project: meltano.Project, tap: str = "tap-acumatica") -> meltano.Run:
    run = project.run(tap)
    assert run.exit_code == 0, meltano.last_lines(run)
    return run


def _orders(
    source: RunningSandbox, postgres: Postgres, schema: str, folder: Path
) -> meltano.Project:
    settings = {
        **source.settings(),
        **meltano.target_settings(postgres, schema),
        "TAP_ACUMATICA_ENTITY_SETS": '["SOOrder"]',
    }
    return meltano.Project(folder, settings)


def _unequal(tables: list[compare.Table]) -> list[str]:
    return [str(table) for table in tables if table.unequal]


def _count(server: Postgres, schema: str, stream: str) -> int:
    with server.connect() as connection:
        table = compare.table_name(connection, schema, stream)
        row = connection.execute(f'SELECT count(*) FROM "{schema}"."{table}"').fetchone()  # noqa: S608
    assert row is not None
    count: int = row[0]
    return count
