"""Converts received values to emitted values, by declared type or by that of the catalog."""

from __future__ import annotations

import typing as t

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata import lenient
from tap_acumatica.odata.payload import decode_name, is_control_information
from tap_acumatica.odata.times import date_part
from tap_acumatica.odata.types import (
    edm_type,
    is_primitive,
    is_timestamp,
    xml_parser,
)
from tap_acumatica.records.catalog_types import schema_conversion
from tap_acumatica.records.schema import MAX_DEPTH

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model, Property
    from tap_acumatica.odata.time_zone import ServiceTimeZone
    from tap_acumatica.records.second_reading import SecondReader

Convert = t.Callable[[t.Any], t.Any]


# Values of these types are numbers in JSON; Int64 and decimals may be texts (IEEE754Compatible).
_NEVER_TEXT = frozenset({"Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32"})
_FLOATING = frozenset({"Edm.Double", "Edm.Single"})


class Conversions:
    """Builds the conversions for the types of one service."""

    def __init__(
        self,
        model: Model,
        time_zone: ServiceTimeZone,
        *,
        from_xml: bool = False,
        second: SecondReader | None = None,
        found_by: bool = False,
    ) -> None:
        """Create a builder.

        Args:
            model: The service's model.
            time_zone: Time zone of the service.
            from_xml: Whether values come from XML, where each one is a string.
            second: Reads values again that are not in the form of their type; None to refuse them.
            found_by: Whether rows are found by the values, so that date-times take one form.
        """
        self._times = time_zone.found_by if found_by else time_zone.emitted
        self._model = model
        self._time_zone = time_zone
        self._from_xml = from_xml
        self._second = second

    def for_property(self, prop: Property, depth: int = 0) -> Convert:
        """The conversion of a property's non-null values; raises ``ValueMismatchError``."""
        return self._one_or_each(self._for_value(prop, depth), many=prop.collection)

    def for_schema(self, schema: Mapping[str, t.Any]) -> Convert:
        """The conversion to a type in the catalog, of values of any type."""
        convert = schema_conversion(schema, self._time_zone.to_output)
        return self._again(convert, None, "what the catalog says")

    def for_date(self) -> Convert:
        """The conversion of a date-time to its date."""
        return self._again(self._date_part, lenient.date, "a date")

    def _again(self, first: Convert, second: Convert | None, expected: str) -> Convert:
        return self._second.wrap(first, second, expected) if self._second else first

    def _one_or_each(self, one: Convert, *, many: bool) -> Convert:
        if not many:
            return one
        each = self._again(_each(one), None, "a list")
        return _unless_blank(each, []) if self._from_xml else each

    def _for_value(self, prop: Property, depth: int) -> Convert:
        name = prop.type
        if is_timestamp(name):
            read = lenient.lenient_parser(name)
            again = self._time_zone.to_comparable
            return self._again(self._time, lambda value: again(read(value)), "a date-time")
        if is_primitive(name):
            return self._again(
                self._primitive(name), lenient.lenient_parser(name), lenient.described(name)
            )
        if self._model.is_enum(name):
            return self._again(_enumeration, lenient.text, "a text")
        if self._model.structured_type(name) and depth < MAX_DEPTH:
            # Built on first use: a complex type may contain itself.
            members = _members(
                lambda: {
                    member: self.for_property(self._model.resolve_definition(declared), depth + 1)
                    for member, declared in self._model.properties(name).items()
                }
            )
            members = self._again(members, None, "an object")
            return _unless_blank(members, None) if self._from_xml else members
        return edm_type(name).parse

    def _primitive(self, name: str) -> Convert:
        """Reads a primitive value in the form of its type, and nothing else."""
        if name in _FLOATING:
            name = "Edm.Decimal"  # which is neither NaN nor infinite
        if self._from_xml:
            return xml_parser(name)
        return _no_text(name) if name in _NEVER_TEXT else edm_type(name).parse

    def _time(self, value: t.Any) -> str | None:
        text = self._require_text(value)
        return self._times[text] if text or not self._from_xml else None

    def _date_part(self, value: t.Any) -> str | None:
        text = self._require_text(value)
        return date_part(text) if text or not self._from_xml else None

    def _require_text(self, value: t.Any) -> str:
        if not isinstance(value, str):
            msg = "is not a date-time"
            raise ValueMismatchError(msg)
        return value.strip() if self._from_xml else value

    def for_expansion(self, expansion: Expansion) -> Convert:
        """The conversion of an expanded navigation property."""

        def build() -> dict[str, Convert]:
            declared = self._model.properties(expansion.navigation.type)
            names = expansion.select or tuple(declared)
            built = {
                name: self.for_property(self._model.resolve_definition(declared[name]))
                for name in names
            }
            for nested in expansion.nested:
                built[nested.navigation.name] = self.for_expansion(nested)
            return built

        members = self._again(_members(build), None, "an object")
        return self._one_or_each(members, many=expansion.navigation.collection)


def _no_text(name: str) -> Convert:
    """Reads a number, but not from a text."""
    parse = edm_type(name).parse

    def convert(value: t.Any) -> t.Any:
        if isinstance(value, str):
            msg = "is not an integer"
            raise ValueMismatchError(msg)
        return parse(value)

    return convert


def _enumeration(value: t.Any) -> str:
    """The name of a member, or its number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        msg = "is not the name of a member"
        raise ValueMismatchError(msg)
    return str(value)


def _unless_blank(convert: Convert, blank: t.Any) -> Convert:
    """The conversion, except that an empty element becomes ``blank``."""
    return lambda value: blank if value == "" else convert(value)


def _each(convert: Convert) -> Convert:
    def convert_all(values: t.Any) -> list[t.Any]:
        if not isinstance(values, list):
            msg = "is not a list"
            raise ValueMismatchError(msg)
        return [None if value is None else convert(value) for value in values]

    return convert_all


def _members(build: Callable[[], dict[str, Convert]]) -> Convert:
    built: dict[str, Convert] = {}

    def convert_members(value: t.Any) -> dict[str, t.Any]:
        if not isinstance(value, dict):
            msg = "is not an object"
            raise ValueMismatchError(msg)
        if not built:
            built.update(build())
        found = {name: value.get(name, value.get(decode_name(name))) for name in built}
        return {
            name: None if found[name] is None else convert(found[name])
            for name, convert in built.items()
            if name in value or not is_control_information(name)
        }

    return convert_members
