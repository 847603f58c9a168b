"""Rows as they are read, in batches, and what is written together of them."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_acumatica.reading.plan import Row


class RangeMark(t.NamedTuple):
    """Which of several ranges, read in parallel, a batch belongs to.

    Attributes:
        first: Tracking value at which the first of the ranges begins.
        start: The one at which this range begins.
        done: Whether the range is read to its end.
        stop: Where it ended, which is where the next one begins; None for the last one.
    """

    first: str
    start: str
    done: bool = False
    stop: str | None = None


class RowBatch(t.NamedTuple):
    """Rows that were read.

    Attributes:
        rows: The rows.
        ascending: Whether their tracking values ascend, from one to the next and from earlier
            batches, and all rows before them were read: so the bookmark may follow.
        rewind: Whether earlier batches did not ascend after all, so that reading starts again.
        mark: The range it belongs to, where several are read in parallel; it ascends within that.
        hold: Tracking value above which the bookmark may not rise in this run, since more rows
            of that value may still come; None for no such value.
        counts: Whether the bookmark may follow these rows once the stream is complete. Not so
            where others of their time may have been passed over while they were read.
    """

    rows: list[Row]
    ascending: bool
    rewind: bool = False
    mark: RangeMark | None = None
    hold: str | None = None
    counts: bool = True


class Piece(t.NamedTuple):
    """Rows of one batch that are written together.

    Attributes:
        rows: The rows.
        batch: The batch they belong to.
        last: Whether they end the batch.
    """

    rows: list[Row]
    batch: RowBatch
    last: bool


def blocks(batches: Iterable[RowBatch], size: int, *, fill: bool) -> Iterator[list[Piece]]:
    """Cut batches into what is written together.

    Args:
        batches: The batches.
        size: The most rows of a block.
        fill: Whether rows wait for those of the next batch until there are ``size`` of them.
    """
    held: list[Piece] = []
    count = 0
    for batch in batches:
        if batch.rewind and held:
            yield held
            held, count = [], 0
        start, last = 0, False
        while not last:
            rows = batch.rows[start : start + size - count]
            start, count = start + len(rows), count + len(rows)
            last = start >= len(batch.rows)
            held.append(Piece(rows, batch, last))
            if count >= size or (last and (batch.rewind or not fill)):
                yield held
                held, count = [], 0
    if held:
        yield held
