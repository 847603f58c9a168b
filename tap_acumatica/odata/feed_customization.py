"""Feed customization: properties that ATOM entries tell elsewhere than in their content.

OData 2.0 and 3.0 only. Source: OData 3.0 CSDL, section 17 (``FC_TargetPath`` and its kin), and Atom
format, section 7. In JSON such properties are as all others.
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
    """Where the value is told that the content lacks, as a path for lxml; None: in the content.

    Args:
        declaration: A property, or an entity type with ``FC_SourcePath``.
        suffix: What follows the names of the attributes, ``_1`` for an entity type's second one.
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
    """Paths of properties for which an entity type says so, and where they are told."""
    start = f"{_METADATA}FC_SourcePath"
    for name, path in entity_type.attrib.items():
        if str(name).startswith(start):
            found = feed_path(entity_type, str(name)[len(start) :])
            if found:
                yield str(path), found
