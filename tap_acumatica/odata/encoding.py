"""The encoding of a body: JSON is UTF-8 (RFC 8259, 8.1), whatever else services send.

A byte order mark counts first, then what the first bytes show, then UTF-8 if the body is valid as
that, and only then what the Content-Type says, which is wrong more often than a body is.
"""

from __future__ import annotations

import codecs
import re

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ZEROS: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
"""Which of the first bytes are zero, where the text begins with two characters of ASCII."""
_USUAL = frozenset({"utf-8", "ascii"})
_PARTS = 4


def as_utf8(body: bytes, content_type: str) -> bytes:
    """A body of text in UTF-8; as it is where its encoding cannot be told.

    >>> as_utf8("[\u00e9]".encode("latin-1"), "application/json;charset=iso-8859-1").decode()
    '[\u00e9]'

    Args:
        body: The body.
        content_type: Its ``Content-Type``.
    """
    shown, declared = _shown(body[:_PARTS]), _declared(content_type)
    if shown is None and (declared is None or _is_utf8(body)):
        return body
    try:
        return body.decode(shown or declared or "utf-8").encode()
    except (UnicodeError, LookupError):
        return body


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _shown(begin: bytes) -> str | None:
    """The encoding that the first bytes of a JSON text show, where it is not UTF-8."""
    for mark, name in _MARKS:
        if begin.startswith(mark):
            return name
    return _ZEROS.get(tuple(byte == 0 for byte in begin))


def _declared(content_type: str) -> str | None:
    match = _CHARSET.search(content_type)
    if match is None:
        return None
    try:
        name = codecs.lookup(match[1]).name
    except LookupError:
        return None
    return None if name in _USUAL else name
