"""Bodies are decoded by their header, and by what they are where that is wrong."""

from __future__ import annotations

import gzip
import threading
import typing as t
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tap_acumatica.http.content_coding import ContentCodingError, decoded, is_whole
from tap_acumatica.http.transport import Transport, mount

if t.TYPE_CHECKING:
    from collections.abc import Iterator

BODY = b'{"value": [' + b",".join(b'{"Id": %d}' % number for number in range(3000)) + b"]}"
CODINGS: dict[str, tuple[str, t.Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "members": ("x-gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    "padded": ("gzip", lambda body: gzip.compress(body) + b"\0\0\0"),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", lambda body: zlib.compress(body)[2:-4]),
    "two": ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
    "twice": ("gzip", lambda body: gzip.compress(gzip.compress(body))),
    "unnamed": ("", gzip.compress),
    "nonsense": ("UTF-8", bytes),
}


def cut(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@given(st.sampled_from(sorted(CODINGS)), st.integers(1, 4000), st.booleans())
def test_a_body_is_decoded_however_it_arrives(kind: str, size: int, believed: bool) -> None:  # noqa: FBT001  hypothesis gives it
    header, encode = CODINGS[kind]
    pieces = decoded(cut(encode(BODY), size), header, believed=believed)
    assert b"".join(pieces) == BODY


@pytest.mark.parametrize("header", ["", "gzip", "deflate", "br", "gzip, deflate"])
def test_an_empty_body_is_empty_whatever_its_header(header: str) -> None:
    assert b"".join(decoded([], header)) == b""


@given(st.sampled_from(["gzip", "members", "zlib", "raw", "two"]), st.data())
def test_a_body_that_is_cut_off_is_never_taken_for_a_whole_one(
    kind: str, data: st.DataObject
) -> None:
    header, encode = CODINGS[kind]
    packed = encode(BODY)
    short = packed[: data.draw(st.integers(1, len(packed) - 1))]
    try:
        found = b"".join(decoded([short], header))
    except ContentCodingError:
        return
    assert kind == "members"
    assert not is_whole(found)


@pytest.mark.parametrize("header", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("believed", [True, False])
def test_what_is_nothing_certain_is_an_error(header: str, *, believed: bool) -> None:
    with pytest.raises(ContentCodingError):
        b"".join(decoded([b"\xff\xfe\x00 nothing that anybody knows"], header, believed=believed))


@pytest.mark.parametrize("header", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("body", [b"{}", b" [1]", b"<a/>", b"\xef\xbb\xbf{}"])
def test_text_is_read_as_it_is_where_its_header_is_not_believed(header: str, body: bytes) -> None:
    assert b"".join(decoded([body], header, believed=False)) == body


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b'{"a": 1}\r\n', True),
        (b"\xef\xbb\xbf[1]", True),
        (b"<a><b/></a>", True),
        (b"<a><b/>", False),
        (b'{"a": 1', False),
        (b"12", False),
        (b"", False),
        (b'{"a": "\xff"', False),
    ],
)
def test_a_document_shows_whether_it_is_whole(body: bytes, *, whole: bool) -> None:
    assert is_whole(body) is whole


@contextmanager
def _site(body: bytes, length: int, coding: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            if coding:
                self.send_header("Content-Encoding", coding)
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _received(url: str, *, spooled: bool, as_it_is: bool = False) -> bytes:
    transport = Transport(url)
    if as_it_is:
        transport.ask_as_it_is()
    with requests.Session() as session:
        mount(session, transport)
        answer = session.get(url, stream=True)
        return transport.spool(answer).read() if spooled else transport.receive(answer)


@pytest.mark.parametrize("spooled", [True, False])
@pytest.mark.parametrize("kind", CODINGS)
def test_a_received_body_is_decoded(kind: str, *, spooled: bool) -> None:
    coding, encode = CODINGS[kind]
    packed = encode(BODY)
    with _site(packed, len(packed), coding) as url:
        assert _received(url, spooled=spooled) == BODY


@pytest.mark.parametrize("spooled", [True, False])
@pytest.mark.parametrize("kind", ["none", "gzip", "zlib"])
def test_a_whole_body_of_another_length_is_taken(kind: str, *, spooled: bool) -> None:
    coding, encode = CODINGS[kind]
    packed = encode(BODY)
    with _site(packed, len(packed) + 7, coding) as url:
        assert _received(url, spooled=spooled) == BODY


@pytest.mark.parametrize("spooled", [True, False])
@pytest.mark.parametrize("kind", ["none", "gzip", "zlib"])
def test_a_body_that_breaks_off_is_refused(kind: str, *, spooled: bool) -> None:
    coding, encode = CODINGS[kind]
    packed = encode(BODY)
    with (
        _site(packed[:-5], len(packed), coding) as url,
        pytest.raises(urllib3.exceptions.ProtocolError),
    ):
        _received(url, spooled=spooled)


@pytest.mark.parametrize("spooled", [True, False])
def test_a_wrong_header_is_an_error_until_bodies_are_asked_for_as_they_are(
    *, spooled: bool
) -> None:
    with _site(BODY, len(BODY), "gzip") as url:
        with pytest.raises(ContentCodingError):
            _received(url, spooled=spooled)
        assert _received(url, spooled=spooled, as_it_is=True) == BODY
