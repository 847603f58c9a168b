"""The values that ``inquiry_parameters`` gives to the parameters of generic inquiries."""

from __future__ import annotations

import typing as t

from tap_acumatica.errors import SettingsError, ValueMismatchError
from tap_acumatica.odata.types import edm_type, is_timestamp

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.entity_sets import Entity
    from tap_acumatica.odata.time_zone import ServiceTimeZone

_IS_WRONG = "'inquiry_parameters' is wrong"


def parameter_values(
    entity: Entity,
    by_name: Mapping[str, Mapping[str, t.Any]],
    version: str,
    time_zone: ServiceTimeZone,
) -> Mapping[str, t.Any] | None:
    """Wire values of an inquiry's parameters, None where none are given.

    OData 3.0 does not declare them: they are sent as given.

    Args:
        entity: The inquiry.
        by_name: The setting: values by name of a stream or an entity set.
        version: OData version of the service.
        time_zone: The service's clock.

    Raises:
        SettingsError: If they do not fit the metadata.
    """
    given = next((by_name[alias] for alias in entity.aliases if alias in by_name), None)
    if given is None or (entity.inquiry and not entity.function and version < "4"):
        return given
    declared = entity.function.parameters if entity.function else ()
    names = {parameter.name: parameter for parameter in declared}
    unknown = [name for name in given if name not in names]
    missing = [name for name in names if name not in given]
    if unknown or missing:
        has = ", ".join(f"{p.name} ({p.type})" for p in declared) or "none"
        fault = f"has no '{unknown[0]}'" if unknown else f"needs '{missing[0]}'"
        msg = f"{_IS_WRONG}: {entity.stream} {fault}; its parameters: {has}"
        raise SettingsError(msg)
    return {
        name: _parameter(entity, name, names[name].type, value, time_zone)
        for name, value in given.items()
    }


def _parameter(
    entity: Entity, name: str, type_name: str, value: t.Any, time_zone: ServiceTimeZone
) -> t.Any:
    if value is None:
        return None
    try:
        if is_timestamp(type_name) and isinstance(value, str):
            return time_zone.to_utc(value if ":" in value else f"{value}T00:00:00")
        return edm_type(type_name).parse(value)
    except ValueMismatchError as error:
        fault = f"the value of {name} {error} ({type_name})"
        msg = f"{_IS_WRONG}: {entity.stream}: {fault}"
        raise SettingsError(msg) from error
