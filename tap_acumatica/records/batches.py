"""BATCH files: records encoded as JSON lines or as Parquet, written to the SDK's storage."""

from __future__ import annotations

import gzip
import re
import typing as t
from uuid import uuid4

from tap_acumatica.errors import BatchFileError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

_FAST = 1  # three times as fast as the default, for files that are read once


class Storage(t.Protocol):
    """Where files go: the SDK's storage target."""

    root: str
    prefix: str | None

    def open(self, filename: str, mode: str = ...) -> AbstractContextManager[t.IO[t.Any]]:
        """Open a file."""

    def get_url(self, filename: str) -> str:
        """The address of a file."""


class BatchFiles:
    """Writes the numbered BATCH files of one stream."""

    def __init__(
        self,
        storage: Storage,
        name: str,
        *,
        suffix: str,
        encode: Callable[[Sequence[t.Any]], bytes],
    ) -> None:
        """Start a series of files.

        Args:
            storage: Where the files go.
            name: Start of the file names, after the storage's prefix.
            suffix: End of the file names.
            encode: Makes the content of a file.
        """
        self._storage = storage
        self._suffix = suffix
        self._encode = encode
        safe = re.sub(r"[^\w.-]", "_", name)
        self._stem = f"{storage.prefix or ''}{safe}-{uuid4()}"
        self._number = 0

    def write(self, records: Sequence[t.Any]) -> str:
        """Write the next file and return its URL.

        Raises:
            BatchFileError: If it cannot be written.
        """
        content = self._encode(records)
        self._number += 1
        filename = f"{self._stem}-{self._number}.{self._suffix}"
        try:
            with self._storage.open(filename, "wb") as file:
                file.write(content)
            return self._storage.get_url(filename)
        except Exception as error:  # each kind of storage has its own
            reason = error.strerror if isinstance(error, OSError) else None
            msg = (
                f"a BATCH file cannot be written to {self._storage.root}: "
                f"{reason or f'{type(error).__name__}: {error}'}; check 'batch_config'"
            )
            raise BatchFileError(msg) from error


def gzipped(content: bytes) -> bytes:
    """The content, compressed with gzip."""
    return gzip.compress(content, _FAST)
