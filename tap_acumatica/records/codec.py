"""Decodes the bytes of a response to rows of wire values, and builds records from rows.

A row has the wire value of each requested property. A record is what the tap emits: the selected
columns and those that the tap adds.
"""

from __future__ import annotations

import io
import typing as t
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
from tap_acumatica.odata.repair import repaired
from tap_acumatica.odata.time_zone import ServiceTimeZone
from tap_acumatica.records.conversions import Conversions
from tap_acumatica.records.members import Members
from tap_acumatica.records.second_reading import (
    Policy,
    Remarks,
    Repairs,
    SecondReader,
    json_type,
    shown,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model, Property
    from tap_acumatica.odata.time_zone import ConversionCache
    from tap_acumatica.records.conversions import Convert
    from tap_acumatica.records.deletion import Deletion

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


def as_received(name: str) -> str:
    """Name under which a row has what is emitted of a column whose value rows are found by."""
    return f"@{name}"


def content(row: t.Any) -> bytes:
    """The content of a row, however it was decoded, to recognize it again."""
    return _CONTENT.encode(row if isinstance(row, dict) else row.whole())


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
        certain: Collection[str] = (),
        received: Collection[str] = (),
        typed: Mapping[str, Mapping[str, t.Any]] | None = None,
        policy: Policy = Policy.FAIL,
        repairs: Repairs | None = None,
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
            certain: Columns whose values rows are found by: those that are none always fail.
            received: Date-times among them that are emitted as they came; a row has that form
                under :func:`as_received`.
            typed: JSON Schemas of columns that the catalog types otherwise than the metadata.
            policy: What to do with other values that are none of their column.
            repairs: Takes note of values that were not in the form of their type.
        """
        self._key = tuple(key)
        self._certain = frozenset({*key, *certain})
        self.received = frozenset(received)
        self._typed = typed or {}
        self._policy = policy
        self._remarks = Remarks()
        self.repairs = repairs or Repairs()
        self.time_zone = time_zone or ServiceTimeZone()
        self.dates = frozenset(dates)
        self.deletion = deletion
        self.omits_nulls = omits_nulls
        self.optional = frozenset(optional)
        self._parse = (
            partial(parse_entity, properties=frozenset(properties), lenient=True)
            if singleton
            else partial(parse_collection, lenient=True)
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
        self._convert = self._conversions()
        self._decoded_names = {name: decode_name(name) for name in self._convert}
        self._feed_paths = {
            self._decoded_names[name]: prop.feed_path
            for name, prop in properties.items()
            if prop.feed_path
        }

    def _conversions(self, *, from_xml: bool = False, strict: bool = False) -> dict[str, Convert]:
        def reading(policy: Policy, *, found_by: bool = False) -> Conversions:
            second = None if strict else SecondReader(self._remarks, policy)
            return Conversions(
                self._model, self.time_zone, from_xml=from_xml, second=second, found_by=found_by
            )

        usual, certain = reading(self._policy), reading(Policy.KEY, found_by=True)
        found: dict[str, Convert] = {}
        for name, prop in self._properties.items():
            conversions = certain if name in self._certain else usual
            if name in self.dates:
                found[name] = conversions.for_date()
            elif name in self._typed:
                found[name] = conversions.for_schema(self._typed[name])
            else:
                found[name] = conversions.for_property(prop)
        for expansion in self._expansions:
            found[expansion.navigation.name] = usual.for_expansion(expansion)
        for name, schema in self._undeclared.items():
            found[name] = usual.for_schema(schema)
        return found

    @cached_property
    def _convert_text(self) -> dict[str, Convert]:
        return self._conversions(from_xml=True)

    @cached_property
    def _convert_strictly(self) -> dict[str, Convert]:
        return self._conversions(strict=True)

    def times_of(self, name: str) -> ConversionCache:
        """The conversions of a column's date-times to what is emitted."""
        by_value = self._certain - self.received
        return self.time_zone.found_by if name in by_value else self.time_zone.emitted

    def found_by(self, name: str) -> ConversionCache:
        """The conversions of a column's date-times to the form in which rows are found."""
        return self.time_zone.found_by if name in self._certain else self.time_zone.emitted

    def in_found_form(self, values: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Values as they are emitted, in the form in which rows are found."""
        found_by = self.time_zone.found_by
        return {n: found_by[v] if n in self.received else v for n, v in values.items()}

    def converter(self, name: str) -> Convert:
        """The conversion of a column's JSON value in the form of its type to its wire value."""
        return self._convert_strictly.get(name, _unchanged)

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
        read = partial(self._row, conversions=self._convert, names=names, marked=payload.marked)
        rows = [read(members.named(raw)) for raw in payload.rows]
        return Page(
            rows,
            payload.next_link,
            payload.context,
            absent=members.absent,
            lacking=members.lacking,
        )

    skim = decode
    """All columns are needed to make sure that a value is one."""

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
            [
                self._row(raw, self._convert_text, self._decoded_names, marked=reader.repaired)
                for raw in raws
            ],
            absent=absent,
            lacking=lacking,
        )
        if not complete:
            following = partial(self._decode_part, reader, entries, members)
            return page._replace(next_part=following)
        base = reader.base and reader.base.rstrip("/")
        return page._replace(next_link=reader.next_link, context=base)

    def _row(
        self,
        raw: Row,
        conversions: Mapping[str, Convert],
        names: Mapping[str, str] | None,
        *,
        marked: bool = False,
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
                value = self._converted(raw, name, value, convert, marked=marked)
            row[name] = value
            if name in self.received:
                text = raw.get(names[name] if names else name)
                row[as_received(name)] = self._received(text, value)
        if self.deletion:
            emitted = {name: row[as_received(name)] for name in self.received}
            row[self.deletion.name] = self.deletion.deleted_at({**row, **emitted})
        return row

    def _received(self, text: t.Any, value: str | None) -> str | None:
        """What is emitted of a date-time: the text as it came, if that is one in UTC."""
        if value is None or not isinstance(text, str):
            return value
        return text if self.time_zone.is_emitted_as_received(text) else value

    def _converted(
        self, raw: Row, name: str, value: t.Any, convert: Convert, *, marked: bool
    ) -> t.Any:
        """A value as it is emitted; what had to be done to read it is noted.

        Raises:
            ValueMismatchError: If it is none of its column.
        """
        try:
            if marked:
                value = self._repaired(name, value)
            found = convert(value)
        except ValueMismatchError as error:
            self._remarks.take()
            message = self._mismatch_message(raw, name, value, error)
            raise ValueMismatchError(message) from error
        if remarks := self._remarks.take():
            self.repairs.add(name, self._row_name(raw), remarks)
        return found

    def _repaired(self, name: str, value: t.Any) -> t.Any:
        """A value without characters that no text may hold.

        Raises:
            ValueMismatchError: If rows are found by it, so that no character may be replaced.
        """
        found = repaired(value)
        if found.replaced:
            if name in self._certain:
                msg = "holds characters that no text may hold, in a column that rows are found by"
                raise ValueMismatchError(msg)
            self._remarks.replaced()
        if found.bare:
            self._remarks.bare()
        return found.value

    def _row_name(self, raw: Row) -> str:
        return ", ".join(f"{p}={shown(raw.get(p))}" for p in self._key) or "(no key)"

    def _mismatch_message(self, raw: Row, name: str, value: t.Any, error: Exception) -> str:
        advice = (
            "rows are found by it, so 'on_value_error' does not apply; correct it at the source"
            if name in self._certain
            else "set 'on_value_error' to null to read null in its place, make the column a string "
            "in the catalog, or deselect it"
        )
        kind = f"the value of {name} (a {json_type(value)})"
        return f"row {self._row_name(raw)}: {kind} {error}; {advice}"


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
