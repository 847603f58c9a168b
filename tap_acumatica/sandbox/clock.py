"""The server's clock, which tests can set, and the precision of SQL Server's date-times."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

STORED = "%Y-%m-%dT%H:%M:%S"


class Clock:
    """UTC plus an offset."""

    def __init__(self, offset: timedelta | float = 0.0) -> None:
        self.offset = offset if isinstance(offset, timedelta) else timedelta(seconds=offset)

    def now(self) -> datetime:
        """Return the current time in the precision of an SQL Server `datetime`."""
        moment = datetime.now(timezone.utc) + self.offset
        return moment.replace(microsecond=sql_milliseconds(moment.microsecond // 1000) * 1000)


def sql_milliseconds(milliseconds: int) -> int:
    """Truncate milliseconds to a 300th of a second: they end in 0, 3 or 7."""
    ticks = min(milliseconds * 3 // 10, 299)
    return (ticks * 20 + 3) // 6


def stored(moment: datetime) -> str:
    """Convert a moment to the form in the database: UTC, three digits, sortable.

    Raises:
        ValueError: if the moment has no time zone.
    """
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone"
        raise ValueError(msg)
    utc = moment.astimezone(timezone.utc)
    return f"{utc.strftime(STORED)}.{utc.microsecond // 1000:03d}"


def from_stored(text: str) -> datetime:
    """Convert the form in the database to a moment."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
