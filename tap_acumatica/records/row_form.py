"""How compiled rows are decoded, and how their columns are read and written."""

from __future__ import annotations

import itertools
import typing as t
from operator import attrgetter

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.records.column_checks import are_finite, are_json_numbers

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import msgspec

    from tap_acumatica.records.column_checks import KnownTexts

    ConvertColumn = Callable[[Sequence[str | None]], Sequence[str | None]]


class RowForm(t.NamedTuple):
    """How rows are decoded.

    Attributes:
        row_type: Type of the rows.
        decoder: Decodes responses that leave nulls out.
        complete_decoder: Decodes responses whose rows have every column.
        raw: Fields that keep their digits as received.
        decimals: Fields that hold objects, which may be NaN or infinite.
    """

    row_type: type[msgspec.Struct]
    decoder: t.Any
    complete_decoder: t.Any
    raw: Sequence[str]
    decimals: Sequence[str]

    def decode(self, body: bytes, *, omits_nulls: bool) -> t.Any:
        """A response with its rows."""
        return (self.decoder if omits_nulls else self.complete_decoder).decode(body)

    def has_json_numbers(self, rows: Sequence[t.Any]) -> bool:
        """Whether the raw fields hold only numbers and nulls."""
        if not self.raw:
            return True
        values = map(compile_getter(self.raw), rows)
        return are_json_numbers(itertools.chain.from_iterable(values))

    def refuse_infinite(self, rows: Sequence[t.Any]) -> None:
        """Leave NaN and infinities to the exact codec.

        Raises:
            ValueMismatchError: If there are any.
        """
        for field in self.decimals:
            if not are_finite(map(attrgetter(field), rows)):
                msg = "is not a finite number"
                raise ValueMismatchError(msg)


class TextForm:
    """The form in which the texts of one column are emitted."""

    def __init__(self, field: str, known: KnownTexts | None, convert: ConvertColumn) -> None:
        """Prepare.

        Args:
            field: Attribute of a row.
            known: Tells which texts are emitted as received; None if all are converted.
            convert: Converts the values of the column.
        """
        self._get = attrgetter(field)
        self._put = compile_setter([field])
        self._known = known
        self._convert = convert

    def apply(self, rows: Sequence[t.Any]) -> None:
        """Bring the values of some rows into that form.

        Raises:
            ValueMismatchError: If one has another type than its column.
        """
        texts = list(map(self._get, rows))
        if self._known is None or not self._known.fit(texts):
            self._put(rows, self._convert(texts))


def compile_getter(fields: Sequence[str]) -> Callable[[t.Any], tuple[t.Any, ...]]:
    """Create a function that returns the values of some fields of a row."""
    if len(fields) > 1:
        return attrgetter(*fields)
    if not fields:
        return lambda _: ()
    made: dict[str, t.Any] = {}
    exec(f"def get(row):\n    return (row.{fields[0]},)", made)  # noqa: S102  a letter and a number
    return t.cast("Callable[[t.Any], tuple[t.Any, ...]]", made["get"])


def compile_setter(fields: Sequence[str]) -> Callable[..., None]:
    """Create a function that assigns columns to fields of rows.

    Its generated loop names the attributes, which is seven times as fast as ``setattr``.

    Args:
        fields: Attributes of a compiled row: each a letter and a number.
    """
    values = [f"v{number}" for number in range(len(fields))]
    body = "".join(f"        row.{f} = {v}\n" for f, v in zip(fields, values, strict=True))
    source = (
        "def put(rows, *columns):\n"
        f"    for row, {', '.join(values)} in zip(rows, *columns, strict=True):\n{body}"
    )
    made: dict[str, t.Any] = {}
    exec(source, made)  # noqa: S102  contains only the attributes above
    return t.cast("Callable[..., None]", made["put"])


def compile_maker(row_type: type[t.Any], fields: Sequence[str]) -> Callable[..., t.Any]:
    """Create a function that makes an object of values for some of its fields.

    Args:
        row_type: A type that takes its fields by name.
        fields: Their names, in the order of the values.
    """
    named = ", ".join(f"{field}={field}" for field in fields)
    made: dict[str, t.Any] = {"row_type": row_type}
    source = f"def make({', '.join(fields)}):\n    return row_type({named})\n"
    exec(source, made)  # noqa: S102  contains only the names of fields
    return t.cast("Callable[..., t.Any]", made["make"])
