"""Feeds are read entry by entry, however they arrive; anything else is an error."""

# ruff: noqa: E501  documents and tables of cases are best read line by line

from __future__ import annotations

import io
import typing as t
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.errors import EmptyPayloadError, PayloadError
from tap_acumatica.odata.atom import AtomReader, ResponseBody
from tap_acumatica.odata.payload import decode_name

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.odata.atom import Row

OLDER = (
    'xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" '
    'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
)
NEWER = (
    'xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://docs.oasis-open.org/odata/ns/data" '
    'xmlns:m="http://docs.oasis-open.org/odata/ns/metadata"'
)
RELATED = "http://schemas.microsoft.com/ado/2007/08/dataservices/related"
# All that XML keeps; it reads a carriage return as a line feed.
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=30
)


class Pieces:
    """A stream that returns a fixed number of bytes at a time."""

    def __init__(self, body: bytes, size: int) -> None:
        self._source = io.BytesIO(body)
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        return self._source.read(self._size if size >= 0 else size)


def entry(properties: str, more: str = "", names: str = "") -> str:
    return f'<entry {names}><id>x</id>{more}<content type="application/xml"><m:properties>{properties}</m:properties></content></entry>'


def feed(*entries: str, names: str = OLDER, more: str = "", attributes: str = "") -> bytes:
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<feed {names} {attributes}><title>T</title>{"".join(entries)}{more}</feed>'
    return text.encode()


def read(
    body: bytes, places: Mapping[str, str] | None = None, size: int = 10_000
) -> tuple[list[Row], str | None]:
    reader = AtomReader(ResponseBody(Pieces(body, size)), places)
    return list(reader), reader.next_link


@given(st.lists(TEXTS, max_size=5), st.integers(1, 300))
def test_texts_are_unchanged_however_they_arrive(texts: list[str], size: int) -> None:
    body = feed(*(entry(f"<d:A>{escape(text)}</d:A>") for text in texts))
    assert read(body, size=size)[0] == [{"A": text} for text in texts]


@given(st.integers(1, 10**6))
def test_a_feed_that_is_cut_off_is_an_error(cut: int) -> None:
    body = feed(*(entry(f"<d:Id>{number}</d:Id>") for number in range(5)))
    with pytest.raises(PayloadError):
        read(body[: cut % len(body)])


@pytest.mark.parametrize("names", [OLDER, NEWER])
def test_nulls_lists_and_complex_values_in_both_generations(names: str) -> None:
    element = "d" if names == OLDER else "m"
    row = (
        '<d:Null m:null="true"/><d:Text/><d:Number m:type="Edm.Decimal"> 1.50 </d:Number>'
        f'<d:Tags m:type="Collection(Edm.String)"><{element}:element>a</{element}:element><{element}:element m:null="true"/></d:Tags>'
        '<d:None m:type="Collection(Edm.String)"/><d:Address m:type="N.A"><d:City>B</d:City><d:Zip m:null="true"/></d:Address>'
    )
    assert read(feed(entry(row), names=names))[0] == [
        {
            "Null": None,
            "Text": "",
            "Number": " 1.50 ",
            "Tags": ["a", None],
            "None": [],
            "Address": {"City": "B", "Zip": None},
        }
    ]


def test_media_entries_have_their_properties_next_to_the_content() -> None:
    body = feed(
        '<entry><content type="image/png" src="x"/><m:properties><d:A>1</d:A></m:properties></entry>'
    )
    assert read(body)[0] == [{"A": "1"}]


def test_expanded_entities_are_nested_and_plain_links_are_ignored() -> None:
    lines = f'<link rel="{RELATED}/Lines" title="Lines" href="x"><m:inline><feed>{entry("<d:N>1</d:N>")}{entry("<d:N>2</d:N>")}<link rel="next" href="inner"/></feed></m:inline></link>'
    item = (
        f'<link rel="{RELATED}/Item" href="x"><m:inline>{entry("<d:C>c</d:C>")}</m:inline></link>'
    )
    none = f'<link rel="{RELATED}/None" href="x"><m:inline/></link><link rel="{RELATED}/Later" href="x"/>'
    rows, link = read(feed(entry("<d:Id>1</d:Id>", lines + item + none), entry("<d:Id>2</d:Id>")))
    assert rows == [
        {
            "Lines": [{"N": "1"}, {"N": "2"}],
            "Lines@odata.nextLink": "inner",
            "Item": {"C": "c"},
            "None": None,
            "Id": "1",
        },
        {"Id": "2"},
    ]
    assert link is None


