"""The body of an answer that may be larger than memory."""

from __future__ import annotations

import tempfile
import typing as t

from tap_acumatica.http.content_coding import is_whole

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HELD = 4 * 1024 * 1024
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

    def close(self) -> None:
        """Delete it."""
        self._file.close()

    def __del__(self) -> None:
        """Delete what nobody has read to its end."""
        self.close()
