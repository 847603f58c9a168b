"""The bookmark of one stream and tenant: it only rises, and never past the start of the run."""

from __future__ import annotations

import typing as t

from tap_acumatica.acumatica.errors import StreamError
from tap_acumatica.odata import times
from tap_acumatica.odata.errors import ValueMismatchError
from tap_acumatica.reading.by_time import MARGIN_SECONDS

if t.TYPE_CHECKING:
    import datetime as dt


class BookmarkError(StreamError):
    """The state holds something else than a date-time."""


class Bookmark:
    """The last tracking value written, in canonical form.

    A row stamped in the future would, as bookmark, hide all later changes: the bookmark stops at
    the start of the run by the service's clock, so that such a row is read again each time until
    its day.
    """

    def __init__(self, value: str | None, *, ceiling: dt.datetime) -> None:
        """Begin.

        Args:
            value: Bookmark of an earlier run, in any form, None for none.
            ceiling: Start of the run by the service's clock, aware.

        Raises:
            BookmarkError: If the bookmark of the earlier run is no date-time.
        """
        self._ceiling = times.canonical(ceiling)
        self.value = min(_canonical(value), self._ceiling) if value else None

    def advance(self, stamp: str | None) -> None:
        """Note that a row with this tracking value was written."""
        if stamp is None:
            return
        held = min(stamp, self._ceiling)
        if self.value is None or held > self.value:
            self.value = held


def _canonical(value: t.Any) -> str:
    """The bookmark of an earlier run, of this tap or of another one, in canonical form."""
    text = str(value)
    try:
        return times.to_canonical(text if ":" in text else f"{text}T00:00:00Z")
    except ValueMismatchError as error:
        msg = (
            f"the state holds a bookmark that is no date-time, {value!r}; "
            "write it as 2024-01-31T00:00:00Z, or remove it to read all rows again"
        )
        raise BookmarkError(msg) from error


def first_stamp(bookmark: str | None, *, start_date: str | None, time_offset: int) -> str | None:
    """Where to begin reading: the bookmark less ``time_offset``, but not before ``start_date``.

    Only the filter is lowered, never the bookmark. Even an offset of 0 seconds leaves the margin
    that time stamps of limited precision need.

    Args:
        bookmark: Canonical date-time, None at the first run.
        start_date: Canonical date-time, None for none.
        time_offset: Seconds.
    """
    if bookmark is None:
        return start_date
    lowered = times.shifted(bookmark, seconds=-max(float(time_offset), MARGIN_SECONDS))
    return max(lowered, start_date) if start_date else lowered
