"""How Acumatica limits requests: it delays them silently, and sends 429 if too many wait."""

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
    """Too many requests are waiting, or this one has waited too long."""


class RateLimits:
    """A license's limits: requests per minute, and concurrent requests.

    From half of the limit per minute on, each request waits for the rest of the minute divided by
    the remaining requests; beyond the limit it waits for the next minute.
    """

    def __init__(
        self,
        habits: Habits,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.habits = habits
        self.delayed = 0
        """Number of requests that had to wait."""
        self.declined = 0
        """Number of requests that were refused."""
        self._wait = wait
        self._clock = clock
        self._room = threading.Condition()
        self._running = self._waiting = self._count = 0
        self._minute = clock()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Hold a request until the limits allow it.

        Raises:
            TooManyRequestsError: if the queue is full, or the wait is too long.
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
        """Seconds that the next request has to wait."""
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
