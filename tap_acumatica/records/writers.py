"""How the rows of a stream leave: as RECORD lines or in BATCH files, mapped or as they are."""

from __future__ import annotations

import datetime as dt
import typing as t

from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


class BatchFileWriter(RowWriter):
    """BATCH files, one for each call."""

    fills = True

    def __init__(self, size: int, files: BatchFiles, announce: Callable[[list[str]], None]) -> None:
        """Prepare.

        Args:
            size: Records of a file.
            files: Writes a file and gives its address.
            announce: Writes the BATCH message for addresses.
        """
        self.size = size
        self._files = files
        self._announce = announce

    @override
    def write(self, records: Sequence[Record]) -> None:
        self._announce([self._files.write(records)])


class MappedWriter(RowWriter):
    """Records that leave as something else: each passes the maps, whatever it is written as.

    All maps come before the first line, so that one that fails leaves nothing half written.
    """

    def __init__(
        self,
        prepare: Callable[[Record], Record],
        outputs: Sequence[tuple[Callable[[Record], Record | None], RowWriter]],
    ) -> None:
        """Prepare.

        Args:
            prepare: What is done to a record before all maps.
            outputs: The maps, and what writes the records that each gives.
        """
        self.size = outputs[0][1].size
        self.fills = outputs[0][1].fills
        self._prepare = prepare
        self._outputs = outputs

    @override
    def write(self, records: Sequence[Record]) -> None:
        prepared = list(map(self._prepare, records))
        mapped = [
            (writer, [made for record in prepared if (made := transform(record)) is not None])
            for transform, writer in self._outputs
        ]
        for writer, made in mapped:
            if made:
                writer.write(made)
