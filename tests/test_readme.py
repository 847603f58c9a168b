"""The commands of the README do what it says, as they stand there."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.sandbox_site import TENANT, settings

if t.TYPE_CHECKING:
    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
ORDER = ("OrderType", "OrderNbr")
# Like target-jsonl: a record makes it forget the state, and at its end it prints the one it has.
FORGETFUL_TARGET = """
import json, sys
state, records = None, open("records.jsonl", "a")
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        state = None
        records.write(line)
    elif message["type"] == "STATE":
        state = message["value"]
if state is not None:
    print(json.dumps(state))
"""
SILENT_TARGET = "import sys\nfor line in sys.stdin: pass\n"


class Pipe:
    """The pipe of the README in a folder of its own, reading a sandbox."""

    def __init__(self, folder: Path, site: Sandbox) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        self._programs = programs
        self._program("tap-acumatica", [sys.executable, "-m", "tap_acumatica"])
        self.target(FORGETFUL_TARGET)
        first, self._run = blocks("With a plain pipe")
        first = first.replace("pip install .\n", "")
        written = first[first.index("<<'JSON'\n") + 9 : first.index("\nJSON\n")]
        real = json.dumps(settings(site, entity_sets=["SOOrder"]))
        self._bash(first.replace(written, real))

    def target(self, code: str) -> None:
        """Put another target in place."""
        self._program("target-jsonl", [sys.executable, "-c", code])

    def run(self) -> list[dict[str, t.Any]]:
        """Run what the README says to repeat; the records that the target stored."""
        records = self.folder / "records.jsonl"
        records.unlink(missing_ok=True)
        self._bash(self._run)
        lines = records.read_text(encoding="utf-8").splitlines() if records.exists() else []
        return [json.loads(line)["record"] for line in lines]

    @property
    def state(self) -> t.Any:
        """What ``state.json`` holds."""
        return json.loads((self.folder / "state.json").read_bytes())

    def _program(self, name: str, command: list[str]) -> None:
        path = self._programs / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        path.chmod(0o700)

    def _bash(self, script: str) -> None:
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],  # noqa: S607
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def blocks(heading: str) -> list[str]:
    """The shell commands below a heading."""
    section = re.split(r"\n##+ ", README.partition(f"\n### {heading}\n")[2])[0]
    return re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def site(sandbox: MakeSandbox) -> Sandbox:
    return sandbox(rows=40)


@pytest.fixture
def pipe(tmp_path: Path, site: Sandbox) -> Pipe:
    return Pipe(tmp_path, site)


def test_the_pipe_reads_everything_once_and_then_what_changed(pipe: Pipe, site: Sandbox) -> None:
    first = pipe.run()
    before, row = pipe.state, site.rows(TENANT, "SOOrder")[0]
    # A bookmark rises only to stamps from before the run, by a clock of whole seconds.
    stamp = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=2)
    key = {name: row[name] for name in ORDER}
    site.update(TENANT, "SOOrder", key, OrderDesc="changed", LastModifiedDateTime=stamp)

    second = pipe.run()

    assert len(first) == len(site.rows(TENANT, "SOOrder"))
    assert len(second) < len(first)
    assert "changed" in {record["OrderDesc"] for record in second}
    assert pipe.state != before


def test_the_pipe_keeps_the_last_state_when_the_target_prints_none(pipe: Pipe) -> None:
    pipe.run()
    before = pipe.state
    pipe.target(SILENT_TARGET)

    pipe.run()

    assert before["bookmarks"]["SOOrder"]
    assert pipe.state == before
