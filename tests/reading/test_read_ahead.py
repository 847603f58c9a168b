"""Read-ahead keeps order, brings errors where they happened, and leaves no thread."""

from __future__ import annotations

import threading
import typing as t

import pytest

from tap_acumatica.reading.read_ahead import ReadAhead

if t.TYPE_CHECKING:
    from collections.abc import Iterator


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_items_arrive_in_order_and_the_thread_ends() -> None:
    assert list(ReadAhead(iter(range(500)))) == list(range(500))
    assert _threads() == []


def test_an_error_comes_behind_the_items_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise RuntimeError("broken")

    items = ReadAhead(failing())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(RuntimeError, match="broken"):
        next(items)
    assert _threads() == []


def test_no_more_is_made_than_a_few_items_ahead_and_a_consumer_may_stop() -> None:
    made: list[int] = []

    def counting() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    items = ReadAhead(counting())
    assert next(items) == 0
    items.close()
    assert len(made) < 8
    assert _threads() == []
