"""The command, as a process."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from tap_acumatica.sandbox import Sandbox, faults, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = (sys.executable, "-m", "tap_acumatica.sandbox")
NO_EXTRA = (
    "import sys; sys.modules['odata_query'] = None; "
    "from tap_acumatica.sandbox.cli import main; main()"
)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(*command: str) -> tuple[int, str]:
    """The exit code, and what a command that fails writes to standard error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_command_prints_its_settings_and_stops_on_a_signal(ending: signal.Signals) -> None:
    with running("--port=0", "--rows=20") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"url=(\S+) username=admin password=secret", line)
        assert found, line
        url = f"{found[1]}/t/Company/api/odata/dac/SOOrder?$top=1"
        assert requests.get(url, auth=("admin", "secret"), timeout=10).ok
        process.send_signal(ending)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == "Preparing up to 20 rows per table ...\n"


def test_without_the_extra_one_line_names_it() -> None:
    assert run(sys.executable, "-c", NO_EXTRA) == (
        1,
        "Error: the sandbox needs an extra; run: pip install 'tap-acumatica[sandbox]'\n",
    )


@pytest.mark.parametrize(
    "argument", ["--port=99999", "--rows=-1", "--rows=many", "--max-page=0", "--latency=-1"]
)
def test_values_out_of_range_are_usage_errors(argument: str) -> None:
    exit_code, text = run(*COMMAND, argument)
    assert exit_code == 2
    assert f"Invalid value for '{argument.partition('=')[0]}'" in text


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        exit_code, text = run(*COMMAND, f"--port={port}", "--rows=0")
    assert exit_code == 1
    assert f"port {port} is already in use" in text
    assert "--port 0" in text
    assert "Traceback" not in text


def test_a_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "rows.sqlite3"
    exit_code, text = run(*COMMAND, "--port=0", f"--database={path}")
    assert exit_code == 1
    assert f"the database file {path} cannot be used" in text
    assert "Traceback" not in text


def test_faults_can_be_rehearsed_by_name() -> None:
    with running("--port=0", "--rows=20", "--spoil=max-top=5@only=SOOrder") as process:
        assert process.stdout is not None
        found = re.search(r"url=(\S+)", process.stdout.readline())
        assert found
        root = f"{found[1]}/t/Company/api/odata/dac"
        statuses = [
            requests.get(f"{root}/{name}", auth=("admin", "secret"), timeout=10).status_code
            for name in ("SOOrder?$top=6", "SOOrder?$top=5", "SOLine?$top=6")
        ]
    assert statuses == [400, 200, 200]


def test_all_faults_are_listed_without_a_start() -> None:
    done = subprocess.run(
        [*COMMAND, "--spoil", "list"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == faults.listed()
    assert done.stderr == ""


def test_an_unknown_fault_is_a_usage_error() -> None:
    exit_code, text = run(*COMMAND, "--spoil=max-tpo", "--rows=0")
    assert exit_code == 2
    assert "there is no fault 'max-tpo'; did you mean 'max-top'?" in text


def test_a_locked_account_is_said_in_the_log() -> None:
    with running("--port=0", "--rows=0") as process:
        assert process.stdout is not None
        found = re.search(r"url=(\S+)", process.stdout.readline())
        assert found
        url = f"{found[1]}/t/Company/api/odata/dac"
        for _ in range(4):
            requests.get(url, auth=("admin", "wr0ng-one"), timeout=10)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        assert process.stderr is not None
        _, *lines = process.stderr.read().splitlines()
    (line,) = lines
    assert line.startswith("The account 'admin' of tenant 'Company' is locked after 3 wrong")
    assert "wr0ng-one" not in line


def test_what_takes_long_is_said_while_it_is_prepared(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "REPORT_SECONDS", 0.0)
    with Sandbox(rows=5000):
        pass
    assert any(
        re.match(r"Still preparing \w+ of Company \(\d+ seconds\)", m) for m in caplog.messages
    )


def test_the_version_is_that_of_the_tap() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"tap-acumatica-sandbox, version \S+\n", done.stdout)
