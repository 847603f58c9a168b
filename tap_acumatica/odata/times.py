"""Date-times as text, converted to one canonical UTC form.

The canonical form is ``YYYY-MM-DDTHH:MM:SS.ffffff+00:00``: always UTC and six fraction digits, so
that two values compare as strings as they do as instants. A seventh digit (100 ns) is cut off, not
rounded up: a bookmark or a filter made from it may be early, but never late.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t

from tap_acumatica.errors import ValueMismatchError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)
_OFFSET = re.compile(r"(Z|z|[+-]\d\d:?\d\d)$", re.ASCII)
_REST = re.compile(r"([0-5]\d)(?:\.(\d+))?(?:Z|[+-]00:00)?", re.ASCII)
_PLAIN_REST = re.compile(r"[0-5]\d(?:\.\d{1,6})?(?:Z|\+00:00)", re.ASCII)
_MINUTE_LENGTH = len("2024-03-01T10:11:")
_UTC_NAMES = frozenset({"Z", "z", "+00:00", "-00:00", "+0000", "-0000"})
_MAX_OFFSET_HOURS = 23
_MAX_OFFSET_MINUTES = 59
_NOT_A_DATE_TIME = "is not a date-time"
_NOT_IN_CALENDAR = "is not a valid date-time"
_EARLIEST = "0001-01-01T00:00:00.000000+00:00"
_LATEST = "9999-12-31T23:59:59.999999+00:00"


def to_canonical(text: str, zone: dt.tzinfo = dt.timezone.utc) -> str:
    """Convert an ``Edm.DateTimeOffset`` or ``Edm.DateTime`` value to the canonical UTC form.

    Args:
        text: A date-time with any offset or none, and any number of fraction digits; for example
            ``2024-03-01T10:11:12.123Z`` or ``2024-03-01T10:11:12+02:00``.
        zone: Zone of a text without an offset. When its clock changes, the offset before the
            change applies.

    Raises:
        ValueMismatchError: If the text is not a date-time.
    """
    if text[-1:] == "Z":
        try:
            return _MINUTES[text[:_MINUTE_LENGTH]] + _RESTS[text[_MINUTE_LENGTH:]]
        except KeyError:
            pass  # handled below
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueMismatchError(_NOT_A_DATE_TIME)
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
    """Caches the canonical form of parts of date-times; raises ``KeyError`` for other text."""

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
    """The canonical form of a date-time up to the minute, such as ``2024-03-01T10:11:``."""
    if text[4:17:3] != "--T::":
        return None
    try:
        dt.datetime.fromisoformat(f"{text}00")
    except ValueError:
        return None
    return text


def _after_minute(text: str) -> str | None:
    """The canonical form of the seconds and the offset of a date-time in UTC."""
    match = _REST.fullmatch(text)
    return f"{match[1]}.{(match[2] or '')[:6]:0<6}+00:00" if match else None


def _plain_after_minute(text: str) -> str | None:
    """The seconds and the offset of a date-time that is emitted as received; None for others."""
    return text if _PLAIN_REST.fullmatch(text) else None


_MINUTES = _PieceCache(_up_to_minute, 5_000)
_RESTS = _PieceCache(_after_minute, 20_000)
_PLAIN_RESTS = _PieceCache(_plain_after_minute, 20_000)


def utc_column(texts: Iterable[str]) -> list[str]:
    """Apply :func:`to_canonical` to many texts in UTC that rarely repeat.

    Raises:
        KeyError: If a text is not in UTC, or is not a date-time.
        TypeError: If a text is None.
    """
    return [_MINUTES[text[:_MINUTE_LENGTH]] + _RESTS[text[_MINUTE_LENGTH:]] for text in texts]


def is_plain_utc(text: str) -> bool:
    """Whether a date-time is emitted as received: in UTC, with at most six digits of fraction.

    The form is that of RFC 3339, with seconds and upper-case letters, which all loaders read.
    """
    try:
        return bool(_MINUTES[text[:_MINUTE_LENGTH]] and _PLAIN_RESTS[text[_MINUTE_LENGTH:]])
    except KeyError:
        return False


def plain_utc_column(texts: Sequence[str]) -> Sequence[str]:
    """Return many texts that rarely repeat, if :func:`is_plain_utc` holds for each.

    Raises:
        KeyError: If it does not.
        TypeError: If a text is None.
    """
    minutes, rests = _MINUTES, _PLAIN_RESTS
    for text in texts:
        minutes[text[:_MINUTE_LENGTH]]
        rests[text[_MINUTE_LENGTH:]]
    return texts


def are_plain_utc(texts: Iterable[str]) -> bool:
    """Whether :func:`is_plain_utc` holds for each text."""
    try:
        for part in {text[:_MINUTE_LENGTH] for text in texts}:
            _MINUTES[part]
        for part in {text[_MINUTE_LENGTH:] for text in texts}:
            _PLAIN_RESTS[part]
    except KeyError:
        return False
    return True


def is_local(text: str) -> bool:
    """Whether a date-time has no offset."""
    return _OFFSET.search(text) is None


def date_part(text: str) -> str:
    """The date of a date-time as received, whatever its offset.

    Raises:
        ValueMismatchError: If the text is not a date-time.
    """
    to_canonical(text)
    return text[:10]


def to_local(text: str, zone: dt.tzinfo) -> str:
    """Convert a canonical text to local time in ``zone``: the same form without an offset."""
    return _as_zone(parse(text), zone).replace(tzinfo=None).isoformat(timespec="microseconds")


def in_zone(text: str, zone: dt.tzinfo) -> str:
    """Convert a canonical text to local time in ``zone``, with its offset.

    RFC 3339 offsets have no seconds. Offsets from the nineteenth century do: they are cut to
    minutes, and the local time is adjusted accordingly.
    """
    moment = _as_zone(parse(text), zone)
    offset = moment.utcoffset() or dt.timedelta()
    if offset.seconds % 60:
        minutes = dt.timezone(offset - dt.timedelta(seconds=offset.seconds % 60))
        moment = _as_zone(parse(text), minutes)
    return moment.isoformat(timespec="microseconds")


def _as_zone(moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Convert a moment to a zone; leave it in UTC at the ends of the calendar."""
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
    """Convert a canonical text to an aware ``datetime`` in UTC."""
    return dt.datetime.fromisoformat(canonical)


def canonical(moment: dt.datetime) -> str:
    """Convert an aware ``datetime`` to the canonical form."""
    return moment.astimezone(dt.timezone.utc).isoformat(timespec="microseconds")


def shifted(text: str, *, seconds: float) -> str:
    """Add seconds to a canonical text; the result stays within the calendar's range."""
    try:
        return canonical(parse(text) + dt.timedelta(seconds=seconds))
    except OverflowError:
        return _EARLIEST if seconds < 0 else _LATEST
