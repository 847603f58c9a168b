"""Parses ATOM responses while they arrive; holds only one entry as XML at a time.

Values are read as text; the metadata says what they mean. Sources: OData 3.0 Atom format, sections
6 to 8 (including feed customization); OData Atom Format 4.0 for the newer names.
"""

from __future__ import annotations

import functools
import typing as t
from urllib.parse import urljoin

from lxml import etree

from tap_acumatica.errors import EmptyPayloadError, PayloadError
from tap_acumatica.odata.payload import NESTED_NEXT_LINK, decode_name, error_text
from tap_acumatica.odata.xml_repair import RepairedXml

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lxml.etree import _Element as Element

Row = dict[str, t.Any]
Value = t.Any
"""Text, None, a list of values (collections) or a dict of values (complex types)."""

_ATOM = "{http://www.w3.org/2005/Atom}"
_METADATA = (
    "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}",
    "{http://docs.oasis-open.org/odata/ns/metadata}",
)
_NAVIGATION_RELATIONS = (
    "http://schemas.microsoft.com/ado/2007/08/dataservices/related/",
    "http://docs.oasis-open.org/odata/ns/related/",
)
_NULL, _TYPE = (tuple(f"{namespace}{name}" for namespace in _METADATA) for name in ("null", "type"))
_ENTRY, _FEED, _LINK = f"{_ATOM}entry", f"{_ATOM}feed", f"{_ATOM}link"
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_CHUNK_SIZE = 65536
_WHITESPACE = b"\xef\xbb\xbf \t\r\n"


class Readable(t.Protocol):
    """A binary stream."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; empty at the end."""


class ResponseBody:
    """A response body whose first bytes show its format: JSON, XML or HTML."""

    def __init__(self, source: Readable) -> None:
        """Read the first bytes.

        Args:
            source: The body, decompressed.

        Raises:
            EmptyPayloadError: If the body is empty or only white space.
        """
        self._source = source
        self._head = source.read(_CHUNK_SIZE)
        while not self._head.strip(_WHITESPACE):
            more = source.read(_CHUNK_SIZE)
            if not more:
                msg = "the response is empty"
                raise EmptyPayloadError(msg)
            self._head += more

    @property
    def is_xml(self) -> bool:
        """Whether the body is XML or HTML rather than JSON."""
        return self._head.lstrip(_WHITESPACE)[:1] == b"<"

    @property
    def is_html(self) -> bool:
        """Whether the body is an HTML page."""
        return b"<html" in self._head[:2000].lower()

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; without a size, all that remain."""
        head, self._head = self._head.lstrip(_WHITESPACE), b""
        return head if head and size >= 0 else head + self._source.read(size)


class AtomReader:
    """Iterates over the rows of a feed, or over the one row of an entry.

    Attributes:
        next_link: URL of the next page, known once all rows are read; None if there is none.
        base: ``xml:base`` of the document, known once all rows are read; None if there is none.
    """

    def __init__(self, body: ResponseBody, feed_paths: Mapping[str, str] | None = None) -> None:
        """Create a reader.

        Args:
            body: The response body.
            feed_paths: For each property with feed customization, the lxml path of its value
                within the entry.
        """
        self._body = body
        self._source = RepairedXml(body.read)
        self._feed_paths = feed_paths or {}
        self.next_link: str | None = None
        self.base: str | None = None

    @property
    def repaired(self) -> bool:
        """Whether values may hold marks in place of what XML forbids; see ``odata/repair.py``."""
        return self._source.repaired

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in the order received.

        Raises:
            PayloadError: If the body is HTML, is cut off, is not a feed, or contains an error.
        """
        if self._body.is_html:
            msg = "the response is an HTML page"
            raise PayloadError(msg)
        events = etree.iterparse(
            self._source,
            events=("start", "end"),
            tag=[_ENTRY, *(f"{name}error" for name in _METADATA)],
            resolve_entities=False,
            no_network=True,
            huge_tree=True,
            remove_comments=True,
            remove_pis=True,
        )
        depth = 0
        try:
            for event, element in events:
                if element.tag != _ENTRY:
                    self._raise_error(event, element)
                elif event == "start":
                    depth += 1
                else:
                    depth -= 1
                    if depth == 0:
                        yield _row(element, self._feed_paths)
                        _release(element)
        except etree.XMLSyntaxError as error:
            # What is wrong within a document is found before its end.
            fault = "is cut off" if self._source.ended else "is not well-formed XML"
            msg = f"the response {fault} ({error.msg})"
            raise PayloadError(msg) from error
        root = events.root
        if root.tag not in {_ENTRY, _FEED}:
            msg = "the response is XML but not a feed of rows"
            raise PayloadError(msg)
        self.base = root.get(_XML_BASE)
        self.next_link = _next_link(root) if root.tag == _FEED else None

    @staticmethod
    def _raise_error(event: str, element: Element) -> None:
        if event == "end":
            text = error_text(etree.tostring(element))
            msg = f"the response has a success status but contains an error: {text}"
            raise PayloadError(msg)


