"""What the tests stand on: a sandbox, a PostgreSQL, and the tap as a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from demo import meltano
from demo.postgres import Postgres
from demo.postgres import postgres as run_postgres

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_acumatica.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
TAP_SECONDS = 300

# New examples are found on a developer's machine; in CI the result depends on the change alone. How
# long an example takes depends on what else the machine does.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@dataclass(frozen=True)
class TapRun:
    """What one run of the tap wrote, and how it ended."""

    exit_code: int
    output: str
    errors: str

    @property
    def messages(self) -> list[dict[str, t.Any]]:
        """The Singer messages, in their order."""
        return [json.loads(line, parse_float=str) for line in self.output.splitlines()]

    @property
    def document(self) -> dict[str, t.Any]:
        """The whole output as one JSON document: a catalog, or what --about says."""
        found: dict[str, t.Any] = json.loads(self.output)
        return found

    @property
    def state(self) -> dict[str, t.Any]:
        """The last state; empty where there was none."""
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        return states[-1] if states else {}

    def records(self, stream: str) -> list[dict[str, t.Any]]:
        """The records of a stream, in their order; floats as the text they were written in."""
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a folder for caches of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


class RunTap(t.Protocol):
    """Runs the tap as a process of its own."""

    def __call__(
        self,
        config: Mapping[str, t.Any],
        *arguments: str,
        catalog: Mapping[str, t.Any] | None = None,
        state: Mapping[str, t.Any] | None = None,
        check: bool = True,
    ) -> TapRun: ...


class MakeSandbox(t.Protocol):
    """Starts a sandbox that is stopped after the test."""

    def __call__(self, **options: t.Any) -> Sandbox: ...


@pytest.fixture
def run_tap(tmp_path: Path) -> RunTap:
    """Run the tap with its configuration, catalog and state in files.

    With ``check``, which is the default, a run that ends with an error fails the test.
    """

    def run(
        config: Mapping[str, t.Any],
        *arguments: str,
        catalog: Mapping[str, t.Any] | None = None,
        state: Mapping[str, t.Any] | None = None,
        check: bool = True,
    ) -> TapRun:
        command = [sys.executable, "-m", "tap_acumatica"]
        for name, content in (("config", config), ("catalog", catalog), ("state", state)):
            if content is not None:
                path = tmp_path / f"{name}.json"
                path.write_text(json.dumps(content), encoding="utf-8")
                command += [f"--{name}", str(path)]
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=TAP_SECONDS,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return TapRun(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def sandbox() -> Iterator[MakeSandbox]:
    """Start sandboxes, each with options of its own."""
    # Tests without a sandbox do without its extra.
    from tap_acumatica.sandbox import Sandbox  # noqa: PLC0415

    with ExitStack() as running:
        yield lambda **options: running.enter_context(Sandbox(**options))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; a test takes a schema of its own."""
    with run_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Metadata of a real Acumatica, which lies beside some clones and is no part of this one."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this clone")
    return folder


@pytest.fixture(scope="session")
def plugins() -> None:
    """The Meltano plugins, installed once into the repository's .meltano."""
    meltano.install()
