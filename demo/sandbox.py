"""The sandbox as a process of its own, the way a user starts it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from demo import compare

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SANDBOX = Path(sys.executable).with_name("tap-acumatica-sandbox")
USERNAME = "admin"
PASSWORD = "secret"  # noqa: S105
SECONDS = 60


class SandboxError(Exception):
    """The sandbox did not start, or did not do as asked."""


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that listens.

    Attributes:
        url: Address of its site.
        database: Its database file.
    """

    url: str
    database: Path

    def change(self, rows: int) -> dict[str, t.Any]:
        """Change, insert and delete rows at the source.

        Args:
            rows: How many.

        Returns:
            What was done, as counts.
        """
        answer = requests.post(
            f"{self.url}/sandbox/changes", params={"rows": rows}, timeout=SECONDS
        )
        if not answer.ok:
            raise SandboxError(f"the sandbox changed no rows: {answer.status_code} {answer.text}")
        found: dict[str, t.Any] = answer.json()
        return found

    def config(self) -> dict[str, t.Any]:
        """Configuration of the tap that reads all of it."""
        return {
            "url": self.url,
            "username": USERNAME,
            "password": PASSWORD,
            "tenants": compare.tenants(self.database),
        }

    def settings(self) -> dict[str, str]:
        """The same as environment variables."""
        return {
            f"TAP_ACUMATICA_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in self.config().items()
        }


@contextmanager
def sandbox(folder: Path, rows: int) -> Iterator[RunningSandbox]:
    """Run a sandbox until the block is left.

    Args:
        folder: Where its database and its log go.
        rows: Rows of its largest tables.
    """
    database = folder / "sandbox.sqlite3"
    log = folder / "sandbox.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [
                SANDBOX,
                "--port=0",
                f"--rows={rows}",
                f"--database={database}",
                f"--user={USERNAME}",
                f"--password={PASSWORD}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            # It says where it listens on its first line, as soon as it does.
            line = process.stdout.readline() if process.stdout else ""
            address = re.search(r"\burl=(\S+)", line)
            if address is None:
                raise SandboxError(f"the sandbox did not start: {line}{log.read_text()}")
            yield RunningSandbox(address[1], database)
        finally:
            process.terminate()
            try:
                process.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
