"""What the command loads, and leaves as it was for what comes later."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import sys
from tap_acumatica.cli.entry import singer
sys.argv = ["tap-acumatica", "--version"]
try:
    singer()
except SystemExit as end:
    assert not end.code
print([name for name in ("numpy", "pyarrow", "sqlalchemy") if name in sys.modules])
import numpy
print(numpy.arange(3).sum())
"""


def test_the_command_loads_no_library_for_numbers_and_others_may() -> None:
    pytest.importorskip("numpy")
    done = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[]", "3"]
