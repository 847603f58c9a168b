"""What identifies a row, and the columns that a filter must not name."""

from __future__ import annotations

import typing as t
from difflib import get_close_matches

from tap_acumatica.acumatica.entity_sets import appended_keys
from tap_acumatica.errors import SettingsError
from tap_acumatica.odata.types import is_primitive

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.entity_sets import Entity
    from tap_acumatica.odata.model import Model
    from tap_acumatica.records.schema import RecordShape

_CODE, _NUMBER = "CD", "ID"
_NUMBERS = {"AcctCD": "BAccountID"}
_WHOLE_NUMBERS = frozenset({"Edm.Int32", "Edm.Int64"})


def given_key(
    entity: Entity, model: Model, by_name: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...] | None:
    """The columns that ``keys`` names for an entity set; None where it names none of it.

    Args:
        entity: The entity set.
        model: The service's model.
        by_name: The setting: columns by name of a stream or an entity set.

    Raises:
        SettingsError: If one of them is missing or cannot be part of a key.
    """
    given = next((by_name[alias] for alias in entity.aliases if alias in by_name), None)
    if given is None:
        return None
    declared = model.properties(entity.entity_set.type)
    columns = [
        name
        for name, prop in declared.items()
        if not prop.collection and _is_value(model, model.resolve_definition(prop).type)
    ]
    for name in given:
        if name not in columns:
            near = get_close_matches(name, columns, n=1, cutoff=0.0)
            advice = f"; the nearest is '{near[0]}'" if near else ""
            fault = f"has no column '{name}' that can be part of a key{advice}"
            msg = f"'keys' is wrong: {entity.stream} {fault}"
            raise SettingsError(msg)
    return tuple(dict.fromkeys(given))


def _is_value(model: Model, type_name: str) -> bool:
    return is_primitive(type_name) or model.is_enum(type_name)


def nullable_keys(entity: Entity, model: Model, key: tuple[str, ...]) -> frozenset[str]:
    """Columns of a key that may be null: all of an inquiry, none of a table's own key."""
    if entity.inquiry:
        return frozenset(key)
    own = set(model.key(entity.entity_set.type) if entity.dac else ())
    if own.issuperset(key):
        return frozenset()
    declared = model.properties(entity.entity_set.type)
    return frozenset(
        name for name in key if name not in own and name in declared and declared[name].nullable
    )


def not_comparable(model: Model, entity: Entity, shape: RecordShape) -> frozenset[str]:
    """Columns that a filter must not name."""
    refused = set(entity.restricted)
    for name in entity.barred_types:
        # DACs say so of their own fields; those of the base type can be filtered.
        if own := model.structured_type(name):
            refused |= set(own.properties)
    if entity.inquiry:
        refused |= appended_keys(tuple(shape.properties), model.key(entity.entity_set.type))
    return frozenset(refused)


def code_and_number(entity: Entity, shape: RecordShape) -> tuple[str, str] | None:
    """The code by which a table is keyed, and the number that stands beside it.

    The action "Change ID" renames a code such as ``AcctCD`` or ``InventoryCD``, while the row's
    number, ``BAccountID`` or ``InventoryID``, stays.

    Returns:
        Both names; None where no part of the key is a code, or the metadata has no such number.
    """
    if not entity.dac:
        return None
    for name in shape.key:
        number = _NUMBERS.get(name, f"{name.removesuffix(_CODE)}{_NUMBER}")
        prop = shape.properties.get(number)
        if name.endswith(_CODE) and prop and prop.type in _WHOLE_NUMBERS:
            return name, number
    return None
