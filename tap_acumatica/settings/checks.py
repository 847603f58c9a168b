"""Checks a configuration before any request is made, with messages for people."""

from __future__ import annotations

import json
import typing as t

from jsonschema import Draft202012Validator

from tap_acumatica.acumatica.addresses import url_fault
from tap_acumatica.errors import SettingsError, ValueMismatchError
from tap_acumatica.http.additions import UnknownLocaleError, language_tag, property_fault
from tap_acumatica.odata import times
from tap_acumatica.odata.time_zone import UnknownZoneError, zone_named
from tap_acumatica.settings.setting import ADDED_PROPERTIES, TEXT
from tap_acumatica.settings.table import SETTINGS

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_acumatica.settings.setting import Setting

PREFIX = "TAP_ACUMATICA_"
"""What the names of environment variables begin with."""

_LONGEST = 80
_ZONES = "an IANA name such as America/New_York or a Windows name such as Eastern Standard Time"
_REGIONS = "a BCP 47 tag such as de-CH or a Windows name such as German (Switzerland)"
_KINDS = {
    "string": "a string",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_SWITCHES = frozenset({"true", "false", "1", "0", "yes", "no", "on", "off"})


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
                problems.append(f"'{setting.name}' is missing: {setting.needed}")
            continue
        problems += [
            f"'{setting.name}' {_fault(error, setting)}"
            for error in Draft202012Validator(setting.json_schema()).iter_errors(value)
        ]
    problems += _further_faults(config)
    if problems:
        raise SettingsError("; ".join(dict.fromkeys(problems)))


def check_environment(environment: Mapping[str, str]) -> None:
    """Check that environment variables can be read as the types of their settings.

    Args:
        environment: The environment's variables.

    Raises:
        SettingsError: One line that names each variable that cannot; never with its value where
            that is secret.
    """
    problems = []
    for setting in SETTINGS:
        variable = f"{PREFIX}{setting.name.upper()}"
        text = environment.get(variable)
        if text is None or _can_be_read(setting, text):
            continue
        written = " written as JSON" if setting.schema["type"] in {"array", "object"} else ""
        found = "not" if setting.secret else _shown(text)
        problems.append(
            f"'{setting.name}' must be {_wanted(setting)}{written}, but {variable} is {found}"
        )
    if problems:
        raise SettingsError("; ".join(problems))


def canonical_start(value: str) -> str:
    """``start_date`` in the canonical form; a plain date is its midnight in UTC.

    Raises:
        ValueMismatchError: If it is not a date or a date-time.
    """
    return times.to_canonical(value if ":" in value else f"{value}T00:00:00Z")


def _further_faults(config: Mapping[str, t.Any]) -> Iterator[str]:
    """Faults that a JSON Schema does not find; values of a wrong type are skipped."""
    url = config.get("url")
    if isinstance(url, str) and (fault := url_fault(url)):
        yield f"'url' {fault}"
    zone, region = _text(config.get("time_zone")), _text(config.get("locale"))
    if zone and not _is_known(zone_named, zone, UnknownZoneError):
        yield f"'time_zone' must be {_ZONES}, not {_shown(zone)}"
    if region and not _is_known(language_tag, region, UnknownLocaleError):
        yield f"'locale' must be {_REGIONS}, not {_shown(region)}"
    start = _text(config.get("start_date"))
    if start and not _is_known(canonical_start, start, ValueMismatchError):
        yield f"'start_date' must be a date-time such as 2024-01-31T00:00:00Z, not {_shown(start)}"
    for pattern in _listed(config.get("date_fields"), str):
        if "." not in pattern:
            yield (
                "'date_fields' must hold patterns stream.field such as SOOrder.OrderDate, not "
                f"{_shown(pattern)}"
            )
    for name in ("additional_properties", "secret_additional_properties"):
        for entry in _listed(config.get(name), dict):
            if _is_complete(entry) and (fault := property_fault(entry)):
                yield f"'{name}' is wrong: {fault}"


def _fault(error: t.Any, setting: Setting) -> str:
    """What is wrong with a setting, as the predicate of a sentence that begins with its name."""
    path = list(error.absolute_path)
    if setting.name == "tenant_credentials" and path:
        return _credentials_fault(error, *path)
    if setting.schema is ADDED_PROPERTIES and path:
        return "must have exactly name, value and in (header or query) in each entry"
    found = "" if setting.secret else f", not {_shown(error.instance)}"
    if path:
        return _inner_fault(error, path, found)
    if error.validator == "pattern":
        return f"must begin with https:// or http://{found}"
    wanted = _wanted(setting)
    advice = "" if setting.schema.get("items") != TEXT else _as_list(error.instance, wanted)
    return f"must be {wanted}{advice or found}"


def _credentials_fault(error: t.Any, tenant: str, member: str = "") -> str:
    """What is wrong with one tenant's credentials; never a value."""
    if member:
        return f"must have a string as {member} of tenant '{tenant}'"
    if error.validator != "additionalProperties":
        return f'must have an object for tenant \'{tenant}\', such as {{"username": "…"}}'
    allowed = error.schema["properties"]
    unknown = ", ".join(f"'{name}'" for name in error.instance if name not in allowed)
    return f"must not have {unknown} for tenant '{tenant}'; allowed are {', '.join(allowed)}"


def _inner_fault(error: t.Any, path: Sequence[str | int], found: str) -> str:
    """What is wrong with an entry of a list or an object."""
    if isinstance(path[-1], int):
        return f"must contain only strings{found}"
    kind = _KINDS[error.validator_value]
    return f"must have {kind} for '{path[-1]}'{_as_list(error.instance, kind) or found}"


def _as_list(value: t.Any, kind: str) -> str:
    """How to write a text where a list of texts is wanted; empty where that is no help."""
    if kind != _KINDS["array"] or not isinstance(value, str):
        return ""
    return f": write {json.dumps([value], ensure_ascii=False)}"


def _wanted(setting: Setting) -> str:
    schema = setting.schema
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    return _KINDS[schema["type"]]


def _can_be_read(setting: Setting, text: str) -> bool:
    """Whether a variable holds what its setting's type asks for, as the SDK reads it."""
    kind = setting.schema["type"]
    if kind == "integer":
        return text.strip().isascii() and text.strip().isdigit()
    if kind == "boolean":
        return text.lower() in _SWITCHES
    if kind == "object" or setting.schema is ADDED_PROPERTIES:
        try:
            json.loads(text)
        except ValueError:
            return False
    return True


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""


def _is_known(find: t.Callable[[str], object], name: str, error: type[Exception]) -> bool:
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
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
