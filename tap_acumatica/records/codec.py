"""Decodes the bytes of a response to rows of wire values, and builds records from rows.

A row has the wire value of each requested property. A record is what the tap emits: the selected
columns and those that the tap adds.
"""

from __future__ import annotations

import hashlib
import io
import typing as t
from decimal import Decimal
from functools import cached_property, partial
from itertools import islice

import msgspec

from tap_acumatica.errors import PayloadError, ValueMismatchError
from tap_acumatica.odata.atom import AtomReader, ResponseBody
from tap_acumatica.odata.payload import (
    NESTED_NEXT_LINK,
    decode_name,
    parse_collection,
    parse_entity,
)
from tap_acumatica.odata.time_zone import ServiceTimeZone
from tap_acumatica.odata.types import edm_type
from tap_acumatica.records.conversions import Conversions
from tap_acumatica.records.members import Members
from tap_acumatica.records.schema import KEY_COLUMN, ROW_KEY, TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model, Property
    from tap_acumatica.records.conversions import Convert
    from tap_acumatica.records.deletion import Deletion

_ENCODER = msgspec.json.Encoder(decimal_format="number")

_CONTENT = msgspec.json.Encoder(decimal_format="number", order="sorted")

Row = dict[str, t.Any]
_ROWS_PER_PART = 1000


class Page(t.NamedTuple):
    """The rows of one response.

    Attributes:
        rows: The rows, read by column name: dicts or compiled rows, with wire values.
        next_link: URL of the next page, as the service wrote it, or None.
        context: Context URL, or None.
        next_part: For a response that is decoded while it arrives, waits for its next part and
            returns it; None on the last part, which has the next link.
        absent: Columns that no row of the response has.
        lacking: Columns that at least one row lacks.
    """

    rows: list[t.Any]
    next_link: str | None = None
    context: str | None = None
    next_part: Callable[[], Page] | None = None
    absent: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()


def content(row: t.Any) -> bytes:
    """The content of a row, however it was decoded, to recognize it again."""
    return _CONTENT.encode(row)


