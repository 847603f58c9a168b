"""BATCH files: JSON lines, compressed by gzip, wherever the SDK's storage writes to."""

from __future__ import annotations

import gzip
import typing as t
from uuid import uuid4

if t.TYPE_CHECKING:
    from singer_sdk.helpers._batch import BatchConfig

_FAST = 1  # three times as fast as the default, for files that are read once and thrown away


class BatchFiles:
    """Numbered files of one stream."""

    def __init__(self, config: BatchConfig, name: str) -> None:
        """Begin a series.

        Args:
            config: The SDK's batch configuration.
            name: What the names of the files begin with, after the configured prefix.
        """
        self._storage = config.storage
        self._compress = config.encoding.compression != "none"
        self._stem = f"{config.storage.prefix or ''}{name}-{uuid4()}"
        self._number = 0

    def write(self, lines: bytes) -> str:
        """Write the next file and return its address."""
        self._number += 1
        suffix = "json.gz" if self._compress else "json"
        filename = f"{self._stem}-{self._number}.{suffix}"
        with self._storage.open(filename, "wb") as file:
            file.write(gzip.compress(lines, _FAST) if self._compress else lines)
        return self._storage.get_url(filename)
