"""A target, or a run, that ends before the tap is done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import typing as t

import pytest

from tests.odata_service import ODataService
from tests.test_any_odata_service import simple

if t.TYPE_CHECKING:
    from pathlib import Path


def test_a_closed_pipe_is_named_in_one_line(tmp_path: Path) -> None:
    service = ODataService(simple("Rows", 3000))
    with service.running():
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"url": service.url, "batch_size": 10}), encoding="utf-8")
        command = [sys.executable, "-m", "tap_acumatica", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tap:
            assert tap.stdout is not None
            assert tap.stderr is not None
            tap.stdout.readline()
            tap.stdout.close()
            errors = tap.stderr.read().decode()
            assert tap.wait(60) == 1
    assert "the target closed the pipe" in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_a_target_that_dies_in_the_middle_is_the_only_error(tmp_path: Path) -> None:
    service = ODataService(simple("Rows", 3000))
    with service.running():
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"url": service.url, "batch_size": 10}), encoding="utf-8")
        command = [sys.executable, "-m", "tap_acumatica", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tap:
            assert tap.stdout is not None
            assert tap.stderr is not None
            while b'"RECORD"' not in tap.stdout.readline():
                pass
            tap.stdout.close()
            errors = tap.stderr.read().decode().splitlines()
            assert tap.wait(60) == 1
    (line,) = [each for each in errors if "| ERROR" in each]
    assert "the target closed the pipe" in line


@pytest.mark.parametrize("arguments", [[], ["--discover"], ["--test"]])
def test_a_closed_standard_output_is_named_in_one_line(
    tmp_path: Path, arguments: list[str]
) -> None:
    service = ODataService(simple("Rows", 3))
    with service.running():
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"url": service.url}), encoding="utf-8")
        script = (
            "import os,sys; os.close(1); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        command = ["-m", "tap_acumatica", "--config", str(config), *arguments]
        done = subprocess.run(
            [sys.executable, "-c", script, *command],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 1
    (line,) = [each for each in done.stderr.splitlines() if "| ERROR" in each]
    assert "standard output cannot be written: it is closed" in line
    assert "Traceback" not in done.stderr


IN_AN_IMPORT = """
import importlib.abc, os, signal, sys
class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Interrupting())
from tap_acumatica.cli import entry
sys.argv = ["tap-acumatica", "--about"]
entry.{command}()
"""


@pytest.mark.parametrize("command", ["singer", "login"])
@pytest.mark.parametrize("module", ["click", "tap_acumatica.errors", "msgspec"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_imported_ends_without_a_traceback(
    command: str, module: str, number: signal.Signals
) -> None:
    script = IN_AN_IMPORT.format(module=module, number=int(number), command=command)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 128 + number
    assert done.stderr == b""
    assert done.stdout == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_last_line_before_a_signal_ends_the_run_is_the_state(
    tmp_path: Path, number: signal.Signals
) -> None:
    service = ODataService(simple("Rows", 40))
    reached = threading.Event()

    def wait(_: object) -> None:
        if len(service.log) > 5:
            reached.wait(60)

    service.before_answer = wait
    with service.running():
        config = tmp_path / "config.json"
        settings = {"url": service.url, "page_size": 5, "batch_size": 5}
        config.write_text(json.dumps(settings), encoding="utf-8")
        command = [sys.executable, "-m", "tap_acumatica", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tap:
            assert tap.stdout is not None
            kinds = []
            for line in tap.stdout:
                kinds.append(json.loads(line)["type"])
                if kinds.count("RECORD") == 7:
                    tap.send_signal(number)
                    reached.set()
            assert tap.wait(60) == 128 + number
    assert kinds[-1] == "STATE"
    assert kinds.count("RECORD") < 40
