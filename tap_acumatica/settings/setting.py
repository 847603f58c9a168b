"""What is known of a setting, and the JSON Schemas that settings have in common."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: Final name, as in the configuration file.
        schema: JSON Schema of its value, with its range.
        title: Label for people.
        description: What it means, in one or two sentences.
        default: Value where none is given; None where there is none.
        needed: What to give, where a configuration without it is refused; else empty.
        secret: Whether it must never be shown.
    """

    name: str
    schema: Mapping[str, t.Any]
    title: str
    description: str
    default: t.Any = None
    needed: str = ""
    secret: bool = False

    @property
    def required(self) -> bool:
        """Whether a configuration without it is refused."""
        return bool(self.needed)

    def json_schema(self) -> dict[str, t.Any]:
        """JSON Schema of the setting, in the SDK's manner."""
        schema: dict[str, t.Any] = dict(self.schema)
        if not self.required:
            schema["type"] = [schema["type"], "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
        schema |= {"title": self.title, "description": self.description}
        if self.default is not None:
            schema["default"] = self.default
        if self.secret:
            schema |= {"secret": True, "writeOnly": True}
        return schema


def integer(minimum: int, maximum: int) -> dict[str, t.Any]:
    """Schema of a whole number within limits."""
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def choice(*values: str) -> dict[str, t.Any]:
    """Schema of one of a few texts."""
    return {"type": "string", "enum": list(values)}


TEXT: dict[str, t.Any] = {"type": "string"}
SECRET: dict[str, t.Any] = {"type": "string", "secret": True, "writeOnly": True}
SWITCH: dict[str, t.Any] = {"type": "boolean"}
TEXTS: dict[str, t.Any] = {"type": "array", "items": {"type": "string"}}
ADDED_PROPERTIES: dict[str, t.Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "value": TEXT,
            "in": {"type": "string", "enum": ["header", "query"]},
        },
        "required": ["name", "value", "in"],
        "additionalProperties": False,
    },
}