@pytest.mark.parametrize(
    ("attributes", "href", "link"),
    [
        ("", "http://h/o/Rows?$skiptoken=1", "http://h/o/Rows?$skiptoken=1"), ("", "Rows?$skiptoken='a%20b'&amp;x=1", "Rows?$skiptoken='a%20b'&x=1"),
        ('xml:base="http://h/o/"', "Rows?$skip=2", "http://h/o/Rows?$skip=2"), ('xml:base="/o/"', "Rows?$skip=2", "/o/Rows?$skip=2"),
        ('xml:base="http://h/o/"', "", None),
    ],
)  # fmt: skip
def test_next_links_are_relative_to_xml_base(attributes: str, href: str, link: str | None) -> None:
    for more in (
        f'<link rel="next" href="{href}"/>',
        f'<link rel="self" href="x"/><link href="{href}" rel="next"></link>',
    ):
        assert read(feed(entry("<d:A>1</d:A>"), more=more, attributes=attributes))[1] == link


def test_names_that_are_not_valid_in_xml_are_decoded() -> None:
    body = feed(
        entry("<d:Ship_x0020_To>1</d:Ship_x0020_To><d:A_x005F_x0020_B>2</d:A_x005F_x0020_B>")
    )
    assert read(body)[0] == [{"Ship To": "1", "A_x0020_B": "2"}]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10),
    st.sampled_from([4, 8]),
)
def test_any_name_is_decoded_to_itself(name: str, digits: int) -> None:
    encoded = "".join(
        c if c.isascii() and c.isalnum() else f"_x{ord(c):0{digits if ord(c) < 65536 else 8}X}_"
        for c in name
    )
    assert decode_name(encoded) == name
    assert decode_name("_xD83D__xDE00_") == "😀"
    assert decode_name("Max_xref_x1_") == "Max_xref_x1_"


def test_values_outside_the_content_are_used_unless_the_content_has_them() -> None:
    places = {
        "Name": "{http://www.w3.org/2005/Atom}title",
        "By": "{http://www.w3.org/2005/Atom}author/{http://www.w3.org/2005/Atom}name",
        "Where": "{urn:x}place/@at",
        "Gone": "{urn:x}gone",
    }
    first = entry(
        "<d:Id>1</d:Id>",
        '<title type="text">N &amp; M</title><author><name>B</name></author><p:place xmlns:p="urn:x" at="here"/>',
    )
    second = entry('<d:Name m:null="true"/>', "<title/>")
    rows = read(feed(first, second), places)[0]
    assert rows[0] == {"Id": "1", "Name": "N & M", "By": "B", "Where": "here", "Gone": None}
    assert rows[1]["Name"] is None


def test_an_entry_alone_is_one_row() -> None:
    assert read(entry("<d:A>1</d:A>", names=OLDER).encode()) == ([{"A": "1"}], None)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf"])
def test_an_empty_response_has_its_own_error(body: bytes, size: int) -> None:
    with pytest.raises(EmptyPayloadError):
        ResponseBody(Pieces(body, size))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><body>Sign in</body></html>", "HTML"), (b"<!DOCTYPE html><html></html>", "HTML"), (b"<feed/>", "not a feed"), (b"<feed", "cut off"),
        (b'<service xmlns="http://www.w3.org/2007/app"/>', "not a feed"), (feed()[:-1], "cut off"), (feed() + b"<feed/>", "not well-formed XML"),
        (feed(entry("<d:A>1</d:A>"), more="<m:error><m:code/><m:message>Out of memory</m:message></m:error>"), "Out of memory"),
        (b'<m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:message>No</m:message></m:error>', "No"),
    ],
)  # fmt: skip
def test_anything_but_a_feed_is_an_error(body: bytes, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        read(body)


def test_entities_in_xml_are_not_resolved() -> None:
    body = feed(entry("<d:A>x&e;y</d:A>")).replace(
        b"<feed", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><feed', 1
    )
    rows = read(body)[0]
    assert rows == [{"A": "x"}]


def test_the_first_bytes_show_the_format() -> None:
    assert ResponseBody(Pieces(b" \n<feed/>", 1)).is_xml
    answer = ResponseBody(Pieces(b'\xef\xbb\xbf{"value":[]}', 4))
    assert not answer.is_xml
    assert answer.read() == b'{"value":[]}'
