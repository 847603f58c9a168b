"""Runs the sandbox as a separate process, as a user starts it."""

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
    """The sandbox did not start, or refused a request."""


@dataclass(frozen=True)
class RunningSandbox:
    """A running sandbox.

    Attributes:
        url: URL of its site.
        database: Its SQLite file.
    """

    url: str
    database: Path

    def change(self, rows: int) -> dict[str, t.Any]:
        """Change, insert and delete rows at the source.

        Args:
            rows: Number of rows.

        Returns:
            Number of rows updated, inserted and deleted, by entity set.

        Raises:
            SandboxError: If the sandbox refuses.
        """
        answer = requests.post(
            f"{self.url}/sandbox/changes", params={"rows": rows}, timeout=SECONDS
        )
        if not answer.ok:
            raise SandboxError(
                f"the sandbox did not change rows: {answer.status_code} {answer.text}"
            )
        found: dict[str, t.Any] = answer.json()
        return found

    def config(self) -> dict[str, t.Any]:
        """Configuration of the tap for reading all tenants."""
        return {
            "url": self.url,
            "username": USERNAME,
            "password": PASSWORD,
            "tenants": compare.tenants(self.database),
        }

    def settings(self) -> dict[str, str]:
        """The same configuration as environment variables."""
        return {
            f"TAP_ACUMATICA_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in self.config().items()
        }


@contextmanager
def sandbox(folder: Path, rows: int) -> Iterator[RunningSandbox]:
    """Run a sandbox until the block ends.

    Args:
        folder: Folder for its database and its log.
        rows: Number of rows in its largest tables.

    Raises:
        SandboxError: If it does not start.
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
            # The first line has the URL; it is printed when the sandbox is listening.
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
