"""The pool lends each session to one request at a time, and never more than are allowed."""

from __future__ import annotations

import threading
import typing as t

import pytest

from tap_acumatica.acumatica.addresses import Service
from tap_acumatica.acumatica.patience import SeatPatience
from tap_acumatica.acumatica.pool import SessionPool
from tap_acumatica.errors import BusyError, SeatsTakenError, UnreachableError

SERVICE = Service("http://127.0.0.1:9/svc")


class FakeSession:
    """Answers when the test lets it."""

    def __init__(
        self,
        gate: threading.Event | None = None,
        *,
        seat: bool = True,
        seats: t.Iterable[bool] = (),
    ) -> None:
        self.server_time = None
        self.busy = 0
        self.most_busy = 0
        self.fetched = 0
        self.ended = False
        self.closed = 0
        self._gate = gate
        self._seat = seat
        self._seats = list(seats)

    def fetch(self, _url: str, parse: t.Callable[[bytes], t.Any], **_: t.Any) -> t.Any:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        self.fetched += 1
        if self._gate:
            assert self._gate.wait(10)
        self.busy -= 1
        if self._seats:
            self._seat = self._seats.pop(0)
        if not self._seat:
            msg = "API Login Limit"
            raise SeatsTakenError(msg)
        return parse(b"1")

    def end(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed += 1


def pool_of(
    *sessions: FakeSession, size: int = 1, wait: float = 10, patience: SeatPatience | None = None
) -> SessionPool:
    left = iter(sessions)
    make = t.cast("t.Any", lambda: next(left))
    return SessionPool(SERVICE, make, size=size, wait=wait, patience=patience)


def fetch(pool: SessionPool, *, patient: bool = False) -> int:
    return pool.fetch("http://x", int, what="Rows", patient=patient)


def in_thread(pool: SessionPool, found: list[t.Any], *, patient: bool = False) -> threading.Thread:
    def ask() -> None:
        try:
            found.append(fetch(pool, patient=patient))
        except Exception as error:  # noqa: BLE001  looked at by the test
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def wait_until(met: t.Callable[[], bool]) -> None:
    for _ in range(10_000):
        if met():
            return
        threading.Event().wait(0.001)
    pytest.fail("it never came to that")


def test_one_request_after_another_needs_one_session() -> None:
    first, second = FakeSession(), FakeSession()
    pool = pool_of(first, second, size=2)
    assert [fetch(pool) for _ in range(5)] == [1] * 5
    assert (first.fetched, second.fetched) == (5, 0)


def test_requests_at_once_never_share_a_session() -> None:
    gate = threading.Event()
    sessions = [FakeSession(gate) for _ in range(3)]
    pool = pool_of(*sessions, size=3)
    found: list[t.Any] = []
    threads = [in_thread(pool, found) for _ in range(12)]
    wait_until(lambda: sum(session.busy for session in sessions) == 3)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert found == [1] * 12
    assert [session.most_busy for session in sessions] == [1, 1, 1]


def test_waiting_in_vain_ends_with_what_to_set() -> None:
    gate = threading.Event()
    session = FakeSession(gate)
    pool = pool_of(session, wait=0.01)
    found: list[t.Any] = []
    thread = in_thread(pool, found)
    wait_until(lambda: session.busy == 1)
    with pytest.raises(BusyError, match="'pool_wait_time' or 'max_pool_size'"):
        fetch(pool)
    gate.set()
    thread.join(10)
    assert found == [1]


def test_the_patient_wait_without_end_and_give_way() -> None:
    gate = threading.Event()
    session = FakeSession(gate)
    pool = pool_of(session, wait=0.01)
    order: list[str] = []

    def ask(name: str, *, patient: bool) -> threading.Thread:
        def parse(_: bytes) -> None:
            order.append(name)

        thread = threading.Thread(
            target=lambda: pool.fetch("http://x", parse, what=name, patient=patient)
        )
        thread.start()
        return thread

    pool._wait = 10
    threads = [ask("first", patient=False)]
    wait_until(lambda: session.busy == 1)
    threads.append(ask("patient", patient=True))
    threads.append(ask("hurried", patient=False))
    wait_until(lambda: pool._hurried == 1)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "hurried", "patient"]


