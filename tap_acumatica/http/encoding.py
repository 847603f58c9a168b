"""Turns bodies that are not UTF-8 into UTF-8, by what their bytes and their headers say.

JSON and OData's XML are UTF-8 by default. Bytes come first: a byte order mark, or the zeros of
UTF-16, leave no doubt. A charset in ``Content-Type`` counts only where the body is not valid UTF-8,
since many servers name ISO 8859-1 whatever they send.
"""

from __future__ import annotations

import codecs
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS = {
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
"""Encodings by which of the first four bytes are zero; the first two characters are ASCII."""
_DECLARED = re.compile(rb"""\A(\s*<\?xml[^>]*?)\s+encoding\s*=\s*(["'])(.*?)\2""", re.DOTALL)
_HEAD = 1024
_BYTE_ORDER_MARK = "\ufeff"
_OWN = frozenset({"utf-8", "ascii"})
_SUPERSET = {"iso8859-1": "cp1252"}  # as browsers read it: the difference is printable there
_LATIN1 = "tap_acumatica.latin1"


def encoding_of(head: bytes, content_type: str, *, is_utf8: bool) -> str | None:
    """The encoding to decode a body from; None where it is to stay as it is.

    Args:
        head: Its first bytes.
        content_type: What its headers say of it.
        is_utf8: Whether all of it is valid UTF-8.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    zeros = tuple(byte == 0 for byte in head[:4])
    if zeros in _ZEROS:
        return _ZEROS[zeros]
    declared = charset(content_type)
    if is_utf8 or declared is None or _DECLARED.match(head):
        return None
    return _SUPERSET.get(declared, declared)


def may_be_other(head: bytes, content_type: str) -> bool:
    """Whether a body may be in another encoding than UTF-8, by its first bytes and its headers."""
    return b"\0" in head[:4] or head[:1] in {b"\xfe", b"\xff"} or charset(content_type) is not None


def charset(content_type: str) -> str | None:
    """The charset that a media type names, if it is known and not UTF-8."""
    found = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(found[1]).name if found else "utf-8"
    except LookupError:
        return None
    return None if name in _OWN else name


def in_utf8(body: bytes, content_type: str) -> bytes:
    """A body in UTF-8, or as it is where its encoding is not known.

    Args:
        body: The body.
        content_type: What its headers say of it.
    """
    if not may_be_other(body[:4], content_type):
        return body
    encoding = encoding_of(body[:_HEAD], content_type, is_utf8=is_utf8([body]))
    if encoding is None:
        return body
    try:
        return b"".join(pieces_in_utf8([body], encoding))
    except UnicodeDecodeError:
        return body


def is_utf8(pieces: Iterable[bytes]) -> bool:
    """Whether pieces of a text are valid UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for piece in pieces:
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def pieces_in_utf8(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The pieces of a text, decoded from one encoding and encoded as UTF-8.

    A declaration of XML no longer names the encoding.

    Raises:
        UnicodeDecodeError: If the text is not in that encoding.
    """
    errors = "surrogatepass" if encoding.startswith("utf-") else _LATIN1
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    first = True
    for piece in pieces:
        text = decoder.decode(piece)
        if first and text:
            text = text.removeprefix(_BYTE_ORDER_MARK)
            yield _DECLARED.sub(rb"\1", text.encode("utf-8", "surrogatepass"))
            first = False
        else:
            yield text.encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _as_latin1(error: UnicodeError) -> tuple[str | bytes, int]:
    """Decode a byte that Windows 1252 leaves open as ISO 8859-1 has it.

    Raises:
        UnicodeError: If it is a byte of another encoding.
    """
    if not isinstance(error, UnicodeDecodeError) or error.encoding not in {"charmap", "cp1252"}:
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_LATIN1, _as_latin1)
