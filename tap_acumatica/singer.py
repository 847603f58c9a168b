"""Whole lines to standard output, also when the process is asked to end in the middle of them."""

from __future__ import annotations

import sys


class Terminated(SystemExit):
    """The process was asked to end; its code is that of the signal."""


class LineOutput:
    """Writes blocks of lines; a signal that comes meanwhile waits for the end of the block."""

    def __init__(self) -> None:
        """Begin with nothing written."""
        self._writing = False
        self._signal: int | None = None

    def write(self, lines: bytes) -> None:
        """Write lines and hand them on.

        Raises:
            Terminated: After the lines, if a signal came while they were written.
        """
        self._writing = True
        try:
            buffer = getattr(sys.stdout, "buffer", None)
            if buffer is None:  # standard output is redirected into text
                sys.stdout.write(lines.decode())
            else:
                buffer.write(lines)
                buffer.flush()
        finally:
            self._writing = False
        if self._signal is not None:
            raise Terminated(128 + self._signal)

    def end(self, signum: int) -> None:
        """End on a signal: now, or after the lines being written; a second one ends at once.

        Raises:
            Terminated: If nothing is being written.
        """
        if self._writing and self._signal is None:
            self._signal = signum
            return
        raise Terminated(128 + signum)
