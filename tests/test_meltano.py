"""The main job, as most people run it: ``meltano run`` into a real PostgreSQL."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

from demo import compare, meltano
from demo.sandbox import sandbox as run_sandbox
from tests.meltano_runs import run

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.postgres import Postgres
    from demo.sandbox import RunningSandbox

ROWS = 400
CHANGES = 60

# The story is told once: its tests go to one worker.
pytestmark = [pytest.mark.usefixtures("plugins"), pytest.mark.xdist_group("story")]


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
    first = run(project)
    loaded = compare.compare(source.database, postgres, "story")
    source.change(CHANGES)
    pending = compare.compare(source.database, postgres, "story")
    second = run(project)
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


def _unequal(tables: list[compare.Table]) -> list[str]:
    return [str(table) for table in tables if table.unequal]
