"""The fast path from bytes to rows: a struct type compiled from a stream's columns.

A page is decoded directly into structs whose fields are the columns of a record, in the record's
order. What the C decoder cannot produce (date-times, hashed keys, nested objects) is then converted
column by column. The slower :class:`RowCodec` defines what each value means: it decodes the pages
that the struct does not fit, and raises the error that names a wrong value.
"""

from __future__ import annotations

import copy
import itertools
import re
import typing as t
from decimal import Decimal
from functools import partial
from operator import attrgetter

import msgspec

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata.payload import decode_name
from tap_acumatica.odata.repair import has_nul
from tap_acumatica.odata.time_zone import ConversionCache
from tap_acumatica.odata.times import date_part
from tap_acumatica.odata.types import edm_type, is_timestamp
from tap_acumatica.records.codec import Page, RowCodec
from tap_acumatica.records.deletion import DELETED_COLUMN
from tap_acumatica.records.envelope import decoder, holds_error
from tap_acumatica.records.record_maker import hashed_key
from tap_acumatica.records.schema import KEY_COLUMN, TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_acumatica.odata.atom import ResponseBody
    from tap_acumatica.odata.model import Property

_NOT_FINITE = (b'INF"', b'NaN"', b'Infinity"')
_GUID_LENGTH = 36
_OCTETS = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==|[A-Za-z0-9+/]=))?"
_BASE64 = re.compile(rf"{_OCTETS}(?:\n{_OCTETS})*", re.ASCII)
"""Values as they are emitted, one per line."""
_NULL_TEXT = b"null"
_NULL = msgspec.Raw(_NULL_TEXT)
_NUMBER_CHARACTERS = b"0123456789.-+eEnul"
"""The characters of JSON numbers and null."""

_DECODED_TYPES: dict[str, t.Any] = {
    "Edm.String": str,
    "Edm.Boolean": bool,
    "Edm.Decimal": Decimal,
    "Edm.Double": Decimal,
    "Edm.Single": Decimal,
    "Edm.Binary": str,
    "Edm.DateTimeOffset": str,
    "Edm.DateTime": str,
    "Edm.Guid": t.Annotated[str, msgspec.Meta(min_length=_GUID_LENGTH, max_length=_GUID_LENGTH)],
}


class CompiledRow(msgspec.Struct):
    """Base of the compiled rows: read by column name, like a dict."""

    def __getitem__(self, name: str) -> t.Any:
        """The wire value of a column."""
        return getattr(self, self.fields_by_name()[name])

    @classmethod
    def fields_by_name(cls) -> dict[str, str]:
        """Attribute names by column name."""
        raise NotImplementedError  # each compiled class defines it


