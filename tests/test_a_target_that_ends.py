"""A target that ends before the tap does."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

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