class RowCodec:
    """Decodes the responses of one entity set."""

    def __init__(  # noqa: PLR0913  all of them decide what a row is
        self,
        model: Model,
        properties: Mapping[str, Property],
        *,
        key: Sequence[str] = (),
        expansions: Sequence[Expansion] = (),
        undeclared: Mapping[str, Mapping[str, t.Any]] | None = None,
        singleton: bool = False,
        time_zone: ServiceTimeZone | None = None,
        dates: Iterable[str] = (),
        deletion: Deletion | None = None,
        omits_nulls: Callable[[], bool] = lambda: False,
        optional: Collection[str] = (),
    ) -> None:
        """Compile the conversions.

        Args:
            model: The service's model.
            properties: Properties to keep; null in rows that lack them.
            key: Names of the key properties, to identify a row in errors.
            expansions: Expanded navigation properties.
            undeclared: JSON Schemas of columns in the catalog that the metadata does not declare.
            singleton: Whether a response is one entity.
            time_zone: Time zone of the service; UTC if None.
            dates: Names of timestamp columns to emit as dates.
            deletion: How to tell when a row was deleted; None without such a column.
            omits_nulls: Whether the service is known to leave nulls out.
            optional: Columns that rows often lack.
        """
        self._key = tuple(key)
        self.time_zone = time_zone or ServiceTimeZone()
        self.dates = frozenset(dates)
        self.deletion = deletion
        self.omits_nulls = omits_nulls
        self.optional = frozenset(optional)
        self._parse = (
            partial(parse_entity, properties=frozenset(properties))
            if singleton
            else parse_collection
        )
        self._model = model
        self._properties = properties
        self._expansions = expansions
        self._undeclared = undeclared or {}
        self.nested_links = tuple(
            f"{expansion.navigation.name}{NESTED_NEXT_LINK}"
            for expansion in expansions
            if expansion.navigation.collection
        )
        self._convert = self._conversions(Conversions(model, self.time_zone))
        self._decoded_names = {name: decode_name(name) for name in self._convert}
        self._feed_paths = {
            self._decoded_names[name]: prop.feed_path
            for name, prop in properties.items()
            if prop.feed_path
        }

    def _conversions(self, conversions: Conversions) -> dict[str, Convert]:
        found: dict[str, Convert] = {
            name: conversions.date_part if name in self.dates else conversions.for_property(prop)
            for name, prop in self._properties.items()
        }
        for expansion in self._expansions:
            found[expansion.navigation.name] = conversions.for_expansion(expansion)
        for name, schema in self._undeclared.items():
            is_time = schema.get("format") == "date-time"
            found[name] = self._undeclared_time if is_time else _unchanged
        return found

    @cached_property
    def _convert_text(self) -> dict[str, Convert]:
        return self._conversions(Conversions(self._model, self.time_zone, from_xml=True))

    def _undeclared_time(self, value: t.Any) -> t.Any:
        return self.time_zone.to_output(value) if isinstance(value, str) else value

    def converter(self, name: str) -> Convert:
        """The conversion of a column's JSON value to its wire value."""
        return self._convert.get(name, _unchanged)

    def decode(self, body: bytes) -> Page:
        """Decode a response.

        Raises:
            PayloadError: If the body is not the expected collection or entity.
            ValueMismatchError: If a value does not fit its type; the message names the row's key,
                the property and the kind of value.
        """
        response = ResponseBody(io.BytesIO(body))
        if response.is_xml:
            return join_parts(self.decode_stream(response))
        payload = self._parse(body)
        names = None
        if any("_x" in name for raw in payload.rows[:1] for name in (*raw, *self._convert)):
            names = self._decoded_names
            payload.rows[:] = [_decode_names(raw) for raw in payload.rows]
        members = Members(names or {name: name for name in self._convert})
        rows = [self._row(members.named(raw), self._convert, names) for raw in payload.rows]
        return Page(
            rows,
            payload.next_link,
            payload.context,
            absent=members.absent,
            lacking=members.lacking,
        )

    def decode_stream(self, body: ResponseBody) -> Page:
        """Decode a response while it arrives: the first part of XML, all of JSON.

        Raises:
            PayloadError: As :meth:`decode`; also raised by ``next_part``.
            ValueMismatchError: As :meth:`decode`; also raised by ``next_part``.
        """
        if not body.is_xml:
            return self.decode(body.read())
        reader = AtomReader(body, self._feed_paths)
        return self._decode_part(reader, iter(reader), Members(self._decoded_names))

    def _decode_part(self, reader: AtomReader, entries: Iterator[Row], members: Members) -> Page:
        """The next rows; so many that each column was met, unless nulls may be left out."""
        raws: list[Row] = []
        while True:
            more = [members.named(raw) for raw in islice(entries, _ROWS_PER_PART)]
            raws += more
            complete = len(more) < _ROWS_PER_PART
            absent, lacking = members.absent, members.lacking
            if complete or not absent or lacking - absent or self.omits_nulls():
                break
        page = Page(
            [self._row(raw, self._convert_text, self._decoded_names) for raw in raws],
            absent=absent,
            lacking=lacking,
        )
        if not complete:
            following = partial(self._decode_part, reader, entries, members)
            return page._replace(next_part=following)
        base = reader.base and reader.base.rstrip("/")
        return page._replace(next_link=reader.next_link, context=base)

    def _row(
        self, raw: Row, conversions: Mapping[str, Convert], names: Mapping[str, str] | None
    ) -> Row:
        for link in self.nested_links:
            if raw.get(link):
                name = link.removesuffix(NESTED_NEXT_LINK)
                msg = f"the service returned only a part of {name}; remove it from 'expand'"
                raise PayloadError(msg)
        row = {}
        for name, convert in conversions.items():
            value = raw.get(names[name] if names else name)
            if value is not None:
                try:
                    value = convert(value)
                except ValueMismatchError as error:
                    raise ValueMismatchError(
                        self._mismatch_message(raw, name, value, error)
                    ) from error
            row[name] = value
        if self.deletion:
            row[self.deletion.name] = self.deletion.deleted_at(row)
        return row

    def _mismatch_message(self, raw: Row, name: str, value: t.Any, error: Exception) -> str:
        key = ", ".join(f"{part}={raw.get(part)}" for part in self._key) or "(no key)"
        return f"row {key}: the value of {name} (a {_json_type(value)}) {error}"


def _json_type(value: t.Any) -> str:
    kinds = {
        str: "text",
        bool: "boolean",
        int: "number",
        Decimal: "number",
        list: "list",
        dict: "object",
    }
    return kinds.get(type(value), type(value).__name__)