class CompiledCodec:
    """Decodes the responses of one entity set into rows that can be emitted as records."""

    def __init__(  # noqa: PLR0913  all of them decide what a row is
        self,
        exact: RowCodec,
        columns: Sequence[str],
        properties: Mapping[str, Property],
        *,
        key: Sequence[str] = (),
        tenant: str | None = None,
        int64_as_text: bool = False,
    ) -> None:
        """Compile the row type.

        Args:
            exact: Decodes the same rows, and defines what their values mean.
            columns: Columns of a record, in order, with ``_tenant`` and ``_key`` if selected.
            properties: Properties by column; a column without one can have any type.
            key: Entity key, hashed into ``_key``.
            tenant: Login name for ``_tenant``.
            int64_as_text: Whether JSON has ``Edm.Int64`` values as strings, as in OData 3.0.
        """
        self._converted_types = frozenset({"Edm.Int64"} if int64_as_text else ())
        self._exact = exact
        self._key = tuple(key)
        self._has_key_column = KEY_COLUMN in columns
        self._tenant = tenant
        self._columns = tuple(columns)
        self._fields = {name: f"c{number}" for number, name in enumerate(columns)}
        self._properties = properties
        self._passthrough = self._passthrough_columns(exact)
        self._compile()
        dates = ConversionCache(date_part)
        self._time_fields = [
            (self._fields[name], dates if name in exact.dates else exact.time_zone.conversions)
            for name, prop in properties.items()
            if name in self._fields and is_timestamp(prop.type) and not prop.collection
        ]
        times = [field for field, _ in self._time_fields]
        self._get_times = _compile_getter(times)
        self._set_times = _compile_setter(times) if times else None
        self._converted_fields = [
            (self._fields[name], exact.converter(name))
            for name in columns
            if name not in {TENANT_COLUMN, KEY_COLUMN}
            and self._field_type(properties.get(name)) is t.Any
        ]
        # Names that are not valid in XML may be written in two ways.
        self._names_are_unambiguous = all(
            name.isidentifier() and decode_name(name) == name for name in columns
        )
        floating = any(
            properties[name].type in {"Edm.Double", "Edm.Single"}
            or properties[name].facets.floating
            or (properties[name].type == "Edm.Decimal" and name not in self._passthrough)
            for name in columns
            if name in properties
        )
        self._exact_codec_marks: tuple[bytes, ...] = (
            *(_NOT_FINITE if floating else ()),
            *(link.encode() for link in exact.nested_links),
        )
        # Most binary values can be emitted as received: only the others are converted.
        self._binary_fields = [
            self._fields[name]
            for name, prop in properties.items()
            if name in self._fields and prop.type == "Edm.Binary" and not prop.collection
        ]
        self._text_fields = [
            field
            for name, field in self._fields.items()
            if self._field_type(properties.get(name)) in {str, t.Any}
        ]

    def _passthrough_columns(self, exact: RowCodec) -> list[str]:
        """Columns whose digits are emitted as received, without being parsed as numbers.

        Key columns are not among them, as their values are hashed and used in filters.
        """
        if self._has_key_column or exact.deletion:
            return []
        return [
            name
            for name, prop in self._properties.items()
            if name in self._fields
            and prop.type == "Edm.Decimal"
            and not prop.collection
            and name not in self._key
        ]

    def _compile(self) -> None:
        """Create the row type and its decoder."""
        fields: list[tuple[str, t.Any, t.Any]] = []
        for name, field in self._fields.items():
            kind = self._field_type(self._properties.get(name))
            if name in {TENANT_COLUMN, KEY_COLUMN}:
                fields.append((field, t.Any, self._tenant if name == TENANT_COLUMN else None))
            elif name in self._passthrough:
                fields.append((field, msgspec.Raw, _NULL))
            else:
                fields.append((field, kind if kind is t.Any else t.Optional[kind], None))  # noqa: UP045
        own = {TENANT_COLUMN, KEY_COLUMN, DELETED_COLUMN} | self._exact.optional
        may_lack = {self._fields.get(name) for name in own}
        key = {self._fields.get(name) for name in self._key}
        self.row_type = self._row_type(fields, required={f for f, *_ in fields if f in key})
        complete = self._row_type(fields, required={f for f, *_ in fields if f not in may_lack})
        self._decoder = decoder(self.row_type)
        self._complete_decoder = decoder(complete)

    def _row_type(
        self, fields: Sequence[tuple[str, t.Any, t.Any]], required: set[str]
    ) -> type[CompiledRow]:
        """A type of rows that have at least the ``required`` fields."""
        names = dict(self._fields)
        return t.cast(
            "type[CompiledRow]",
            msgspec.defstruct(
                "Row",
                [
                    (field, kind) if field in required else (field, kind, value)
                    for field, kind, value in fields
                ],
                bases=(CompiledRow,),
                namespace={"fields_by_name": classmethod(lambda _: names)},
                rename={field: name for name, field in self._fields.items()},
                gc=False,
                kw_only=True,
            ),
        )

    def _field_type(self, prop: Property | None) -> t.Any:
        """Type of a struct field; ``Any`` if the value is converted after decoding."""
        if prop is None or prop.collection or prop.type in self._converted_types:
            return t.Any
        if prop.type in _DECODED_TYPES:
            return _DECODED_TYPES[prop.type]
        schema = edm_type(prop.type).schema
        if schema["type"] == "integer":
            return t.Annotated[int, msgspec.Meta(ge=schema["minimum"], le=schema["maximum"])]
        return t.Any

    def decode(self, body: bytes) -> Page:
        """Decode a response.

        Raises:
            PayloadError: As :meth:`RowCodec.decode`.
            ValueMismatchError: As :meth:`RowCodec.decode`.
        """
        needs_exact = any(mark in body for mark in self._exact_codec_marks) or has_nul(body)
        if self._names_are_unambiguous and not needs_exact:
            try:
                answer = self._decode_answer(body)
                if not holds_error(answer) and not self._is_in_another_case(body, answer.value):
                    self._convert_columns(answer.value)
                    link = answer.next_link or answer.next_link401 or answer.next_link3
                    context = answer.context or answer.context401 or answer.context3
                    return Page(answer.value, link, context)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueMismatchError):
                pass  # the exact codec accepts it, or raises the error that names the value
        return self._compile_page(self._exact.decode(body))

    def _decode_answer(self, body: bytes) -> t.Any:
        """Decode a response whose rows have every column, unless nulls may be left out."""
        omits_nulls = self._exact.omits_nulls()
        answer = (self._decoder if omits_nulls else self._complete_decoder).decode(body)
        if _are_json_numbers(answer.value, [self._fields[name] for name in self._passthrough]):
            return answer
        # Decimals are strings here, as with IEEE754Compatible=true, or are not numbers at all.
        self._passthrough = []
        self._compile()
        self._exact_codec_marks += _NOT_FINITE
        if any(mark in body for mark in _NOT_FINITE):
            raise ValueMismatchError
        return (self._decoder if omits_nulls else self._complete_decoder).decode(body)

    def _is_in_another_case(self, body: bytes, rows: Sequence[t.Any]) -> bool:
        """Whether a column that no row seems to have may be there under a name in another case."""
        if not rows or not self._exact.omits_nulls():
            return False
        first = rows[0]
        empty = [
            name
            for name, field in self._fields.items()
            if _is_null(getattr(first, field)) and all(map(_is_null, map(attrgetter(field), rows)))
        ]
        if not empty:
            return False
        folded = body.lower()
        return any(
            folded.count(f'"{name}"'.lower().encode()) > body.count(f'"{name}"'.encode())
            for name in empty
        )

    def decode_stream(self, body: ResponseBody) -> Page:
        """Decode a response while it arrives; see :meth:`RowCodec.decode_stream`."""
        if body.is_xml:
            return self._compile_page(self._exact.decode_stream(body))
        return self.decode(body.read())

    def _compile_page(self, page: Page) -> Page:
        next_part = partial(self._decode_next_part, page.next_part) if page.next_part else None
        return page._replace(
            rows=[self._compiled_row(row) for row in page.rows], next_part=next_part
        )

    def _decode_next_part(self, next_part: Callable[[], Page]) -> Page:
        return self._compile_page(next_part())

    def _convert_columns(self, rows: list[t.Any]) -> None:
        if rows and self._set_times:
            columns = zip(*map(self._get_times, rows), strict=True)
            forms = (
                forms.column(texts)
                for (_, forms), texts in zip(self._time_fields, columns, strict=True)
            )
            self._set_times(rows, *forms)
        for field in self._binary_fields:
            texts = list(filter(None, map(attrgetter(field), rows)))
            if not _BASE64.fullmatch("\n".join(texts)):
                _convert_field(rows, field, edm_type("Edm.Binary").parse)
        for field, convert in self._converted_fields:
            _convert_field(rows, field, convert)
        self._add_tap_columns(rows)

    def _add_tap_columns(self, rows: list[t.Any]) -> None:
        """Fill the columns that the tap derives from the others."""
        if self._exact.deletion:
            field, deleted_at = self._fields[DELETED_COLUMN], self._exact.deletion.deleted_at
            for row in rows:
                setattr(row, field, deleted_at(row))
        if self._has_key_column:
            field = self._fields[KEY_COLUMN]
            for row in rows:
                setattr(row, field, self._hashed_key(row))

    def trimmed(self, rows: Sequence[t.Any]) -> list[t.Any]:
        """Return the rows without trailing spaces in strings.

        Copies a row before changing it: the next request filters by the received values.
        """
        texts = self._text_fields
        found = []
        for row in rows:
            padded = [
                (field, value)
                for field in texts
                if isinstance(value := getattr(row, field), str) and value[-1:] == " "
            ]
            kept = copy.copy(row) if padded else row
            for field, value in padded:
                setattr(kept, field, value.rstrip(" "))
            found.append(kept)
        return found

    def _hashed_key(self, row: CompiledRow) -> str:
        if any(row[name] is not None for name in self._key):
            return hashed_key(row, self._key)
        return hashed_key(self._as_dict(row), self._key)

    def _as_dict(self, row: CompiledRow) -> dict[str, t.Any]:
        own = {TENANT_COLUMN, KEY_COLUMN}
        return {name: row[name] for name in self._columns if name not in own}

    def _compiled_row(self, values: Mapping[str, t.Any]) -> CompiledRow:
        row = self.row_type(
            **{self._fields[name]: value for name, value in values.items() if name in self._fields}
        )
        if self._has_key_column:
            setattr(row, self._fields[KEY_COLUMN], self._hashed_key(row))
        return row


