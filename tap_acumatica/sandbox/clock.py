"""The server's clock, which a test can set, and SQL Server's idea of a moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

STORED = "%Y-%m-%dT%H:%M:%S"


class Clock:
    """UTC, shifted by an offset."""

    def __init__(self, offset: timedelta | float = 0.0) -> None:
        self.offset = offset if isinstance(offset, timedelta) else timedelta(seconds=offset)

    def now(self) -> datetime:
        """Return the present moment in the precision of an SQL Server `datetime`."""
        moment = datetime.now(timezone.utc) + self.offset
        return moment.replace(microsecond=sql_milliseconds(moment.microsecond // 1000) * 1000)


def sql_milliseconds(milliseconds: int) -> int:
    """Return the milliseconds cut to a 300th of a second: they end in 0, 3 or 7."""
    ticks = min(milliseconds * 3 // 10, 299)
    return (ticks * 20 + 3) // 6


def stored(moment: datetime) -> str:
    """Return the form in which the database keeps a moment: UTC, three digits, sortable.

    Raises:
        ValueError: the moment has no zone.
    """
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone"
        raise ValueError(msg)
    utc = moment.astimezone(timezone.utc)
    return f"{utc.strftime(STORED)}.{utc.microsecond // 1000:03d}"


def from_stored(text: str) -> datetime:
    """Return the moment kept as this text."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
