"""Takes a metadata document apart unparsed, so that only what is asked for need be parsed.

Nine tenths of 20 MB are the bodies of entity types, and what sets say of navigation. Finding where
they begin and end takes a tenth of the time and of the memory that a parser needs for them.

In well-formed XML ``<`` begins nothing but markup, so outside of comments, CDATA sections,
processing instructions and a DTD each ``<EntityType`` is one. A document that has any of these
after its head, or another encoding, is left whole.
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
    """A document in parts.

    Attributes:
        skeleton: The document with a placeholder in place of each body.
        bodies: What stood there.
    """

    skeleton: bytes
    bodies: Sequence[bytes]

    def body(self, placeholder: str | None) -> bytes | None:
        """The body that a placeholder, the text of an element, stands for; None for any other text."""
        if placeholder and placeholder.startswith(_PLACEHOLDER):
            return self.bodies[int(placeholder.removeprefix(_PLACEHOLDER))]
        return None


def slice_document(document: bytes) -> SlicedDocument | None:
    """Take a document apart; None where it is to be read as a whole."""
    head = _HEAD.match(document)
    start = head.end() if head else 0
    declared = head["declared"] if head else None
    foreign = declared is not None and _ENCODING.search(declared)
    if foreign or any(document.find(placeholder, start) >= 0 for placeholder in (b"<!", b"<?")):
        return None
    types = list(_contents(document, b"EntityType", start))
    bodies = [document[begin:end] for begin, end in types]
    placeholders = [f"{_PLACEHOLDER}{number}".encode() for number in range(len(bodies))]
    skeleton = _replace_spans(document, types, placeholders)
    for name in (b"EntitySet", b"Singleton"):
        sets = list(_contents(skeleton, name))
        # Of what a set holds only annotations count.
        kept = [skeleton[_annotation(skeleton, begin, end) : end] for begin, end in sets]
        skeleton = _replace_spans(skeleton, sets, kept)
    return SlicedDocument(skeleton, bodies)


def _contents(document: bytes, name: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Where the contents of elements of a name begin and end.

    Those without any are left out, and those whose tags are written in an unusual way.
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
