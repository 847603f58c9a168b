"""One entity set of one service, asked over HTTP and decoded."""

from __future__ import annotations

import logging
import threading
import time
import typing as t
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from urllib.parse import urljoin, urlsplit, urlunsplit

from tap_acumatica.errors import (
    AnswerError,
    BrokenOffError,
    PageSizeError,
    PayloadError,
    SlowAnswerError,
    TapError,
    ValueMismatchError,
)
from tap_acumatica.odata.atom import ResponseBody
from tap_acumatica.odata.dialect import JSON, V4
from tap_acumatica.odata.page_limit import PageLimit
from tap_acumatica.odata.query import QueryOptions, build_url

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_acumatica.odata.atom import Readable
    from tap_acumatica.odata.dialect import Dialect
    from tap_acumatica.records.codec import Page

logger = logging.getLogger(__name__)

_SMALLEST_PAGE = 10
_HASTE = 40_000_000
"""Bytes a second from which on a service answers so fast that skimming costs more than it saves."""
_FEW = 2
"""Rows asked for to see whether the size of a page is why it fails."""


T = t.TypeVar("T")


class Service(t.Protocol):
    """The service that is read."""

    @property
    def root(self) -> str:
        """Address of the service root."""

    def check_answer(self, url: str, context: str | None) -> None:
        """Raise if the answer to a request comes from another service."""


class Sessions(t.Protocol):
    """Whatever sends requests to a service."""

    @property
    def service(self) -> Service:
        """The service."""

    def fetch(
        self,
        url: str,
        parse: Callable[[t.Any], T],
        *,
        what: str,
        patient: bool = ...,
        **options: t.Any,
    ) -> T:
        """What ``parse`` makes of the answer to a request."""


class Codec(t.Protocol):
    """Decodes answers."""

    def decode(self, body: bytes) -> Page:
        """The rows of an answer."""

    def skim(self, body: bytes) -> Page:
        """The same rows, not decoded further than the next request needs."""

    def decode_stream(self, body: ResponseBody) -> Page:
        """The first rows of an answer that arrives meanwhile."""


