"""Warns of settings that nobody knows, with the nearest name."""

from __future__ import annotations

import logging
import re
import typing as t

from tap_acumatica.settings.given import origin_of
from tap_acumatica.settings.names import nearest
from tap_acumatica.settings.table import PREFIX, schemas

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

logger = logging.getLogger(__name__)

_NO_SETTING = re.compile(r"[_$#/@]|x-|\Z")
"""How names of comments and of what Meltano adds begin."""

_VARIABLE = re.compile(rf"(export\s+)?{PREFIX.replace('_', '[-_.]')}(?P<name>.*)", re.IGNORECASE)
_OF_THE_SDK = {"loglevel", "log_level", "log_config", "metrics_loglevel"}
_READ_ALL_THE_SAME = {("batch_config", "batch_size")}
"""Members that the SDK's schema does not know, and its code reads."""
_INHERITED = re.compile(r"(no_)?refresh_(?P<name>.+)")
"""Settings of the plugins of ``meltano.yml`` that inherit from tap-acumatica."""


def warn_of_unknown_settings(config: Mapping[str, t.Any]) -> None:
    """Warn of settings, and of members of the SDK's own settings, that have no effect."""
    known = schemas()
    for name, value in config.items():
        origin = origin_of(config, name)
        if name in known:
            for path, member, allowed in _unknown_members(value, known[name], f"'{name}'"):
                if (name, member) in _READ_ALL_THE_SAME:
                    continue
                near = nearest(member, allowed)
                advice = f"did you mean '{near}'?" if near else f"allowed: {', '.join(allowed)}"
                _warn(f"{path}: '{member}' is unknown and has no effect; {advice}", origin)
        elif not _NO_SETTING.match(name):
            _warn(f"setting '{name}' is unknown and has no effect; {_advice(name, value)}", origin)


def warn_of_unknown_variables(variables: Iterable[str]) -> None:
    """Warn of variables that are named like settings and have no effect.

    Args:
        variables: Names of all variables.
    """
    known = schemas()
    names = {f"{PREFIX}{name.upper()}" for name in known}
    for variable in sorted(variables):
        found = _VARIABLE.fullmatch(variable)
        if found is None or variable in names:
            continue
        name = re.sub(r"[-.]", "_", found["name"].casefold())
        inherited = _INHERITED.fullmatch(name)
        if _NO_SETTING.match(name) or name in _OF_THE_SDK:
            continue
        if inherited and inherited["name"] in known:
            continue
        if name in known:
            right = f"{PREFIX}{name.upper()}"
            _warn(f"variable '{variable}' has no effect; its name must be {right}")
        else:
            _warn(f"setting '{name}' is unknown and has no effect; {_advice(name, None)}", variable)


def _advice(name: str, value: t.Any) -> str:
    known = schemas()
    if isinstance(value, dict) and value.keys() & known.keys():
        return "write the settings in it at the top of the file"
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else "tap-acumatica --about lists all settings"


def _unknown_members(
    value: t.Any, schema: Mapping[str, t.Any], path: str
) -> Iterator[tuple[str, str, list[str]]]:
    """Members that an object's schema does not name: where, which, and those that it names."""
    declared = schema.get("properties")
    others = schema.get("additionalProperties")
    if not declared or not isinstance(value, dict) or isinstance(others, dict):
        return
    for name, member in value.items():
        if name in declared:
            yield from _unknown_members(member, declared[name], f"{path}, '{name}'")
        elif not _NO_SETTING.match(name):
            yield path, name, list(declared)


def _warn(message: str, origin: str = "") -> None:
    logger.warning("%s%s", message, f" ({origin})" if origin else "")
