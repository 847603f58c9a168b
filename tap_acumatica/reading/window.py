"""Where one run begins to read a stream by time, and what it reads again.

A row becomes visible when its transaction is committed, which may be long after its stamp. So each
run begins ``time_offset`` before the bookmark, and once a day each stream looks back further. Where
the last run came to the end of the stream, all that is older than its start is known, but for what
was committed late. Where a mass update left many rows as new as the bookmark, reading begins there:
a stream in which nothing changed then answers with nothing. Where they are few, the bookmark is
the safer place, since not all stamps follow the service's clock.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from dataclasses import dataclass

from tap_acumatica.errors import BookmarkError, ValueMismatchError
from tap_acumatica.odata import times
from tap_acumatica.reading.by_time import CLOCK_ERROR_SECONDS
from tap_acumatica.reading.pages import MARGIN_SECONDS

LOOK_BACK_EVERY = dt.timedelta(hours=20)
_STATE_KEYS = ("replication_key_value", "completed_run", "completed_look_back")
_COMPLETED_AT = "completed_bookmark"
"""Which bookmark ``completed_run`` belongs to: a bookmark that was lowered by hand must count."""
_WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?)?"
    r" ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_HOUR = 3600.0
_HOURS = len("+00")


class Reached(t.NamedTuple):
    """What a stream's state says; canonical date-times by the service's clock, None where unknown.

    Attributes:
        bookmark: Tracking value up to which everything is written.
        completed: Start of the last run that read the stream to its end, where many rows are as
            new as the bookmark; None where reading them again costs little.
        looked_back: Start of the last run that completed a look-back.
    """

    bookmark: str | None = None
    completed: str | None = None
    looked_back: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """What one run reads of a stream by time.

    Attributes:
        reached: What earlier runs have read.
        began: Start of this run by the service's clock, canonical.
        time_offset: Seconds to begin before the bookmark.
        look_back_hours: How far the daily look-back reaches; 0 turns it off.
        start_date: Canonical date-time before which nothing is read; None for no such time.
        is_limited: Whether this run ends before the newest rows, so that it completes nothing.
    """

    reached: Reached
    began: str
    time_offset: float = 300
    look_back_hours: float = 24
    start_date: str | None = None
    is_limited: bool = False

    @property
    def is_first_load(self) -> bool:
        """Whether no earlier run has written a bookmark."""
        return self.reached.bookmark is None

    @property
    def is_look_back_due(self) -> bool:
        """Whether this run looks back: after most of a day, or where the clock was set back."""
        _, completed, looked_back = self.reached
        if self.is_first_load or (looked_back is None and self.look_back_hours):
            return True
        if not self.look_back_hours or looked_back is None:
            return False
        if self.began < max(looked_back, completed or ""):
            return True
        return times.parse(self.began) - times.parse(looked_back) >= LOOK_BACK_EVERY

    @property
    def start(self) -> str | None:
        """Where reading begins; None for all rows. Only the filter is lowered, no bookmark."""
        start = self.usual_start
        bookmark, _, looked_back = self.reached
        if bookmark is None or start is None:
            return self.start_date
        if self.is_look_back_due and self.look_back_hours:
            since = min(looked_back or bookmark, self.began)
            start = min(start, times.shifted(since, seconds=-self.look_back_hours * _HOUR))
        return max(start, self.start_date) if self.start_date else start

    def before(self, stamp: str) -> str:
        """A stamp less the overlap: what a run reads again of it."""
        return times.shifted(stamp, seconds=-max(float(self.time_offset), MARGIN_SECONDS))

    @property
    def usual_start(self) -> str | None:
        """Where reading would begin without a look-back; None for all rows."""
        bookmark, completed, _ = self.reached
        if bookmark is None:
            return self.start_date
        start = self.before(min(bookmark, self.began))
        if completed is not None:
            back = max(self.look_back_hours * _HOUR, self.time_offset, CLOCK_ERROR_SECONDS)
            start = max(start, times.shifted(min(completed, self.began), seconds=-back))
        return start


def reached_by(
    state: t.Mapping[str, t.Any], name: str, zone: dt.tzinfo = dt.timezone.utc
) -> Reached:
    """What a stream's state says.

    Args:
        state: The state of a stream or a partition, of this tap or of another one.
        name: What to call the stream in errors.
        zone: Time zone of the service. A bookmark without an offset is either in UTC or in this
            zone: the earlier one is taken, so that no row is missed.

    Raises:
        BookmarkError: If its bookmark is not a date-time.
    """
    bookmark = state.get("replication_key_value")
    if bookmark is None:
        return Reached()
    reached = _canonical(bookmark, name, zone)
    completed, looked_back = (
        _canonical(state[key], name, zone) if state.get(key) else None for key in _STATE_KEYS[1:]
    )
    belongs = state.get(_COMPLETED_AT) == bookmark
    return Reached(reached, completed if belongs else None, looked_back)


def keep(state: dict[str, t.Any], replication_key: str | None, reached: Reached) -> None:
    """Note in the state of a stream or a partition what was read.

    Args:
        state: The state, which is changed.
        replication_key: Name of the tracking column.
        reached: What was read; without a bookmark, nothing else counts.
    """
    noted = dict(zip(_STATE_KEYS, reached, strict=True))
    noted[_COMPLETED_AT] = reached.bookmark if reached.completed else None
    for key, value in noted.items():
        if value is None or reached.bookmark is None:
            state.pop(key, None)
        else:
            state[key] = value
    if reached.bookmark is not None:
        state["replication_key"] = replication_key


def _canonical(value: t.Any, name: str, zone: dt.tzinfo) -> str:
    """The bookmark of an earlier run, of this tap or of another one, in canonical form."""
    match = _WRITTEN.fullmatch(value.strip()) if isinstance(value, str) else None
    date, clock, fraction, offset = match.groups() if match else ("", None, None, None)
    text = f"{date}T{clock or '00:00'}{f'.{fraction}' if fraction else ''}"
    try:
        if not offset:
            return min(times.to_canonical(text), times.to_canonical(text, zone))
        offset = offset if offset[0] in "+-" else "Z"
        return times.to_canonical(f"{text}{offset}{':00' if len(offset) == _HOURS else ''}")
    except ValueMismatchError as error:
        where = f"{name}: " if name else ""
        msg = (
            f"{where}the state holds a bookmark that is not a date-time, {value!r}; "
            "write it as 2024-01-31T00:00:00Z, or remove it to read all rows again"
        )
        raise BookmarkError(msg) from error