class RequestCount:
    """The requests of a stream: how many, how long the service took, how many rows to ask for.

    A page that is too large is asked for again by halves; the size that came is kept. A limit that
    the service names is kept for all its streams.

    Attributes:
        made: Requests sent, with those that were tried again.
        seconds: Time from each request to its whole answer, all in all: with several at once, it
            may be more than has passed.
        at_once: The most requests that waited at the same time.
    """

    def __init__(
        self, limit: PageLimit | None = None, *, check_time: Callable[[], None] = lambda: None
    ) -> None:
        """Begin with none.

        Args:
            limit: The limit of the service, which its streams share.
            check_time: Raises once no more may be asked for.
        """
        self.limit = limit or PageLimit()
        self._check_time = check_time
        self._lock = threading.Lock()
        self.made = self.at_once = self._waiting = 0
        self.seconds = 0.0
        self._most: int | None = None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one more request, and the time until it is answered.

        Raises:
            TimeLimitError: If the time of the run is over.
        """
        self._check_time()
        with self._lock:
            self.made += 1
            self._waiting += 1
            self.at_once = max(self.at_once, self._waiting)
        began = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                self.seconds += time.monotonic() - began

    def at_most(self, top: int | None) -> int | None:
        """The rows to ask for where ``top`` are wanted."""
        most = self._most
        if top is None:
            return None
        return self.limit.at_most(top if most is None else min(top, most))

    def keep(self, top: int) -> None:
        """Ask for ``top`` rows at most, from now on."""
        with self._lock:
            self._most = min(top, self._most or top)

    def halve(self, top: int) -> int:
        """Ask for half of ``top`` rows at most, from now on; returns how many."""
        with self._lock:
            self._most = min(top // 2, self._most or top)
            return self._most


class EntitySource:
    """Pages of one entity set."""

    def __init__(  # noqa: PLR0913  a request is made of these
        self,
        sessions: Sessions,
        segment: str,
        codec: Codec,
        *,
        name: str,
        count: RequestCount,
        current: threading.Event,
        dialect: Dialect = V4,
        data_format: str = JSON,
    ) -> None:
        """Prepare.

        Args:
            sessions: Sessions with the service.
            segment: Path segment below the service root, encoded.
            codec: Decodes the answers.
            name: What to call it in messages.
            count: Counts the requests.
            current: Set once the stream is the one being written; until then others go first.
            dialect: How the service is spoken to.
            data_format: ``json`` or ``atom``.
        """
        self._headers = {"Accept": dialect.accept(data_format), **dialect.headers}
        self._streams = dialect.is_streamed(data_format)
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
            TapError: As the sessions raise it.
            AnswerError: If a value does not fit its type.
        """
        while True:
            top = self._count.at_most(options.top)
            if top is None or top <= _SMALLEST_PAGE:
                return self._ask(options, top)
            try:
                return self._ask(options, top, smaller=self._url(options, _FEW))
            except SlowAnswerError as error:
                most = self._count.halve(top)
                logger.warning("%s; from now on %d rows are asked for", error, most)
            except PageSizeError as error:
                return self._get_smaller(options, top, error)

    def _get_smaller(self, options: QueryOptions, top: int, error: PageSizeError) -> Page:
        """Answer a query whose page of ``top`` rows is too large.

        Raises:
            TapError: What the failure means by itself, if a small page fails as well.
        """
        limit = max((number for number in error.limits if number < top), default=None)
        page = self._try(options, limit) if limit else None
        if limit and page is not None:
            if self._count.limit.lower(limit):
                logger.warning(
                    "%s; from now on no stream is asked for more than %d rows", error, limit
                )
            return page
        if error.limits and self._try(options, _FEW) is None:
            raise error.error from None
        size = limit or top
        while page is None and size > _SMALLEST_PAGE:
            size = max(size // 2, _SMALLEST_PAGE)
            page = self._try(options, size, suspected=size > _SMALLEST_PAGE)
        if page is None:
            raise error.error from None
        self._count.keep(size)
        logger.warning("%s; from now on %d rows are asked for", error, size)
        return page

    def _try(self, options: QueryOptions, size: int, *, suspected: bool = True) -> Page | None:
        """A page of that size, None if that is too large as well."""
        smaller = self._url(options, _FEW)
        try:
            return self._ask(options, size, smaller=smaller, suspected=suspected)
        except (PageSizeError, SlowAnswerError):
            return None

    def _ask(self, options: QueryOptions, top: int | None, **doubt: t.Any) -> Page:
        return self._fetch(self._url(options, top), **doubt)

    def _url(self, options: QueryOptions, top: int | None) -> str:
        return build_url(self._root, self._segment, replace(options, top=top))

    def at_most(self, top: int | None) -> int | None:
        """How many rows are asked for where ``top`` are wanted."""
        return self._count.at_most(top)

    def follow(self, link: str) -> Page:
        """Answer what a next link names, absolute or relative to the last request.

        Raises:
            AnswerError: If it leads to another host.
        """
        return self._fetch(self._resolve(link))

    def _fetch(self, url: str, **doubt: t.Any) -> Page:
        self._last = url
        parse = self._begin if self._streams else partial(self._decode, asked=time.monotonic())
        with self._explained():
            page = self._sessions.fetch(
                url,
                parse,
                what=self._name,
                patient=not self._current.is_set(),
                headers=self._headers,
                stream=self._streams,
                metered=self._count.request,
                **doubt,
            )
        self._sessions.service.check_answer(url, page.context)
        return self._guarded(page)

    def _decode(self, body: bytes, *, asked: float) -> Page:
        waited = time.monotonic() - asked
        return (self._codec.skim if waited * _HASTE > len(body) else self._codec.decode)(body)

    def _begin(self, body: Readable) -> Page:
        return self._codec.decode_stream(ResponseBody(body))

    def _guarded(self, page: Page) -> Page:
        if page.next_part is None:
            return page
        return page._replace(next_part=partial(self._go_on, page.next_part))

    def _go_on(self, rest: Callable[[], Page]) -> Page:
        """The next part of an answer.

        Raises:
            BrokenOffError: If it does not come: what came before was handed on already.
            AnswerError: If a value does not fit its type.
        """
        try:
            with self._explained():
                return self._guarded(rest())
        except PayloadError as error:
            msg = f"{self._name}: {error}"
            raise BrokenOffError(msg) from error
        except AnswerError:
            raise
        except TapError as error:
            raise BrokenOffError(str(error)) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ValueMismatchError as error:
            msg = f"{self._name}: {error}"
            raise AnswerError(msg) from error

    def _resolve(self, link: str) -> str:
        try:
            resolved = urlsplit(urljoin(self._last, link))
        except ValueError as error:
            msg = f"{self._name}: the next link is not an address; report it to the service's owner"
            raise AnswerError(msg) from error
        root = urlsplit(self._root)
        # Behind a proxy, services write the scheme and the port that they see themselves.
        if resolved.hostname != root.hostname:
            host = resolved.netloc.rpartition("@")[2] or resolved.scheme
            msg = f"{self._name}: the next link leads to another host, {host}; it is not followed"
            raise AnswerError(msg)
        return urlunsplit((root.scheme, root.netloc, resolved.path, resolved.query, ""))
