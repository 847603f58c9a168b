"""The tap's own brake."""

from __future__ import annotations

import threading
import typing as t

from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.http.rate_limit import RateLimiter


class Time:
    """A clock that only waiting moves, and that a test can move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(
    per_minute=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 30, allow_nan=False), max_size=60),
)
def test_no_minute_sees_more_requests_than_allowed(per_minute: int, pauses: list[float]) -> None:
    time = Time()
    rate_limiter = RateLimiter(per_minute, clock=time, sleep=time.sleep)
    begun: list[float] = []
    for pause in pauses:
        time.now += pause
        rate_limiter.wait()
        begun.append(time.now)
    for earlier, later in zip(begun, begun[per_minute:], strict=False):
        assert later - earlier >= 60 - 1e-6


def test_what_is_allowed_is_not_waited_for() -> None:
    time = Time()
    rate_limiter = RateLimiter(50, clock=time, sleep=time.sleep)
    for _ in range(50):
        rate_limiter.wait()
    assert time.now == 0
    rate_limiter.wait()
    assert time.now == 60


def test_threads_share_one_brake() -> None:
    slept: list[float] = []
    rate_limiter = RateLimiter(3, clock=lambda: 0.0, sleep=slept.append)
    threads = [threading.Thread(target=rate_limiter.wait) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slept) == [60, 60, 60, 120, 120, 120]


def test_no_brake_waits_for_nothing() -> None:
    def sleep(seconds: float) -> t.NoReturn:
        raise AssertionError(seconds)

    rate_limiter = RateLimiter(None, sleep=sleep)
    for _ in range(1000):
        rate_limiter.wait()
