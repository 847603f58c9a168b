"""A service's clock: what its date-times mean, how they leave, and how they are asked for again.

Date-times without offset are local times of the service. Twice a year local time does not tell the
moment: an hour comes twice when a clock is set back, and one never comes when it is set forward. A
service may sort and compare by what it shows or by what it means, and it may read a literal from
that hour either way. So within the length of the change before and after it, local times stand in
no order here: all of them count as one moment, the first of that span, and a filter's bounds lie
outside of it. Reading then begins early, never late.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import typing as t

import pendulum
from typing_extensions import override

from tap_acumatica.odata import times

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_UTC_NAMES = frozenset({"UTC", "Etc/UTC"})
_MAX_CACHED = 5_000
_WINDOW_HOURS = 26  # offsets reach from -12 to +14 hours
_STEP_HOURS = 2
_TICK_SECONDS = 0.001
_EARLIEST_LOCAL = "1753-01-01T00:00:00.000000"
"""The earliest SQL Server ``datetime``."""

_SAMPLE_SIZE = 64

UTC = dt.timezone.utc
Span = tuple[str, str]


class UnknownZoneError(ValueError):
    """No time zone has this name."""


def zone_named(name: str) -> dt.tzinfo:
    """The time zone of an IANA name (``America/New_York``) or of a Windows one.

    Windows names (``Eastern Standard Time``) are those of the Unicode CLDR.

    Raises:
        UnknownZoneError: If there is none.
    """
    from tzlocal.windows_tz import win_tz  # noqa: PLC0415  only where a zone is set

    names = {windows.casefold(): iana for windows, iana in win_tz.items()}
    try:
        zone = pendulum.timezone(names.get(name.casefold(), name))
    except (ValueError, OSError) as error:
        raise UnknownZoneError(name) from error
    return UTC if zone.key in _UTC_NAMES else zone


def zones_by_offset(moment: dt.datetime) -> list[tuple[dt.timedelta, list[str]]]:
    """IANA names of the zones that Windows knows, by their offsets at a moment, west first."""
    from tzlocal.windows_tz import win_tz  # noqa: PLC0415

    found: dict[dt.timedelta, list[str]] = {}
    for name in dict.fromkeys(win_tz.values()):
        if not name.startswith("Etc/"):
            found.setdefault(utc_offset(zone_named(name), moment), []).append(name)
    return sorted(found.items())


class ServiceTimeZone:
    """How one service's date-times are read, and in what form they leave.

    Attributes:
        zone: Zone of the date-times that carry none.
        convert_to_utc: Whether date-times leave in UTC; else in ``zone``, with their offset.
        local: Whether the service speaks local time; known at the latest when it sends some.
        conversions: What :meth:`to_output` gives, by text as sent.
    """

    def __init__(
        self, zone: dt.tzinfo = UTC, *, convert_to_utc: bool = True, local: bool = False
    ) -> None:
        self.zone = zone
        self.convert_to_utc = convert_to_utc or zone is UTC
        self.local = local
        self.conversions = UtcConversions() if zone is UTC else ConversionCache(self.to_output)
        self._sort_values = ConversionCache(self._sort_value)
        self._spans: Callable[[str], tuple[Span, ...]] = functools.lru_cache(4096)(
            self._ambiguous_spans
        )

    # Times that come

    def to_utc(self, text: str) -> str:
        """The canonical form of a date-time as sent.

        The local hour that comes twice is read as the first one, and the one that never comes as if
        the clock had not been set forward yet.

        Raises:
            ValueMismatchError: If the text is no date-time.
        """
        found = times.to_canonical(text, self.zone)
        if not self.local and self.zone is not UTC and times.is_local(text):
            self.local = True
            self._sort_values.clear()
        return found

    def to_output(self, text: str) -> str:
        """The form in which a date-time as sent leaves.

        Raises:
            ValueMismatchError: If the text is no date-time.
        """
        found = self.to_utc(text)
        return found if self.convert_to_utc else times.in_zone(found, self.zone)

    # Times that are asked for

    def to_local(self, canonical: str) -> str:
        """What the service's clock shows at a moment: local time, six digits, no offset."""
        shown = times.to_local(canonical, self.zone)
        return max(shown, _EARLIEST_LOCAL)

    def sort_value(self, emitted: str) -> str:
        """The moment, in canonical form, by which a date-time that left takes its place.

        What the service sorts ascends by this as well.
        """
        return emitted if self.is_utc else self._sort_values[emitted]

    @property
    def is_utc(self) -> bool:
        """Whether every date-time that left is its own :meth:`sort_value`."""
        return self.zone is UTC or (self.convert_to_utc and not self.local)

    def safe_floor(self, canonical: str) -> str:
        """The moment itself, or the last one before it whose local time is sure."""
        span = self._ambiguous_span(canonical)
        return times.shifted(span[0], seconds=-_TICK_SECONDS) if span else canonical

    def safe_ceiling(self, canonical: str) -> str:
        """The moment itself, or the first one behind it whose local time is sure."""
        span = self._ambiguous_span(canonical)
        return span[1] if span else canonical

    def _sort_value(self, emitted: str) -> str:
        canonical = emitted if self.convert_to_utc else times.to_canonical(emitted)
        span = self._ambiguous_span(canonical)
        return span[0] if span else canonical

    def _ambiguous_span(self, canonical: str) -> Span | None:
        """The span around a change of the clock that a moment lies in."""
        if not self.local or self.zone is UTC:
            return None
        for start, end in self._spans(canonical[:10]):
            if start <= canonical < end:
                return start, end
        return None

    def _ambiguous_spans(self, day: str) -> tuple[Span, ...]:
        """Spans that may touch a day."""
        return tuple(
            (
                times.shifted(times.canonical(moment), seconds=-length.total_seconds()),
                times.shifted(times.canonical(moment), seconds=length.total_seconds()),
            )
            for moment, length in _transitions(self.zone, day)
        )