def test_a_further_session_without_a_seat_is_done_without() -> None:
    gate = threading.Event()
    first, second = FakeSession(gate), FakeSession(seat=False)
    gate.set()
    pool = pool_of(first, second, size=5)
    assert fetch(pool) == 1
    gate.clear()
    found: list[t.Any] = []
    threads = [in_thread(pool, found)]
    wait_until(lambda: first.busy == 1)
    threads.append(in_thread(pool, found))
    wait_until(lambda: pool.size == 1)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert found == [1, 1]
    assert second.closed == 1


def test_the_only_session_waits_for_its_seat() -> None:
    session = FakeSession(seats=[False, False, True])
    waited: list[float] = []
    pool = pool_of(session, patience=SeatPatience(900, where="site", sleep=waited.append))
    assert fetch(pool) == 1
    assert len(waited) == 2


def test_of_several_sessions_without_a_seat_one_waits() -> None:
    first, second = FakeSession(seats=[False, True]), FakeSession(seat=False)
    gate = threading.Event()
    first._gate = gate
    waited: list[float] = []
    pool = pool_of(
        first, second, size=2, patience=SeatPatience(900, where="site", sleep=waited.append)
    )
    found: list[t.Any] = []
    threads = [in_thread(pool, found)]
    wait_until(lambda: first.busy == 1)
    threads.append(in_thread(pool, found))
    wait_until(lambda: second.closed == 1)
    assert waited == []
    gate.set()
    for thread in threads:
        thread.join(10)
    assert found == [1, 1]
    assert len(waited) == 1


def test_a_seat_that_is_lost_is_waited_for_by_the_last_session_only() -> None:
    first, second = FakeSession(), FakeSession(seats=[True, False])
    gate = threading.Event()
    first._gate = second._gate = gate
    pool = pool_of(first, second, size=2)
    found: list[t.Any] = []
    threads = [in_thread(pool, found)]
    wait_until(lambda: first.busy == 1)
    threads.append(in_thread(pool, found))
    wait_until(lambda: second.busy == 1)
    gate.set()
    for thread in threads:
        thread.join(10)
    pool._free.sort(key=lambda session: t.cast("t.Any", session) is second)
    assert fetch(pool) == 1
    assert pool.size == 1


def test_when_the_time_for_seats_is_used_up_each_further_request_is_tried_once() -> None:
    session = FakeSession(seat=False)
    waited: list[float] = []
    pool = pool_of(session, patience=SeatPatience(1, where="site", sleep=waited.append))
    tries = []
    for _ in range(3):
        before = session.fetched
        with pytest.raises(SeatsTakenError, match="1 seconds of 'pool_wait_time'"):
            fetch(pool)
        tries.append(session.fetched - before)
    assert sum(waited) == 1
    assert tries == [len(waited) + 1, 1, 1]
    session._seat = True
    assert fetch(pool) == 1


def test_the_size_of_the_pool_is_named_only_where_it_is_above_one() -> None:
    for size in (1, 3):
        patience = SeatPatience(0, where="site")
        with pytest.raises(SeatsTakenError) as error:
            fetch(pool_of(FakeSession(seat=False), size=size, patience=patience))
        assert ("'max_pool_size', which is 3" in str(error.value)) is (size > 1)


def test_a_request_that_waits_for_a_session_is_not_given_up_while_that_waits_for_a_seat() -> None:
    gate, waiting = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        waiting.set()
        assert gate.wait(10)

    session = FakeSession(seats=[False, True])
    pool = pool_of(session, wait=0.01, patience=SeatPatience(900, where="site", sleep=sleep))
    found: list[t.Any] = []
    threads = [in_thread(pool, found)]
    assert waiting.wait(10)
    threads.append(in_thread(pool, found))
    wait_until(lambda: pool._hurried == 1)
    threads[1].join(0.05)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert found == [1, 1]


def test_the_end_of_the_run_ends_the_wait_for_a_seat() -> None:
    session = FakeSession(seat=False)
    pool = pool_of(session)
    found: list[t.Any] = []
    thread = in_thread(pool, found)
    wait_until(lambda: session.fetched == 1)
    pool.close()
    thread.join(10)
    assert [type(error) for error in found] == [UnreachableError]


def test_nothing_is_asked_behind_the_end_and_each_session_is_closed_once() -> None:
    session = FakeSession()
    pool = pool_of(session)
    fetch(pool)
    pool.close()
    pool.close()
    assert (session.ended, session.closed) == (True, 1)
    with pytest.raises(UnreachableError, match="the run is ending"):
        fetch(pool)
