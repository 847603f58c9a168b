"""What one run shares: connections, the message writer, failures, and what is read next."""

from __future__ import annotations

import logging
import threading
import time
import typing as t
import weakref

from tap_acumatica.errors import (
    AccessError,
    ExitCode,
    IncompleteError,
    RunError,
    TapError,
    TenantError,
    TimeLimitError,
    UnexpectedError,
)
from tap_acumatica.reading.read_ahead import ReadAhead

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.extraction import Extraction
    from tap_acumatica.reading.batches import RowBatch
    from tap_acumatica.settings.connections import Site
    from tap_acumatica.singer import MessageWriter

logger = logging.getLogger(__name__)

_MINUTE = 60.0
_OUT_OF_TIME = "the time of 'time_limit_minutes' is over, and what is left comes first next time"

Key = tuple[str, "str | None"]
"""What is read in one go: a stream's name and a tenant, None where there are no tenants."""


class Prefetch:
    """An extraction whose pages are read before they are written.

    Attributes:
        extraction: What is read.
        closed: Whether reading was stopped.
        ended: Whether all of it was read.
    """

    def __init__(self, extraction: Extraction) -> None:
        """Prepare; nothing is sent yet."""
        self.extraction = extraction
        self.closed = self.ended = False
        self._read_ahead: ReadAhead[RowBatch] | None = None

    def begin(self, at_end: Callable[[], None] = lambda: None) -> None:
        """Start reading, unless that was done before.

        Args:
            at_end: Called, by another thread, once everything is read.
        """

        def end() -> None:
            self.ended = True
            at_end()

        if self._read_ahead is None:
            self._read_ahead = ReadAhead(self.extraction.batches(), end)

    def batches(self) -> Iterator[RowBatch]:
        """The rows in batches, as they are read."""
        self.begin()
        return t.cast("ReadAhead[RowBatch]", self._read_ahead)

    def close(self) -> None:
        """Stop reading; may be called twice."""
        self.closed = True
        if self._read_ahead is not None:
            self._read_ahead.close()
        self.extraction.tell_repairs()