def _unchanged(value: t.Any) -> t.Any:
    return value


def _decode_names(raw: Row) -> Row:
    return {decode_name(name): value for name, value in raw.items()}


def join_parts(page: Page) -> Page:
    """Read the remaining parts of a response, and return one page."""
    rows = page.rows
    while next_part := page.next_part:
        page = next_part()
        rows = rows + page.rows
    return page._replace(rows=rows)


class RecordMaker:
    """Builds records from rows: selected columns, added columns, the catalog's types."""

    def __init__(  # noqa: PLR0913  all of them decide what a record is
        self,
        columns: Iterable[str],
        *,
        key: Sequence[str] = (),
        tenant: str | None = None,
        trim: bool = False,
        overrides: Mapping[str, Convert] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        """Configure the records.

        Args:
            columns: Names of the columns to emit, with ``_tenant`` and ``_key`` if selected.
            key: Entity key, hashed into ``_key``.
            tenant: Login name for ``_tenant``.
            trim: Whether to remove trailing spaces from strings.
            overrides: Conversions to the types in the catalog; see :func:`catalog_conversions`.
            origins: What a column is called in rows, where that differs from its name or the
                service has a property with a name of the tap's own.
        """
        wanted, origins = dict.fromkeys(columns), origins or {}
        own = {TENANT_COLUMN, KEY_COLUMN} - origins.keys()
        self._tenant = tenant if TENANT_COLUMN in own & wanted.keys() else None
        self._hash = KEY_COLUMN in own & wanted.keys()
        self._row_key = ROW_KEY if KEY_COLUMN in origins.values() else KEY_COLUMN
        self._key = tuple(key)
        self._columns = tuple((n, origins.get(n, n)) for n in wanted if n not in own)
        self._trim = trim
        self._overrides = dict(overrides or {})

    def record(self, row: Row) -> Row:
        """Build the record of a row, without changing the row.

        Raises:
            ValueMismatchError: If a value cannot be converted to its type in the catalog.
        """
        record: Row = {}
        if self._tenant is not None:
            record[TENANT_COLUMN] = self._tenant
        if self._hash:
            record[KEY_COLUMN] = row.get(self._row_key) or hashed_key(row, self._key)
        for name, origin in self._columns:
            if origin in row:
                record[name] = row[origin]
        if self._trim:
            for name, value in record.items():
                if isinstance(value, str):
                    record[name] = value.rstrip(" ")
        for name, convert in self._overrides.items():
            if record.get(name) is not None:
                record[name] = _convert_to_catalog_type(name, record[name], convert)
        return record


def _convert_to_catalog_type(name: str, value: t.Any, convert: Convert) -> t.Any:
    try:
        return convert(value)
    except (ValueError, ArithmeticError, ValueMismatchError) as error:
        msg = f"the value of {name} (a {_json_type(value)}) does not fit its type in the catalog"
        raise ValueMismatchError(msg) from error


def hashed_key(row: t.Any, key: Sequence[str]) -> str:
    """Hash the key values of a row: 128 bits in hexadecimal.

    In grouped or outer-joined inquiries, all key values may be null; then all values are hashed.
    """
    values = [row[name] for name in key]
    hashed = values if any(value is not None for value in values) else sorted(row.items())
    return hashlib.blake2b(msgspec.json.encode(hashed), digest_size=16).hexdigest()


def catalog_conversions(
    declared: Mapping[str, Mapping[str, t.Any]], wanted: Mapping[str, Mapping[str, t.Any]]
) -> dict[str, Convert]:
    """Conversions for columns whose type in the catalog differs from the metadata.

    Args:
        declared: Discovered JSON Schemas, by column.
        wanted: JSON Schemas in the input catalog, by column.
    """
    found: dict[str, Convert] = {}
    for name, schema in wanted.items():
        if name not in declared or not isinstance(schema, dict):
            continue
        before, after = _non_null_type(declared[name]), _non_null_type(schema)
        if after != before and after in _TO_TYPE:
            found[name] = _TO_TYPE[after]
    return found


def _non_null_type(schema: Mapping[str, t.Any]) -> str | None:
    kinds = schema.get("type")
    listed = [kinds] if isinstance(kinds, str) else kinds or []
    return next((kind for kind in listed if kind != "null"), None)


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
