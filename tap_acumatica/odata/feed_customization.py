"""Feed customization: properties whose value is outside the content of an ATOM entry.

OData 2.0 and 3.0 only; JSON has no such thing. Sources: OData 3.0 CSDL, section 17
(``FC_TargetPath`` and related attributes), and Atom format, section 7.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element

_ATOM = "{http://www.w3.org/2005/Atom}"
_METADATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
_TARGET_PATH = f"{_METADATA}FC_TargetPath"
_SYNDICATION = {
    f"Syndication{name}": "/".join(f"{_ATOM}{step}" for step in path.split("/"))
    for name, path in {
        "AuthorName": "author/name",
        "AuthorEmail": "author/email",
        "AuthorUri": "author/uri",
        "ContributorName": "contributor/name",
        "ContributorEmail": "contributor/email",
        "ContributorUri": "contributor/uri",
        "Published": "published",
        "Rights": "rights",
        "Summary": "summary",
        "Title": "title",
        "Updated": "updated",
    }.items()
}


def feed_path(declaration: Element, suffix: str = "") -> str | None:
    """The lxml path of a value within an entry, or None if the value is in the content.

    Args:
        declaration: A property, or an entity type with ``FC_SourcePath``.
        suffix: Suffix of the attribute names, such as ``_1`` for an entity type's second mapping.
    """
    target = declaration.get(f"{_TARGET_PATH}{suffix}")
    if not target or declaration.get(f"{_METADATA}FC_KeepInContent{suffix}") != "false":
        return None
    if target in _SYNDICATION:
        return _SYNDICATION[target]
    namespace = declaration.get(f"{_METADATA}FC_NsUri{suffix}", "")
    return "/".join(
        step if step.startswith("@") else f"{{{namespace}}}{step}" for step in target.split("/")
    )


def feed_paths(entity_type: Element) -> Iterator[tuple[str, str]]:
    """The properties that an entity type maps, each with the lxml path of its value."""
    start = f"{_METADATA}FC_SourcePath"
    for name, path in entity_type.attrib.items():
        if str(name).startswith(start):
            found = feed_path(entity_type, str(name)[len(start) :])
            if found:
                yield str(path), found
