"""Every setting once: name, type, default, range, title, description, secret or not."""

from __future__ import annotations

import typing as t
from functools import cache

from singer_sdk.helpers.capabilities import (
    BATCH_CONFIG,
    EMIT_ACTIVATE_VERSION_CONFIG,
    FLATTENING_CONFIG,
    STREAM_MAPS_CONFIG,
)

from tap_acumatica.settings.table_access import ACCESS
from tap_acumatica.settings.table_reading import READING

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.settings.setting import Setting

PREFIX = "TAP_ACUMATICA_"
"""What the names of environment variables begin with."""

SETTINGS: tuple[Setting, ...] = (*ACCESS, *READING)


def config_jsonschema() -> dict[str, t.Any]:
    """JSON Schema of the whole configuration."""
    return {
        "type": "object",
        "properties": {setting.name: setting.json_schema() for setting in SETTINGS},
        "required": [setting.name for setting in SETTINGS if setting.required],
    }


@cache
def schemas() -> Mapping[str, Mapping[str, t.Any]]:
    """JSON Schema of every setting that has an effect, by name; those of the SDK included."""
    parts = (STREAM_MAPS_CONFIG, FLATTENING_CONFIG, BATCH_CONFIG, EMIT_ACTIVATE_VERSION_CONFIG)
    of_sdk: dict[str, Mapping[str, t.Any]] = {
        name: schema for part in parts for name, schema in part["properties"].items()
    }
    return of_sdk | {setting.name: setting.json_schema() for setting in SETTINGS}


def without_blanks(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The configuration without empty texts: an empty variable in ``.env`` sets nothing."""
    return {name: value for name, value in config.items() if value != ""}