class Run:
    """One run of the tap.

    Attributes:
        site: Settings, services and connections.
        writer: Writes all messages.
        is_out_of_time: Whether some of it was not read for lack of time.
    """

    def __init__(self, site: Site, writer: MessageWriter) -> None:
        """Prepare; nothing is sent yet.

        Args:
            site: Settings, services and connections.
            writer: Writes all messages.
        """
        self.site = site
        self.writer = writer
        self._failures: dict[str, ExitCode] = {}
        limit = site.settings.time_limit_minutes
        self._deadline = time.monotonic() + limit * _MINUTE if limit else None
        self.is_out_of_time = False
        self._warned: set[str] = set()
        self._queue: dict[Key, Callable[[], Extraction]] = {}
        self._prefetched: dict[Key, Prefetch] = {}
        self._opened: list[Prefetch] = []
        self._taken: tuple[Key, Prefetch] | None = None
        self._lock = threading.RLock()
        self._finalizer = weakref.finalize(self, _close, site, self._opened)

    # What is read next

    def queue(self, openers: Mapping[Key, Callable[[], Extraction]]) -> None:
        """Say what will be read, in this order.

        Args:
            openers: Makes each extraction; may raise a ``TapError``.
        """
        self._queue = dict(openers)

    def take(self, key: Key, opener: Callable[[], Extraction]) -> Prefetch:
        """Start to read what is to be written now, and as much of what follows as seats allow.

        What follows is begun as soon as a seat has nothing left to read, however much is still to
        be decoded and written.

        Args:
            key: What is to be written now.
            opener: Makes its extraction, unless it was started before.

        Raises:
            TapError: If it cannot be read.
        """
        with self._lock:
            prefetch = self._prefetched.pop(key, None) or self._open(opener)
            self._taken = key, prefetch
            prefetch.extraction.current.set()
            prefetch.begin(self._read_further)
        self._read_further()
        return prefetch

    def _read_further(self) -> None:
        """Begin what follows, if a seat is free."""
        seats = self.site.settings.max_pool_size
        with self._lock:
            if self._taken is None:
                return
            key, current = self._taken
            for following in self._following(key, 2 * seats):
                busy = [each for each in (current, *self._prefetched.values()) if not each.ended]
                if len(busy) >= seats or len(self._prefetched) >= 2 * seats or current.closed:
                    return
                try:
                    prefetch = self._open(self._queue[following])
                except Exception:  # noqa: BLE001, S112  it is raised when it is to be written
                    continue
                self._prefetched[following] = prefetch
                prefetch.begin(self._read_further)

    def discard(self, stream: str) -> None:
        """Stop reading what was prefetched of a stream, whose columns have changed.

        Args:
            stream: Name of the stream.
        """
        with self._lock:
            found = [key for key in self._prefetched if key[0] == stream]
            prefetches = [self._prefetched.pop(key) for key in found]
        for prefetch in prefetches:
            prefetch.close()

    def _open(self, opener: Callable[[], Extraction]) -> Prefetch:
        prefetch = Prefetch(opener())
        self._opened[:] = [each for each in self._opened if not each.closed]
        self._opened.append(prefetch)
        return prefetch

    def _following(self, key: Key, most: int) -> list[Key]:
        keys = list(self._queue)
        place = keys.index(key) + 1 if key in self._queue else len(keys)
        return [each for each in keys[place : place + most] if each not in self._prefetched]

    # Time

    def check_time(self) -> None:
        """Raise once no more rows may be asked for.

        Raises:
            TimeLimitError: If the time of the run is over.
        """
        if self._deadline is not None and time.monotonic() >= self._deadline:
            msg = "the time of 'time_limit_minutes' is over"
            raise TimeLimitError(msg)

    # Failures

    def warn_once(self, message: str) -> None:
        """Log a warning, unless this run did so before."""
        if message not in self._warned:
            self._warned.add(message)
            logger.warning("%s", message)

    def fail(self, stream: str | None, connection: Connection, error: Exception) -> None:
        """Take note of a failure and log it; what it does not concern goes on.

        Args:
            stream: Name of the stream, None for all of a tenant.
            connection: The tenant's connection.
            error: What happened.

        Raises:
            RunError: If the run cannot go on.
        """
        if isinstance(error, RunError):
            raise error
        where = stream or connection.service.where
        if isinstance(error, TimeLimitError):
            logger.info("%s: %s", where, error)
            self._failures[where] = error.exit_code
            self.is_out_of_time = True
            return
        if isinstance(error, TenantError):
            if connection.failure is None:
                connection.failure = error
                self.report(connection.service.where, error)
            elif stream:
                self._failures[stream] = error.exit_code
            return
        self.report(where, _foreseen(where, error))

    def report(self, what: str, error: TapError) -> None:
        """Log an error and take note of it, or warn where refused streams may be left out.

        Args:
            what: What could not be read, for the last line.
            error: Why.
        """
        if isinstance(error, AccessError) and self.site.settings.skips_failed_streams:
            logger.warning("Left out: %s", error)
            return
        logger.error("%s", error)
        self._failures[what] = error.exit_code

    def finish(
        self,
        rest: str = "everything else is complete, and bookmarks are kept",
        code: ExitCode | None = None,
    ) -> None:
        """Raise if anything could not be read.

        Args:
            rest: What the error says of all else.
            code: The exit code; None for that of what failed.

        Raises:
            IncompleteError: If a stream or a tenant failed.
        """
        if self._failures:
            names = ", ".join(self._failures)
            if self.is_out_of_time:
                rest = f"{_OUT_OF_TIME}; {rest}"
            msg = f"not read completely: {names}; {rest}"
            raise IncompleteError(msg, code or ExitCode.of_all(self._failures.values()))

    def close(self) -> None:
        """Stop reading and sign out; never raises, may be called twice."""
        self._finalizer()


def _foreseen(where: str, error: Exception) -> TapError:
    """The error itself with the stream's name, or one line for an exception nobody foresaw."""
    if isinstance(error, TapError):
        return error if where in str(error) else type(error)(f"{where}: {error}")
    logger.debug("%s:", where, exc_info=error)
    said = " ".join(str(error).split())
    return UnexpectedError(
        f"{where}: {type(error).__name__}{f': {said}' if said else ''}; "
        "the other streams are read (TAP_ACUMATICA_LOGLEVEL=DEBUG shows the traceback)"
    )


def _close(site: Site, opened: list[Prefetch]) -> None:
    """Close what was opened, the last first: readers before the sessions they use."""
    for prefetch in reversed(opened):
        prefetch.close()
    site.close()
