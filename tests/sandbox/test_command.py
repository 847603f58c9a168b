"""The command, as a process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import requests


def test_command_says_its_address_and_stops_on_sigterm() -> None:
    command = [sys.executable, "-m", "tap_acumatica.sandbox", "--port", "0", "--rows", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"url=(\S+) username=admin password=secret", line)
        assert found, line
        url = f"{found[1]}/t/Company/api/odata/dac/SOOrder?$top=1"
        assert requests.get(url, auth=("admin", "secret"), timeout=10).ok
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
