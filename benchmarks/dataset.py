"""Made-up rows with 60 columns, as bytes, at almost no cost.

A block of rows is rendered once, with blanks for its number and its minute. To get any block, the
blanks are filled in with one join in C. Rows ascend by last-modified time and by each key, so that
a filter on any of them is a range of positions.
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

# The share of each type is that of a complete Acumatica, where a third of the columns are strings
# and a sixth are decimals.
_TEXTS = (
    *("OrderType", "CustomerID", "InventoryID", "SiteID", "LocationID", "UOM", "TaxCategoryID"),
    *("SalesPersonID", "ReasonCode", "ProjectID", "TaskID", "CostCodeID", "Status", "LineType"),
    *("TranDesc", "AlternateID", "DiscountID", "CreatedByScreenID", "LastModifiedByScreenID"),
)
_DECIMALS = (
    *(
        "OrderQty",
        "ShippedQty",
        "OpenQty",
        "BilledQty",
        "CuryUnitPrice",
        "UnitPrice",
        "CuryLineAmt",
    ),
    *("LineAmt", "CuryDiscAmt", "DiscPct"),
)
_INTEGERS = (
    *("SortOrder", "BranchID", "CuryInfoID", "AccountID", "SubID", "ShipmentNbr", "InvoiceLineNbr"),
    "ScheduleID",
)
_BOOLEANS = (
    *(
        "Completed",
        "Cancelled",
        "IsFree",
        "ManualPrice",
        "ManualDisc",
        "POCreate",
        "Commissionable",
    ),
    "AutomaticDiscountsDisabled",
)
_DATES = ("OrderDate", "RequestDate", "ShipDate", "SchedShipDate")
_GUIDS = ("CreatedByID", "LastModifiedByID", "OwnerID", "WorkgroupID")

TYPES: dict[str, str] = {
    "OrderNbr": "Edm.String",
    "LineNbr": "Edm.Int32",
    "EntryID": "Edm.Int64",
    **dict.fromkeys(_TEXTS, "Edm.String"),
    **dict.fromkeys(_DECIMALS, "Edm.Decimal"),
    **dict.fromkeys(_INTEGERS, "Edm.Int32"),
    **dict.fromkeys(_BOOLEANS, "Edm.Boolean"),
    **dict.fromkeys(_DATES, "Edm.DateTimeOffset"),
    **dict.fromkeys(_GUIDS, "Edm.Guid"),
    "NoteID": "Edm.Guid",
    "tstamp": "Edm.Binary",
    "CreatedDateTime": "Edm.DateTimeOffset",
    TRACKING: "Edm.DateTimeOffset",
}
"""Edm type by column, in column order."""


class Rows:
    """The rows of an entity set of a given size, by position."""

    def __init__(self, count: int) -> None:
        """Render the block that all others derive from.

        Args:
            count: Number of rows.
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
        """Yield the bytes of the rows in a range of positions, with commas between them."""
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
        """A value of the row at a position, in the form of :func:`comparable`."""
        number, row = divmod(position, BLOCK)
        if column == "EntryID":
            return int(_entry(f"{number:05}", row))
        if column == "OrderNbr":
            return _order(f"{number:05}", row)
        return comparable(column, f"{_minute(number)}{_seconds(row)}")


def comparable(column: str, text: str) -> t.Any:
    """Convert a value in a filter to a form that compares like the column."""
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
    # A number made of blanks is not valid JSON yet.
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
    "Edm.Binary": lambda seed, _: f"AAAAAA{seed % 9000 + 1000}M=",
    "Edm.DateTimeOffset": lambda seed, _: f"2024-{seed % 12 + 1:02}-{seed % 28 + 1:02}T00:00:00Z",
}
