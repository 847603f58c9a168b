"""Converts received values to emitted values, by declared type."""

from __future__ import annotations

import typing as t

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata.payload import decode_name, is_control_information
from tap_acumatica.odata.times import date_part
from tap_acumatica.odata.types import edm_type, is_primitive, is_timestamp, xml_parser

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model, Property
    from tap_acumatica.odata.time_zone import ServiceTimeZone

Convert = t.Callable[[t.Any], t.Any]


class Conversions:
    """Builds the conversions for the types of one service."""

    def __init__(self, model: Model, time_zone: ServiceTimeZone, *, from_xml: bool = False) -> None:
        """Create a builder.

        Args:
            model: The service's model.
            time_zone: Time zone of the service.
            from_xml: Whether values come from XML, where each one is a string.
        """
        self._model = model
        self._time_zone = time_zone
        self._from_xml = from_xml

    def for_property(self, prop: Property) -> Convert:
        """The conversion of a property's non-null values; raises ``ValueMismatchError``."""
        return self._one_or_each(self._for_value(prop), many=prop.collection)

    def _one_or_each(self, one: Convert, *, many: bool) -> Convert:
        if not many:
            return one
        return _unless_blank(_each(one), []) if self._from_xml else _each(one)

    def _for_value(self, prop: Property) -> Convert:
        if is_timestamp(prop.type):
            return self._time
        if is_primitive(prop.type):
            return xml_parser(prop.type) if self._from_xml else edm_type(prop.type).parse
        if self._model.is_enum(prop.type):
            return str
        if self._model.structured_type(prop.type):
            # Built on first use: a complex type may contain itself.
            members = _members(
                lambda: {
                    name: self.for_property(self._model.resolve_definition(member))
                    for name, member in self._model.properties(prop.type).items()
                }
            )
            return _unless_blank(members, None) if self._from_xml else members
        return edm_type(prop.type).parse

    def _time(self, value: t.Any) -> str | None:
        text = self._require_text(value)
        return self._time_zone.conversions[text] if text or not self._from_xml else None

    def date_part(self, value: t.Any) -> str | None:
        """Convert a date-time to its date."""
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

        return self._one_or_each(_members(build), many=expansion.navigation.collection)


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
