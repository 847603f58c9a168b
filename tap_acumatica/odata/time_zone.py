"""A service's time zone: what its date-times mean, how they are emitted and used in filters.

Date-times without an offset are in the service's local time. Twice a year local time is ambiguous:
one hour occurs twice when clocks go back, and one is skipped when they go forward. A service may
sort and compare by local time or by the instant, and may read a literal from that hour either way.
So within the length of the change, before and after it, local times have no order here: all of them
count as one instant, the first of that span, and the bounds of a filter are outside the span. A
read then starts early, never late.
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
    """There is no time zone with this name."""


def zone_named(name: str) -> dt.tzinfo:
    """Look up a time zone by its IANA name or its Windows name.

    Windows names (``Eastern Standard Time`` for ``America/New_York``) come from the Unicode CLDR.

    Raises:
        UnknownZoneError: If there is no such zone.
    """
    from tzlocal.windows_tz import win_tz  # noqa: PLC0415  only needed if a zone is set

    names = {windows.casefold(): iana for windows, iana in win_tz.items()}
    try:
        zone = pendulum.timezone(names.get(name.casefold(), name))
    except (ValueError, OSError) as error:
        raise UnknownZoneError(name) from error
    return UTC if zone.key in _UTC_NAMES else zone


def zones_by_offset(moment: dt.datetime) -> list[tuple[dt.timedelta, list[str]]]:
    """Group the IANA zones that Windows knows by their UTC offset at a moment, west first."""
    from tzlocal.windows_tz import win_tz  # noqa: PLC0415

    found: dict[dt.timedelta, list[str]] = {}
    for name in dict.fromkeys(win_tz.values()):
        if not name.startswith("Etc/"):
            found.setdefault(utc_offset(zone_named(name), moment), []).append(name)
    return sorted(found.items())


class ServiceTimeZone:
    """How one service's date-times are read, and in which form they are emitted.

    A canonical date-time is in the form of :func:`times.to_canonical`.

    Attributes:
        zone: Zone of date-times without an offset.
        convert_to_utc: Whether date-times are emitted in UTC; else in ``zone``, with an offset.
        local: Whether the service uses local time; set when the first such value arrives.
        found_by: Cached results of :meth:`to_comparable`, by text as received.
        emitted: Cached results of :meth:`to_output`, by text as received.
    """

    def __init__(
        self, zone: dt.tzinfo = UTC, *, convert_to_utc: bool = True, local: bool = False
    ) -> None:
        self.zone = zone
        self.convert_to_utc = convert_to_utc or zone is UTC
        self.local = local
        self.found_by: ConversionCache
        if zone is UTC:
            self.found_by = TimestampCache(times.to_canonical, times.utc_column)
        else:
            self.found_by = ConversionCache(self.to_comparable)
        self.emitted = (
            TimestampCache(self.to_output, times.plain_utc_column)
            if self.convert_to_utc
            else ConversionCache(self.to_output)
        )
        self._sort_values = ConversionCache(self._sort_value)
        self._spans: Callable[[str], tuple[Span, ...]] = functools.lru_cache(4096)(
            self._ambiguous_spans
        )

    # Received date-times

    def to_utc(self, text: str) -> str:
        """Convert a date-time as received to the canonical form.

        A local time that occurs twice is read as the first occurrence; one that is skipped is read
        as if the clock had not gone forward yet.

        Raises:
            ValueMismatchError: If the text is not a date-time.
        """
        found = times.to_canonical(text, self.zone)
        if not self.local and self.zone is not UTC and times.is_local(text):
            self.local = True
            self._sort_values.clear()
        return found

    def to_output(self, text: str) -> str:
        """Convert a date-time as received to the form in which it is emitted.

        An instant in UTC is emitted as received, unless it has more than six digits of fraction.

        Raises:
            ValueMismatchError: If the text is not a date-time.
        """
        return text if self.is_emitted_as_received(text) else self.to_comparable(text)

    def is_emitted_as_received(self, text: str) -> bool:
        """Whether a date-time is an instant in UTC with at most six digits of fraction."""
        return self.convert_to_utc and times.is_plain_utc(text)

    def to_comparable(self, text: str) -> str:
        """As :meth:`to_output`, in the one form of the columns that rows are found by.

        Raises:
            ValueMismatchError: If the text is not a date-time.
        """
        found = self.to_utc(text)
        return found if self.convert_to_utc else times.in_zone(found, self.zone)

    # Date-times in filters

    def to_local(self, canonical: str) -> str:
        """Convert a canonical date-time to local time, with six digits and no offset."""
        shown = times.to_local(canonical, self.zone)
        return max(shown, _EARLIEST_LOCAL)

    def sort_value(self, emitted: str) -> str:
        """The canonical date-time by which an emitted date-time is sorted.

        Rows that the service sorts by the column are in ascending order of this value, too.
        """
        return emitted if self.is_utc else self._sort_values[emitted]

    @property
    def is_utc(self) -> bool:
        """Whether each emitted date-time is its own :meth:`sort_value`."""
        return self.zone is UTC or (self.convert_to_utc and not self.local)

    def safe_floor(self, canonical: str) -> str:
        """The moment itself, or the last one before it whose local time is unambiguous."""
        span = self._ambiguous_span(canonical)
        return times.shifted(span[0], seconds=-_TICK_SECONDS) if span else canonical

    def safe_ceiling(self, canonical: str) -> str:
        """The moment itself, or the first one after it whose local time is unambiguous."""
        span = self._ambiguous_span(canonical)
        return span[1] if span else canonical

    def _sort_value(self, emitted: str) -> str:
        canonical = emitted if self.convert_to_utc else times.to_canonical(emitted)
        span = self._ambiguous_span(canonical)
        return span[0] if span else canonical

    def _ambiguous_span(self, canonical: str) -> Span | None:
        """The span around a change of the clock that contains a moment, or None."""
        if not self.local or self.zone is UTC:
            return None
        for start, end in self._spans(canonical[:10]):
            if start <= canonical < end:
                return start, end
        return None

    def _ambiguous_spans(self, day: str) -> tuple[Span, ...]:
        """The spans that may overlap a day in UTC."""
        return tuple(
            (
                times.shifted(times.canonical(moment), seconds=-length.total_seconds()),
                times.shifted(times.canonical(moment), seconds=length.total_seconds()),
            )
            for moment, length in _transitions(self.zone, day)
        )


class ConversionCache(dict[t.Any, t.Any]):
    """Caches a conversion by its text, as business dates repeat a lot; None stays None."""

    def __init__(self, convert: Callable[[str], str]) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, text: str | None) -> str | None:
        if len(self) >= _MAX_CACHED:
            self.clear()
        value = self[text] = None if text is None else self._convert(text)
        return value

    def column(self, texts: Sequence[str | None]) -> Sequence[str | None]:
        """Convert the values of a column."""
        return list(map(self.__getitem__, texts))


class TimestampCache(ConversionCache):
    """A cache that is passed by where a column holds timestamps that rarely repeat."""

    def __init__(
        self,
        convert: Callable[[str], str],
        convert_all: Callable[[Sequence[str]], Sequence[str]],
    ) -> None:
        super().__init__(convert)
        self._convert_all = convert_all

    @override
    def column(self, texts: Sequence[str | None]) -> Sequence[str | None]:
        if len(set(texts[:_SAMPLE_SIZE])) > _SAMPLE_SIZE // 2:
            try:
                return self._convert_all(t.cast("Sequence[str]", texts))
            except (KeyError, TypeError):
                pass  # convert them one by one, to find the one that is in another form
        return super().column(texts)


def _transitions(zone: dt.tzinfo, day: str) -> list[tuple[dt.datetime, dt.timedelta]]:
    """The changes of a clock that may affect a day in UTC: when, and by how much."""
    middle = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
    if not dt.MINYEAR + 1 < middle.year < dt.MAXYEAR - 1:
        return []
    step = dt.timedelta(hours=_STEP_HOURS)
    count = (12 + _WINDOW_HOURS) // _STEP_HOURS
    moments = [middle + step * number for number in range(-count, count + 1)]
    offsets = [utc_offset(zone, moment) for moment in moments]
    return [
        (_transition_between(zone, moments[index], moments[index + 1]), abs(after - before))
        for index, (before, after) in enumerate(itertools.pairwise(offsets))
        if before != after
    ]


def _transition_between(zone: dt.tzinfo, early: dt.datetime, late: dt.datetime) -> dt.datetime:
    """Find the first second with another offset, between moments whose offsets differ."""
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
    """The UTC offset of a zone at a moment."""
    return moment.astimezone(zone).utcoffset() or dt.timedelta()
