"""The README's pipe with the real targets that it names: no state is lost, no row is missing."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import typing as t
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from demo import compare
from demo.meltano import target_settings
from tests.field.orders import order, service_of, stamp
from tests.field.service import instant

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from demo.postgres import Postgres
    from tests.field.service import Reply, Request, Service, Table

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = 60

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("targets")]


def installed(name: str) -> Path:
    """The program of a target, in an environment of its own; installed once."""
    pyproject = ROOT / "pyproject.toml"
    wanted = next(
        line for line in pyproject.read_text("utf-8").splitlines() if line.startswith(f"{name} = ")
    )
    folder = ROOT / ".meltano" / "targets" / name
    stamp_file, version = folder / "set-up", f"{sys.version}\n{wanted}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not stamp_file.is_file() or stamp_file.read_text("utf-8") != version:
            _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder))
            pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"))
            _run(*pip, "install", "--quiet", "--group", f"{pyproject}:{name}")
            stamp_file.write_text(version, "utf-8")
    return folder / "bin" / name


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600, check=False)
    assert done.returncode == 0, done.stderr


class Pipe:
    """The README's pipe in a folder of its own, with one target."""

    def __init__(
        self, folder: Path, service: Service, target: str, config: Mapping[str, t.Any]
    ) -> None:
        self.folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir()
        self._program("tap-acumatica", sys.executable, "-m", "tap_acumatica")
        self._program(target, str(installed(target)))
        (folder / "target.json").write_text(json.dumps(config), encoding="utf-8")
        section = re.split(r"\n##+ ", README.partition("\n### With a plain pipe\n")[2])[0]
        first, repeated = re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)
        begin, end = first.index("<<'JSON'\n") + 9, first.index("\nJSON\n")
        settings = {"url": service.url, "page_size": 20, "max_retries": 1, "time_offset": 0}
        first = f"{first[:begin]}{json.dumps(settings)}{first[end:]}"
        self._bash(first.replace("pip install .\n", ""))
        command = f"{target} --config target.json"
        assert "| target-jsonl >" in repeated
        self._repeated = repeated.replace("| target-jsonl >", f"| {command} >")

    def run(self) -> str:
        """Run what the README says to repeat; the bookmark that is then kept."""
        self._bash(self._repeated)
        state = json.loads((self.folder / "state.json").read_bytes())
        found: str = state["bookmarks"]["Orders"]["replication_key_value"]
        return found

    def _program(self, name: str, *command: str) -> None:
        path = self._programs / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        path.chmod(0o700)

    def _bash(self, script: str) -> None:
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],  # noqa: S607
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr


def jsonl_rows(folder: Path) -> list[dict[str, t.Any]]:
    """What all runs stored, in their order: each one's files bear the time."""
    files = sorted(folder.glob("Orders*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def csv_rows(folder: Path) -> list[dict[str, t.Any]]:
    """What the last run stored: it overwrites the file."""
    (file,) = folder.glob("Orders*.csv")
    with closing(file.open(encoding="utf-8", newline="")) as lines:
        return list(csv.DictReader(lines))


@contextmanager
def failing(service: Service) -> Iterator[None]:
    """The second page of each read fails."""

    def spoil(request: Request, reply: Reply) -> None:
        if request.number > first + 1:
            reply.html(500)

    first = len(service.asked("Orders"))
    service.spoil = spoil
    yield
    service.spoil = lambda _request, _reply: None


def change(table: Table, numbers: range, minutes: int) -> None:
    for row in table.rows:
        if row["Id"] in numbers:
            row.update(Note=f"changed {minutes}", LastModifiedDateTime=stamp(minutes + row["Id"]))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", ["target-jsonl", "target-csv", "target-postgres"])
def test_the_pipe_loses_neither_rows_nor_the_state(
    tmp_path: Path, target: str, postgres: Postgres
) -> None:
    service, table = service_of(ROWS)
    stored: dict[int, str] = {}
    config: dict[str, t.Any] = {}
    read: Callable[[Path], list[dict[str, t.Any]]] = (
        csv_rows if target == "target-csv" else jsonl_rows
    )
    if target == "target-postgres":
        names = target_settings(postgres, "pipe")
        config = {n.removeprefix("TARGET_POSTGRES_").lower(): v for n, v in names.items()}
        config["port"] = int(config["port"])

        def read(_folder: Path) -> list[dict[str, t.Any]]:
            with postgres.connect() as connection:
                name = compare.table_name(connection, "pipe", "Orders")
                rows = connection.execute(f'SELECT "Id", "Note" FROM pipe."{name}"').fetchall()  # noqa: S608
            assert len({row[0] for row in rows}) == len(rows)
            return [{"Id": row[0], "Note": row[1]} for row in rows]

    def held() -> dict[int, str]:
        stored.update({int(row["Id"]): row["Note"] for row in read(tmp_path)})
        return stored

    with service.running():
        pipe = Pipe(tmp_path, service, target, config)
        first = pipe.run()
        assert held() == {row["Id"]: row["Note"] for row in table.rows}
        unchanged = pipe.run()
        assert instant(unchanged) == instant(first) == instant(stamp(ROWS))
        change(table, range(1, 46), 100)
        with failing(service):
            broken = pipe.run()
        held()
        assert instant(broken) >= instant(first)
        table.rows.append({**order(ROWS + 1), "LastModifiedDateTime": stamp(300)})
        last = pipe.run()
        assert instant(last) == instant(stamp(300))
        assert held() == {row["Id"]: row["Note"] for row in table.rows}
        again = pipe.run()
    assert instant(again) == instant(last)
    assert held() == {row["Id"]: row["Note"] for row in table.rows}
