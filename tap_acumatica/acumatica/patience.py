"""How long a run waits for license seats.

A session that nobody signed out keeps its seat for 10 to 20 minutes, so waiting for one is of
another order than trying a failed request again, and has a limit of its own.
"""

from __future__ import annotations

import logging
import threading
import typing as t

import backoff

from tap_acumatica.errors import UnreachableError

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.errors import SeatsTakenError

logger = logging.getLogger(__name__)

_SHORTEST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0
_SHARE = 4
_LOGGED_SECONDS = 60.0


class SeatPatience:
    """The seconds that one run may wait for seats of one tenant; thread-safe.

    Once they are used up, each further request is tried once.
    """

    def __init__(
        self, seconds: float, *, where: str, sleep: Callable[[float], object] | None = None
    ) -> None:
        """Prepare.

        Args:
            seconds: How long to wait, all in all.
            where: What the seats are for, for messages.
            sleep: Waits for seconds, or less where the run ends.
        """
        self._total = seconds
        self._where = where
        self._waited = 0.0
        self._logged: float | None = None
        self._ended = threading.Event()
        self._sleep = sleep or self._ended.wait
        self._lock = threading.Lock()

    def wait(self, error: SeatsTakenError, advice: str = "") -> None:
        """Wait before another try.

        Args:
            error: Why there is no session.
            advice: What else to do about it.

        Raises:
            SeatsTakenError: If the time is used up.
            UnreachableError: If the run ends meanwhile.
        """
        with self._lock:
            left = self._total - self._waited
            if left <= 0:
                msg = (
                    f"{error}{advice}; given up, since no seat became free within the "
                    f"{self._total:g} seconds of 'pool_wait_time'"
                )
                raise type(error)(msg) from error
            seconds = min(left, self._pause(error.wait))
            self._log(error, left)
            self._waited += seconds
        self._sleep(seconds)
        if self._ended.is_set():
            msg = f"{self._where}: the run is ending, so nothing more is requested"
            raise UnreachableError(msg) from error

    def succeeded(self) -> None:
        """Note that there is a session; say so if it was waited for."""
        if self._logged is None:
            return
        with self._lock:
            self._logged = None
        logger.info(
            "%s: a license seat became free; %d s were spent waiting", self._where, self._waited
        )

    def end(self) -> None:
        """Wait no longer."""
        self._ended.set()

    def _pause(self, asked: float | None) -> float:
        """Seconds before the next try: a share of those waited so far, with jitter."""
        if asked is not None:
            return max(asked, _SHORTEST_SECONDS)
        pace = min(max(self._waited / _SHARE, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        return float(pace / 2 + backoff.full_jitter(pace))

    def _log(self, error: SeatsTakenError, left: float) -> None:
        if self._logged is None:
            logger.warning(
                "%s. Trying again for up to %d s ('pool_wait_time'): a seat that nobody signed out "
                "becomes free by itself after 10 to 20 minutes.",
                error,
                left,
            )
        elif self._waited - self._logged >= _LOGGED_SECONDS:
            logger.info(
                "%s: no license seat after %d s; trying again for up to %d s",
                self._where,
                self._waited,
                left,
            )
        else:
            return
        self._logged = self._waited
