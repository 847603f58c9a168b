"""The way to a site: kept connections, what is added to each request, what is told of it."""

from __future__ import annotations

import time
import typing as t
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter

from tap_acumatica.acumatica.extras import Extras
from tap_acumatica.acumatica.wire_log import WireLog

if t.TYPE_CHECKING:
    import requests


class Transport(HTTPAdapter):
    """Carries the requests of one session."""

    def __init__(
        self,
        root: str,
        *,
        extras: Extras | None = None,
        verbosity: int = 1,
        keep: bool = True,
        idle_seconds: float = 60,
    ) -> None:
        """Prepare.

        Args:
            root: Address of the service; only its host is given the additions.
            extras: Additions to each request.
            verbosity: How much is told of each request.
            keep: Whether a connection is used for more than one request.
            idle_seconds: How long a connection may have been idle to be used again.
        """
        super().__init__()
        self._origin = urlsplit(root).netloc.lower()
        self._extras = extras or Extras()
        self._log = WireLog(verbosity, self._extras)
        self._keep = keep
        self._idle_seconds = idle_seconds
        self._used = 0.0

    def send(  # type: ignore[override]  # its arguments are passed on as they come
        self, request: requests.PreparedRequest, **options: t.Any
    ) -> requests.Response:
        """Send a request and, unless ``stream`` is set, receive all of its answer.

        The body of a refusal is received in any case, and holds no secret.

        Raises:
            RequestException: If it fails.
            HTTPError: Of urllib3, if the answer does not arrive whole.
        """
        self._add(request)
        started = time.monotonic()
        if not self._keep or started - self._used > self._idle_seconds:
            self.close()
        told: dict[str, t.Any] = {"status": "no answer", "sent": request.headers}
        try:
            response = super().send(request, **options)
            told |= {"size": response.headers.get("Content-Length"), "received": response.headers}
            if not options.get("stream") or not response.ok:
                told["size"] = self._receive(response)
            told["status"] = response.status_code
        finally:
            self._used = time.monotonic()
            seconds = self._used - started
            self._log.tell(str(request.method), str(request.url), seconds=seconds, **told)
        return response

    def redact(self, text: str) -> str:
        """What a service says, without the secrets that it was told."""
        return self._extras.redact(text)

    def _receive(self, response: requests.Response) -> int:
        """Receive a body at once: requests itself would take a page in pieces of 10 KB."""
        body: bytes = response.raw.read(decode_content=True)
        size = len(body)
        if not response.ok and self._extras.secrets:
            # Some services repeat the address they were asked at.
            body = self.redact(body.decode("utf-8", "replace")).encode()
        response._content = body  # noqa: SLF001
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        return size

    def _add(self, request: requests.PreparedRequest) -> None:
        url = str(request.url)
        if urlsplit(url).netloc.lower() == self._origin:
            request.url = self._extras.address(url)
            request.headers.update(self._extras.headers)
        else:  # redirected, with the headers of the request before
            for name in self._extras.headers:
                request.headers.pop(name, None)
        if not self._keep:
            request.headers["Connection"] = "close"


def mount(session: requests.Session, transport: Transport) -> None:
    """Let a session send everything by a transport."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, transport)
