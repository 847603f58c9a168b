"""What became of values that are not in the form of their type, and what is said of them."""

from __future__ import annotations

import enum
import threading
import typing as t
from decimal import Decimal

from typing_extensions import override

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata.lenient import NotFiniteError

if t.TYPE_CHECKING:
    from collections.abc import Callable

Convert = t.Callable[[t.Any], t.Any]

_COUNTED = 10_000
"""Rows of a column that are told apart; a value may be read more than once."""
_LONGEST = 60


class Policy(enum.Enum):
    """What to do with a value that is none of its column, whichever way it is read."""

    FAIL = enum.auto()
    NULL = enum.auto()
    KEY = enum.auto()
    """As ``FAIL``, and neither NaN nor a text with replaced characters is taken for a value."""


class Remark(t.NamedTuple):
    """What was done with a value.

    Attributes:
        effect: What it became.
        what: The same for people, such as "a number was read as a text".
    """

    effect: str
    what: str


READ, REPLACED, NULL = "read", "replaced", "null"


class Remarks(threading.local):
    """What is remarked on the value that a thread reads now."""

    def __init__(self) -> None:
        """Begin with none."""
        self.found: list[Remark] = []

    def take(self) -> list[Remark]:
        """What was found since the last call."""
        found, self.found = self.found, []
        return found

    def replaced(self) -> None:
        """Remark that characters were replaced."""
        what = "characters that no text may hold (such as NUL) became U+FFFD"
        self.found.append(Remark(REPLACED, what))

    def bare(self) -> None:
        """Remark that a word was read that is not JSON."""
        self.found.append(Remark(READ, "a word that is not JSON was read as a text"))


class SecondReader:
    """Makes conversions that read again, by other rules, what they could not read."""

    def __init__(self, remarks: Remarks, policy: Policy) -> None:
        """Prepare.

        Args:
            remarks: Where to leave what was done.
            policy: What to do with what is still not a value.
        """
        self._remarks = remarks
        self._policy = policy

    def wrap(self, first: Convert, second: Convert | None, expected: str) -> Convert:
        """A conversion that tries one way after the other.

        Args:
            first: Reads values in the form of their type.
            second: Reads others; None where there are none.
            expected: What a value is, for people.
        """

        def convert(value: t.Any) -> t.Any:
            try:
                return first(value)
            except ValueMismatchError as error:
                if second is None:
                    return self._reject(value, expected, error)
            try:
                found = second(value)
            except ValueMismatchError as error:
                return self._reject(value, expected, error)
            kind = json_type(value)
            other = " in another form" if kind == "text" else ""
            self._remark(READ, f"a {kind}{other} was read as {expected}")
            return found

        return convert

    def _reject(self, value: t.Any, expected: str, error: ValueMismatchError) -> None:
        """Null, where that is wanted.

        Raises:
            ValueMismatchError: Otherwise.
        """
        if isinstance(error, NotFiniteError) and self._policy is not Policy.KEY:
            self._remark(NULL, "NaN or an infinity, which JSON does not have, became null")
        elif self._policy is Policy.NULL:
            what = f"a {json_type(value)} that is not {expected} became null ('on_value_error')"
            self._remark(NULL, what)
        else:
            raise error

    def _remark(self, effect: str, what: str) -> None:
        self._remarks.found.append(Remark(effect, what))


class _Count:
    """The rows with one effect on one column."""

    def __init__(self, what: str, row: str) -> None:
        self._said = f"{what}, in row {row}"
        self._rows: set[int] = set()
        self._more = 0

    def add(self, row: str) -> None:
        if len(self._rows) < _COUNTED:
            self._rows.add(hash(row))
        elif hash(row) not in self._rows:
            self._more += 1

    @override
    def __str__(self) -> str:
        others = len(self._rows) + self._more - 1
        if not others:
            return self._said
        return f"{self._said} and {others} more row{'s' if others > 1 else ''}"


class Repairs:
    """What was done with the values of one stream, by column: one warning for each."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: dict[str, dict[str, _Count]] = {}
        self._lock = threading.Lock()

    def add(self, column: str, row: str, remarks: list[Remark]) -> None:
        """Take note of what was done with a value.

        Args:
            column: Its column.
            row: What identifies its row, for people.
            remarks: What was done.
        """
        with self._lock:
            effects = self._counts.setdefault(column, {})
            for effect, what in remarks:
                effects.setdefault(effect, _Count(what, row)).add(row)

    def tell(self, stream: str, warn: Callable[[str], None]) -> None:
        """Warn of each column, once.

        Args:
            stream: What to call the stream.
            warn: Logs a warning.
        """
        with self._lock:
            counts, self._counts = self._counts, {}
        for column, effects in counts.items():
            warn(f"{stream}: column {column}: {'; '.join(map(str, effects.values()))}")


def json_type(value: t.Any) -> str:
    """What kind of JSON value it is."""
    kinds = {
        str: "text",
        bool: "boolean",
        int: "number",
        Decimal: "number",
        list: "list",
        dict: "object",
    }
    return kinds.get(type(value), type(value).__name__)


def shown(value: t.Any) -> str:
    """A value of a key, for people."""
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
