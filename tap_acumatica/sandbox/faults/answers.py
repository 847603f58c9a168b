"""Answers that are none, and those of somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.sandbox.exchange import Reply, Request, Spoil


@named
def error_in_200() -> Spoil:
    """200 and an error in place of rows."""
    return _for_rows(
        lambda reply: reply.json(200, {"error": {"code": "500", "message": "Timeout expired."}})
    )


@named
def error_behind_rows() -> Spoil:
    """200, some rows, and then an error: the query failed on the way."""

    def spoil(_request: Request, reply: Reply) -> None:
        if reply.rows:
            reply.rows = reply.rows[: len(reply.rows) // 2]
            # Behind the rows, where it was met.
            reply.members["error"] = {"code": "500", "message": "Timeout expired."}

    return spoil


@named
def null_rows() -> Spoil:
    """200 and null in place of rows."""

    def spoil(_request: Request, reply: Reply) -> None:
        if reply.rows is not None:
            reply.rows, reply.members = None, {**reply.members, "value": None}

    return spoil


@named
def empty_200() -> Spoil:
    """200 and an empty body [live]."""
    return _for_rows(lambda reply: reply.plain(200, b"", reply.content_type))


@named
def no_content() -> Spoil:
    """204 in place of rows."""
    return _for_rows(lambda reply: reply.plain(204, b"", ""))


@named
def cut_off() -> Spoil:
    """A body that ends early, but has the length that its header says."""

    def cut(reply: Reply) -> None:
        body = reply.encoded()
        reply.body = body[: len(body) * 2 // 3]

    return _for_rows(cut)


@named
def broken_off() -> Spoil:
    """The connection closes in the middle of the body."""

    def cut(reply: Reply) -> None:
        reply.cut_at = len(reply.encoded()) // 2

    return _for_rows(cut)


@named
def wrong_encoding() -> Spoil:
    """The header says gzip, the body is plain."""
    return _for_rows(lambda reply: reply.headers.update({"Content-Encoding": "gzip"}))


@named
def byte_order_mark() -> Spoil:
    """The body begins with a byte order mark."""

    def mark(reply: Reply) -> None:
        reply.body = b"\xef\xbb\xbf" + reply.encoded()

    return _for_rows(mark)


@named
def proxy_403() -> Spoil:
    """A proxy refuses everything with its own page: 403."""

    def spoil(_request: Request, reply: Reply) -> None:
        reply.page(403, "Access Denied", "<p>This page is blocked by your company's policy.</p>")
        _as_proxy(reply)

    return spoil


@named
def proxy_407() -> Spoil:
    """A proxy wants to know who asks: 407."""

    def spoil(_request: Request, reply: Reply) -> None:
        reply.page(407, "Proxy Authentication Required")
        reply.headers["Proxy-Authenticate"] = 'Basic realm="proxy"'
        _as_proxy(reply)

    return spoil


def _as_proxy(reply: Reply) -> None:
    reply.headers["Via"] = "1.1 proxy.example (squid/6.6)"
    reply.headers.pop("OData-Version", None)
    reply.headers.pop("WWW-Authenticate", None)
    reply.cookies.clear()


def _for_rows(act: Callable[[Reply], object]) -> Spoil:
    """Act on each good reply to a request for rows."""

    def spoil(request: Request, reply: Reply) -> None:
        if request.number and reply.status == 200:  # noqa: PLR2004 - OK
            act(reply)

    return spoil
