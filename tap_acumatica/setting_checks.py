"""What a JSON Schema cannot say of a setting: names of zones and regions, patterns, headers."""

from __future__ import annotations

import typing as t

from tap_acumatica.acumatica.extras import UnknownLocaleError, language_tag, property_fault
from tap_acumatica.odata.clock import UnknownZoneError, zone_named

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ZONES = "an IANA name such as America/New_York, or a Windows one, Eastern Standard Time"
_REGIONS = "a BCP 47 tag such as de-CH, or a Windows name, German (Switzerland)"


def faults(config: Mapping[str, t.Any]) -> Iterator[str]:
    """What is wrong with the settings, a line each.

    Args:
        config: The configuration; values of a wrong type are not looked at.
    """
    zone, region = config.get("time_zone"), config.get("locale")
    if isinstance(zone, str) and not _known(zone_named, zone, UnknownZoneError):
        yield f"setting 'time_zone' is wrong: {zone!r} is no time zone; give {_ZONES}"
    if isinstance(region, str) and not _known(language_tag, region, UnknownLocaleError):
        yield f"setting 'locale' is wrong: {region!r} is no region; give {_REGIONS}"
    for pattern in _listed(config.get("date_fields"), str):
        if "." not in pattern:
            yield f"setting 'date_fields' is wrong: {pattern!r} is no pattern stream.field"
    for name in ("additional_properties", "secret_additional_properties"):
        for entry in _listed(config.get(name), dict):
            fault = property_fault(entry) if _is_complete(entry) else None
            if fault:
                yield f"setting '{name}' is wrong: {fault}"


def _known(find: t.Callable[[str], object], name: str, error: type[Exception]) -> bool:
    try:
        find(name)
    except error:
        return False
    return True


def _listed(value: t.Any, kind: type) -> list[t.Any]:
    return [entry for entry in value if isinstance(entry, kind)] if isinstance(value, list) else []


def _is_complete(entry: Mapping[str, t.Any]) -> bool:
    return all(isinstance(entry.get(name), str) for name in ("name", "value", "in"))
