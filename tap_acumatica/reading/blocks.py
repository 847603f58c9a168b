"""What is written together: batches as they are read, cut or joined to the size of a write."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_acumatica.reading.by_time import RowBatch
    from tap_acumatica.reading.plan import Row


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
