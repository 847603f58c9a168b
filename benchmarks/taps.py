"""The programs that are compared, as command lines."""

from __future__ import annotations

import json
import sys
import typing as t

from benchmarks.dataset import ENTRIES, LINES
from benchmarks.server import LARGE, SMALL

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "ENTRIES",
    "LIMIT",
    "LINES",
    "OURS",
    "STOCK",
    "TUNED",
    "catalog_of",
    "discovery",
    "reading",
]

OURS = "tap-acumatica"
STOCK = "stock SDK tap"
TUNED = "stock SDK tap, tuned"
LIMIT = "limit"

_TAP = (sys.executable, "-m", "tap_acumatica")
_STOCK = (sys.executable, "-m", "benchmarks.stock")


def reading(tap: str, address: str, folder: Path, **settings: t.Any) -> list[str]:
    """The command that copies all rows of one set to standard output.

    Args:
        tap: Which program.
        address: Of the server.
        folder: Where its configuration goes.
        **settings: Further settings.
    """
    if tap == LIMIT:
        return [sys.executable, "-m", "benchmarks.limit", address]
    if tap == OURS:
        config = {"url": f"{address}{SMALL}", "entity_sets": [LINES], **settings}
        return [*_TAP, "--config", _written(config, folder)]
    config = {"url": address, **settings}
    tuned = ["--tuned"] if tap == TUNED else []
    return [*_STOCK, *tuned, "--config", _written(config, folder)]


def discovery(address: str, folder: Path, *, large: bool) -> list[str]:
    """The command that discovers, and with ``--catalog`` behind it reads, a service."""
    config: dict[str, t.Any] = {"url": f"{address}{LARGE if large else SMALL}"}
    if large:
        config |= {"username": "admin", "password": "secret"}
    return [*_TAP, "--config", _written(config, folder)]


def catalog_of(catalog: Mapping[str, t.Any], folder: Path) -> str:
    """A file with the catalog, of which the two sets that have rows are selected."""
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in {LINES, ENTRIES}
    return _written(catalog, folder, "catalog")


def _written(content: t.Any, folder: Path, name: str = "config") -> str:
    number = sum(1 for _ in folder.glob(f"{name}-*.json"))
    path = folder / f"{name}-{number}.json"
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return str(path)
