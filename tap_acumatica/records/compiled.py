"""The fast path from bytes to rows: a struct type compiled from a stream's columns.

A page is decoded directly into structs whose fields are the columns of a record, in the record's
order. What the C decoder cannot produce (date-times, hashed keys, nested objects) is then converted
column by column. The slower :class:`RowCodec` defines what each value means: it decodes the pages
that the struct does not fit, and raises the error that names a wrong value.
"""

from __future__ import annotations

import copy
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
from tap_acumatica.records.codec import Page, RowCodec, as_received
from tap_acumatica.records.column_checks import TEXT_FORMS, KnownTexts
from tap_acumatica.records.compiled_row import CompiledRow, column_of
from tap_acumatica.records.deletion import DELETED_COLUMN
from tap_acumatica.records.envelope import decoder, holds_error, link_and_context
from tap_acumatica.records.record_maker import hashed_key
from tap_acumatica.records.row_form import RowForm, TextForm
from tap_acumatica.records.schema import KEY_COLUMN, TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from tap_acumatica.odata.atom import ResponseBody
    from tap_acumatica.odata.model import Property
    from tap_acumatica.records.row_form import ConvertColumn

_GUID_LENGTH = 36
_DECIMAL = frozenset({"Edm.Decimal", "Edm.Double", "Edm.Single"})
NOT_FOR_STRUCTS = (
    *(msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, RecursionError),
    ValueMismatchError,
)
_NULL_TEXT = b"null"
_NULL = msgspec.Raw(_NULL_TEXT)

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
        base: type[CompiledRow] = CompiledRow,
        found_by: bool = False,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """Compile the row type.

        Args:
            exact: Decodes the same rows, and defines what their values mean.
            columns: Columns of a record, in order, with ``_tenant`` and ``_key`` if selected.
            properties: Properties by column; a column without one can have any type.
            key: Entity key, hashed into ``_key``.
            tenant: Login name for ``_tenant``.
            int64_as_text: Whether JSON has ``Edm.Int64`` values as strings, as in OData 3.0.
            base: Base of the row type.
            found_by: Whether date-times are in the form that rows are found by, not as emitted.
            fields: Attributes of a row by column; None to number them.
        """
        self._base = base
        self._is_partial = found_by
        self._converted_types = frozenset({"Edm.Int64"} if int64_as_text else ())
        self._exact = exact
        self._key = tuple(key)
        self._has_key_column = KEY_COLUMN in columns
        self._tenant = tenant
        self._columns = tuple(columns)
        numbers = fields or {name: f"c{number}" for number, name in enumerate(columns)}
        self._fields = {name: numbers[name] for name in columns}
        self._properties = properties
        self._form = self._compile(self._passthrough_columns(exact))
        self._text_forms = [
            TextForm(self._fields[name], *self._form_of(name, prop))
            for name, prop in properties.items()
            if name in self._fields and prop.type in TEXT_FORMS and not prop.collection
        ]
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
        self._exact_codec_marks = tuple(link.encode() for link in exact.nested_links)
        self._text_fields = [
            field
            for name, field in self._fields.items()
            if self._field_type(properties.get(name)) in {str, t.Any}
        ]

    @property
    def row_type(self) -> type[CompiledRow]:
        """Type of the rows."""
        return t.cast("type[CompiledRow]", self._form.row_type)

    def places(self, name: str, rows: Sequence[t.Any]) -> Sequence[t.Any]:
        """A column of whole rows, in the form in which they are found by it."""
        values = column_of(rows, name)
        received = name in self._exact.received
        return self._exact.found_by(name).column(values) if received else values

    @property
    def required(self) -> frozenset[str]:
        """Columns that every row has, unless the service leaves nulls out."""
        own = {TENANT_COLUMN, KEY_COLUMN, DELETED_COLUMN}
        return frozenset(self._columns) - own - self._exact.optional

    def only(self, columns: Iterable[str], base: type[CompiledRow]) -> CompiledCodec:
        """A codec that decodes no other columns, into the same attributes of another type."""
        return CompiledCodec(
            self._exact,
            [name for name in self._columns if name in {*columns}],
            self._properties,
            key=self._key,
            int64_as_text=bool(self._converted_types),
            base=base,
            found_by=True,
            fields=self._fields,
        )

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
            and prop.type in _DECIMAL
            and not prop.collection
            and name not in self._key
        ]

    def _fields_of(self, types: Collection[str]) -> list[str]:
        """Fields of the columns of some types."""
        return [
            self._fields[name]
            for name, prop in self._properties.items()
            if name in self._fields and prop.type in types and not prop.collection
        ]

    def _compile(self, passthrough: Collection[str]) -> RowForm:
        """Create the row type and its decoders; some columns keep their digits as received."""
        fields: list[tuple[str, t.Any, t.Any]] = []
        for name, field in self._fields.items():
            kind = self._field_type(self._properties.get(name))
            if name in {TENANT_COLUMN, KEY_COLUMN}:
                fields.append((field, t.Any, self._tenant if name == TENANT_COLUMN else None))
            elif name in passthrough:
                fields.append((field, msgspec.Raw, _NULL))
            else:
                fields.append((field, kind if kind is t.Any else t.Optional[kind], None))  # noqa: UP045
        key = {self._fields.get(name) for name in self._key}
        row_type = self._row_type(fields, required={f for f, *_ in fields if f in key})
        complete = self._row_type(fields, required={self._fields[name] for name in self.required})
        raw = [self._fields[name] for name in passthrough]
        return RowForm(
            row_type,
            decoder(row_type),
            decoder(complete),
            raw,
            [field for field in self._fields_of(_DECIMAL) if field not in raw],
        )

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
                bases=(self._base,),
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

    def _form_of(self, name: str, prop: Property) -> tuple[KnownTexts | None, ConvertColumn]:
        """What tells which texts of a column are emitted as received, and what converts others."""
        if not is_timestamp(prop.type):
            convert = ConversionCache(edm_type(prop.type).parse)
            return KnownTexts(TEXT_FORMS[prop.type]), convert.column
        if name in self._exact.dates:
            return None, ConversionCache(date_part).column
        forms = (self._exact.found_by if self._is_partial else self._exact.times_of)(name)
        zone = self._exact.time_zone
        stay = zone.convert_to_utc and forms is zone.emitted
        return KnownTexts(TEXT_FORMS[prop.type]) if stay else None, forms.column

    def decode(self, body: bytes) -> Page:
        """Decode a response.

        Raises:
            PayloadError: As :meth:`RowCodec.decode`.
            ValueMismatchError: As :meth:`RowCodec.decode`.
        """
        # The exact codec accepts the others, or raises the error that names the value.
        return self.quick_page(body) or self._compile_page(self._exact.decode(body))

    def quick_page(self, body: bytes) -> Page | None:
        """Decode a response into structs alone; None where it takes the exact codec."""
        if (
            not self._names_are_unambiguous
            or any(mark in body for mark in self._exact_codec_marks)
            or has_nul(body)
        ):
            return None
        try:
            answer = self._decode_answer(body)
            if holds_error(answer) or self._is_in_another_case(body, answer.value):
                return None
            self._convert_columns(answer.value)
        except NOT_FOR_STRUCTS:
            return None
        return Page(answer.value, *link_and_context(answer))

    def _decode_answer(self, body: bytes) -> t.Any:
        """Decode a response whose rows have every column, unless nulls may be left out.

        Raises:
            ValueMismatchError: If a number is NaN or infinite.
        """
        form = self._form
        answer = form.decode(body, omits_nulls=self._exact.omits_nulls())
        if not form.has_json_numbers(answer.value):
            # Decimals are strings here, as with IEEE754Compatible=true, or are not numbers at all.
            form = self._compile(())
            answer = form.decode(body, omits_nulls=self._exact.omits_nulls())
        form.refuse_infinite(answer.value)
        self._form = form
        return answer

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

    skim = decode

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
        for form in self._text_forms:
            form.apply(rows)
        for field, convert in self._converted_fields:
            _convert_field(rows, field, convert)
        self._add_tap_columns(rows)

    def _add_tap_columns(self, rows: list[t.Any]) -> None:
        """Fill the columns that the tap derives from the others."""
        if self._exact.deletion and DELETED_COLUMN in self._fields:
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
        """The ``_key`` of a row.

        Raises:
            ValueMismatchError: If that takes columns which are not decoded.
        """
        values: t.Any = row
        if not self._exact.received.isdisjoint(self._key):
            values = self._exact.in_found_form({name: row[name] for name in self._key})
        if any(values[name] is not None for name in self._key):
            return hashed_key(values, self._key)
        if self._is_partial:
            msg = "is null in the whole key"
            raise ValueMismatchError(msg)
        own = {TENANT_COLUMN, KEY_COLUMN}
        values = {name: row[name] for name in self._columns if name not in own}
        return hashed_key(self._exact.in_found_form(values), self._key)

    def _compiled_row(self, values: Mapping[str, t.Any]) -> CompiledRow:
        fields = self._fields
        held = {field: values[name] for name, field in fields.items() if name in values}
        for name in self._exact.received & fields.keys():
            held[fields[name]] = values[as_received(name)]
        row = t.cast("CompiledRow", self._form.row_type(**held))
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