def _release(entry: Element) -> None:
    entry.clear()
    parent = entry.getparent()
    if parent is not None:
        parent.remove(entry)


def _next_link(feed: Element) -> str | None:
    for link in feed.iterchildren(_LINK):
        if link.get("rel") in {"next", "http://www.iana.org/assignments/relation/next"}:
            # Relative to xml:base, which itself may be relative to the request URL.
            return urljoin(_base_url(link), link.get("href", "")) if link.get("href") else None
    return None


def _base_url(element: Element) -> str:
    parent = element.getparent()
    outer = _base_url(parent) if parent is not None else ""
    return urljoin(outer, element.get(_XML_BASE, ""))


def _row(entry: Element, feed_paths: Mapping[str, str]) -> Row:
    row: Row = {}
    for link in entry.iterchildren(_LINK):
        inline = _child(link, "inline")
        if inline is not None and (name := _navigation_name(link)):
            row[name] = _expanded_value(inline)
            feed = inline.find(_FEED)
            if feed is not None and (further := _next_link(feed)):
                row[f"{name}{NESTED_NEXT_LINK}"] = further
    # A media link entry has its properties next to the content, not in it.
    properties = _child(entry, "properties")
    if properties is None:
        content = entry.find(f"{_ATOM}content")
        properties = None if content is None else _child(content, "properties")
    if properties is not None:
        for element in properties.iterchildren("{*}*"):
            text = element.text
            # Most elements hold only text: skip the checks that the others need.
            only_text = text is not None and not len(element)
            row[_property_name(element.tag)] = text if only_text else _value(element)
    for name, path in feed_paths.items():
        if name not in row:
            row[name] = _customized_value(entry, path)
    return row


def _navigation_name(link: Element) -> str:
    relation = link.get("rel", "")
    start = next((start for start in _NAVIGATION_RELATIONS if relation.startswith(start)), None)
    return decode_name(relation[len(start) :]) if start else ""


def _expanded_value(inline: Element) -> Value:
    feed = inline.find(_FEED)
    if feed is not None:
        return [_row(entry, {}) for entry in feed.iterchildren(_ENTRY)]
    entry = inline.find(_ENTRY)
    return None if entry is None else _row(entry, {})


def _value(element: Element) -> Value:
    if _attribute(element, _NULL) == "true":
        return None
    children = list(element.iterchildren("{*}*"))
    if children and all(_local_name(child) == "element" for child in children):
        return [_value(child) for child in children]
    if children:
        return {_property_name(child.tag): _value(child) for child in children}
    if _attribute(element, _TYPE).lstrip("#").startswith("Collection("):
        return []
    return element.text or ""


def _customized_value(entry: Element, path: str) -> str | None:
    path, _, attribute = path.partition("@")
    element = entry.find(path.rstrip("/")) if path else entry
    if element is None:
        return None
    return element.get(attribute) if attribute else "".join(map(str, element.itertext()))


def _child(element: Element, name: str) -> Element | None:
    for namespace in _METADATA:
        found = element.find(f"{namespace}{name}")
        if found is not None:
            return found
    return None


def _attribute(element: Element, names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := element.get(name)) is not None), "")


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


@functools.lru_cache(10_000)
def _property_name(tag: str) -> str:
    return decode_name(tag.rpartition("}")[2])
