"""Command lines of the programs to compare."""

from __future__ import annotations

import json
import sys
import typing as t

from benchmarks.dataset import LINES
from benchmarks.server import LARGE, SMALL

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "LIMIT",
    "LINES",
    "OURS",
    "STOCK",
    "TUNED",
    "copy_command",
    "discovery_command",
    "site_command",
    "write_json",
]

OURS = "tap-acumatica"
STOCK = "stock SDK tap"
TUNED = "stock SDK tap, tuned"
LIMIT = "limit"

_TAP = (sys.executable, "-m", "tap_acumatica")
_STOCK = (sys.executable, "-m", "benchmarks.stock")


def copy_command(tap: str, address: str, folder: Path, **settings: t.Any) -> list[str]:
    """The command that copies all rows of one entity set to standard output.

    Args:
        tap: Name of the program.
        address: URL of the server.
        folder: Folder for its configuration.
        **settings: Additional settings.
    """
    if tap == LIMIT:
        return [sys.executable, "-m", "benchmarks.limit", address]
    if tap == OURS:
        config = {"url": f"{address}{SMALL}", "entity_sets": [LINES], **settings}
        return [*_TAP, "--config", write_json(config, folder)]
    config = {"url": address, **settings}
    tuned = ["--tuned"] if tap == TUNED else []
    return [*_STOCK, *tuned, "--config", write_json(config, folder)]


def discovery_command(address: str, folder: Path) -> list[str]:
    """The command that discovers a complete Acumatica."""
    config = {"url": f"{address}{LARGE}", "username": "admin", "password": "secret"}
    return [*_TAP, "--config", write_json(config, folder), "--discover"]


def site_command(settings: Mapping[str, t.Any], folder: Path) -> list[str]:
    """The command for an Acumatica site, to be followed by ``--discover`` or ``--catalog``."""
    return [*_TAP, "--config", write_json(settings, folder)]


def write_json(content: t.Any, folder: Path, name: str = "config") -> str:
    """Write a file that no other has the name of; return its path."""
    number = sum(1 for _ in folder.glob(f"{name}-*.json"))
    path = folder / f"{name}-{number}.json"
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return str(path)
