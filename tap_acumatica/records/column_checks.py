"""Whether the values of a whole column can be emitted as the C decoder has read them.

Each check looks at all values at once: a call per value would cost more than decoding them.
"""

from __future__ import annotations

import typing as t
from decimal import Decimal

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NUMBER_CHARACTERS = b"0123456789.-+eEnul"
"""The characters of JSON numbers and null."""
_GUID_LENGTH = 36
_GUID_HYPHENS = (8, 13, 18, 23)
_GUID_CHARACTERS = b"0123456789abcdefABCDEF-"
_BASE64_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_BASE64_BLOCK = 4


def are_json_numbers(raws: Iterable[t.Any]) -> bool:
    """Whether raw JSON values are only numbers and nulls."""
    return not b"".join(raws).translate(None, _NUMBER_CHARACTERS)


def are_finite(numbers: Iterable[Decimal | None]) -> bool:
    """Whether no number is NaN or infinite."""
    return all(map(Decimal.is_finite, filter(None, numbers)))


def are_guids(joined: str) -> bool:
    """Whether texts of 36 characters, joined, are GUIDs."""
    hyphens = "-" * (len(joined) // _GUID_LENGTH)
    return (
        not joined.encode().translate(None, _GUID_CHARACTERS)
        and joined.count("-") == len(_GUID_HYPHENS) * len(hyphens)
        and all(joined[place::_GUID_LENGTH] == hyphens for place in _GUID_HYPHENS)
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
