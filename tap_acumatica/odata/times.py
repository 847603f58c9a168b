"""Date-times as text: any offset and zero to seven fraction digits in, one canonical UTC form out.

The canonical form is ``YYYY-MM-DDTHH:MM:SS.ffffff+00:00``: always UTC, always six digits, so that
two values compare as strings as they compare as times. A seventh digit (100 ns) is cut off, never
rounded up: a bookmark or a filter made from it may then be early, but never late.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t

from tap_acumatica.errors import ValueMismatchError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)
_OFFSET = re.compile(r"(Z|z|[+-]\d\d:?\d\d)$", re.ASCII)
_REST = re.compile(r"([0-5]\d)(?:\.(\d+))?(?:Z|[+-]00:00)?", re.ASCII)
_MINUTE_LENGTH = len("2024-03-01T10:11:")
_UTC_NAMES = frozenset({"Z", "z", "+00:00", "-00:00", "+0000", "-0000"})
_MAX_OFFSET_HOURS = 23
_MAX_OFFSET_MINUTES = 59
_NOT_IN_CALENDAR = "is no date-time of the calendar"
_EARLIEST = "0001-01-01T00:00:00.000000+00:00"
_LATEST = "9999-12-31T23:59:59.999999+00:00"


def to_canonical(text: str, zone: dt.tzinfo = dt.timezone.utc) -> str:
    """Rewrite an ``Edm.DateTimeOffset`` or ``Edm.DateTime`` in the canonical UTC form.

    Args:
        text: For example ``2024-03-01T10:11:12.123Z`` or ``2024-03-01T10:11:12+02:00``.
        zone: Zone of a text without offset. Where its clock was changed, the offset before the
            change counts.

    Returns:
        The same instant, in UTC, with six fraction digits.

    Raises:
        ValueMismatchError: If the text is no date-time.
    """
    if text[-1:] == "Z":
        try:
            return _MINUTES[text[:_MINUTE_LENGTH]] + _RESTS[text[_MINUTE_LENGTH:]]
        except KeyError:
            pass  # said what is wrong below, if anything is
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        msg = "is no date-time"
        raise ValueMismatchError(msg)
    date, minutes, seconds, fraction, offset = match.groups()
    local = f"{date}T{minutes}{seconds or ':00'}"
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        naive = dt.datetime.fromisoformat(local)
    except ValueError as error:
        raise ValueMismatchError(_NOT_IN_CALENDAR) from error
    if offset in _UTC_NAMES or (offset is None and zone is dt.timezone.utc):
        return f"{local}.{micros}+00:00"
    distance = _offset(offset) if offset else zone.utcoffset(naive) or dt.timedelta()
    try:
        return f"{(naive - distance).isoformat()}.{micros}+00:00"
    except OverflowError:
        return _EARLIEST if distance > dt.timedelta() else _LATEST


class _PieceCache(dict[str, str]):
    """Canonical forms of pieces of date-times; what is no such piece is a ``KeyError``."""

    def __init__(self, canonical_piece: Callable[[str], str | None], max_size: int) -> None:
        super().__init__()
        self._canonical_piece = canonical_piece
        self._max_size = max_size

    def __missing__(self, piece: str) -> str:
        found = self._canonical_piece(piece)
        if found is None:
            raise KeyError(piece)
        if len(self) >= self._max_size:
            self.clear()
        self[piece] = found
        return found


def _up_to_minute(text: str) -> str | None:
    """A date-time up to the minute, as in ``2024-03-01T10:11:``."""
    if text[4:17:3] != "--T::":
        return None
    try:
        dt.datetime.fromisoformat(f"{text}00")
    except ValueError:
        return None
    return text


def _after_minute(text: str) -> str | None:
    """What follows the minute, in UTC."""
    match = _REST.fullmatch(text)
    return f"{match[1]}.{(match[2] or '')[:6]:0<6}+00:00" if match else None


_MINUTES = _PieceCache(_up_to_minute, 5_000)
_RESTS = _PieceCache(_after_minute, 20_000)


def utc_column(texts: Iterable[str]) -> list[str]:
    """What :func:`to_canonical` makes of many texts, none of which comes often.

    Raises:
        KeyError: If one is not in UTC, or is no date-time.
        TypeError: If one is None.
    """
    return [_MINUTES[text[:_MINUTE_LENGTH]] + _RESTS[text[_MINUTE_LENGTH:]] for text in texts]


def is_local(text: str) -> bool:
    """Whether a date-time carries no offset."""
    return _OFFSET.search(text) is None


def date_part(text: str) -> str:
    """The date that a date-time as sent shows, whatever its offset.

    Raises:
        ValueMismatchError: If the text is no date-time.
    """
    to_canonical(text)
    return text[:10]


def to_local(text: str, zone: dt.tzinfo) -> str:
    """What a clock in ``zone`` shows at a canonical text: the same form without an offset."""
    return _as_zone(parse(text), zone).replace(tzinfo=None).isoformat(timespec="microseconds")


def in_zone(text: str, zone: dt.tzinfo) -> str:
    """A canonical text as a clock in ``zone`` shows it, with its offset.

    RFC 3339 knows offsets in minutes only: those of the nineteenth century are cut to minutes, and
    the clock put right.
    """
    moment = _as_zone(parse(text), zone)
    offset = moment.utcoffset() or dt.timedelta()
    if offset.seconds % 60:
        minutes = dt.timezone(offset - dt.timedelta(seconds=offset.seconds % 60))
        moment = _as_zone(parse(text), minutes)
    return moment.isoformat(timespec="microseconds")


def _as_zone(moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """A moment in a zone; in UTC where the calendar ends."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def _offset(text: str) -> dt.timedelta:
    digits = text[1:].replace(":", "")
    if int(digits[:2]) > _MAX_OFFSET_HOURS or int(digits[2:]) > _MAX_OFFSET_MINUTES:
        msg = "has an offset that does not exist"
        raise ValueMismatchError(msg)
    offset = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if text[0] == "-" else offset


def parse(canonical: str) -> dt.datetime:
    """A canonical text as an aware ``datetime`` in UTC."""
    return dt.datetime.fromisoformat(canonical)


def canonical(moment: dt.datetime) -> str:
    """An aware ``datetime`` in the canonical form."""
    return moment.astimezone(dt.timezone.utc).isoformat(timespec="microseconds")


def shifted(text: str, *, seconds: float) -> str:
    """A canonical text moved by ``seconds``, held within the calendar's range."""
    try:
        return canonical(parse(text) + dt.timedelta(seconds=seconds))
    except OverflowError:
        return _EARLIEST if seconds < 0 else _LATEST
