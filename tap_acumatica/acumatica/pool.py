"""The sessions of one tenant: as many as are needed at once, and never more than allowed.

A session is a license seat, and Acumatica serves the requests of one session one after another
("License Restrictions for API Users"). So requests at the same time take sessions of their own, a
session is used by one request at a time, and the one used last is used first: what reads one page
after another needs one seat however many are allowed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import typing as t

from tap_acumatica.acumatica.patience import SeatPatience
from tap_acumatica.errors import BusyError, SeatsTakenError, UnreachableError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_acumatica.acumatica.addresses import Service
    from tap_acumatica.acumatica.lenient_session import LenientSession

T = t.TypeVar("T")

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0


class SessionPool:
    """Lends sessions, for one request each; thread-safe.

    Attributes:
        service: What its sessions read.
    """

    def __init__(
        self,
        service: Service,
        make: Callable[[], LenientSession],
        *,
        size: int = 1,
        wait: float = 900,
        patience: SeatPatience | None = None,
    ) -> None:
        """Prepare; no session is opened yet.

        Args:
            service: What is read.
            make: Makes a session.
            size: The most sessions at once.
            wait: Seconds to wait for a free one, counted from when one was last returned; and for
                seats of the license, all in all.
            patience: Waits for seats.
        """
        self.service = service
        self._make = make
        self._size = self._most = size
        self._wait = wait
        self._patience = patience or SeatPatience(wait, where=service.where)
        self._all: list[LenientSession] = []
        self._free: list[LenientSession] = []
        self._returned = 0
        self._hurried = 0
        self._seeking = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def size(self) -> int:
        """The most sessions at once; less than what was set where the license gave no more."""
        return self._size

    @property
    def ahead(self) -> dt.timedelta:
        """How far the service's clock is ahead of this machine's, by its first answer."""
        known = (session.ahead for session in self._all if session.server_time is not None)
        return next(known, dt.timedelta())

    @property
    def server_time(self) -> dt.datetime | None:
        """The service's time at its first answer, None before it."""
        return next((s.server_time for s in self._all if s.server_time is not None), None)

    @property
    def omits_nulls(self) -> bool:
        """Whether an answer said that properties it lacks are null."""
        return any(session.omits_nulls for session in self._all)

    def fetch(
        self,
        url: str,
        parse: Callable[[t.Any], T],
        *,
        what: str,
        patient: bool = False,
        **options: t.Any,
    ) -> T:
        """As :meth:`Session.fetch`, by whichever session is free; waits for a license seat.

        The last session waits for its seat. Of several, one that gets none is done without.

        Args:
            url: Address, encoded.
            parse: Turns a body into a value.
            what: What is asked for, for messages.
            patient: Whether others go first, and the wait has no end.
            options: Further arguments of :meth:`Session.fetch`.

        Raises:
            BusyError: If no session becomes free in time.
            SeatsTakenError: If no license seat becomes free in time.
            TapError: As :meth:`Session.fetch`.
        """
        while True:
            with self._lent(what, patient=patient) as session:
                try:
                    answer = session.fetch(url, parse, what=what, **options)
                except SeatsTakenError as error:
                    if not self._do_without(session):
                        self._wait_for_seat(error)
                    continue
                self._patience.succeeded()
                return answer

    def try_once(self, url: str, parse: Callable[[bytes], T], *, what: str, **options: t.Any) -> T:
        """As :meth:`LenientSession.try_once`, by whichever session is free.

        Args:
            url: Address, encoded.
            parse: Turns a body into a value.
            what: What is asked for, for messages.
            options: Further arguments of :meth:`LenientSession.try_once`.

        Raises:
            TapError: As :meth:`LenientSession.try_once`, or if no session becomes free in time.
        """
        with self._lent(what, patient=False) as session:
            return session.try_once(url, parse, what=what, **options)

    @contextlib.contextmanager
    def _lent(self, what: str, *, patient: bool) -> Iterator[LenientSession]:
        session = self._take(what, patient=patient)
        try:
            yield session
        finally:
            with self._changed:
                if session in self._all:
                    self._free.append(session)
                self._returned += 1
                self._changed.notify_all()

    def _take(self, what: str, *, patient: bool) -> LenientSession:
        with self._changed:
            self._hurried += not patient
            try:
                while not self._available(patient=patient):
                    before = self._returned
                    waited_out = not self._changed.wait(self._wait)
                    in_vain = self._returned == before and not self._seeking
                    if waited_out and not patient and in_vain:
                        self._complain(what)
            finally:
                self._hurried -= not patient
            if self._free:
                return self._free.pop()
            session = self._make()
            self._all.append(session)
            return session

    def _available(self, *, patient: bool) -> bool:
        if self._closed:
            msg = f"{self.service.where}: the run is ending, so nothing more is requested"
            raise UnreachableError(msg)
        if patient and self._hurried:
            return False
        return bool(self._free) or len(self._all) < self._size

    def _complain(self, what: str) -> t.NoReturn:
        msg = (
            f"{what}: none of the {self._size} sessions of 'max_pool_size' became free within "
            f"{self._wait:g} seconds; set a larger 'pool_wait_time' or 'max_pool_size'"
        )
        raise BusyError(msg)

    def _wait_for_seat(self, error: SeatsTakenError) -> None:
        """Wait before the only session tries again.

        Raises:
            SeatsTakenError: If the time for that is used up.
            UnreachableError: If the run ends.
        """
        advice = f"; or lower 'max_pool_size', which is {self._most}" if self._most > 1 else ""
        with self._changed:
            self._seeking += 1
        try:
            self._patience.wait(error, advice)
        finally:
            with self._changed:
                self._seeking -= 1

    def _do_without(self, session: LenientSession) -> bool:
        """Whether others can go on without a session that got no seat."""
        with self._changed:
            if len(self._all) == 1:
                return False
            self._all.remove(session)
            self._size = len(self._all)
        session.close()
        logger.warning(
            "%s: the license has no seat for another session; continuing with %d. Set "
            "'max_pool_size' to what the license leaves (License Monitoring Console, SM604000).",
            self.service.where,
            self._size,
        )
        return True

    def close(self) -> None:
        """Sign all sessions out; never raises, may be called twice."""
        with self._changed:
            self._closed = True
            self._patience.end()
            self._changed.notify_all()
            for session in self._all:
                session.end()
            self._changed.wait_for(
                lambda: len(self._free) == len(self._all), timeout=_PATIENCE_SECONDS
            )
            sessions, self._all, self._free = self._all, [], []
        for session in sessions:
            session.close()


class CheckedSessions:
    """The sessions of a pool, with a check of what they bring.

    Attributes:
        service: What they read.
    """

    def __init__(self, sessions: SessionPool, check: Callable[[str, t.Any], t.Any]) -> None:
        """Prepare.

        Args:
            sessions: The sessions.
            check: Given an address and the parsed answer, returns the answer or raises.
        """
        self.service = sessions.service
        self._sessions = sessions
        self._check = check

    def fetch(self, url: str, parse: Callable[[t.Any], T], **options: t.Any) -> T:
        """As :meth:`SessionPool.fetch`.

        Raises:
            TapError: As the pool or the check raises it.
        """
        return t.cast("T", self._check(url, self._sessions.fetch(url, parse, **options)))
