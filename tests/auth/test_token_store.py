"""The token file: private, durable, locked, and never spoilt."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.auth.token_store import Tokens, TokenStore, default_path
from tap_acumatica.errors import TokenFileError

ADDER = """
import json, sys
from pathlib import Path
from tap_acumatica.auth.token_store import Tokens, TokenStore
store = TokenStore(Path(sys.argv[1]))
for _ in range(20):
    with store.locked("app", None) as chains:
        held = chains.newest()
        chains.save(Tokens(str(int(held.access if held else 0) + 1)))
"""


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "tokens.json")


def save(store: TokenStore, tokens: Tokens, configured_token: str | None = None) -> None:
    with store.locked("app", configured_token) as consents:
        consents.save(tokens)


def newest(
    store: TokenStore, configured_token: str | None = None, application: str = "app"
) -> Tokens | None:
    with store.locked(application, configured_token) as consents:
        return consents.newest()


def test_what_is_kept_is_found_with_all_it_says(store: TokenStore) -> None:
    tokens = Tokens("access", "refresh", 1700000000.25, 3600.0)
    save(store, tokens)
    assert newest(TokenStore(store.path)) == tokens


def test_only_the_owner_may_read_it_whatever_it_was_before(store: TokenStore) -> None:
    store.path.write_text("{}")
    store.path.chmod(0o666)
    save(store, Tokens("access"))
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.with_name("tokens.json.lock").stat().st_mode) == 0o600


def test_it_is_replaced_at_once_and_on_the_disk_before_it_is_used(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, Tokens("first"))
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        done.append("fsync")
        fsync(handle)

    def noted_replace(path: Path, target: Path) -> Path:
        assert "first" in target.read_text()
        done.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    save(store, Tokens("second"))
    assert done == ["fsync", "replace", "fsync"]
    assert "second" in store.path.read_text()


def test_processes_wait_for_each_other(store: TokenStore) -> None:
    runs = [subprocess.Popen([sys.executable, "-c", ADDER, str(store.path)]) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    found = newest(store)
    assert found is not None
    assert found.access == "60"


def test_a_configured_token_that_changes_begins_a_chain_of_its_own(store: TokenStore) -> None:
    save(store, Tokens("old", issued=1.0), configured_token="old-seed")
    assert newest(store, configured_token="new-seed") is None
    save(store, Tokens("new", issued=2.0), configured_token="new-seed")
    assert (
        newest(store, configured_token="old-seed"),
        newest(store, configured_token="new-seed"),
    ) == (
        Tokens("old", issued=1.0),
        Tokens("new", issued=2.0),
    )


def test_no_configured_token_goes_on_with_the_newest_chain(store: TokenStore) -> None:
    save(store, Tokens("new", issued=2.0), configured_token="a")
    save(store, Tokens("old", issued=1.0), configured_token="b")
    assert newest(store) == Tokens("new", issued=2.0)


def test_applications_do_not_see_each_others_tokens(store: TokenStore) -> None:
    save(store, Tokens("one"))
    assert newest(store, application="another") is None


def test_a_configured_token_is_not_written_down(store: TokenStore) -> None:
    save(store, Tokens("access"), configured_token="the-seed")
    assert "the-seed" not in store.path.read_text()


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"chains": {"app": {"": {}}}}'])
def test_a_damaged_file_is_an_error_and_is_left_as_it_is(store: TokenStore, text: str) -> None:
    store.path.write_text(text)
    with pytest.raises(TokenFileError, match="'token_file'"):
        newest(store)
    assert store.path.read_text() == text


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenFileError, match="set 'token_file'"):
        newest(TokenStore(tmp_path / "file" / "tokens.json"))


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "tokens.json").symlink_to(tmp_path / "far" / "tokens.json")
    save(TokenStore(tmp_path / "tokens.json"), Tokens("access"))
    assert (tmp_path / "tokens.json").is_symlink()
    assert "access" in (tmp_path / "far" / "tokens.json").read_text()


@pytest.mark.parametrize("project", [True, False])
def test_it_lies_beside_the_meltano_project_else_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, project: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    environment = {"MELTANO_PROJECT_ROOT": str(tmp_path / "project")} if project else {}
    path = default_path(environment)
    assert path == tmp_path / ("project" if project else "") / ".tap-acumatica" / "tokens.json"
    save(TokenStore(path), Tokens("access"))
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@given(st.floats(1, 1e6), st.floats(0, 2e9))
def test_a_token_is_renewed_before_its_end_and_not_at_once(seconds: float, now: float) -> None:
    tokens = Tokens("access", issued=now, seconds=seconds)
    assert tokens.fresh(now)
    assert not tokens.fresh(now + seconds)
    assert not tokens.fresh(now + max(seconds * 0.81, seconds - 59))


def test_a_token_from_the_future_is_not_trusted() -> None:
    tokens = Tokens("access", issued=1e9, seconds=3600)
    assert tokens.fresh(1e9 - 30)  # clocks of two machines differ a little
    assert not tokens.fresh(1e9 - 3600)


def test_tokens_do_not_show_themselves() -> None:
    shown: t.Any = repr(Tokens("the-access", "the-refresh", 1.0, 2.0))
    assert "the-access" not in shown
    assert "the-refresh" not in shown
    assert json.dumps(shown)
