"""Made-up rows of 60 columns, as bytes, at next to no cost.

A block of rows is rendered once with blanks where its number and its minute go; any block is that
one with the blanks filled in, by one join in C. Rows ascend by last-modified time and by every
key alike, so that a filter on any of them is a range of positions.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

LINES = "BenchmarkLine"
ENTRIES = "BenchmarkEntry"
TRACKING = "LastModifiedDateTime"
KEYS: dict[str, tuple[str, ...]] = {LINES: ("OrderNbr", "LineNbr"), ENTRIES: ("EntryID",)}

BLOCK = 1000
ORDER_LINES = 5
_NUMBER = "@@@@@"
_MINUTE = "????-??-??T??:??"
_BLANKS = re.compile(f"({re.escape(_NUMBER)}|{re.escape(_MINUTE)})".encode())
_BEGIN = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
_STEP_MILLISECONDS = 60

_TEXTS = (
    *("OrderType", "CustomerID", "InventoryID", "SiteID", "LocationID", "UOM", "TaxCategoryID"),
    *("SalesPersonID", "ReasonCode", "ProjectID", "TaskID", "CostCodeID", "AccountID", "SubID"),
    *("Status", "LineType", "TranDesc", "AlternateID", "DiscountID", "DiscountSequenceID"),
    *("CreatedByScreenID", "LastModifiedByScreenID"),
)
_DECIMALS = (
    *("OrderQty", "ShippedQty", "OpenQty", "BilledQty", "UnitPrice", "CuryUnitPrice", "UnitCost"),
    *("CuryUnitCost", "ExtPrice", "CuryExtPrice", "LineAmt", "CuryLineAmt", "DiscPct", "DiscAmt"),
    *("CuryDiscAmt", "TaxableAmt"),
)
_INTEGERS = ("SortOrder", "BranchID", "CuryInfoID", "ShipmentNbr", "InvoiceLineNbr")
_BOOLEANS = ("Completed", "Cancelled", "IsFree", "ManualPrice", "ManualDisc", "POCreate")
_DATES = ("OrderDate", "RequestDate", "ShipDate")

TYPES: dict[str, str] = {
    "OrderNbr": "Edm.String",
    "LineNbr": "Edm.Int32",
    "EntryID": "Edm.Int64",
    **dict.fromkeys(_TEXTS, "Edm.String"),
    **dict.fromkeys(_DECIMALS, "Edm.Decimal"),
    **dict.fromkeys(_INTEGERS, "Edm.Int32"),
    **dict.fromkeys(_BOOLEANS, "Edm.Boolean"),
    **dict.fromkeys(_DATES, "Edm.DateTimeOffset"),
    "NoteID": "Edm.Guid",
    "CreatedByID": "Edm.Guid",
    "LastModifiedByID": "Edm.Guid",
    "CreatedDateTime": "Edm.DateTimeOffset",
    TRACKING: "Edm.DateTimeOffset",
}
"""Edm type by column, in the order of the columns."""


class Rows:
    """The rows of a set of a given size, by position."""

    def __init__(self, count: int) -> None:
        """Render the block that all others are made of.

        Args:
            count: How many rows there are.
        """
        self.count = count
        rows = [_render(position) for position in range(BLOCK)]
        self._pieces: list[bytes] = re.split(_BLANKS, b",".join(rows))
        self._numbers = [at for at, piece in enumerate(self._pieces) if piece == _NUMBER.encode()]
        self._minutes = [at for at, piece in enumerate(self._pieces) if piece == _MINUTE.encode()]
        self._starts = [0]
        for row in rows:
            self._starts.append(self._starts[-1] + len(row) + 1)
        self._block = functools.lru_cache(maxsize=8)(self._filled)

    def between(self, start: int, stop: int) -> Iterator[bytes | memoryview]:
        """The bytes of the rows of some positions, with the commas between them."""
        start, stop = max(start, 0), min(stop, self.count)
        position = start
        while position < stop:
            number, first = divmod(position, BLOCK)
            last = min(BLOCK, first + stop - position)
            if position > start:
                yield b","
            block = memoryview(self._block(number))
            yield block[self._starts[first] : self._starts[last] - 1]
            position += last - first

    def _filled(self, number: int) -> bytes:
        pieces = self._pieces
        filled, minute = b"%05d" % number, _minute(number).encode()
        for at in self._numbers:
            pieces[at] = filled
        for at in self._minutes:
            pieces[at] = minute
        return b"".join(pieces)

    def value(self, column: str, position: int) -> t.Any:
        """The value by which a position is found, in the form of :func:`comparable`."""
        number, row = divmod(position, BLOCK)
        if column == "EntryID":
            return int(_entry(f"{number:05}", row))
        if column == "OrderNbr":
            return _order(f"{number:05}", row)
        return comparable(column, f"{_minute(number)}{_seconds(row)}")


def comparable(column: str, text: str) -> t.Any:
    """A value out of a filter, in a form that compares as the column does."""
    if column in {"EntryID", "LineNbr"}:
        return int(text)
    if column == TRACKING:
        seconds, _, fraction = text.removesuffix("Z").partition(".")
        return f"{seconds}.{fraction:0<7}"
    return text


def _minute(number: int) -> str:
    return (_BEGIN + dt.timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M")


def _order(number: str, row: int) -> str:
    return f"SO{number}{row // ORDER_LINES:03}"


def _entry(number: str, row: int) -> str:
    return f"1{number}{row:04}"


def _seconds(row: int) -> str:
    whole, milliseconds = divmod(row * _STEP_MILLISECONDS, 1000)
    return f":{whole:02}.{milliseconds:03}Z"


def _render(row: int) -> bytes:
    values: dict[str, t.Any] = {}
    for place, (name, kind) in enumerate(TYPES.items()):
        values[name] = _value(name, kind, row, place)
    values |= {
        "OrderNbr": _order(_NUMBER, row),
        "LineNbr": row % ORDER_LINES + 1,
        "NoteID": f"{row:08x}-4c2b-4f5e-9d1a-0000000{_NUMBER}",
        "CreatedDateTime": f"{_MINUTE}:{row % 60:02}.{row % 997:03}Z",
        TRACKING: f"{_MINUTE}{_seconds(row)}",
    }
    text = json.dumps(values, separators=(",", ":"))
    # A number made of blanks is no JSON yet.
    return text.replace('"EntryID":null', f'"EntryID":{_entry(_NUMBER, row)}').encode()


def _value(name: str, kind: str, row: int, place: int) -> t.Any:
    seed = row * 31 + place * 7
    if name == "EntryID" or seed % 11 == 0:
        return None
    return _MADE[kind](seed, name)


_MADE: dict[str, t.Callable[[int, str], t.Any]] = {
    "Edm.String": lambda seed, name: f"{name[:6]} {seed % 900:04}",
    "Edm.Decimal": lambda seed, _: round(seed % 50_000 / 4, 2),
    "Edm.Int32": lambda seed, _: seed % 10_000,
    "Edm.Boolean": lambda seed, _: seed % 3 == 0,
    "Edm.Guid": lambda seed, _: f"b5344897-037e-4d58-b5c3-1bdfd0f47{seed % 1000:03}",
    "Edm.DateTimeOffset": lambda seed, _: f"2024-{seed % 12 + 1:02}-{seed % 28 + 1:02}T00:00:00Z",
}
