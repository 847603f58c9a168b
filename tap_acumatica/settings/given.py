"""A configuration as it was given: values as they are meant, and where each of them is from."""

from __future__ import annotations

import typing as t

from tap_acumatica.settings.table import schemas
from tap_acumatica.settings.values import LINE_ENDS, as_meant

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Given(dict[str, t.Any]):
    """A configuration that remembers where its settings are from.

    Attributes:
        origins: Name of a file or a variable, by setting.
        variables: The settings that are texts of variables.
    """

    def __init__(self, config: Mapping[str, t.Any] | None = None) -> None:
        """Copy a configuration, with what it remembers."""
        super().__init__(config or {})
        self.origins: dict[str, str] = dict(getattr(config, "origins", {}))
        self.variables: set[str] = set(getattr(config, "variables", ()))

    def put(self, name: str, value: t.Any, origin: str, *, variable: bool = False) -> None:
        """Set a value.

        Args:
            name: Name of the setting.
            value: Its value.
            origin: Where it is from.
            variable: Whether that is a variable of the environment.
        """
        self[name] = value
        self.origins[name] = origin
        (self.variables.add if variable else self.variables.discard)(name)


def origin_of(config: Mapping[str, t.Any], name: str) -> str:
    """Where a setting is from; empty where that is not known."""
    return config.origins.get(name, "") if isinstance(config, Given) else ""


def without_line_ends(secret: str) -> str:
    """A secret without the line ends behind it, which nobody can type."""
    return secret.rstrip(LINE_ENDS)


def as_given(
    config: Mapping[str, t.Any], *, secret: Callable[[str, str], str] | None = None
) -> Given:
    """A configuration with values in the types of their settings, without those that are empty.

    What may mean two things is left as it is, for the checks to refuse.

    Args:
        config: The configuration.
        secret: What to make of a secret, after the name of its setting; None to cut off line ends.
    """
    found = Given(config)
    for name, schema in schemas().items():
        if name not in found:
            continue

        def own(text: str, name: str = name) -> str:
            return secret(name, text) if secret else without_line_ends(text)

        found[name] = as_meant(found[name], schema, secret=own)
        if found[name] == "":
            del found[name]
    return found
