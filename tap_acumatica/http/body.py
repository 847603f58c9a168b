"""The body of an answer that may be larger than memory."""

from __future__ import annotations

import tempfile
import typing as t

from tap_acumatica.http.content_coding import is_whole
from tap_acumatica.http.encoding import encoding_of, is_utf8, may_be_other, pieces_in_utf8

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_HELD = 4 * 1024 * 1024
_PIECE = 65536
_HEAD = 1024
_MOST_CHECKED = 64 * 1024 * 1024


class Body:
    """A received body, read piece by piece; what is large waits on disk.

    It is received whole before it is read. Acumatica answers the requests of a session one after
    another: one that is left unread would keep all others from being answered.

    Attributes:
        headers: Those of the answer, whose names are case-insensitive.
        size: Bytes received.
    """

    def __init__(self, headers: Mapping[str, str], pieces: Iterable[bytes]) -> None:
        """Receive a body.

        Args:
            headers: Headers of the answer.
            pieces: The body as it arrives, decompressed.
        """
        self.headers = headers
        self.size = 0
        self._file = tempfile.SpooledTemporaryFile(_HELD)  # noqa: SIM115  closed when read
        try:
            for piece in pieces:
                self.size += self._file.write(piece)
        except BaseException:
            self.close()
            raise
        self._file.seek(0)
        self._turn_into_utf8(headers.get("Content-Type") or "")

    def head(self, size: int) -> bytes:
        """The first bytes, which are still to be read."""
        begin = self._file.read(size)
        self._file.seek(0)
        return begin

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes, empty at the end; with no size, all the rest."""
        return self._file.read(size)

    @property
    def is_whole(self) -> bool:
        """Whether it shows by itself that nothing is missing; only before it is read."""
        if self.size > _MOST_CHECKED:
            return False
        found = is_whole(self._file.read())
        self._file.seek(0)
        return found

    def _turn_into_utf8(self, content_type: str) -> None:
        """Write it anew where it is in another encoding."""
        head = self._file.read(_HEAD)
        self._file.seek(0)
        if not may_be_other(head, content_type):
            return
        encoding = encoding_of(head, content_type, is_utf8=is_utf8(self._pieces()))
        self._file.seek(0)
        if encoding is None:
            return
        rewritten = tempfile.SpooledTemporaryFile(_HELD)  # noqa: SIM115  closed when read
        try:
            rewritten.writelines(pieces_in_utf8(self._pieces(), encoding))
        except UnicodeDecodeError:
            rewritten.close()
            self._file.seek(0)
            return
        self._file.close()
        self._file = rewritten
        self._file.seek(0)

    def _pieces(self) -> Iterator[bytes]:
        """All of it, from the beginning, leaving it at its beginning again."""
        self._file.seek(0)
        yield from iter(lambda: self._file.read(_PIECE), b"")
        self._file.seek(0)

    def close(self) -> None:
        """Delete it."""
        self._file.close()

    def __del__(self) -> None:
        """Delete what nobody has read to its end."""
        self.close()