class ConversionCache(dict[t.Any, t.Any]):
    """What was worked out of texts already seen; business dates come again and again.

    Of no text comes none.
    """

    def __init__(self, convert: Callable[[str], str]) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, text: str | None) -> str | None:
        if len(self) >= _MAX_CACHED:
            self.clear()
        value = self[text] = None if text is None else self._convert(text)
        return value

    def column(self, texts: Sequence[str | None]) -> list[str | None]:
        """What was worked out of many texts."""
        return list(map(self.__getitem__, texts))


class UtcConversions(ConversionCache):
    """Canonical forms where no zone is set."""

    def __init__(self) -> None:
        super().__init__(times.to_canonical)

    @override
    def column(self, texts: Sequence[str | None]) -> list[str | None]:
        """What was worked out of many texts; stamps seldom come twice and are not kept."""
        if len(set(texts[:_SAMPLE_SIZE])) > _SAMPLE_SIZE // 2:
            try:
                return t.cast("list[str | None]", times.utc_column(t.cast("list[str]", texts)))
            except (KeyError, TypeError):
                pass  # one by one shows which it is
        return super().column(texts)


def _transitions(zone: dt.tzinfo, day: str) -> list[tuple[dt.datetime, dt.timedelta]]:
    """Changes of a clock that may concern a day in UTC: their moment, and by how much."""
    middle = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
    if not dt.MINYEAR + 1 < middle.year < dt.MAXYEAR - 1:
        return []
    step = dt.timedelta(hours=_STEP_HOURS)
    count = (12 + _WINDOW_HOURS) // _STEP_HOURS
    moments = [middle + step * number for number in range(-count, count + 1)]
    offsets = [utc_offset(zone, moment) for moment in moments]
    return [
        (_transition_between(zone, moments[place], moments[place + 1]), abs(after - before))
        for place, (before, after) in enumerate(itertools.pairwise(offsets))
        if before != after
    ]


def _transition_between(zone: dt.tzinfo, early: dt.datetime, late: dt.datetime) -> dt.datetime:
    """The first second, between two moments of different offsets, with another offset."""
    before = utc_offset(zone, early)
    seconds = int((late - early).total_seconds())
    low, high = 0, seconds
    while high - low > 1:
        middle = (low + high) // 2
        if utc_offset(zone, early + dt.timedelta(seconds=middle)) == before:
            low = middle
        else:
            high = middle
    return early + dt.timedelta(seconds=high)


def utc_offset(zone: dt.tzinfo, moment: dt.datetime) -> dt.timedelta:
    """How far a clock in a zone is ahead of UTC at a moment."""
    return moment.astimezone(zone).utcoffset() or dt.timedelta()
