"""Checks a configuration before any request is made, with messages for people."""

from __future__ import annotations

import json
import os
import typing as t

from jsonschema import Draft202012Validator

from tap_acumatica.acumatica.addresses import url_fault
from tap_acumatica.errors import SettingsError, ValueMismatchError
from tap_acumatica.http.additions import UnknownLocaleError, language_tag, property_fault
from tap_acumatica.http.trust import trust_fault
from tap_acumatica.odata import times
from tap_acumatica.odata.query import filter_fault
from tap_acumatica.odata.time_zone import UnknownZoneError, zone_named
from tap_acumatica.settings.given import Given, origin_of
from tap_acumatica.settings.names import nearest
from tap_acumatica.settings.setting import ADDED_PROPERTIES, TEXT
from tap_acumatica.settings.table import PREFIX, SETTINGS, schemas
from tap_acumatica.settings.values import VARIABLE, as_meant, kind_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_acumatica.settings.setting import Setting

_LONGEST = 80
_DATE_TIME = "2024-01-31T00:00:00Z"
_ZONES = "an IANA name such as America/New_York or a Windows name such as Eastern Standard Time"
_REGIONS = "a BCP 47 tag such as de-CH or a Windows name such as German (Switzerland)"
_KINDS = {
    "string": "a string",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_NOTHING = (
    f"no settings were given: use --config FILE, or --config=ENV for {PREFIX}… variables; 'url' at "
    "least is needed"
)


def check(config: Mapping[str, t.Any]) -> None:
    """Check a configuration before any request is made.

    Args:
        config: The configuration as given; unknown settings are the SDK's and not looked at.

    Raises:
        SettingsError: One line that names every setting at fault and what is allowed.
    """
    if not config:
        raise SettingsError(_NOTHING)
    problems = []
    for setting in SETTINGS:
        name, value = setting.name, config.get(setting.name)
        if value is None:
            if setting.required:
                problems.append(f"'{name}' is missing: {setting.needed}{_elsewhere(name, config)}")
            continue
        problems += [
            _problem(setting, error, config)
            for error in Draft202012Validator(setting.json_schema()).iter_errors(value)
        ]
    problems += [
        f"'{name}' {fault}{_from(name, config)}" for name, fault in _further_faults(config)
    ]
    problems += _faults_of_variables_of_the_sdk(config)
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
        if text is None:
            continue
        value = as_meant(text, setting.json_schema(), separated=True)
        if isinstance(value, str) and kind_of(setting.schema) != "string":
            problems.append(_fault_of_variable(setting.name, setting.json_schema(), text, variable))
    if problems:
        raise SettingsError("; ".join(problems))


def canonical_start(value: str) -> str:
    """``start_date`` in the canonical form; a plain date is its midnight in UTC.

    Raises:
        ValueMismatchError: If it is not a date or a date-time.
    """
    return times.to_canonical(value if ":" in value else f"{value}T00:00:00Z")


def _problem(setting: Setting, error: t.Any, config: Mapping[str, t.Any]) -> str:
    """What is wrong with a setting, and where its value is from."""
    name, origin = setting.name, origin_of(config, setting.name)
    value = config[name]
    if _is_unread_variable(name, config) and kind_of(setting.schema) != "string":
        return _fault_of_variable(name, setting.json_schema(), value, origin)
    return f"'{name}' {_fault(error, setting)}{_from(name, config)}"


def _is_unread_variable(name: str, config: Mapping[str, t.Any]) -> bool:
    """Whether a setting is still the text of a variable."""
    return isinstance(config, Given) and name in config.variables and isinstance(config[name], str)


def _fault_of_variable(name: str, schema: Mapping[str, t.Any], text: str, variable: str) -> str:
    """What to write into a variable that cannot be read; a secret is not shown."""
    found = "not" if schema.get("secret") else _shown(text)
    return f"'{name}' must be {_wanted(schema)}{_as_json(schema)}, but {variable} is {found}"


def _as_json(schema: Mapping[str, t.Any]) -> str:
    if kind_of(schema) not in {"array", "object"}:
        return ""
    of_texts = schema.get("items") == TEXT
    return ' written as JSON, such as ["A", "B"]' if of_texts else " written as JSON"


def _faults_of_variables_of_the_sdk(config: Mapping[str, t.Any]) -> Iterator[str]:
    """Variables that hold no value of a setting of the SDK; it checks files by itself."""
    own = {setting.name for setting in SETTINGS}
    for name, schema in schemas().items():
        is_text = kind_of(schema) in {"", "string"}
        if name not in own and not is_text and _is_unread_variable(name, config):
            yield _fault_of_variable(name, schema, config[name], origin_of(config, name))


def _from(name: str, config: Mapping[str, t.Any]) -> str:
    origin = origin_of(config, name)
    return f" ({origin})" if origin else ""


def _elsewhere(name: str, config: Mapping[str, t.Any]) -> str:
    """Where a setting stands that is missing; empty where it stands nowhere."""
    variable = f"{PREFIX}{name.upper()}"
    if os.environ.get(variable) and isinstance(config, Given) and not config.variables:
        return f"; {variable} is set, but variables are read with --config=ENV only"
    near = nearest(name, [each for each in config if each not in schemas()])
    return f"; '{near}' is not its name" if near and near.casefold() == name else ""


def _further_faults(config: Mapping[str, t.Any]) -> Iterator[tuple[str, str]]:
    """Faults that a JSON Schema does not find, by setting; values of a wrong type are skipped."""
    url = config.get("url")
    if isinstance(url, str) and (fault := url_fault(url)):
        yield "url", fault
    zone, region = _text(config.get("time_zone")), _text(config.get("locale"))
    if zone and not _is_known(zone_named, zone, UnknownZoneError):
        yield "time_zone", f"must be {_ZONES}, not {_shown(zone)}"
    if region and not _is_known(language_tag, region, UnknownLocaleError):
        yield "locale", f"must be {_REGIONS}, not {_shown(region)}"
    ca_file = _text(config.get("ca_file"))
    if ca_file and (fault := trust_fault(ca_file)):
        yield "ca_file", fault
    yield from _faults_of_range(config)
    yield from _faults_of_filters(config)
    yield from _faults_of_entries(config)


def _faults_of_range(config: Mapping[str, t.Any]) -> Iterator[tuple[str, str]]:
    """Faults in the dates between which rows are read."""
    given = {name: _text(config.get(name)) for name in ("start_date", "end_date")}
    known = {
        name: canonical_start(text)
        for name, text in given.items()
        if text and _is_known(canonical_start, text, ValueMismatchError)
    }
    for name, text in given.items():
        if text and name not in known:
            yield name, f"must be a date-time such as {_DATE_TIME}, not {_shown(text)}"
    if len(known) == len(given) and known["end_date"] <= known["start_date"]:
        yield "end_date", f"must be later than 'start_date', not {_shown(given['end_date'])}"


def _faults_of_filters(config: Mapping[str, t.Any]) -> Iterator[tuple[str, str]]:
    """Filters that cannot stand beside others."""
    filters = config.get("filters")
    for name, text in (filters if isinstance(filters, dict) else {}).items():
        if isinstance(text, str) and (fault := filter_fault(text)):
            yield "filters", f"has no OData filter for '{name}': {fault}, in {_shown(text)}"


def _faults_of_entries(config: Mapping[str, t.Any]) -> Iterator[tuple[str, str]]:
    """Faults in what lists and objects hold, and variables that nobody replaced."""
    for pattern in _listed(config.get("date_fields"), str):
        if "." not in pattern:
            wanted = "must hold patterns stream.field such as SOOrder.OrderDate, not"
            yield "date_fields", f"{wanted} {_shown(pattern)}"
    if not all(_listed(config.get("tenants"), str)):
        yield "tenants", "must not contain an empty name; set the variable that it comes from"
    for name in ("additional_properties", "secret_additional_properties"):
        for entry in _listed(config.get(name), dict):
            if _is_complete(entry) and (fault := property_fault(entry)):
                yield name, f"is wrong: {fault}"
    for setting in SETTINGS:
        value = config.get(setting.name)
        texts = [value] if isinstance(value, str) else _listed(value, str)
        if not setting.secret and any(VARIABLE.fullmatch(text) for text in texts):
            fault = "holds the name of a variable, which is not replaced here; write its value"
            yield setting.name, fault


def _fault(error: t.Any, setting: Setting) -> str:
    """What is wrong with a setting, as the predicate of a sentence that begins with its name."""
    path = list(error.absolute_path)
    if setting.name == "tenant_credentials" and path:
        return _credentials_fault(error, *path)
    if setting.schema is ADDED_PROPERTIES and path:
        return "must have exactly name, value and in (header or query) in each entry"
    found = "" if setting.secret else f", not {_shown(error.instance)}"
    found += _quotes(error, setting.name)
    if path:
        return _inner_fault(error, path, found)
    if error.validator == "pattern":
        return f"must begin with https:// or http://{found}"
    wanted = _wanted(setting.schema)
    advice = "" if setting.schema.get("items") != TEXT else _as_list(error.instance, wanted)
    return f"must be {wanted}{advice or found}"


def _quotes(error: t.Any, name: str = "") -> str:
    """How to write a number that is meant as a text; empty where that is no help."""
    if error.validator != "type" or "string" not in error.validator_value:
        return ""
    if type(error.instance) not in {int, float}:
        return ""
    is_date = name in {"start_date", "end_date"}
    return f': write it as "{_DATE_TIME}"' if is_date else ": put it in quotes"


def _credentials_fault(error: t.Any, tenant: str, member: str = "") -> str:
    """What is wrong with one tenant's credentials; never a value."""
    if member:
        return f"must have a string as {member} of tenant '{tenant}'{_quotes(error)}"
    if error.validator != "additionalProperties":
        return f'must have an object for tenant \'{tenant}\', such as {{"username": "…"}}'
    allowed = error.schema["properties"]
    names = [name for name in error.instance if name not in allowed]
    unknown = ", ".join(f"'{name}'" for name in names)
    near = dict.fromkeys(filter(None, (nearest(name, allowed) for name in names)))
    advice = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    fault = f"must not have {unknown} for tenant '{tenant}'; allowed are {', '.join(allowed)}"
    return f"{fault}{advice}"


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
    entries = [entry.strip() for entry in value.strip("[] ").split(",")]
    advice = f": write {json.dumps(entries, ensure_ascii=False)}"
    one = f", or {json.dumps([value], ensure_ascii=False)} if it is one name"
    return f"{advice}{one}" if len(entries) > 1 and not value.startswith("[") else advice


def _wanted(schema: Mapping[str, t.Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(choice for choice in schema['enum'] if choice)}"
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    return _KINDS[kind_of(schema)]


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
