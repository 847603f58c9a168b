"""From the bytes of an answer to rows of wire values, and from rows to records.

A row holds what the service sent, value by value in its wire form, for the properties that were
asked for. A record is what leaves: the selected columns, with those that the tap adds.
"""

from __future__ import annotations

import hashlib
import typing as t
from decimal import Decimal

import msgspec

from tap_acumatica.odata.errors import ValueMismatchError
from tap_acumatica.odata.payload import is_control_information, parse_collection, parse_entity
from tap_acumatica.odata.times import to_canonical
from tap_acumatica.odata.types import edm_type, is_known
from tap_acumatica.records.schema import KEY_COLUMN, TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model, Property

_ENCODER = msgspec.json.Encoder(decimal_format="number")

Row = dict[str, t.Any]
Convert = t.Callable[[t.Any], t.Any]


class Page(t.NamedTuple):
    """Rows of one answer in wire values, and the next link as the service spelled it.

    A row is read by column name; it is a dict or a compiled row.
    """

    rows: list[t.Any]
    next_link: str | None = None
    context: str | None = None


class RowCodec:
    """Decodes answers of one entity set."""

    def __init__(  # noqa: PLR0913  what decides a row is this much
        self,
        model: Model,
        properties: Mapping[str, Property],
        *,
        key: Sequence[str] = (),
        expansions: Sequence[Expansion] = (),
        extra: Mapping[str, Mapping[str, t.Any]] | None = None,
        singleton: bool = False,
    ) -> None:
        """Compile the conversions.

        Args:
            model: The service's model.
            properties: Properties to keep; a row that lacks one has null there.
            key: Names of the key properties, to name a row by in errors.
            expansions: Navigation properties that come along.
            extra: JSON Schemas of columns the metadata does not declare but the catalog names.
            singleton: Whether an answer is one entity.
        """
        self._key = tuple(key)
        self._parse = parse_entity if singleton else parse_collection
        self._convert: dict[str, Convert] = {
            name: _converter(model, prop) for name, prop in properties.items()
        }
        for expansion in expansions:
            self._convert[expansion.navigation.name] = _expansion_converter(model, expansion)
        for name, schema in (extra or {}).items():
            self._convert[name] = (
                to_canonical_or_none if schema.get("format") == "date-time" else _keep
            )

    def converter(self, name: str) -> Convert:
        """What turns the JSON value of a column into its wire value."""
        return self._convert.get(name, _keep)

    def decode(self, body: bytes) -> Page:
        """Decode an answer.

        Raises:
            PayloadError: If it is none.
            ValueMismatchError: If a value does not fit its type; the message names key, property
                and kind.
        """
        payload = self._parse(body)
        return Page([self._row(row) for row in payload.rows], payload.next_link, payload.context)

    def _row(self, raw: Row) -> Row:
        row = {}
        for name, convert in self._convert.items():
            value = raw.get(name)
            if value is not None:
                try:
                    value = convert(value)
                except ValueMismatchError as error:
                    raise ValueMismatchError(self._complaint(raw, name, value, error)) from error
            row[name] = value
        return row

    def _complaint(self, raw: Row, name: str, value: t.Any, error: Exception) -> str:
        key = ", ".join(f"{part}={raw.get(part)}" for part in self._key) or "without a key"
        return f"row {key}: the value of {name} (a {_kind(value)}) {error}"


def _kind(value: t.Any) -> str:
    kinds = {
        str: "text",
        bool: "boolean",
        int: "number",
        Decimal: "number",
        list: "list",
        dict: "object",
    }
    return kinds.get(type(value), type(value).__name__)


def _keep(value: t.Any) -> t.Any:
    return value


def to_canonical_or_none(value: t.Any) -> t.Any:
    """A date-time in the canonical form where the value is one."""
    return to_canonical(value) if isinstance(value, str) else value


def _converter(model: Model, prop: Property) -> Convert:
    one = _value_converter(model, prop)
    return _each(one) if prop.collection else one


def _value_converter(model: Model, prop: Property) -> Convert:
    if is_known(prop.type):
        return edm_type(prop.type).parse
    if model.is_enum(prop.type):
        return str
    if model.structured(prop.type):
        # Built at first use: complex types may hold themselves.
        return _members(
            lambda: {
                name: _converter(model, model.underlying(member))
                for name, member in model.properties(prop.type).items()
            }
        )
    return edm_type(prop.type).parse


def _expansion_converter(model: Model, expansion: Expansion) -> Convert:
    def build() -> dict[str, Convert]:
        declared = model.properties(expansion.navigation.type)
        names = expansion.select or tuple(declared)
        built = {name: _converter(model, model.underlying(declared[name])) for name in names}
        for nested in expansion.nested:
            built[nested.navigation.name] = _expansion_converter(model, nested)
        return built

    one = _members(build)
    return _each(one) if expansion.navigation.collection else one