def _is_null(value: t.Any) -> bool:
    return value is None or (type(value) is msgspec.Raw and bytes(value) == _NULL_TEXT)


def _convert_field(rows: Sequence[t.Any], field: str, convert: Callable[[t.Any], t.Any]) -> None:
    """Convert a column, value by value."""
    for row, value in zip(rows, map(attrgetter(field), rows), strict=True):
        if value is not None:
            setattr(row, field, convert(value))


def _compile_getter(fields: Sequence[str]) -> Callable[[t.Any], tuple[t.Any, ...]]:
    """Create a function that returns the values of some fields of a row."""
    if len(fields) > 1:
        return attrgetter(*fields)
    return lambda row: tuple(getattr(row, field) for field in fields)


def _compile_setter(fields: Sequence[str]) -> Callable[..., None]:
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


def _are_json_numbers(rows: list[t.Any], fields: Sequence[str]) -> bool:
    """Whether these raw JSON columns contain only numbers and nulls."""
    if not fields:
        return True
    joined = b"".join(itertools.chain.from_iterable(map(_compile_getter(fields), rows)))
    return not joined.translate(None, _NUMBER_CHARACTERS)


def column_of(rows: Sequence[t.Any], name: str) -> list[t.Any]:
    """The values of one column, from dicts or from compiled rows."""
    if rows and isinstance(rows[0], CompiledRow):
        return list(map(attrgetter(rows[0].fields_by_name()[name]), rows))
    return [row[name] for row in rows]
