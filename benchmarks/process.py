"""Runs a program and measures its time, its output and its memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent

_CHUNK = 1 << 20
_TICK_SECONDS = 0.05
_RECORD = b'"RECORD"'
_LAST = 3000


class BenchmarkError(Exception):
    """A program that was being measured failed."""


class Mark(t.NamedTuple):
    """How far a program is.

    Attributes:
        lines: Lines written.
        seconds: Seconds since its start.
        processor: Its processor time so far, in seconds.
    """

    lines: int
    seconds: float
    processor: float = 0.0


@dataclass
class Measurement:
    """One run of a program.

    Attributes:
        seconds: Seconds from start to end.
        first: Seconds from start to the first RECORD message, or to the end if there was none.
        lines: Number of lines it wrote.
        memory: Peak memory, in bytes.
        processor: Processor time, in seconds.
        timeline: About 20 times per second, what was written and used so far.
    """

    seconds: float = 0.0
    first: float = 0.0
    lines: int = 0
    memory: int = 0
    processor: float = 0.0
    timeline: list[Mark] = field(default_factory=list)

    def seconds_between(self, start: int, stop: int) -> float:
        """Seconds between two lines, interpolated from the timeline."""
        return self._at(stop).seconds - self._at(start).seconds

    def processor_between(self, start: int, stop: int) -> float:
        """Processor time between two lines, in seconds; 0 where the system does not tell."""
        return self._at(stop).processor - self._at(start).processor

    def _at(self, line: int) -> Mark:
        before = Mark(0, self.first)
        for mark in self.timeline:
            if mark.lines >= line:
                share = (line - before.lines) / max(mark.lines - before.lines, 1)
                return Mark(
                    line,
                    before.seconds + share * (mark.seconds - before.seconds),
                    before.processor + share * (mark.processor - before.processor),
                )
            before = mark
        return before


def measure(
    command: Sequence[str | Path], *, keep: Path | None = None, until_first: bool = False
) -> Measurement:
    """Run a program to its end, or to its first RECORD message.

    Args:
        command: The program with its arguments.
        keep: File for its output; discarded if None.
        until_first: Whether to stop it after its first RECORD message.

    Raises:
        BenchmarkError: If the program fails; the message has the end of its log.
    """
    with tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
        watched = False
        try:
            found = _watch(process, start, keep, until_first=until_first)
            watched = True
        finally:
            if process.stdout:
                process.stdout.close()
            if until_first or not watched:
                # Not process.kill(), which would collect the exit status.
                os.kill(process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        found.seconds = time.perf_counter() - start
        found.first = found.first or found.seconds
        found.processor = usage.ru_utime + usage.ru_stime
        # In kibibytes, except on macOS.
        found.memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if process.returncode and not (until_first and found.lines):
            log.seek(0)
            text = log.read()[-_LAST:].decode("utf-8", "replace")
            raise BenchmarkError(f"{Path(command[0]).name} ended with {process.returncode}: {text}")
    return found


def _watch(
    process: subprocess.Popen[bytes], start: float, keep: Path | None, *, until_first: bool
) -> Measurement:
    found = Measurement()
    last_entry = 0.0
    assert process.stdout is not None  # noqa: S101  it is a pipe
    output = process.stdout.fileno()
    with keep.open("wb") if keep else open(os.devnull, "wb") as copy:  # noqa: PTH123
        while chunk := os.read(output, _CHUNK):
            now = time.perf_counter() - start
            found.lines += chunk.count(b"\n")
            if not found.first and _RECORD in chunk:
                found.first = now
                if until_first:
                    found.lines += 1
                    break
            if now - last_entry >= _TICK_SECONDS:
                last_entry = now
                found.timeline.append(Mark(found.lines, now, _processor_time(process.pid)))
            if keep:
                copy.write(chunk)
    now = time.perf_counter() - start
    found.timeline.append(Mark(found.lines, now, _processor_time(process.pid)))
    return found


def _processor_time(pid: int) -> float:
    """The processor time of a process so far, in seconds; see proc(5), ``/proc/pid/stat``."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
