"""How requests reach a site: kept connections, additions to each request, the request log."""

from __future__ import annotations

import time
import typing as t
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from typing_extensions import override

from tap_acumatica.http.additions import RequestAdditions
from tap_acumatica.http.body import Body
from tap_acumatica.http.redaction import Redactor
from tap_acumatica.http.request_log import RequestLog

if t.TYPE_CHECKING:
    import requests


_CHUNK = 65536


class Transport(HTTPAdapter):
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
    ) -> None:
        """Prepare.

        Args:
            root: Address of the service; only its host is given the additions.
            additions: Additions to each request.
            redactor: Masks secrets; those among the additions are added to it.
            verbosity: How much is logged of each request.
            keep: Whether a connection is used for more than one request.
            idle_seconds: How long a connection may have been idle to be used again.
        """
        super().__init__()
        self._origin = urlsplit(root).netloc.lower()
        self._additions = additions or RequestAdditions()
        self.redactor = redactor or Redactor()
        self.redactor.add(*self._additions.secrets)
        self._log = RequestLog(verbosity, self.redactor)
        self._keep = keep
        self._idle_seconds = idle_seconds
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
            response = super().send(request, **options)
        except Exception:
            self._write_log(request)
            raise
        finally:
            self._used = time.monotonic()
        if response.is_redirect:
            self._write_log(request, response)
        return response

    def receive(self, response: requests.Response) -> bytes:
        """Receive a body at once: requests itself would take a page in pieces of 10 KB.

        Raises:
            HTTPError: Of urllib3, if it does not arrive whole.
        """
        body: bytes = response.raw.read(decode_content=True)
        self._received(response, len(body))
        return body

    def spool(self, response: requests.Response) -> Body:
        """Receive a body that may be larger than memory.

        Raises:
            HTTPError: Of urllib3, if it does not arrive whole.
        """
        pieces = response.raw.stream(_CHUNK, decode_content=True)
        body = Body(response.headers, pieces)
        self._received(response, body.size)
        return body

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
        if not self._keep:
            request.headers["Connection"] = "close"


def mount(session: requests.Session, transport: Transport) -> None:
    """Let a session send everything by a transport."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, transport)
