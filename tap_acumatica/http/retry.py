"""What is tried again, how long to wait before, and short reasons for failures."""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import typing as t

import backoff

from tap_acumatica.errors import TapError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import requests

T = t.TypeVar("T")

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 60.0
_LONGEST_ASKED_SECONDS = 600.0


class RetryableError(TapError):
    """A failure worth another try.

    Attributes:
        wait: Seconds the service asked to wait.
        status: Status of the answer, None if there was no answer.
        tries: The most tries it is worth, None for as many as are set.
        slow: Whether the answer did not come, or not to its end, in time.
        busy: Whether the service was overloaded, too slow or not connected to.
        blocked: Whether something between refused it.
        remedy: What to do where it lasts, if that is known.
    """

    def __init__(  # noqa: PLR0913  what decides about another try is this much
        self,
        message: str,
        *,
        wait: float | None = None,
        status: int | None = None,
        tries: int | None = None,
        slow: bool = False,
        busy: bool = False,
        blocked: bool = False,
        remedy: str = "",
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.status = status
        self.tries = tries
        self.slow = slow
        self.busy = busy
        self.blocked = blocked
        self.remedy = remedy


def waits() -> Generator[float, t.Any, None]:
    """Seconds before each further try: what the service asks for, else exponential, with jitter."""
    exponential = backoff.expo(base=2, factor=1, max_value=LONGEST_WAIT_SECONDS)
    exponential.send(None)
    error = yield 0
    while True:
        wait = next(exponential)
        asked = getattr(error, "wait", None)
        error = yield asked if asked is not None else backoff.full_jitter(wait) + wait / 4


def retrying(
    attempt: Callable[[], T],
    *,
    tries: int,
    give_up: Callable[[RetryableError], bool] = lambda _: False,
) -> T:
    """Attempt something until it succeeds, waiting before each further try.

    Args:
        attempt: What is attempted.
        tries: The most tries.
        give_up: Whether a failure is not worth another try after all.

    Returns:
        What the attempt that succeeded returned.

    Raises:
        RetryableError: The last failure.
    """
    tried = backoff.on_exception(
        waits,
        RetryableError,
        max_tries=tries,
        giveup=t.cast("Callable[[Exception], bool]", give_up),
        jitter=None,
        on_backoff=_log_wait,
        logger=None,
    )(attempt)
    return tried()


def given_up_after(tries: int) -> str:
    """The end of a message on what was tried in vain."""
    return f"given up after {tries} {'try' if tries == 1 else 'tries'}"


def _log_wait(details: t.Any) -> None:
    """Log that something is tried again, and why."""
    logger.info("Trying again in %.1f s: %s", details["wait"], details["exception"])


def retry_after(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header, a number or a date (RFC 9110, section 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return min(float(value), _LONGEST_ASKED_SECONDS)
    moment = http_date(value)
    if moment is None:
        return None
    wait = (moment - dt.datetime.now(dt.timezone.utc)).total_seconds()
    return min(max(wait, 0.0), _LONGEST_ASKED_SECONDS)


def http_date(text: str) -> dt.datetime | None:
    """The moment of an HTTP date, None if it is not one."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or dt.timezone.utc)


def reason(error: BaseException) -> str:
    """The innermost cause of a requests error in a few words, without the address it repeats."""
    text = str(error)
    for known, plain in (
        ("Name or service not known", "the host name is not known"),
        ("NameResolutionError", "the host name is not known"),
        ("Failed to resolve", "the host name is not known"),
        ("Connection refused", "connection refused"),
        ("No route to host", "there is no route to it"),
        ("BadStatusLine", "the answer is not HTTP"),
        ("InvalidHeader", "the answer has a header that is not valid"),
        ("Connection reset", "connection reset"),
        ("RemoteDisconnected", "the connection was closed without an answer"),
        ("IncompleteRead", "the answer was cut off"),
        ("CERTIFICATE_VERIFY_FAILED", "certificate verification failed"),
        ("Network is unreachable", "the network is unreachable"),
    ):
        if known in text:
            return plain
    return type(error).__name__
