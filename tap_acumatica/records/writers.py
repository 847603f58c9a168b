"""How the rows of a stream leave: as RECORD lines, through stream maps, or in BATCH files."""

from __future__ import annotations

import datetime as dt
import typing as t

from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_acumatica.records.batches import BatchFiles
    from tap_acumatica.records.lines import RecordLines

Record = t.Any
"""A record: a dict, or a compiled row."""


class RowWriter(t.Protocol):
    """A way to write records.

    Attributes:
        size: The most records of one call.
        fills: Whether calls should have ``size`` records, whatever the server's pages hold.
    """

    size: int
    fills: bool

    def write(self, records: Sequence[Record]) -> None:
        """Write records; when it returns, they are out."""


class RecordLineWriter(RowWriter):
    """RECORD messages, encoded together."""

    fills = False

    def __init__(self, size: int, lines: RecordLines, write: Callable[[bytes], None]) -> None:
        """Prepare.

        Args:
            size: Records between two STATE messages.
            lines: Encodes the messages.
            write: Writes them.
        """
        self.size = size
        self._lines = lines
        self._write = write

    @override
    def write(self, records: Sequence[Record]) -> None:
        extracted = dt.datetime.now(dt.timezone.utc).isoformat()
        self._write(self._lines.encode(records, time_extracted=extracted))


class MappedRecordWriter(RowWriter):
    """Records one by one through the SDK, for stream maps, flattening and nested selection."""

    fills = False

    def __init__(self, size: int, write: Callable[[Record], None]) -> None:
        """Prepare.

        Args:
            size: Records between two STATE messages.
            write: Maps and writes one record.
        """
        self.size = size
        self._write = write

    @override
    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self._write(record)


class BatchFileWriter(RowWriter):
    """BATCH files of JSON lines."""

    fills = True

    def __init__(
        self,
        size: int,
        lines: RecordLines,
        files: BatchFiles,
        announce: Callable[[list[str]], None],
    ) -> None:
        """Prepare.

        Args:
            size: Records of a file.
            lines: Encodes the records.
            files: Writes a file and gives its address.
            announce: Writes the BATCH message for addresses.
        """
        self.size = size
        self._lines = lines
        self._files = files
        self._announce = announce

    @override
    def write(self, records: Sequence[Record]) -> None:
        self._announce([self._files.write(self._lines.json_lines(records))])


class EncodedBatchWriter(RowWriter):
    """BATCH files of any format that the SDK can encode, or with records that need the SDK."""

    fills = True

    def __init__(
        self,
        size: int,
        encode: Callable[[Iterator[Record]], Iterable[list[str]]],
        announce: Callable[[list[str]], None],
    ) -> None:
        """Prepare.

        Args:
            size: Records of a file.
            encode: Writes records to files and gives their addresses.
            announce: Writes the BATCH message for addresses.
        """
        self.size = size
        self._encode = encode
        self._announce = announce

    @override
    def write(self, records: Sequence[Record]) -> None:
        for manifest in self._encode(iter(records)):
            self._announce(manifest)
