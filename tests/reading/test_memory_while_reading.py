"""What is remembered of the rows does not grow with them, however alike they are."""

from __future__ import annotations

import re
import tracemalloc
import typing as t

import pytest

from tap_acumatica.reading.plan import Column, plan_for
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.window import Reached, Window
from tap_acumatica.records.codec import Page

if t.TYPE_CHECKING:
    from tap_acumatica.odata.query import QueryOptions

_PAGE = 1000
_FROM = re.compile(r"Id ge (\d+)")
_BEHIND_ALL = re.compile("Company gt|At ge 2024-01-01T00:00:01")
_STAMP = "2024-01-01T00:00:00.000000+00:00"
_WINDOW = Window(Reached(), "2024-06-01T00:00:00.000000+00:00")


class Alike:
    """Rows of one company and one time stamp, in pages that the service cuts."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def get(self, options: QueryOptions) -> Page:
        """Answer a query."""
        if options.orderby and options.orderby[0].endswith(" desc"):
            return Page([self._row(self._rows - 1), self._row(self._rows - 2)])
        if options.skip is not None:
            return Page([self._row(self._rows - 1)])
        if any(_BEHIND_ALL.match(term) or " eq null" in term for term in options.filter):
            return Page([])
        numbers = [_FROM.match(term) for term in options.filter]
        return self._page(next((int(number[1]) for number in numbers if number), 0))

    def at_most(self, top: int | None) -> int | None:
        """As many rows as are wanted."""
        return top

    def follow(self, link: str) -> t.NoReturn:
        """Rows can be found by value: no link is followed."""
        pytest.fail(f"the link to {link} was followed")

    def _page(self, start: int) -> Page:
        end = min(start + _PAGE, self._rows)
        rows = [self._row(number) for number in range(start, end)]
        return Page(rows, str(end) if end < self._rows else None)

    @staticmethod
    def _row(number: int) -> dict[str, t.Any]:
        return {"Company": "x", "Id": number, "At": _STAMP}


@pytest.mark.parametrize("tracking", [None, Column("At", "Edm.DateTimeOffset")])
def test_millions_of_rows_alike_are_not_remembered(tracking: Column | None) -> None:
    plan = plan_for(
        keys=[Column("Company", "Edm.String"), Column("Id", "Edm.Int32")], tracking=tracking
    )

    def most_held(rows: int) -> int:
        tracemalloc.start()
        row_batches = Reader(Alike(rows), plan, name="Alike").read(_WINDOW)
        read = sum(len(row_batch.rows) for row_batch in row_batches)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert read == rows
        return most

    assert most_held(60_000) < most_held(20_000) * 1.3
