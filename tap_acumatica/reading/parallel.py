"""One stream read by several sessions in parallel.

The first pages are read by one session, and with them everything that can go wrong is found out.
Where they show a large stream that can be divided, what follows is read range by range; the rows of
all ranges are passed on as they arrive, with a few pages in memory however large the ranges are.
"""

from __future__ import annotations

import logging
import queue
import threading
import typing as t
from contextlib import closing

from tap_acumatica.errors import EmptyAnswerError, RefusedError
from tap_acumatica.reading.batches import RowBatch
from tap_acumatica.reading.evidence import Evidence, UntrustedError
from tap_acumatica.reading.pages import Pages
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.spans import divide

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tap_acumatica.reading.plan import Plan, Source
    from tap_acumatica.reading.spans import Division
    from tap_acumatica.reading.window import Window

logger = logging.getLogger(__name__)

_HEAD_PAGES = 2
_NEARLY = 0.9
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_UNFIT = (EmptyAnswerError, RefusedError, UntrustedError)


class ParallelReader:
    """Reads a stream by several sources in parallel."""

    def __init__(  # noqa: PLR0913  what all its readers share
        self,
        source: Callable[[], Source],
        plan: Plan,
        *,
        name: str,
        workers: int,
        may_divide: Callable[[], bool],
        evidence: Evidence | None = None,
    ) -> None:
        """Prepare.

        Args:
            source: Makes a source of the entity set; each worker has its own.
            plan: The strongest plan for it.
            name: Name of the stream, for messages.
            workers: How many sources to use in parallel.
            may_divide: Whether more than one may be used yet.
            evidence: What is known of the service.
        """
        self._evidence = evidence or Evidence()
        self._source = source
        self._plan = plan
        self._name = name
        self._workers = workers
        self._may_divide = may_divide

    def read(self, window: Window) -> Iterator[RowBatch]:
        """All rows, as :meth:`Reader.read`; each range ascends within itself."""
        head = self._reader(self._plan)
        pages = largest = 0
        row_batches = t.cast("Generator[RowBatch, None, None]", head.read(window))
        with closing(row_batches):
            for row_batch in row_batches:
                yield row_batch
                in_order = row_batch.ascending or head.plan.tracking is None
                if not row_batch.rows and not row_batch.rewind:
                    continue
                pages = 0 if row_batch.rewind or not in_order else pages + 1
                largest = max(largest, len(row_batch.rows)) if pages else 0
                full = len(row_batch.rows) >= largest * _NEARLY  # less what was read already
                if pages >= _HEAD_PAGES and full and self._may_divide():
                    division = divide(head.plan, row_batch.rows[-1], largest, self._evidence)
                    if division is not None:
                        break
            else:
                return
        try:
            yield from self._read_ranges(division)
            if window.is_look_back_due:
                # A row may leave a range when the last one is read already.
                pages_behind = Pages(self._source(), head.plan, self._evidence)
                yield from head.behind_the_start(pages_behind)
        except _UNFIT as error:
            logger.warning(
                "%s: reading several ranges in parallel does not work here (%s); it is read "
                "again by one session.",
                self._name,
                str(error) or type(error).__name__,
            )
            yield RowBatch([], ascending=False, rewind=True)
            yield from self._reader(head.plan).read(window)

    def _reader(self, plan: Plan) -> Reader:
        return Reader(self._source(), plan, name=self._name, evidence=self._evidence)

    def _read_ranges(self, division: Division) -> Iterator[RowBatch]:
        workers = _RangeWorkers(division, self._source, self._workers)
        with closing(workers.row_batches()) as row_batches:
            yield from row_batches


class _RangeWorkers:
    """Workers that read the ranges of a division, and the stretches they found."""

    def __init__(self, division: Division, source: Callable[[], Source], workers: int) -> None:
        self._division = division
        self._source = source
        self._found: queue.Queue[RowBatch | BaseException | None] = queue.Queue(workers)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"range-{number}", daemon=True)
            for number in range(workers)
        ]

    def row_batches(self) -> Generator[RowBatch, None, None]:
        """The stretches of all ranges as they come; an error ends them all."""
        for thread in self._threads:
            thread.start()
        working = len(self._threads)
        try:
            while working:
                found = self._found.get()
                if found is None:
                    working -= 1
                elif isinstance(found, BaseException):
                    raise found
                else:
                    yield found
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join(_PATIENCE_SECONDS)

    def _work(self) -> None:
        try:
            source = self._source()
            while not self._stopped.is_set():
                part = self._division.take(source)
                if part is None:
                    break
                for row_batch in part.read(source):
                    self._put(row_batch)
                    if self._stopped.is_set():
                        return
        except BaseException as error:  # noqa: BLE001  it is raised again where it belongs
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: RowBatch | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._found.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return
