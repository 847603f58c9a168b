"""Read-ahead: the next page is asked for and decoded while this one is written."""

from __future__ import annotations

import queue
import threading
import typing as t

from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = t.TypeVar("T")

_AHEAD = 1
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.2


class ReadAhead(t.Generic[T]):
    """The same items in the same order, made by a thread that is at most two items ahead.

    One of them waits while the other is made. The thread starts immediately. An error comes where
    it happened, after the items before it.
    When the consumer stops early, the thread ends with the request it is at; it never keeps the
    process from ending.
    """

    def __init__(self, items: Iterator[T], at_end: Callable[[], None] = lambda: None) -> None:
        """Begin.

        Args:
            items: What to make ahead.
            at_end: Called by the thread once all of them are made.
        """
        self._producer = _Producer(items, at_end)
        self._producer.start()

    def __iter__(self) -> ReadAhead[T]:
        """The items."""
        return self

    def __next__(self) -> T:
        """The next item.

        Raises:
            StopIteration: If there is none.
        """
        item = self._producer.held.get()
        if not isinstance(item, _End):
            return item
        self.close()
        self._producer.held.put(_End(None))  # whoever asks again gets the end again
        if item.error is not None:
            raise item.error
        raise StopIteration

    def close(self) -> None:
        """End the thread; may be called twice."""
        self._producer.stop()


class _End(t.NamedTuple):
    """Behind the last item, with the error that ended them."""

    error: BaseException | None


class _Producer(threading.Thread, t.Generic[T]):
    def __init__(self, items: Iterator[T], at_end: Callable[[], None]) -> None:
        super().__init__(name="read-ahead", daemon=True)
        self._at_end = at_end
        self.held: queue.Queue[T | _End] = queue.Queue(_AHEAD)
        self._items = items
        self._stopped = threading.Event()

    @override
    def run(self) -> None:
        try:
            for item in self._items:
                self._put(item)
                if self._stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  it is raised again where it belongs
            self._put(_End(error))
        else:
            self._put(_End(None))
            if not self._stopped.is_set():
                self._at_end()

    def _put(self, item: T | _End) -> None:
        while not self._stopped.is_set():
            try:
                self.held.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return

    def stop(self) -> None:
        self._stopped.set()
        self.join(_PATIENCE_SECONDS)
