"""Checks a configuration before any request is made, with messages for people."""

from __future__ import annotations

import typing as t

from jsonschema import Draft202012Validator

from tap_acumatica.errors import SettingsError, ValueMismatchError
from tap_acumatica.http.additions import UnknownLocaleError, language_tag, property_fault
from tap_acumatica.odata import times
from tap_acumatica.odata.time_zone import UnknownZoneError, zone_named
from tap_acumatica.settings.table import ADDED_PROPERTIES, SETTINGS

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_acumatica.settings.table import Setting

_ZONES = "an IANA name such as America/New_York, or a Windows one, Eastern Standard Time"
_REGIONS = "a BCP 47 tag such as de-CH, or a Windows name, German (Switzerland)"


def check(config: Mapping[str, t.Any]) -> None:
    """Check a configuration before any request is made.

    Args:
        config: The configuration as given; unknown settings are the SDK's and not looked at.

    Raises:
        SettingsError: One line that names every setting at fault and what is allowed.
    """
    problems = []
    for setting in SETTINGS:
        value = config.get(setting.name)
        if value is None:
            if setting.required:
                problems.append(f"setting '{setting.name}' is missing: {setting.description}")
            continue
        for error in Draft202012Validator(setting.json_schema()).iter_errors(value):
            found = "its value" if setting.secret else _shown(error.instance)
            problems.append(
                f"setting '{setting.name}' is wrong: {found} {_allowed(error, setting)}"
            )
    problems.extend(_check_start_date(config.get("start_date")))
    problems.extend(faults(config))
    if problems:
        raise SettingsError("; ".join(problems))


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


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004


def _allowed(error: t.Any, setting: Setting) -> str:
    if "enum" in setting.schema:
        return f"is not one of {', '.join(setting.schema['enum'])}"
    if "minimum" in setting.schema and error.validator in {"minimum", "maximum", "type"}:
        low, high = setting.schema["minimum"], setting.schema["maximum"]
        return f"is no whole number from {low} to {high}"
    if error.validator == "pattern":
        return "is no address that begins with https:// or http://"
    if setting.schema is ADDED_PROPERTIES and error.validator != "type":
        return "is not allowed here: each entry has name, value and in, which is header or query"
    if error.validator == "type":
        wanted = [kind for kind in _as_list(error.validator_value) if kind != "null"]
        return f"is not of type {' or '.join(wanted)}"
    return "is not allowed here"


def _as_list(value: t.Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _check_start_date(value: t.Any) -> list[str]:
    if not isinstance(value, str) or not value:
        return []
    try:
        canonical_start(value)
    except ValueMismatchError as error:
        return [
            f"setting 'start_date' is wrong: {value!r} {error}; write it as 2024-01-31T00:00:00Z"
        ]
    return []


def canonical_start(value: str) -> str:
    """``start_date`` in the canonical form; a plain date is its midnight in UTC."""
    return times.to_canonical(value if ":" in value else f"{value}T00:00:00Z")
