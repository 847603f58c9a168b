"""``$expand`` expressions: parsed from a setting, checked against the metadata, written to a URL.

Grammar (a subset of OData 4.01 Part 2, section 5.1.3)::

    item    = name [ "(" option *( ";" option ) ")" ]
    option  = "$select=" name *( "," name ) | "$expand=" item *( "," item )
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from typing_extensions import override

from tap_acumatica.errors import ExpandError
from tap_acumatica.odata.dialect import V4

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_acumatica.odata.dialect import Dialect
    from tap_acumatica.odata.model import Model, NavigationProperty


@dataclass(frozen=True, slots=True)
class Expansion:
    """One navigation property to expand.

    Attributes:
        navigation: The navigation property.
        select: Properties to return of the related entities; empty for all of them.
        nested: Navigation properties to expand within the related entities.
    """

    navigation: NavigationProperty
    select: tuple[str, ...]
    nested: tuple[Expansion, ...] = ()

    @override
    def __str__(self) -> str:
        options = [f"$select={','.join(self.select)}"] if self.select else []
        if self.nested:
            options.append(f"$expand={render(self.nested)}")
        return f"{self.navigation.name}({';'.join(options)})" if options else self.navigation.name


def render(expansions: Sequence[Expansion]) -> str:
    """The value of the ``$expand`` query option."""
    return ",".join(str(expansion) for expansion in expansions)


def as_paths(expansions: Sequence[Expansion]) -> tuple[str, tuple[str, ...]]:
    """The value of ``$expand`` and the paths to add to ``$select``, for OData 1.0 to 3.0.

    These versions have no options in parentheses: everything is a path (OData 3.0 URL Conventions,
    sections 5.1.7 and 5.1.8).
    """
    expand: list[str] = []
    select: list[str] = []

    def add(expansion: Expansion, start: str) -> None:
        path = f"{start}{expansion.navigation.name}"
        expand.append(path)
        every = f"{path}/*" if expansion.nested else path
        select.extend([f"{path}/{name}" for name in expansion.select] or [every])
        for nested in expansion.nested:
            add(nested, f"{path}/")

    for expansion in expansions:
        add(expansion, "")
    return ",".join(expand), tuple(select)


def parse_expand(items: Sequence[str], type_name: str, model: Model) -> tuple[Expansion, ...]:
    """Parse ``$expand`` items and check every name in them.

    Args:
        items: For example ``["AccountByAccountID($select=AccountCD)", "SOLineCollection"]``.
        type_name: Qualified name of the entity type to expand.
        model: The service's model.

    Raises:
        ExpandError: If an item is malformed, or names a property that the type does not have.
    """
    return tuple(_parse_item(item.strip(), type_name, model) for item in items)


def _parse_item(item: str, type_name: str, model: Model) -> Expansion:
    name, options = _open(item)
    navigation = model.navigation(type_name).get(name)
    if navigation is None:
        msg = f"{type_name} has no navigation property '{name}'"
        raise ExpandError(msg)
    known = model.properties(navigation.type)
    select: tuple[str, ...] = ()
    nested: tuple[Expansion, ...] = ()
    for option in _split(options, ";"):
        keyword, equals, value = option.partition("=")
        if keyword.strip() == "$select" and equals:
            select = tuple(part.strip() for part in value.split(","))
        elif keyword.strip() == "$expand" and equals:
            nested = parse_expand(list(_split(value, ",")), navigation.type, model)
        else:
            msg = f"'{option}' must be $select=… or $expand=…"
            raise ExpandError(msg)
    if unknown := [part for part in select if part not in known]:
        msg = f"{navigation.type} has no property '{unknown[0]}'"
        raise ExpandError(msg)
    return Expansion(navigation, select, nested)


def query_parts(
    expansions: Sequence[Expansion], dialect: Dialect
) -> tuple[str | None, tuple[str, ...]]:
    """The value of ``$expand``, None for none, and what ``$select`` must name for it."""
    if not expansions:
        return None, ()
    return (render(expansions), ()) if dialect.speaks(V4.version) else as_paths(expansions)


def _open(item: str) -> tuple[str, str]:
    name, bracket, rest = item.partition("(")
    if bracket and not rest.endswith(")"):
        msg = f"'{item}' must end with a closing parenthesis"
        raise ExpandError(msg)
    return name.strip(), rest[:-1] if bracket else ""


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at separators outside parentheses."""
    depth = start = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            yield text[start:position]
            start = position + 1
    if text[start:]:
        yield text[start:]
