"""How Acumatica slows requests down: silently first, and with 429 only when too many wait."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .habits import Habits

_HALF = 0.5


class TooManyRequestsError(Exception):
    """Too many requests wait already, or one has waited too long."""


class RateLimits:
    """A license's limits on requests: so many a minute, and so many at once.

    From half of the limit a minute on, each request waits for the rest of the minute divided by the
    rest of its requests; beyond the limit it waits for the next minute.
    """

    def __init__(
        self,
        habits: Habits,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.habits = habits
        self.delayed = 0
        """Requests that were made to wait."""
        self.declined = 0
        """Requests that were refused."""
        self._wait = wait
        self._clock = clock
        self._room = threading.Condition()
        self._running = self._waiting = self._count = 0
        self._minute = clock()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Let a request pass when there is room for it.

        Raises:
            TooManyRequestsError: there is no room, not even to wait.
        """
        self._queue()
        try:
            delay = self._delay()
            if delay:
                self._wait(delay)
            yield
        finally:
            with self._room:
                self._running -= 1
                self._room.notify()

    def _queue(self) -> None:
        habits = self.habits
        with self._room:
            if habits.concurrent_requests and self._running >= habits.concurrent_requests:
                if self._waiting >= habits.queue_length:
                    self.declined += 1
                    raise TooManyRequestsError
                self.delayed += 1
                self._waiting += 1
                limit = habits.concurrent_requests
                found = self._room.wait_for(lambda: self._running < limit, habits.queue_seconds)
                self._waiting -= 1
                if not found:
                    self.declined += 1
                    raise TooManyRequestsError
            self._running += 1

    def _delay(self) -> float:
        """Seconds a request of this minute has to wait."""
        limit = self.habits.requests_per_minute
        if not limit:
            return 0.0
        with self._room:
            now = self._clock()
            if now - self._minute >= self.habits.minute_seconds:
                self._minute, self._count = now, 0
            before, self._count = self._count, self._count + 1
            if before < limit * _HALF:
                return 0.0
            self.delayed += 1
            left = self._minute + self.habits.minute_seconds - now
            return left / max(limit - before, 1)
