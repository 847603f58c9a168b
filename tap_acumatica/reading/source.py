"""One entity set of one service, asked over HTTP and decoded."""

from __future__ import annotations

import threading
import typing as t
from urllib.parse import urljoin, urlsplit, urlunsplit

from tap_acumatica.acumatica.errors import AnswerError
from tap_acumatica.odata.errors import ValueMismatchError
from tap_acumatica.odata.query import QueryOptions, address

if t.TYPE_CHECKING:
    from tap_acumatica.acumatica.pool import SessionPool
    from tap_acumatica.records.codec import Page


class Codec(t.Protocol):
    """Decodes answers."""

    def decode(self, body: bytes) -> Page:
        """The rows of an answer."""


class RequestCount:
    """How many requests were made for a stream."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self.made = 0

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self.made += 1


class EntitySource:
    """Pages of one entity set."""

    def __init__(  # noqa: PLR0913  a request is made of these
        self,
        sessions: SessionPool,
        segment: str,
        codec: Codec,
        *,
        name: str,
        count: RequestCount,
        current: threading.Event,
    ) -> None:
        """Prepare.

        Args:
            sessions: Sessions with the service.
            segment: Path segment below the service root, encoded.
            codec: Decodes the answers.
            name: What to call it in messages.
            count: Counts the requests.
            current: Set once the stream is the one being written; until then others go first.
        """
        self._sessions = sessions
        self._root = sessions.service.root
        self._count = count
        self._current = current
        self._segment = segment
        self._codec = codec
        self._name = name
        self._last = self._root

    def get(self, options: QueryOptions) -> Page:
        """Answer a query.

        Raises:
            ServiceError: As :meth:`SessionPool.fetch`.
            AnswerError: If a value does not fit its type.
        """
        return self._fetch(address(self._root, self._segment, options))

    def follow(self, link: str) -> Page:
        """Answer what a next link names, absolute or relative to the last request.

        Raises:
            AnswerError: If it leads to another host.
        """
        return self._fetch(self._resolve(link))

    def _fetch(self, url: str) -> Page:
        self._last = url
        self._count.add()
        try:
            return self._sessions.fetch(
                url, self._codec.decode, what=self._name, patient=not self._current.is_set()
            )
        except ValueMismatchError as error:
            msg = f"{self._name}: {error}; change the column's type in the catalog or deselect it"
            raise AnswerError(msg) from error

    def _resolve(self, link: str) -> str:
        try:
            resolved = urlsplit(urljoin(self._last, link))
        except ValueError as error:
            msg = f"{self._name}: the next link is no address; tell the owner of the service"
            raise AnswerError(msg) from error
        root = urlsplit(self._root)
        # Behind a proxy, services write the scheme and the port that they see themselves.
        if resolved.hostname != root.hostname:
            host = resolved.netloc.rpartition("@")[2] or resolved.scheme
            msg = f"{self._name}: the next link leads to another host, {host}; it is not followed"
            raise AnswerError(msg)
        return urlunsplit((root.scheme, root.netloc, resolved.path, resolved.query, ""))
