"""Whether the values of a whole column can be emitted as the C decoder has read them.

Each check looks at all values at once: a call per value would cost more than decoding them.
"""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal

from tap_acumatica.odata.times import are_plain_utc

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

_NUMBER_CHARACTERS = b"0123456789.-+eEnul,"
"""The characters of JSON numbers and null, and what they are joined by."""
_HUGE = re.compile(rb"[eE][+-]?\d{10}")
_GUID_LENGTH = 36
_GUID_HYPHENS = (8, 13, 18, 23)
_HEXADECIMAL = b"0123456789abcdefABCDEF"
_BASE64_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_BASE64_BLOCK = 4
_MOST_KNOWN = 10_000


def are_json_numbers(raws: Iterable[t.Any]) -> bool:
    """Whether raw JSON values are only nulls and numbers, none of them beyond all measure."""
    joined = b",".join(raws)
    if joined.translate(None, _NUMBER_CHARACTERS):
        return False
    return not (b"e" in joined or b"E" in joined) or _HUGE.search(joined) is None


def are_finite(numbers: Iterable[Decimal | None]) -> bool:
    """Whether no number is NaN or infinite."""
    return all(map(Decimal.is_finite, filter(None, numbers)))


def are_guids(joined: str) -> bool:
    """Whether texts of 36 characters, joined, are GUIDs."""
    text = joined.encode()
    hyphens = b"-" * (len(joined) // _GUID_LENGTH)
    return text.translate(None, _HEXADECIMAL) == hyphens * len(_GUID_HYPHENS) and all(
        text[place::_GUID_LENGTH] == hyphens for place in _GUID_HYPHENS
    )


def are_base64(texts: Sequence[str]) -> bool:
    """Whether texts are Base64 of RFC 2045, with padding."""
    joined = "".join(texts)
    if joined.encode().translate(None, _BASE64_CHARACTERS):
        return False
    if any(length % _BASE64_BLOCK for length in set(map(len, texts))):
        return False
    if "=" not in joined:
        return True
    ends = [text[-2:] for text in texts]
    padded = "".join(ends).count("=") == joined.count("=")
    return padded and not any(end[:1] == "=" != end[1:] for end in set(ends))


TEXT_FORMS: dict[str, Callable[[Collection[str]], bool]] = {
    "Edm.DateTimeOffset": are_plain_utc,
    "Edm.DateTime": are_plain_utc,
    "Edm.Guid": lambda texts: are_guids("".join(texts)),
    "Edm.Binary": lambda texts: are_base64([*texts]),
}
"""By Edm type, whether texts are in the form in which they are emitted as received."""


class KnownTexts:
    """Texts of one column that are known to be in the right form: in most columns they repeat."""

    def __init__(self, fit: Callable[[Collection[str]], bool]) -> None:
        """Know only null.

        Args:
            fit: Whether all of some texts are in that form.
        """
        self._fit = fit
        self._known: set[str | None] = {None}

    def fit(self, texts: Sequence[str | None]) -> bool:
        """Whether each text is in the right form, or null."""
        if self._known.issuperset(texts):
            return True
        others = t.cast("set[str]", {*texts} - self._known)
        if not self._fit(others):
            return False
        if len(others) < len(texts) // 2 and len(self._known) < _MOST_KNOWN:
            self._known |= others
        return True
