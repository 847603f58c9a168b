"""Whether the size of a page is why it fails: then the same page with few rows is answered.

Gateways, licenses and services limit an answer in ways that they seldom name: a status, a page of
HTML, a connection that closes. What a page of few rows does not mend has another cause.
"""

from __future__ import annotations

import typing as t

import requests

from tap_acumatica.errors import PageSizeError, SlowAnswerError, StreamError, TapError
from tap_acumatica.http.retry import RetryableError

if t.TYPE_CHECKING:
    from collections.abc import Callable

_FAILURES = 2
_EARLY_OR_OFTEN = frozenset({425, 429})


class SizeDoubt:
    """What is suspected of the size of one page."""

    def __init__(
        self, smaller: Callable[[], object] | None, *, suspected: bool = False, tries: int
    ) -> None:
        """Prepare.

        Args:
            smaller: Asks for the same page with few rows, once; None if size is not in doubt.
            suspected: Whether such a page is known to be answered.
            tries: The most tries of the page.
        """
        self._smaller = smaller
        self._suspected = suspected
        self._tries = tries
        self._failures = 0
        self._blamed = False
        self._again: RetryableError | None = None
        self._refusal: TapError | None = None

    def refused(self, error: TapError, limits: tuple[int, ...]) -> TapError:
        """What a refusal means; where few rows are not refused, the page is tried once more.

        Args:
            error: What it means by itself.
            limits: Numbers that the service named as the most rows it gives.
        """
        known = self._suspected or limits or self._again
        judged = self.judged(error, limits)
        if known or judged is error:
            return judged
        self._suspected, self._refusal = True, error
        self._again = RetryableError(str(error), wait=0)
        return self._again

    def judged(self, error: TapError, limits: tuple[int, ...] = ()) -> TapError:
        """What a refusal, or a lasting answer that is none, means: the size is to blame, or not.

        Args:
            error: What it means by itself.
            limits: Numbers that the service named as the most rows it gives.
        """
        if self._smaller is None:
            return error
        if self._suspected or limits or self._is_answered(self._smaller):
            return PageSizeError(str(error), error, limits)
        return error

    def failed(self, error: RetryableError, tries: int) -> bool:
        """Whether a failure is one of the size: looked into at the second one.

        An outage may hit the small page as well, so it is looked into again at the last try. A
        page that did not come in time is not tried again as it is.

        Args:
            error: The failure.
            tries: Tries so far.
        """
        if self._smaller is None:
            return False
        if _timed_out(error):
            return True
        if error is self._again or not _may_be_size(error):
            return False
        self._failures += 1
        lasts = tries >= self._tries and error.status != requests.codes.server_error
        if self._suspected or lasts or self._failures == min(_FAILURES, self._tries):
            self._blamed = self._suspected or self._is_answered(self._smaller)
        return self._blamed

    def given_up(self, error: RetryableError, final: TapError) -> TapError:
        """What the last failure means.

        Args:
            error: The failure.
            final: What it means by itself.
        """
        if self._smaller is not None and _timed_out(error):
            return SlowAnswerError(str(error))
        if error is self._again:
            return PageSizeError(str(error), self._refusal or final)
        return PageSizeError(str(error), final) if self._blamed else final

    @staticmethod
    def _is_answered(smaller: Callable[[], object]) -> bool:
        try:
            smaller()
        except (RetryableError, StreamError):
            return False
        return True


NO_DOUBT = SizeDoubt(None, tries=1)
"""Of a page that cannot be made smaller."""


def _timed_out(error: RetryableError) -> bool:
    """Whether nothing came in time; a gateway that says so may just have been restarted."""
    return error.slow and error.status is None


def _may_be_size(error: RetryableError) -> bool:
    """Whether a failure may be one of large answers; not so where nobody takes connections."""
    if error.status in _EARLY_OR_OFTEN:
        return False
    return error.status is not None or not error.busy