def _each(convert: Convert) -> Convert:
    def convert_all(values: t.Any) -> list[t.Any]:
        if not isinstance(values, list):
            msg = "is no list"
            raise ValueMismatchError(msg)
        return [None if value is None else convert(value) for value in values]

    return convert_all


def _members(build: Callable[[], dict[str, Convert]]) -> Convert:
    built: dict[str, Convert] = {}

    def convert_members(value: t.Any) -> Row:
        if not isinstance(value, dict):
            msg = "is no object"
            raise ValueMismatchError(msg)
        if not built:
            built.update(build())
        return {
            name: None if value.get(name) is None else convert(value[name])
            for name, convert in built.items()
            if name in value or not is_control_information(name)
        }

    return convert_members


class RecordMaker:
    """Makes records of rows: selected columns, the tap's own ones, the catalog's types."""

    def __init__(
        self,
        columns: Iterable[str],
        *,
        key: Sequence[str] = (),
        tenant: str | None = None,
        trim: bool = False,
        overrides: Mapping[str, Convert] | None = None,
    ) -> None:
        """Compile what to do with a row.

        Args:
            columns: Names to keep, ``_tenant`` and ``_key`` among them where wanted.
            key: Entity key, hashed into ``_key``.
            tenant: Login name for ``_tenant``.
            trim: Whether to cut trailing blanks of texts.
            overrides: Conversions to types that the catalog asks for.
        """
        wanted = dict.fromkeys(columns)
        self._tenant = tenant if TENANT_COLUMN in wanted else None
        self._hash = KEY_COLUMN in wanted
        self._key = tuple(key)
        self._columns = tuple(name for name in wanted if name not in {TENANT_COLUMN, KEY_COLUMN})
        self._trim = trim
        self._overrides = dict(overrides or {})

    def record(self, row: Row) -> Row:
        """The record of a row; the row is left as it is.

        Raises:
            ValueMismatchError: If a value cannot be what the catalog asks for.
        """
        record: Row = {}
        if self._tenant is not None:
            record[TENANT_COLUMN] = self._tenant
        if self._hash:
            record[KEY_COLUMN] = hashed_key(row, self._key)
        for name in self._columns:
            if name in row:
                record[name] = row[name]
        if self._trim:
            for name, value in record.items():
                if isinstance(value, str):
                    record[name] = value.rstrip(" ")
        for name, convert in self._overrides.items():
            if record.get(name) is not None:
                record[name] = _overridden(name, record[name], convert)
        return record


def _overridden(name: str, value: t.Any, convert: Convert) -> t.Any:
    try:
        return convert(value)
    except (ValueError, ArithmeticError, ValueMismatchError) as error:
        msg = f"the value of {name} (a {_kind(value)}) is not of the type the catalog gives it"
        raise ValueMismatchError(msg) from error


def hashed_key(row: t.Any, key: Sequence[str]) -> str:
    """128 bits, in hexadecimal, over the key values of a row.

    The keys of grouped or outer-joined inquiries may all be null; such rows are told apart by all
    their values.
    """
    values = [row[name] for name in key]
    hashed = values if any(value is not None for value in values) else sorted(row.items())
    return hashlib.blake2b(msgspec.json.encode(hashed), digest_size=16).hexdigest()


def overrides(
    declared: Mapping[str, Mapping[str, t.Any]], wanted: Mapping[str, Mapping[str, t.Any]]
) -> dict[str, Convert]:
    """Conversions for columns to which the catalog gives another type than the metadata.

    Args:
        declared: JSON Schemas as discovered, by column.
        wanted: JSON Schemas of the input catalog.
    """
    found: dict[str, Convert] = {}
    for name, schema in wanted.items():
        if name not in declared or not isinstance(schema, dict):
            continue
        before, after = _first_type(declared[name]), _first_type(schema)
        if schema.get("format") == "date" and declared[name].get("format") == "date-time":
            found[name] = _to_date
        elif after != before and after in _TO_TYPE:
            found[name] = _TO_TYPE[after]
    return found


def _first_type(schema: Mapping[str, t.Any]) -> str | None:
    kinds = schema.get("type")
    listed = [kinds] if isinstance(kinds, str) else kinds or []
    return next((kind for kind in listed if kind != "null"), None)


def _to_date(value: t.Any) -> str:
    return str(value)[:10]


def _to_text(value: t.Any) -> str:
    if isinstance(value, (str, Decimal)) or (
        isinstance(value, int) and not isinstance(value, bool)
    ):
        return str(value)
    return _ENCODER.encode(value).decode()


_TO_TYPE: dict[str, Convert] = {
    "string": _to_text,
    "integer": edm_type("Edm.Int64").parse,
    "number": lambda v: Decimal(str(v)),
}
