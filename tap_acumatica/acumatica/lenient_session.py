"""A session that can also ask for what the run can do without."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from tap_acumatica.acumatica.answers import is_unauthorized
from tap_acumatica.acumatica.session import Session
from tap_acumatica.errors import AccessError

if t.TYPE_CHECKING:
    from collections.abc import Callable

T = t.TypeVar("T")

_JSON = {"Accept": "application/json"}


class LenientSession(Session):
    """Requests to one service, of which some may fail without any consequence."""

    def try_once(
        self, url: str, parse: Callable[[bytes], T], *, what: str, seconds: float = 60
    ) -> T:
        """Get an address that the run can do without.

        There is one try. Whatever comes of it says nothing about the service or the sign-in: a
        refusal with status 401 renews no token, and is not remembered.

        Args:
            url: Address, encoded.
            parse: Turns a body into a value; its ``PayloadError`` makes the answer invalid.
            what: What is asked for, for messages.
            seconds: The most seconds to wait for an answer.

        Returns:
            What ``parse`` made of the body.

        Raises:
            TapError: If it cannot be had.
        """
        usual = self.limits
        self.limits = replace(usual, timeout=min(seconds, usual.timeout), tries=1)
        try:
            with contextlib.closing(self._auth.auth_flow(self._prepare(url, _JSON))) as flow:
                answer = self._exchange(next(flow), what, stream=False)
                answer.check_redirect()
                if is_unauthorized(answer.response):
                    raise AccessError(answer.explain())
                with contextlib.suppress(StopIteration):
                    flow.send(answer)
            answer.check_status(self._seat, has_seats=False)
            return parse(t.cast("bytes", answer.received))
        finally:
            self.limits = usual
            if not usual.stay:
                self._sign_out()
