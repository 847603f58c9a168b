"""Marks what XML forbids, while a document arrives: control characters and invalid UTF-8.

Services write them into texts all the same, and a parser would refuse the whole document.
"""

from __future__ import annotations

import re
import typing as t

from tap_acumatica.odata.repair import MARK, MARKED

if t.TYPE_CHECKING:
    from collections.abc import Callable

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r"))
_FORBIDDEN = re.compile(rb"[%s]|\xef\xbf[\xbe\xbf]" % re.escape(_CONTROLS))
_PAIR = re.compile(rb"(&#x?[0-9a-fA-F]{1,8};)(&#x?[0-9a-fA-F]{1,8};)")
_REFERENCE = re.compile(rb"&#(x[0-9a-fA-F]{1,8}|[0-9]{1,9});")
_ENCODING = re.compile(
    rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["'](?!utf-?8["']|us-ascii["'])""", re.IGNORECASE
)
_LONGEST_REFERENCE = 24  # two of them, which may be halves of one character
_LONGEST_CHARACTER = 4
_MARK_REFERENCE = b"&#xFDD0;"


class RepairedXml:
    """A binary stream of XML with marks in place of what XML forbids.

    Attributes:
        repaired: Whether any marks were needed so far.
        ended: Whether the end of the source was met.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """Prepare.

        Args:
            read: Returns the next bytes, at most so many; empty at the end.
        """
        self._read = read
        self._held = b""
        self._is_utf8: bool | None = None
        self.repaired = self.ended = False

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; empty at the end."""
        while not self.ended:
            more = self._read(size)
            self.ended = not more
            piece = self._held + more
            if self._is_utf8 is None:
                if b">" not in piece and more:  # the declaration, if any, is not whole yet
                    self._held = piece
                    continue
                self._is_utf8 = not _ENCODING.match(piece)
            end = len(piece) if self.ended else _whole(piece)
            piece, self._held = piece[:end], piece[end:]
            if piece:
                return self._repair(piece)
        return b""

    def _repair(self, piece: bytes) -> bytes:
        found = piece
        if self._is_utf8:
            try:
                piece.decode()
            except UnicodeDecodeError:
                found = piece.decode("utf-8", MARKED).encode()
        if len(found.translate(None, _CONTROLS)) < len(found) or b"\xef\xbf" in found:
            found = _FORBIDDEN.sub(MARK.encode() if self._is_utf8 else _MARK_REFERENCE, found)
        if b"&#" in found:
            found = _REFERENCE.sub(_allowed, _PAIR.sub(_joined, found))
        self.repaired |= found is not piece and found != piece
        return found


def _whole(piece: bytes) -> int:
    """Where a piece may end: not within a character, nor within references."""
    end = len(piece)
    reference = piece.find(b"&", max(0, end - _LONGEST_REFERENCE))
    if reference >= 0:
        end = reference
    for back in range(1, min(_LONGEST_CHARACTER, end) + 1):
        first = piece[end - back]
        if first & 0xC0 != 0x80:  # noqa: PLR2004  the first byte of a character
            length = (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0) + 1  # noqa: PLR2004
            return end - back if length > back else end
    return end


def _code(reference: bytes) -> int:
    digits = reference.removeprefix(b"&#").removesuffix(b";").lower()
    try:
        return int(digits[1:], 16) if digits.startswith(b"x") else int(digits)
    except ValueError:
        return 0


def _joined(match: re.Match[bytes]) -> bytes:
    """One character for the two halves of a surrogate pair."""
    high, low = _code(match[1]), _code(match[2])
    if 0xD800 <= high < 0xDC00 <= low < 0xE000:  # noqa: PLR2004  the halves
        return b"&#x%X;" % (0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    return match[0]


def _allowed(match: re.Match[bytes]) -> bytes:
    """A reference to a character that XML allows, or to a mark."""
    code = _code(match[0])
    allowed = (
        code in {0x9, 0xA, 0xD}
        or 0x20 <= code < 0xD800  # noqa: PLR2004  XML 1.0, section 2.2
        or 0xE000 <= code < 0xFFFE  # noqa: PLR2004
        or 0x10000 <= code < 0x110000  # noqa: PLR2004
    )
    return match[0] if allowed else _MARK_REFERENCE
