"""Runs a program and measures its time, its output and its memory, from outside."""

from __future__ import annotations

import os
import re
import resource
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
_RECORD = b'{"type":"RECORD"'
"""How all programs begin a RECORD message."""
_LAST = 3000


class BenchmarkError(Exception):
    """A program that was being measured failed."""


class Mark(t.NamedTuple):
    """How far a program is.

    Attributes:
        records: RECORD messages written.
        seconds: Seconds since its start.
        processor: Its processor time so far, in seconds.
    """

    records: int
    seconds: float
    processor: float = 0.0


@dataclass
class Measurement:
    """One run of a program.

    Attributes:
        seconds: Seconds from start to end.
        first: Seconds from start to the first RECORD message, or to the end if there was none.
        records: Number of RECORD messages it wrote.
        memory: Peak memory, in bytes.
        processor: Processor time, in seconds.
        answers: Number of answers with rows that the server gave it, as the server counts.
        timeline: About 20 times per second, what was written and used so far.
    """

    seconds: float = 0.0
    first: float = 0.0
    records: int = 0
    memory: int = 0
    processor: float = 0.0
    answers: int = 0
    timeline: list[Mark] = field(default_factory=list)

    def processor_between(self, start: int, stop: int) -> float:
        """Processor time between two records, in seconds; 0 where the system does not tell."""
        return self._processor_at(stop) - self._processor_at(start)

    def _processor_at(self, records: int) -> float:
        before = Mark(0, self.first)
        for mark in self.timeline:
            if mark.records >= records:
                share = (records - before.records) / max(mark.records - before.records, 1)
                return before.processor + share * (mark.processor - before.processor)
            before = mark
        return before.processor


def measure(command: Sequence[str | Path], *, keep: Path | None = None) -> Measurement:
    """Run a program to its end.

    Args:
        command: The program with its arguments.
        keep: File for its output; discarded if None.

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
            found = _watch(process, start, keep)
            watched = True
        finally:
            if process.stdout:
                process.stdout.close()
            if not watched:
                # Not process.kill(), which would collect the exit status.
                os.kill(process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        found.seconds = time.perf_counter() - start
        found.first = found.first or found.seconds
        found.processor = usage.ru_utime + usage.ru_stime
        # On Linux, a new process starts with the peak of the one that started it.
        if not found.memory or usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            # In kibibytes, except on macOS.
            found.memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if process.returncode:
            log.seek(0)
            text = log.read()[-_LAST:].decode("utf-8", "replace")
            raise BenchmarkError(f"{Path(command[0]).name} ended with {process.returncode}: {text}")
    return found


def _watch(process: subprocess.Popen[bytes], start: float, keep: Path | None) -> Measurement:
    found = Measurement()
    last_entry = -_TICK_SECONDS
    rest = b""
    assert process.stdout is not None  # noqa: S101  it is a pipe
    output = process.stdout.fileno()
    with keep.open("wb") if keep else open(os.devnull, "wb") as copy:  # noqa: PTH123
        while chunk := os.read(output, _CHUNK):
            now = time.perf_counter() - start
            text = rest + chunk
            found.records += text.count(_RECORD)
            rest = text[1 - len(_RECORD) :]
            if found.records and not found.first:
                found.first = now
            if now - last_entry >= _TICK_SECONDS:
                last_entry = now
                found.timeline.append(Mark(found.records, now, _processor_time(process.pid)))
                found.memory = max(found.memory, _peak_memory(process.pid))
            if keep:
                copy.write(chunk)
    now = time.perf_counter() - start
    found.timeline.append(Mark(found.records, now, _processor_time(process.pid)))
    return found


def _processor_time(pid: int) -> float:
    """The processor time of a process so far, in seconds; see proc(5), ``/proc/pid/stat``."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _peak_memory(pid: int) -> int:
    """The peak memory of a process so far, in bytes; see proc(5), ``/proc/pid/status``."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0
