"""Runs the project's own ``meltano.yml`` from a temporary folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
MELTANO = Path(sys.executable).with_name("meltano")
PLUGINS = ("tap-acumatica", "target-postgres")
INHERITED_PREFIXES = ("MELTANO_", "TAP_", "TARGET_")


class MeltanoError(Exception):
    """A Meltano command failed; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Run:
    """One ``meltano run``.

    Attributes:
        exit_code: Its exit code.
        seconds: Wall-clock time.
        records: Number of records the target received, by stream.
        log: Its complete log.
    """

    exit_code: int
    seconds: float
    log: str
    records: Mapping[str, int] = field(default_factory=dict)


def install() -> float:
    """Install the plugins into the repository's ``.meltano``, if they are not installed yet.

    Returns:
        The time it took, in seconds.

    Raises:
        MeltanoError: If the installation fails.
    """
    start = time.monotonic()
    folder = ROOT / ".meltano"
    folder.mkdir(exist_ok=True)
    stamp = folder / "set-up"
    wanted = _fingerprint()
    with FileLock(folder / "set-up.lock"):
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            done = _meltano(["install", "--clean", *PLUGINS], cwd=ROOT, settings={})
            if done.returncode:
                raise MeltanoError(_last_lines("meltano install", done.stdout))
            stamp.write_text(wanted, encoding="utf-8")
    return time.monotonic() - start


class Project:
    """A copy of ``meltano.yml`` with its own state.

    It uses the plugins installed in the repository, but not its state, logs or ``.env``.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """Create the project.

        Args:
            folder: An empty folder.
            settings: Settings of the plugins, as environment variables.
        """
        self.folder = folder
        self.settings = dict(settings)
        shutil.copy(ROOT / "meltano.yml", folder)
        system = folder / ".meltano"
        system.mkdir()
        for kind in ("extractors", "loaders"):
            (system / kind).symlink_to(ROOT / ".meltano" / kind, target_is_directory=True)

    def run(self, tap: str = "tap-acumatica", target: str = "target-postgres") -> Run:
        """Run a tap into a target.

        Args:
            tap: Name of the extractor.
            target: Name of the loader.
        """
        start = time.monotonic()
        done = _meltano(["run", tap, target], cwd=self.folder, settings=self.settings)
        seconds = time.monotonic() - start
        return Run(done.returncode, seconds, done.stdout, _received(done.stdout, target))

    def run_job(self, job: str, environment: str, *options: str, **variables: str) -> Run:
        """Run a job of the project in one of its environments.

        Args:
            job: Name of the job.
            environment: Name of the environment.
            *options: Options of ``meltano run``.
            **variables: Additional environment variables.
        """
        start = time.monotonic()
        done = _meltano(
            [f"--environment={environment}", "run", *options, job],
            cwd=self.folder,
            settings={**self.settings, **variables},
        )
        seconds = time.monotonic() - start
        return Run(done.returncode, seconds, done.stdout, _received(done.stdout, PLUGINS[1]))

    def invoke(self, *arguments: str) -> str:
        """Run any Meltano command and return its output.

        Args:
            *arguments: The command with its arguments.

        Raises:
            MeltanoError: If the command fails.
        """
        done = _meltano(arguments, cwd=self.folder, settings=self.settings)
        if done.returncode:
            raise MeltanoError(_last_lines(f"meltano {arguments[0]}", done.stdout))
        return done.stdout

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start any Meltano command, with pipes for its input and output.

        Args:
            *arguments: The command with its arguments.
        """
        return subprocess.Popen(
            [MELTANO, "--log-format=json", *arguments],
            cwd=self.folder,
            env=_environment(self.settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def target_settings(server: Postgres, schema: str) -> dict[str, str]:
    """Settings of ``target-postgres`` for a server, as environment variables.

    Args:
        server: The server.
        schema: Schema to load into.
    """
    return {
        "TARGET_POSTGRES_HOST": server.host,
        "TARGET_POSTGRES_PORT": str(server.port),
        "TARGET_POSTGRES_USER": server.user,
        "TARGET_POSTGRES_PASSWORD": server.password,
        "TARGET_POSTGRES_DATABASE": server.database,
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
    }


def last_lines(run: Run) -> str:
    """The end of a run's log, for an error message."""
    return _last_lines("meltano run", run.log)


def _meltano(
    arguments: t.Sequence[str], *, cwd: Path, settings: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MELTANO, "--log-format=json", *arguments],
        cwd=cwd,
        env=_environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(INHERITED_PREFIXES)
    }
    return {
        **inherited,
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_AUTO_INSTALL": "false",
        "NO_COLOR": "1",
        **settings,
    }


def _fingerprint() -> str:
    """Hash everything the plugins' environments depend on; Meltano checks only ``pip_url``."""
    meltano_yml = (ROOT / "meltano.yml").read_text(encoding="utf-8")
    parts = [
        sys.version,
        str(ROOT),
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
        *(line for line in meltano_yml.splitlines() if "pip_url" in line or "backend" in line),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _received(log: str, target: str) -> dict[str, int]:
    """Records by stream, as counted by the target, not by the tap."""
    found: dict[str, int] = {}
    for entry in _entries(log):
        if entry.get("string_id") != target:
            continue
        metric = entry.get("metric_info") or {}
        if metric.get("metric") == "record_count":
            stream = str(metric["tags"]["stream"])
            found[stream] = found.get(stream, 0) + int(metric["value"])
    return found


def _entries(log: str) -> t.Iterator[dict[str, t.Any]]:
    """Yield the entries of a log; a line that is not JSON becomes an entry."""
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = line
        yield entry if isinstance(entry, dict) else {"event": line}


def _last_lines(command: str, log: str, count: int = 40) -> str:
    lines = [
        f"{entry.get('string_id', 'meltano')}: {entry.get('event')}" for entry in _entries(log)
    ]
    return "\n".join([f"{command} failed; the end of its log:", *lines[-count:]])
