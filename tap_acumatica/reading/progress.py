"""How far one stream of one tenant is written: bookmark, watermark, rewind, end of a range.

Rows count once they have been written, never before. The bookmark says what the next run need not
read again, so it never passes a row that has not been written.
"""

from __future__ import annotations

import logging
import time
import typing as t

from tap_acumatica.reading.window import Reached

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_acumatica.reading.batches import Piece, RangeMark, RowBatch
    from tap_acumatica.reading.plan import Row
    from tap_acumatica.reading.window import Window

logger = logging.getLogger(__name__)

_LOG_SECONDS = 30.0
_CROWD = 100


def _no_stamps(rows: Sequence[Row]) -> list[str | None]:
    return [None] * len(rows)


class Progress:
    """What was written of one stream and tenant, and the bookmark that follows from it.

    Attributes:
        bookmark: The last tracking value up to which everything is written, in canonical form;
            None while there is none. It only rises to values that were met and lie before the
            start of the run: a row that is stamped in the future would hide all later changes, so
            it is read in each run until its day.
        rows: How many rows were written.
        rows_again: How many of them were read again by the look-back.
        rows_of_one_reading: How many were written since reading began, or began again.
    """

    def __init__(
        self,
        window: Window,
        *,
        name: str = "",
        stamps: Callable[[Sequence[Row]], list[str | None]] = _no_stamps,
        requests: Callable[[], int] = lambda: 0,
    ) -> None:
        """Begin where an earlier run ended.

        Args:
            window: What is read in this run.
            name: What to call the stream in logs and errors.
            stamps: Gives the canonical tracking value of each row; None for a row without one.
            requests: Counts the requests made so far, for logs.
        """
        self._window = window
        self._limit = window.began
        before = window.reached.bookmark
        self._initial = min(before, self._limit) if before else None
        self._again = window.usual_start if window.is_look_back_due and before else None
        self._name = name
        self._stamps = stamps
        self._requests = requests
        self._newest: str | None = None
        self._watermark = _Watermark()
        self._is_complete = False
        self._tail: list[str] = []
        self.bookmark = self._initial
        self.rows = self.rows_again = self.rows_of_one_reading = 0
        self._began = self._logged = time.monotonic()

    @property
    def reached(self) -> Reached:
        """What the state says now: a look-back counts once it is complete.

        The first one is the first load, and counts from its first STATE on: what it has not read
        yet is read by the next run anyway.
        """
        before, began = self._window.reached, self._window.began
        due = self._window.is_look_back_due
        if self._is_complete:
            looked_back = began if due else before.looked_back
            is_known = self._is_crowded and not self._window.is_limited
            return Reached(self.bookmark, began if is_known else None, looked_back)
        looked_back = began if self._window.is_first_load else before.looked_back
        return Reached(self.bookmark, before.completed, looked_back)

    @property
    def _is_crowded(self) -> bool:
        """Whether a run from the bookmark on would read many rows again, though nothing changed."""
        if self.bookmark is None:
            return False
        if self.bookmark == self._window.reached.bookmark and self._window.reached.completed:
            return True
        horizon = self._window.before(self.bookmark)
        return sum(stamp >= horizon for stamp in self._tail) >= _CROWD

    def write(self, block: Sequence[Piece], write: Callable[[list[Row]], None]) -> int:
        """Write a block and let the bookmark follow: only what is out counts.

        Args:
            block: What is written together.
            write: Writes rows; when it returns, they are out.

        Returns:
            How many rows were written.
        """
        rows = [row for piece in block for row in piece.rows]
        if rows:
            write(rows)
        for piece in block:
            if piece.batch.rewind:
                self.rewind()
            self.advance(piece.rows, piece.batch)
            if piece.last:
                self.end_range(piece.batch)
        return len(rows)

    def advance(self, rows: Sequence[Row], batch: RowBatch) -> None:
        """Take note that rows were written.

        Args:
            rows: The rows: all of a batch, or a part of it, in the batch's order.
            batch: The batch they belong to.
        """
        self.rows += len(rows)
        self.rows_of_one_reading += len(rows)
        if batch.hold is not None:
            self._limit = min(self._limit, batch.hold)
        limit = self._limit
        stamps = [s for s in self._stamps(rows) if s is not None and s <= limit]
        if self._again is not None:
            self.rows_again += sum(stamp < self._again for stamp in stamps)
        if not stamps:
            return
        newest = stamps[-1] if batch.ascending else max(stamps)
        if not batch.counts:
            return
        self._newest = max(self._newest or "", newest)
        horizon = self._window.before(self._newest)
        self._tail = [stamp for stamp in (*self._tail, *stamps) if stamp >= horizon][-_CROWD:]
        if batch.ascending:
            self._raise_to(self._watermark.advance(batch.mark, newest) if batch.mark else newest)

    def end_range(self, batch: RowBatch) -> None:
        """Take note that a whole batch was written, and with it perhaps the end of its range."""
        if batch.mark and batch.mark.done:
            self._raise_to(self._watermark.advance(batch.mark, None))

    def rewind(self) -> None:
        """Lower the bookmark to where this run began: what it has read so far does not count."""
        self.bookmark = self._initial
        self.rows_of_one_reading = 0
        self._newest = None
        self._watermark = _Watermark()

    def complete(self, waits: str = "") -> None:
        """Take note that all rows were written: whatever their order, the newest one counts.

        Args:
            waits: What was waited for, and how long, for the log.
        """
        self._is_complete = True
        self._raise_to(self._newest)
        self.log("complete", waits)
        if self.rows_again:
            logger.info(
                "%s: %d of them were read again by the daily look-back ('daily_lookback_hours')",
                self._name,
                self.rows_again,
            )

    def log(self, how: str | None = None, waits: str = "") -> None:
        """Log rows, requests and time.

        Args:
            how: How far the stream is; None for a line every half minute.
            waits: What was waited for, and how long.
        """
        now = time.monotonic()
        if how is None and now - self._logged < _LOG_SECONDS:
            return
        self._logged = now
        seconds = max(now - self._began, 1e-6)
        logger.info(
            "%s %s: %s rows in %s requests, %.1f s, %.0f rows/s%s",
            self._name,
            how or "so far",
            f"{self.rows:,}",
            f"{self._requests():,}",
            seconds,
            self.rows / seconds,
            f" ({waits})" if waits else "",
        )

    def _raise_to(self, stamp: str | None) -> None:
        if stamp is not None:
            self.bookmark = max(min(stamp, self._limit), self.bookmark or "")


class _Watermark:
    """The newest tracking value before which everything was written, over parallel ranges."""

    def __init__(self) -> None:
        self._begun = False
        self._first: str | None = None
        self._reached: str | None = None
        self._newest: dict[str, str] = {}
        self._stops: dict[str, str | None] = {}

    def advance(self, mark: RangeMark, newest: str | None) -> str | None:
        """Take note that rows of a range were written.

        Args:
            mark: The range, and whether that was its end.
            newest: The newest value written, if the rows ascend, else None.

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
