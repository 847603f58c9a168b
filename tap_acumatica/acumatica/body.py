"""The body of an answer, read as it arrives."""

from __future__ import annotations

import tempfile
import typing as t

import requests
import urllib3

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ACCEPT_JSON = {"Accept": "application/json"}
_CHUNK = 65536
_FAILURES = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)


class Body:
    """Reads a body piece by piece, decompressed.

    Attributes:
        headers: Those of the answer, whose names know no upper and lower case.
    """

    def __init__(self, response: requests.Response, lost: Callable[[Exception], Exception]) -> None:
        """Prepare.

        Args:
            response: An answer of which nothing but the headers was read.
            lost: Makes the error to raise of the one that shows that the connection was lost.
        """
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._lost = lost
        self._pieces: Iterator[bytes] = response.raw.stream(_CHUNK, decode_content=True)
        self._held = b""
        self._file: t.IO[bytes] | None = None
        self._arrived = False
        self._then: Callable[[], None] | None = None

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes, empty at the end; with no size, all the rest."""
        if size < 0:
            rest, self._held = self._held + b"".join(iter(self._next, b"")), b""
            return rest
        held = self._held or self._next()
        self._held = held[size:]
        return held[:size]

    def _next(self) -> bytes:
        try:
            piece = next(self._pieces, b"")
        except _FAILURES as error:
            self._hand_back()
            raise self._lost(error) from error
        if not piece:
            self._hand_back()
        return piece

    def let_arrive(self) -> None:
        """Let the rest arrive, into a file, so that something else can be asked for."""
        if self._arrived:
            return
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the body
        failure: Exception | None = None
        try:
            for piece in iter(self._next, b""):
                self._file.write(piece)
        except Exception as error:  # noqa: BLE001  it is raised again where it belongs
            failure = error
        self._file.seek(0)
        self._pieces = _replayed(self._file, failure)

    def when_arrived(self, then: Callable[[], None]) -> None:
        """Do something once all of the body arrived, or it is given up; now, if it did."""
        self._then = then
        if self._arrived:
            self._hand_back()

    def _hand_back(self) -> None:
        self._arrived = True
        self._response.close()
        then, self._then = self._then, None
        if then:
            then()

    def close(self) -> None:
        """Give up what was not read."""
        self._hand_back()
        self._pieces = iter(())
        if self._file:
            self._file.close()

    def __del__(self) -> None:
        """Give the connection up when nobody reads on."""
        self.close()


def _replayed(file: t.IO[bytes], failure: Exception | None) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        yield piece
    if failure:
        raise failure
