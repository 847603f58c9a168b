"""Decodes bodies by ``Content-Encoding``, and by what they are where that header is wrong.

RFC 9110, section 8.4; RFC 1951, 1950 and 1952. Proxies unpack a body and keep its headers, pack one
that is packed already, or cut one off. A body that is cut off, or is not what its header says, is
an error here: urllib3 passes on what it could decode.
"""

from __future__ import annotations

import typing as t
import zlib

import msgspec
from lxml import etree

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ACCEPTED = "gzip, deflate"
"""What ``Accept-Encoding`` asks for."""
AS_IT_IS = "identity"

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW = 31, zlib.MAX_WBITS, -zlib.MAX_WBITS
_MOST_LAYERS = 4
_TEXT_STARTS = (b"{", b"[", b"<", b"\xef\xbb\xbf")
_BLANKS = b" \t\r\n"
_HEAD = 64


class ContentCodingError(Exception):
    """A body is not what its ``Content-Encoding`` says."""


def decoded(pieces: Iterable[bytes], header: str, *, believed: bool = True) -> Iterator[bytes]:
    """A body without its content codings.

    Args:
        pieces: The body as it arrives.
        header: The ``Content-Encoding``, empty where there is none.
        believed: Whether the header is to be believed. If not, a body that is certainly something
            else is read as that: gzip has a signature, and JSON and XML begin in their own way.

    Raises:
        ContentCodingError: If it cannot be decoded, or is cut off.
    """
    names = [name.strip() for name in header.lower().split(",")]
    codings = [name for name in names if name not in {"", AS_IT_IS}]
    found: Iterable[bytes] = pieces
    for coding in reversed(codings):
        layer = coding
        if not believed:
            head, found = _peeked(found)
            if _is_text(head):
                break
            layer = "gzip" if head.startswith(_GZIP_MAGIC) else coding
        found = _decoder(layer)(found)
    return _unpacked(found, _MOST_LAYERS)


def is_whole(body: bytes) -> bool:
    """Whether a body shows by itself that nothing is missing: a JSON or XML document to its end."""
    text = body.lstrip(b"\xef\xbb\xbf" + _BLANKS)
    try:
        if text[:1] in {b"{", b"["}:
            msgspec.json.decode(text)
        elif text[:1] == b"<":
            etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))
        else:
            return False
    except (msgspec.DecodeError, UnicodeDecodeError, etree.XMLSyntaxError, ValueError):
        return False
    return True


def _decoder(coding: str) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    if coding in {"gzip", "x-gzip"}:
        return _gunzipped
    return _inflated if coding == "deflate" else _of_unknown(coding)


def _of_unknown(coding: str) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    """Of a coding that was not asked for; some send ``utf-8`` or ``none`` and mean nothing."""

    def plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
        head, rest = _peeked(pieces)
        if head and not (_is_text(head) or head.startswith(_GZIP_MAGIC)):
            msg = f"it is packed as {coding!r}, which was not asked for"
            raise ContentCodingError(msg)
        return rest

    return plain


def _unpacked(pieces: Iterable[bytes], layers: int) -> Iterator[bytes]:
    """A body that may be packed once more than its header says."""
    head, rest = _peeked(pieces)
    if head.startswith(_GZIP_MAGIC) and layers:
        return _unpacked(_gunzipped(rest), layers - 1)
    return rest


def _gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """All members of a gzip body; what follows the last one is padding."""
    waiting = iter(pieces)
    engine, kept, began = zlib.decompressobj(_GZIP), b"", False
    for piece in waiting:
        data, kept = kept + piece, b""
        while data:
            if engine.eof:
                if len(data) < len(_GZIP_MAGIC):
                    kept = data
                    break
                if not data.startswith(_GZIP_MAGIC):
                    list(waiting)  # received to its end, the connection can be used again
                    return
                engine = zlib.decompressobj(_GZIP)
            began = True
            yield _decompressed(engine, data)
            data = engine.unused_data
    if began and not engine.eof:
        raise ContentCodingError("it is cut off")


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A body in the zlib format, or without its frame as some send it."""
    head, rest = _peeked(pieces)
    if not head:
        return
    # RFC 1950, section 2.2: the method, and a check of both bytes.
    framed = head[0] & 15 == zlib.DEFLATED and (head[0] * 256 + head[1 % len(head)]) % 31 == 0
    engine = zlib.decompressobj(_ZLIB if framed else _RAW)
    for piece in rest:
        if not engine.eof:
            yield _decompressed(engine, piece)
    if not engine.eof:
        raise ContentCodingError("it is cut off")


def _decompressed(engine: t.Any, data: bytes) -> bytes:
    try:
        return engine.decompress(data)  # type: ignore[no-any-return]  # zlib's objects have no type
    except zlib.error as error:
        msg = f"it is not what its Content-Encoding says ({error})"
        raise ContentCodingError(msg) from error


def _is_text(head: bytes) -> bool:
    """Whether a body begins as JSON, XML or HTML do, with or without a byte order mark."""
    text = head.lstrip(_BLANKS)
    return not text or text.startswith(_TEXT_STARTS)


def _peeked(pieces: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes of a body, and all of it."""
    waiting = iter(pieces)
    head = b""
    for piece in waiting:
        head += piece
        if len(head) >= _HEAD:
            break

    def whole() -> Iterator[bytes]:
        if head:
            yield head
        yield from waiting

    return head[:_HEAD], whole()
