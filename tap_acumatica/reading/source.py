"""One entity set of one service, asked over HTTP and decoded."""

from __future__ import annotations

import logging
import typing as t
from dataclasses import replace
from urllib.parse import urljoin, urlsplit, urlunsplit

from tap_acumatica.acumatica.errors import AnswerError, SlowAnswerError
from tap_acumatica.odata.errors import ValueMismatchError
from tap_acumatica.odata.query import QueryOptions, address

if t.TYPE_CHECKING:
    from tap_acumatica.acumatica.session import Session
    from tap_acumatica.records.codec import Page

logger = logging.getLogger(__name__)

_SMALLEST_PAGE = 10
_PORTS = {"http": 80, "https": 443}


class Codec(t.Protocol):
    """Decodes answers."""

    def decode(self, body: bytes) -> Page:
        """The rows of an answer."""


class EntitySource:
    """Pages of one entity set; counts them.

    A page that does not come in time is asked for again by halves; the size that came is kept.
    """

    def __init__(self, session: Session, segment: str, codec: Codec, *, name: str) -> None:
        """Prepare.

        Args:
            session: Session with the service.
            segment: Path segment below the service root, encoded.
            codec: Decodes the answers.
            name: What to call it in messages.
        """
        self.pages = 0
        self._session = session
        self._root = session.service.root
        self._segment = segment
        self._codec = codec
        self._name = name
        self._last = self._root
        self._most: int | None = None

    def get(self, options: QueryOptions) -> Page:
        """Answer a query.

        Raises:
            ServiceError: As :meth:`Session.fetch`.
            AnswerError: If a value does not fit its type.
        """
        while True:
            top = _least(options.top, self._most)
            url = address(self._root, self._segment, replace(options, top=top))
            halves = top is not None and top > _SMALLEST_PAGE
            try:
                return self._fetch(url, patient=not halves)
            except SlowAnswerError as error:
                self._most = (top or 0) // 2
                logger.warning("%s; from now on %d rows are asked for", error, self._most)

    def follow(self, link: str) -> Page:
        """Answer what a next link names, absolute or relative to the last request.

        Raises:
            AnswerError: If it leads to another host.
        """
        return self._fetch(self._resolve(link))

    def _fetch(self, url: str, *, patient: bool = True) -> Page:
        self._last = url
        self.pages += 1
        try:
            page = self._session.fetch(url, self._codec.decode, what=self._name, patient=patient)
        except ValueMismatchError as error:
            msg = f"{self._name}: {error}; change the column's type in the catalog or deselect it"
            raise AnswerError(msg) from error
        self._session.service.check_answer(url, page.context)
        return page

    def _resolve(self, link: str) -> str:
        resolved = urlsplit(urljoin(self._last, link))
        root = urlsplit(self._root)
        same_port = _port(resolved.scheme, resolved.port) == _port(root.scheme, root.port)
        # Behind a proxy that ends TLS, services write http where they were asked over https.
        plain_port = resolved.port is None and root.port is None
        if resolved.hostname != root.hostname or not (same_port or plain_port):
            host = resolved.netloc
            msg = f"{self._name}: the next link leads to another host, {host}; it is not followed"
            raise AnswerError(msg)
        return urlunsplit((root.scheme, root.netloc, resolved.path, resolved.query, ""))


def _least(top: int | None, most: int | None) -> int | None:
    return top if top is None or most is None else min(top, most)


def _port(scheme: str, port: int | None) -> int | None:
    return port or _PORTS.get(scheme)
