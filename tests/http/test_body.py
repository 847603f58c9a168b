"""Bodies that may be larger than memory."""

from __future__ import annotations

import typing as t

import pytest

from tap_acumatica.http.body import Body

if t.TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256)) * 40_000


def pieces(count: int = 100) -> Iterator[bytes]:
    size = len(CONTENT) // count
    return (CONTENT[start : start + size] for start in range(0, len(CONTENT), size))


def test_a_body_is_the_same_in_whatever_pieces() -> None:
    whole = Body({}, pieces())
    assert whole.size == len(CONTENT)
    assert whole.read() == CONTENT
    body = Body({}, pieces(7))
    assert b"".join(iter(lambda: body.read(10_000), b"")) == CONTENT
    assert body.read() == b""


def test_a_body_that_does_not_arrive_whole_is_none() -> None:
    def lost() -> Iterator[bytes]:
        yield CONTENT
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        Body({}, lost())
