"""The writer of all Singer messages: whole lines, and the last STATE once more at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import typing as t

from singer_sdk.io_base import SingerWriter
from singer_sdk.singerlib import StateMessage
from typing_extensions import override

from tap_acumatica.errors import OutputError

if t.TYPE_CHECKING:
    from singer_sdk.singerlib.messages import Message

_SIGNAL_EXIT = 128


class Terminated(SystemExit):
    """The process was asked to end; the exit code is 128 plus the signal's number."""


class MessageWriter(SingerWriter):
    """Writes Singer messages of every kind to standard output, whole lines only.

    A signal that arrives while lines are written waits for their end.

    Attributes:
        waited: Seconds until the target had taken what was written, all in all.
    """

    def __init__(self) -> None:
        """Start with nothing written."""
        self.waited = 0.0
        self._writing = False
        self._signal: int | None = None
        self._is_whole = True
        self._last_state = b""
        self._ends_with_state = False

    @override
    def write_message(self, message: Message) -> None:
        """Write one message.

        Raises:
            OutputError: If standard output cannot be written.
            Terminated: After the line, if a signal came while it was written.
        """
        line = f"{self.format_message(message)}\n".encode()
        self._write(line, is_state=isinstance(message, StateMessage))

    def write_lines(self, lines: bytes) -> None:
        """Write encoded messages, none of them a STATE, and flush them.

        Args:
            lines: Whole lines, each with its line feed.

        Raises:
            OutputError: If standard output cannot be written.
            Terminated: After the lines, if a signal came while they were written.
        """
        self._write(lines, is_state=False)

    def repeat_state(self) -> None:
        """Write the last STATE once more, unless it is the last line already.

        Some targets forget the state when a RECORD follows it. Where no state was written, nothing
        is: a state without bookmarks could only replace a better one.

        Raises:
            OutputError: If standard output cannot be written.
            Terminated: After the line, if a signal came while it was written.
        """
        if self._last_state and self._is_whole and not self._ends_with_state:
            self._write(self._last_state, is_state=True)

    def _write(self, lines: bytes, *, is_state: bool) -> None:
        self._writing, self._is_whole = True, False
        began = time.monotonic()
        try:
            buffer = getattr(sys.stdout, "buffer", None)
            if buffer is None:  # standard output is redirected into text
                sys.stdout.write(lines.decode())
            else:
                buffer.write(lines)
                buffer.flush()
            if is_state:
                self._last_state = lines
            self._ends_with_state, self._is_whole = is_state, True
        except (OSError, ValueError, AttributeError) as error:
            _discard_output()
            raise OutputError(_why_unwritable(error)) from error
        finally:
            self.waited += time.monotonic() - began
            self._writing = False
        if self._signal is not None:
            raise Terminated(_SIGNAL_EXIT + self._signal)

    def stop(self, signum: int) -> None:
        """End on a signal: now, or after the lines being written; a second one ends immediately.

        Raises:
            Terminated: If nothing is being written.
        """
        if self._writing and self._signal is None:
            self._signal = signum
            return
        raise Terminated(_SIGNAL_EXIT + signum)


def _why_unwritable(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "the target closed the pipe; see its own messages"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "standard output cannot be written: the disk is full"
    reason = error.strerror if isinstance(error, OSError) else "it is closed"
    return f"standard output cannot be written: {reason}"


def _discard_output() -> None:
    """Keep the interpreter from complaining again when it flushes standard output at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
