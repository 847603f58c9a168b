"""The most rows that a service gives at once, as it says itself."""

from __future__ import annotations

import threading


class PageLimit:
    """One service's limit; all its streams share it, whichever of them met it first."""

    def __init__(self) -> None:
        """Begin without one."""
        self._lock = threading.Lock()
        self._most: int | None = None

    def at_most(self, top: int) -> int:
        """The rows to ask for where ``top`` are wanted."""
        most = self._most
        return top if most is None else min(top, most)

    def lower(self, most: int) -> bool:
        """Take a limit; returns whether it is news."""
        with self._lock:
            if self._most is not None and self._most <= most:
                return False
            self._most = most
            return True
