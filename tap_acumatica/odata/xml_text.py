"""XML whose texts hold what XML may not: control characters, half surrogate pairs, other bytes.

Services write texts of their database into XML as they are. Here a mark takes the place of what an
XML parser would refuse; ``repair.py`` replaces it.
"""

from __future__ import annotations

import codecs
import re
import typing as t

from tap_acumatica.odata.repair import MARK, MARKED

if t.TYPE_CHECKING:
    from collections.abc import Callable

_DECLARED = re.compile(r"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"']", re.IGNORECASE)
_WRONG = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:[xX]0*([0-9a-fA-F]{1,6})|0*(\\d{1,7}));"
)
_UNFINISHED = re.compile(r"&[#\w]{0,12}\Z", re.ASCII)
_ALLOWED = (range(0x20, 0xD800), range(0xE000, 0xFFFE), range(0x10000, 0x110000))
_WHITE = frozenset({0x9, 0xA, 0xD})


class XmlText:
    """A body of XML in UTF-8, without what no parser takes.

    Attributes:
        marked: Whether anything was marked so far.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """Prepare; nothing is read yet.

        Args:
            read: Reads at most so many bytes of the body, none at its end.
        """
        self._read = read
        self._decoder: codecs.IncrementalDecoder | None = None
        self._held = ""
        self._begun = False
        self.marked = False

    def read(self, size: int = -1, /) -> bytes:
        """At most about so many bytes, empty at the end."""
        while chunk := self._read(size):
            if not self._begun:
                self._begun = True
                if _is_utf8(chunk):
                    self._decoder = codecs.getincrementaldecoder("utf-8")(MARKED)
            if self._decoder is None:
                return chunk
            if found := self._cleaned(self._decoder.decode(chunk)):
                return found.encode()
        rest = self._decoder.decode(b"", final=True) if self._decoder else ""
        found, self._held = self._held + rest, ""
        return self._marked(found).encode()

    def _cleaned(self, text: str) -> str:
        text = self._held + text
        unfinished = _UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._held = text[end:]
        return self._marked(text[:end])

    def _marked(self, text: str) -> str:
        found = _WRONG.sub(_mark, text)
        self.marked = self.marked or MARK in found
        return found


def _mark(match: re.Match[str]) -> str:
    hexadecimal, decimal = match.groups()
    if hexadecimal is None and decimal is None:
        return MARK
    number = int(hexadecimal, 16) if hexadecimal else int(decimal)
    is_allowed = number in _WHITE or any(number in each for each in _ALLOWED)
    return match[0] if is_allowed else MARK


def _is_utf8(begin: bytes) -> bool:
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\x00" in begin[:4]:
        return False
    declared = _DECLARED.match(begin[:200].decode("latin-1").lstrip("\xef\xbb\xbf \t\r\n"))
    return declared is None or declared[1].lower() in {"utf-8", "us-ascii"}
