"""The bookmark never says more than what is written, whatever order ranges are written in."""

from __future__ import annotations

import datetime as dt
import itertools
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from tap_acumatica.errors import BookmarkError
from tap_acumatica.reading.batches import RangeMark, RowBatch, blocks
from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.window import Reached, Window, reached_by

if t.TYPE_CHECKING:
    from collections.abc import Iterator

BEGAN = dt.datetime(2024, 6, 1, tzinfo=dt.timezone.utc)
_HOUR = dt.timedelta(hours=1)
WINDOW = Window(Reached(), BEGAN.isoformat(timespec="microseconds"))


class _KilledError(Exception):
    """The process ends here."""


def stamp(number: int) -> str:
    return (BEGAN - 100 * _HOUR + number * _HOUR).isoformat(timespec="microseconds")


def stamps(rows: t.Sequence[t.Any]) -> list[str | None]:
    return list(rows)


class Case(t.NamedTuple):
    """A stream in ranges, how far it was read before it began again, and when it is killed."""

    ranges: list[list[list[str]]]
    order: list[int]
    rewind_after: int | None
    size: int
    fill: bool
    killed_after: int

    def batches(self) -> Iterator[RowBatch]:
        """The batches as they come: those of one range in order, the ranges in any."""
        if self.rewind_after is not None:
            early = [row for group in self.ranges for batch in group for row in batch]
            # The service did not sort: newer rows came before older ones.
            yield RowBatch(early[-self.rewind_after :], ascending=True)
            yield RowBatch([], ascending=False, rewind=True)
        waiting = [list(group) for group in self.ranges]
        starts = [group[0][0] for group in self.ranges]
        stops = [*starts[1:], None]
        turns = itertools.chain(self.order, itertools.cycle(range(len(waiting))))
        while any(waiting):
            number = next(turns) % len(waiting)
            mark = RangeMark(starts[0], starts[number])
            if waiting[number]:
                yield RowBatch(waiting[number].pop(0), ascending=True, mark=mark)
                if not waiting[number]:
                    end = mark._replace(done=True, stop=stops[number])
                    yield RowBatch([], ascending=False, mark=end)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sizes = draw(
        st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=4)
    )
    number = 0
    ranges = []
    for group in sizes:
        batches = []
        for size in group:
            batches.append([stamp(number + place) for place in range(size)])
            number += size
        ranges.append(batches)
    return Case(
        ranges,
        draw(st.lists(st.integers(0, 3), max_size=12)),
        draw(st.none() | st.integers(1, 3)),
        draw(st.integers(1, 5)),
        draw(st.booleans()),
        draw(st.integers(0, 30)),
    )


def broken_promise(case: Case, kind: type[Progress] = Progress) -> str | None:
    """What the bookmark said that was not so; None where it kept its promise."""
    progress = kind(WINDOW, stamps=stamps)
    rows = [row for group in case.ranges for batch in group for row in batch]
    written: set[str] = set()
    left = case.killed_after
    before_rewind: set[str] | None = None

    def write(block: list[str]) -> None:
        nonlocal left
        for row in block:
            if not left:
                raise _KilledError
            left -= 1
            written.add(row)

    def wrong() -> str | None:
        hidden = [row for row in rows if row <= (progress.bookmark or "") and row not in written]
        return f"{progress.bookmark} hides {hidden[0]}" if hidden else None

    try:
        for block in blocks(case.batches(), case.size, fill=case.fill):
            if any(piece.batch.rewind for piece in block):
                before_rewind, written = written, set()  # those rows do not count
            progress.write(block, write)
            if (before_rewind is not None or case.rewind_after is None) and (fault := wrong()):
                return fault
    except _KilledError:
        return wrong() if before_rewind is not None or case.rewind_after is None else None
    progress.complete()
    return wrong() or (None if progress.bookmark == rows[-1] else "not all counts in the end")


@given(cases())
def test_no_row_at_or_before_the_bookmark_is_missing(case: Case) -> None:
    assert broken_promise(case) is None


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None)
@given(cases())
def test_no_row_at_or_before_the_bookmark_is_missing_5000_times(case: Case) -> None:
    assert broken_promise(case) is None


class BeforeTheWrite(Progress):
    """The bookmark follows a block before it is written."""

    @override
    def write(self, block: t.Any, write: t.Any) -> int:
        super().write(block, lambda _: None)
        return super().write(block, write)


class PastAnOpenRange(Progress):
    """The bookmark follows whatever range is written."""

    @override
    def advance(self, rows: t.Any, batch: RowBatch) -> None:
        super().advance(rows, batch._replace(mark=None))


class NothingIsLowered(Progress):
    """What was read before the service was found not to sort still counts."""

    @override
    def rewind(self) -> None:
        pass


class FollowsTheNewest(Progress):
    """Rows in no order count as if they ascended."""

    @override
    def end_range(self, batch: RowBatch) -> None:
        if batch.mark and batch.mark.done:
            self.complete()


@pytest.mark.parametrize(
    "mutant", [BeforeTheWrite, PastAnOpenRange, NothingIsLowered, FollowsTheNewest]
)
def test_a_progress_that_breaks_the_promise_is_found_out(mutant: type[Progress]) -> None:
    found: list[str] = []

    @given(cases())
    def search(case: Case) -> None:
        if fault := broken_promise(case, mutant):
            found.append(fault)

    search()
    assert found


def test_a_bookmark_only_rises_to_stamps_before_the_start_of_the_run() -> None:
    progress = Progress(WINDOW, stamps=stamps)
    rows = [stamp(1), (BEGAN + _HOUR).isoformat(timespec="microseconds")]
    progress.advance(rows, RowBatch(rows, ascending=True))
    progress.complete()
    assert progress.bookmark == stamp(1)


def test_a_stamp_of_which_more_may_come_holds_the_bookmark() -> None:
    progress = Progress(WINDOW, stamps=stamps)
    progress.advance([stamp(1)], RowBatch([stamp(1)], ascending=True))
    progress.advance([], RowBatch([], ascending=False, hold=stamp(1)))
    progress.advance([stamp(2)], RowBatch([stamp(2)], ascending=True))
    progress.complete()
    assert progress.bookmark == stamp(1)


def test_a_bookmark_that_is_not_a_date_time_is_an_error_that_names_the_stream() -> None:
    with pytest.raises(BookmarkError, match=r"^SOOrder: .*not a date-time, 'soon'; write it as"):
        reached_by({"replication_key_value": "soon"}, "SOOrder")


def test_blocks_are_filled_across_batches_or_end_with_them() -> None:
    batches = [RowBatch([1, 2, 3], ascending=True), RowBatch([4, 5], ascending=True)]

    def cut(*, fill: bool) -> list[list[int]]:
        found = blocks(batches, 4, fill=fill)
        return [[row for piece in block for row in piece.rows] for block in found]

    assert cut(fill=True) == [[1, 2, 3, 4], [5]]
    assert cut(fill=False) == [[1, 2, 3], [4, 5]]
