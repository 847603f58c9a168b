"""Every setting once: name, type, default, range, title, description, secret or not."""

from __future__ import annotations

import typing as t

from tap_acumatica.settings.table_access import ACCESS
from tap_acumatica.settings.table_reading import READING

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.settings.setting import Setting

SETTINGS: tuple[Setting, ...] = (*ACCESS, *READING)


def config_jsonschema() -> dict[str, t.Any]:
    """JSON Schema of the whole configuration."""
    return {
        "type": "object",
        "properties": {setting.name: setting.json_schema() for setting in SETTINGS},
        "required": [setting.name for setting in SETTINGS if setting.required],
    }


def without_blanks(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The configuration without empty texts: an empty variable in ``.env`` sets nothing."""
    return {name: value for name, value in config.items() if value != ""}
