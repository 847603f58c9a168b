"""The tap's own limit on requests, shared by all streams and sessions of a run."""

from __future__ import annotations

import threading
import time
import typing as t
from collections import deque

if t.TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS = 60.0


class RateLimiter:
    """Lets at most so many requests begin within any minute, from any thread."""

    def __init__(
        self,
        per_minute: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set the limit.

        Args:
            per_minute: Requests per minute; None for no limit.
            clock: Seconds that never go back.
            sleep: Waits for seconds.
        """
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._starts: deque[float] | None = deque(maxlen=per_minute) if per_minute else None

    def wait(self) -> None:
        """Wait until a request may begin; every call counts as one."""
        if self._starts is None:
            return
        with self._lock:
            now = start = self._clock()
            if len(self._starts) == self._starts.maxlen:
                start = max(now, self._starts[0] + WINDOW_SECONDS)
            self._starts.append(start)
        if start > now:
            self._sleep(start - now)
