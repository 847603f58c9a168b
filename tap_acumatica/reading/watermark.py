"""How far a stream is written without a gap, where several ranges of it are written at once."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from tap_acumatica.reading.by_time import Mark


class Watermark:
    """The newest tracking value before which everything was written."""

    def __init__(self) -> None:
        """Begin with nothing written."""
        self._begun = False
        self._first: str | None = None
        self._reached: str | None = None
        self._newest: dict[str, str] = {}
        self._stops: dict[str, str | None] = {}

    def note(self, mark: Mark, newest: str | None) -> str | None:
        """Note that a stretch of a range was written.

        Args:
            mark: The range, and whether that was its end.
            newest: The newest value of the stretch if its rows ascend, else None.

        Returns:
            How far all ranges together are written; None if that is not known yet.
        """
        if not self._begun:
            self._begun, self._first = True, mark.first
        if newest is not None:
            self._newest[mark.start] = max(newest, self._newest.get(mark.start, newest))
        if mark.done:
            self._stops[mark.start] = mark.stop
        while self._first in self._stops:
            self._reach(self._newest.pop(self._first, None))
            self._first = self._stops.pop(self._first)
        if self._first is not None:
            self._reach(self._newest.get(self._first))
        return self._reached

    def _reach(self, value: str | None) -> None:
        if value is not None:
            self._reached = max(value, self._reached or value)
