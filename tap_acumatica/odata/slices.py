"""Splits a metadata document without parsing it, so that only the parts in use need parsing.

Nine tenths of a 20 MB document are the bodies of entity types and the navigation bindings of entity
sets. Finding where they start and end takes a tenth of the time and memory of parsing them.

In well-formed XML, ``<`` only starts markup. So each ``<EntityType`` outside comments, CDATA
sections, processing instructions and a DTD is an element. A document that has any of these after
its head, or is not UTF-8, is not split.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEAD = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:<\?xml(?P<declared>[^<>]*)\?>)?(?:\s|<!--.*?-->)*", re.DOTALL
)
_ENCODING = re.compile(rb"""encoding\s*=\s*["'](?!utf-8["']|us-ascii["'])""", re.IGNORECASE)
_REST_OF_TAG = re.compile(rb"""(?:\s+[^\s=<>"'/]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*>""")
_PLACEHOLDER = "slice "


class SlicedDocument(t.NamedTuple):
    """A metadata document and the bodies that were cut out of it.

    Attributes:
        skeleton: The document with a placeholder in place of each body.
        bodies: The bodies, in the order of their placeholders.
    """

    skeleton: bytes
    bodies: Sequence[bytes]

    def body(self, placeholder: str | None) -> bytes | None:
        """The body that belongs to a placeholder; None for any other text of an element."""
        if placeholder and placeholder.startswith(_PLACEHOLDER):
            return self.bodies[int(placeholder.removeprefix(_PLACEHOLDER))]
        return None


def slice_document(document: bytes) -> SlicedDocument | None:
    """Split a metadata document; None if it must be parsed as a whole."""
    head = _HEAD.match(document)
    start = head.end() if head else 0
    declared = head["declared"] if head else None
    other_encoding = declared is not None and _ENCODING.search(declared)
    if other_encoding or any(document.find(text, start) >= 0 for text in (b"<!", b"<?")):
        return None
    types = list(_contents(document, b"EntityType", start))
    bodies = [document[begin:end] for begin, end in types]
    placeholders = [f"{_PLACEHOLDER}{number}".encode() for number in range(len(bodies))]
    skeleton = _replace_spans(document, types, placeholders)
    for name in (b"EntitySet", b"Singleton"):
        sets = list(_contents(skeleton, name))
        # The model needs only the annotations of an entity set.
        kept = [skeleton[_annotation(skeleton, begin, end) : end] for begin, end in sets]
        skeleton = _replace_spans(skeleton, sets, kept)
    return SlicedDocument(skeleton, bodies)


def _contents(document: bytes, name: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yield where the content of each element with this name starts and ends.

    Skips elements without content, and tags that are written in an unusual way.
    """
    opening, closing = b"<" + name, b"</" + name
    at = document.find(opening, start)
    while at >= 0:
        tag = _REST_OF_TAG.match(document, at + len(opening))
        end = document.find(closing, tag.end()) if tag else -1
        if tag and document.startswith(b">", end + len(closing)):
            yield tag.end(), end
        at = document.find(opening, max(end, at + 1))


def _annotation(document: bytes, begin: int, end: int) -> int:
    found = document.find(b"<Annotation", begin, end)
    return end if found < 0 else found


def _replace_spans(
    document: bytes, spans: Sequence[tuple[int, int]], texts: Sequence[bytes]
) -> bytes:
    pieces: list[bytes] = []
    position = 0
    for (begin, end), text in zip(spans, texts, strict=True):
        pieces += (document[position:begin], text)
        position = end
    pieces.append(document[position:])
    return b"".join(pieces)
