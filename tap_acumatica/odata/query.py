"""Builds URLs and query options, percent-encoded once (OData 4.01 Part 2, sections 2 and 5)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from tap_acumatica.odata.types import literal

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.odata.model import FunctionImport
    from tap_acumatica.odata.time_zone import ServiceTimeZone

_QUERY_SAFE = "$,()':*@;/!"
_SEGMENT_SAFE = "!*@"
_ARGUMENT_SAFE = "':"
_SAFE_IN_PATH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '._:-")


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """System query options of one request; those that are None or empty are left out.

    Attributes:
        filter: Comparisons, joined with ``and``.
        orderby: Column names, each optionally followed by ``asc`` or ``desc``.
        select: Names or paths.
        expand: The value of ``$expand``.
        top: The number of rows to return.
        skip: The number of rows to skip.
        format: The value of ``$format``.
        condition: A filter that people have set, in parentheses; its parts are not told apart.
        custom: Other names and values, such as parameter aliases.
    """

    filter: tuple[str, ...] = ()
    orderby: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    expand: str | None = None
    top: int | None = None
    skip: int | None = None
    format: str | None = None
    condition: str | None = None
    custom: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> str:
        """The query string without its question mark."""
        condition = (self.condition,) if self.condition else ()
        options: dict[str, object | None] = {
            "$select": ",".join(self.select) or None,
            "$expand": self.expand,
            "$filter": " and ".join((*self.filter, *condition)) or None,
            "$orderby": ",".join(self.orderby) or None,
            "$top": self.top,
            "$skip": self.skip,
            "$format": self.format,
            **self.custom,
        }
        return "&".join(
            f"{quote(name, safe='$@')}={quote(str(value), safe=_QUERY_SAFE)}"
            for name, value in options.items()
            if value is not None
        )


def filter_fault(text: str) -> str | None:
    """What is wrong with a filter that is to stand in parentheses beside others; None if nothing.

    Only the service knows the rest of its grammar (OData 4.01 Part 2, section 5.1.1).
    """
    if not text.strip():
        return "it is empty"
    if "\n" in text or "\r" in text:
        return "it has several lines"
    if text.lstrip().lower().startswith("$filter"):
        return "leave out '$filter='"
    pieces = text.split("'")  # two single quotation marks within a text are one of its characters
    if len(pieces) % 2 == 0:
        return "a single quotation mark is missing"
    depth = 0
    for character in "".join(pieces[::2]):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    return "its parentheses do not match" if depth else None


def build_url(root: str, segment: str, options: QueryOptions | None = None) -> str:
    """Build a URL from a service root, one encoded path segment and query options."""
    query = options.encoded() if options else ""
    path = f"{root.rstrip('/')}/{segment}"
    return f"{path}?{query}" if query else path


def path_segment(name: str) -> str:
    """Percent-encode an entity set's name as one path segment."""
    return quote(name, safe=_SEGMENT_SAFE)


def function_call(
    function: FunctionImport,
    values: Mapping[str, object],
    *,
    version: str = "4.0",
    time_zone: ServiceTimeZone | None = None,
) -> tuple[str, dict[str, str]]:
    """Write the call of a function import.

    Values that a web server may reject in a path are sent as parameter aliases (OData 4.01 Part 2,
    section 5.3.2). In OData 1.0 to 3.0 all values are query options (OData 3.0 URL Conventions,
    section 6).

    Args:
        function: The function import.
        values: Wire value of each parameter, by name.
        version: OData version of the service.
        time_zone: Time zone of the service, for local times in literals; UTC if None.

    Returns:
        The encoded path segment, and the query options that hold values.
    """
    arguments: list[str] = []
    aliases: dict[str, str] = {}
    for parameter in function.parameters:
        text = literal(parameter.type, values[parameter.name], version=version, time_zone=time_zone)
        if not version.startswith("4"):
            aliases[parameter.name] = text
        elif set(text) <= _SAFE_IN_PATH:
            arguments.append(f"{parameter.name}={quote(text, safe=_ARGUMENT_SAFE)}")
        else:
            arguments.append(f"{parameter.name}=@{parameter.name}")
            aliases[f"@{parameter.name}"] = text
    call = f"({','.join(arguments)})" if version.startswith("4") else ""
    return f"{path_segment(function.name)}{call}", aliases


def compare(  # noqa: PLR0913  all of them decide how it is written
    name: str,
    operator: str,
    type_name: str,
    value: object,
    *,
    version: str = "4.0",
    time_zone: ServiceTimeZone | None = None,
) -> str:
    """Write one comparison, for example ``OrderNbr gt 'SO0001'``; see :func:`literal`."""
    return f"{name} {operator} {literal(type_name, value, version=version, time_zone=time_zone)}"
