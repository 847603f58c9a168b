"""How requests reach a site: kept connections, additions to each request, the request log."""

from __future__ import annotations

import time
import typing as t
from urllib.parse import urlsplit

import requests
import urllib3
from typing_extensions import override

from tap_acumatica.http.additions import RequestAdditions
from tap_acumatica.http.body import Body
from tap_acumatica.http.content_coding import (
    AS_IT_IS,
    ContentCodingError,
    decoded,
    is_whole,
)
from tap_acumatica.http.encoding import in_utf8
from tap_acumatica.http.redaction import Redactor
from tap_acumatica.http.request_log import RequestLog
from tap_acumatica.http.trust import TrustingAdapter

if t.TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


_CHUNK = 65536


class Transport(TrustingAdapter):
    """Carries the requests of one session.

    Attributes:
        redactor: Masks secrets in what the service says, in addresses and in headers.
    """

    def __init__(  # noqa: PLR0913  what a transport needs is this much
        self,
        root: str,
        *,
        additions: RequestAdditions | None = None,
        redactor: Redactor | None = None,
        verbosity: int = 1,
        keep: bool = True,
        idle_seconds: float = 60,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare.

        Args:
            root: Address of the service; only its host is given the additions.
            additions: Additions to each request.
            redactor: Masks secrets; those among the additions are added to it.
            verbosity: How much is logged of each request.
            keep: Whether a connection is used for more than one request.
            idle_seconds: How long a connection may have been idle to be used again.
            trust: Further certificate authorities that may vouch for the site.
        """
        super().__init__(trust)
        self._origin = urlsplit(root).netloc.lower()
        self._additions = additions or RequestAdditions()
        self.redactor = redactor or Redactor()
        self.redactor.add(*self._additions.secrets)
        self._log = RequestLog(verbosity, self.redactor)
        self._keep = keep
        self._idle_seconds = idle_seconds
        self._as_it_is = False
        self._used = self._started = 0.0

    @override
    def send(  # type: ignore[override]  # its arguments are passed on as they come
        self, request: requests.PreparedRequest, **options: t.Any
    ) -> requests.Response:
        """Send a request; receive its answer by :meth:`receive` or :meth:`spool`.

        Raises:
            RequestException: If it fails.
        """
        self._add(request)
        self._started = time.monotonic()
        if not self._keep or self._started - self._used > self._idle_seconds:
            self.close()
        try:
            return super().send(request, **options)
        except Exception:
            self._write_log(request)
            raise
        finally:
            self._used = time.monotonic()

    def ask_as_it_is(self) -> bool:
        """Ask for bodies without a content coding from now on, since one was wrong.

        Returns:
            Whether that is new.
        """
        before, self._as_it_is = self._as_it_is, True
        return not before

    def receive(self, response: requests.Response) -> bytes:
        """Receive a body at once, in UTF-8: requests would take a page in pieces of 10 KB.

        A body whose length or chunks are not what its head says is taken where it shows by itself
        that it is whole.

        Raises:
            HTTPError: Of urllib3, if it does not arrive whole.
            ContentCodingError: If it cannot be decoded.
        """
        failure = None
        try:
            raw: bytes = response.raw.read(decode_content=False)
        except urllib3.exceptions.ProtocolError as error:
            raw, failure = _received_before(error), error
        try:
            body = b"".join(self._decoded(response, [raw]))
        except ContentCodingError as error:
            raise failure or error from None
        if failure and not is_whole(body):
            raise failure
        self._received(response, len(body))
        return in_utf8(body, response.headers.get("Content-Type", ""))

    def spool(self, response: requests.Response) -> Body:
        """Receive a body that may be larger than memory; as :meth:`receive`.

        Raises:
            HTTPError: Of urllib3, if it does not arrive whole.
            ContentCodingError: If it cannot be decoded.
        """
        failures: list[urllib3.exceptions.ProtocolError] = []

        def pieces() -> Iterator[bytes]:
            try:
                yield from response.raw.stream(_CHUNK, decode_content=False)
            except urllib3.exceptions.ProtocolError as error:
                failures.append(error)

        try:
            body = Body(response.headers, self._decoded(response, pieces()))
        except ContentCodingError as error:
            response.close()
            raise failures[0] if failures else error from None
        if failures and not body.is_whole:
            body.close()
            raise failures[0]
        self._received(response, body.size)
        return body

    def _decoded(self, response: requests.Response, pieces: t.Iterable[bytes]) -> Iterator[bytes]:
        header = response.headers.get("Content-Encoding", "")
        return decoded(pieces, header, believed=not self._as_it_is)

    def _received(self, response: requests.Response, size: int) -> None:
        self._used = time.monotonic()
        self._write_log(response.request, response, size)

    def _write_log(
        self,
        request: requests.PreparedRequest,
        response: requests.Response | None = None,
        size: int | str | None = None,
    ) -> None:
        self._log.write(
            str(request.method),
            str(request.url),
            status="no answer" if response is None else response.status_code,
            seconds=time.monotonic() - self._started,
            size=size,
            sent=request.headers,
            received=None if response is None else response.headers,
        )

    def _add(self, request: requests.PreparedRequest) -> None:
        url = str(request.url)
        if urlsplit(url).netloc.lower() == self._origin:
            request.url = self._additions.address(url)
            request.headers.update(self._additions.headers)
        else:  # redirected, with the headers of the request before
            for name in self._additions.headers:
                request.headers.pop(name, None)
        if self._as_it_is:
            request.headers["Accept-Encoding"] = AS_IT_IS
        if not self._keep:
            request.headers["Connection"] = "close"


class UnledSession(requests.Session):
    """A session of requests that is not led anywhere: who follows a redirect says so itself."""

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, so that neither other hosts nor ``.netrc`` come into play."""


def _received_before(error: urllib3.exceptions.ProtocolError) -> bytes:
    """What had arrived when a body broke off."""
    cause = error.args[1] if len(error.args) > 1 else None
    partial = getattr(cause, "partial", None)
    return partial if isinstance(partial, bytes) else b""


def unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is: requests itself would add what a .netrc file holds for the host."""
    return request


def mount(session: requests.Session, transport: Transport) -> None:
    """Let a session send everything by a transport."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, transport)


def send_alone(
    method: str, url: str, trust: ssl.SSLContext | None = None, **options: t.Any
) -> requests.Response:
    """Send one request that stands alone, with nothing that was not given; follow no redirect.

    Args:
        method: Its method.
        url: Its address.
        trust: Further certificate authorities that may vouch for the site.
        **options: As for ``requests.request``.

    Raises:
        RequestException: If there is no answer.
    """
    with requests.Session() as session:
        session.mount("https://", TrustingAdapter(trust))
        return session.request(method, url, auth=unsigned, allow_redirects=False, **options)
