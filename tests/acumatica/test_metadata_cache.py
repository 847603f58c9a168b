"""Metadata is fetched once by processes that follow each other, and never believed for long."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest
from typing_extensions import override

from tap_acumatica.acumatica.metadata_cache import Metadata, MetadataCache
from tests.field.orders import COLUMNS, assert_complete, order, orders, warnings
from tests.field.service import Reply, Service, Table, as_json

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conftest import RunTap


class Listed(Service):
    """A service with a service document."""

    @override
    def reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        reply = super().reply(target, headers)
        if target == f"{self.path}/":
            items = [{"name": name, "kind": "EntitySet", "url": name} for name in self.tables]
            return Reply(body=as_json({"value": items}), headers=reply.headers)
        return reply


DOCUMENT = Metadata(b"<a/>\n<b/>", "4.0")


def fetched(service: Service) -> int:
    """How often the metadata was asked for."""
    return sum(target.partition("?")[0].endswith("$metadata") for target in service.targets)


def kept() -> list[Path]:
    """The files of the cache."""
    return list(Path(os.environ["XDG_CACHE_HOME"]).rglob("*.metadata"))


def test_discovery_and_the_sync_behind_it_fetch_the_metadata_once(run_tap: RunTap) -> None:
    table = orders()
    service = Service(table)
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        run = run_tap(config, catalog=catalog)
        assert fetched(service) == 1
        again = run_tap(config, catalog=catalog, state=run.state)
    assert_complete(run, table)
    assert fetched(service) == 1
    assert again.exit_code == 0


def test_discovery_always_fetches(run_tap: RunTap) -> None:
    service = Service(orders())
    with service.running():
        for _ in range(2):
            run_tap({"url": service.url}, "--discover")
    assert fetched(service) == 2


def test_zero_minutes_keep_nothing(run_tap: RunTap) -> None:
    service = Service(orders())
    with service.running():
        config = {"url": service.url, "metadata_cache_minutes": 0}
        catalog = run_tap(config, "--discover").document
        run_tap(config, catalog=catalog)
    assert fetched(service) == 2
    assert kept() == []


def test_another_user_fetches_for_himself(run_tap: RunTap) -> None:
    service = Service(orders())
    with service.running():
        config = {"url": service.url, "username": "ann", "password": "secret-1"}
        catalog = run_tap(config, "--discover").document
        run_tap({**config, "username": "bob"}, catalog=catalog)
    assert fetched(service) == 2


def test_an_entity_set_that_is_new_makes_the_copy_worthless(run_tap: RunTap) -> None:
    service = Listed(orders())
    with service.running():
        catalog = run_tap({"url": service.url}, "--discover").document
        run_tap({"url": service.url}, catalog=catalog)
        assert fetched(service) == 1
        rows = [order(number) for number in range(1, 4)]
        service.tables["New"] = Table("New", COLUMNS, ["Id"], rows)
        run_tap({"url": service.url}, catalog=catalog)
    assert fetched(service) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"rubbish\nmore", b"\xff\xfe\n<x/>", None])
def test_a_broken_file_is_ignored_with_a_warning(run_tap: RunTap, content: bytes | None) -> None:
    table = orders()
    service = Service(table)
    with service.running():
        catalog = run_tap({"url": service.url}, "--discover").document
        (path,) = kept()
        path.write_bytes(path.read_bytes()[:-1] if content is None else content)
        run = run_tap({"url": service.url}, catalog=catalog)
    assert_complete(run, table)
    assert fetched(service) == 2
    assert len([line for line in warnings(run) if "cached metadata" in line]) == 1


def test_the_file_is_private(run_tap: RunTap) -> None:
    service = Service(orders())
    with service.running():
        run_tap({"url": service.url, "username": "ann", "password": "secret-1"}, "--discover")
    (path,) = kept()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"secret-1" not in path.read_bytes()


def test_a_copy_is_good_for_its_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    cache = MetadataCache(tmp_path, seconds=60)
    cache.keep("a", DOCUMENT)
    assert cache.find("a") == DOCUMENT
    assert cache.find("b") is None
    now += 61
    assert cache.find("a") is None
    now -= 100  # a clock that was set back
    assert cache.find("a") is None


def test_a_folder_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    MetadataCache(tmp_path / "file" / "below", seconds=60).keep("a", DOCUMENT)
    assert "is not used" in caplog.text


def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = MetadataCache(tmp_path, seconds=60)
    cache.keep("a", DOCUMENT)
    (path,) = tmp_path.iterdir()
    path.unlink()
    os.mkfifo(path)
    assert cache.find("a") is None
    assert "it is not a file" in caplog.text
