"""The body of an answer, read as it arrives."""

from __future__ import annotations

import typing as t

import requests
import urllib3

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        self._pieces = response.raw.stream(_CHUNK, decode_content=True)
        self._held = b""
        self._ended = False
        self._then: Callable[[], None] | None = None

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes, empty at the end; with no size, all the rest."""
        try:
            if size < 0:
                rest, self._held = self._held + b"".join(self._pieces), b""
                self.close()
                return rest
            if not self._held and not self._ended:
                self._held = next(self._pieces, b"")
                if not self._held:
                    self.close()
        except _FAILURES as error:
            self.close()
            raise self._lost(error) from error
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    def when_ended(self, then: Callable[[], None]) -> None:
        """Do something when the body was read to its end, or is given up; now, if it was."""
        self._then = then
        if self._ended:
            self.close()

    def close(self) -> None:
        """Give the connection back, or up, if the body was not read to its end."""
        self._ended = True
        self._response.close()
        then, self._then = self._then, None
        if then:
            then()

    def __del__(self) -> None:
        """Give the connection up when nobody reads on."""
        self.close()
