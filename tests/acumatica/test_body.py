"""Bodies that are read as they arrive, and what happens to their session meanwhile."""

from __future__ import annotations

import io
import threading
import typing as t

import pytest
import requests
import urllib3

from tap_acumatica.acumatica.body import Body
from tap_acumatica.acumatica.interface import Service
from tap_acumatica.acumatica.pool import SessionPool
from tap_acumatica.acumatica.session import Session
from tests.odata_service import ODataService, Table

CONTENT = bytes(range(256)) * 1024


class Lost(Exception):  # noqa: N818  what happened, for the test
    """The connection was lost."""


def body_of(content: bytes, announced: int | None = None) -> Body:
    response = requests.Response()
    headers = {"Content-Length": str(len(content) if announced is None else announced)}
    response.raw = urllib3.HTTPResponse(
        io.BytesIO(content), headers=headers, preload_content=False, enforce_content_length=True
    )
    return Body(response, lambda error: Lost(str(error)))


def read_all(body: Body, size: int = 1000) -> bytes:
    return b"".join(iter(lambda: body.read(size), b""))


def test_a_body_is_the_same_in_whatever_pieces() -> None:
    assert body_of(CONTENT).read() == CONTENT
    assert read_all(body_of(CONTENT)) == CONTENT
    body = body_of(CONTENT)
    assert body.read(7) + body.read() == CONTENT
    assert body.read(7) == b""


def test_a_body_that_was_let_arrive_goes_on_where_it_was() -> None:
    body = body_of(CONTENT)
    arrived: list[bool] = []
    body.when_arrived(lambda: arrived.append(True))
    start = body.read(10)
    assert arrived == []
    body.let_arrive()
    assert arrived == [True]
    assert start + read_all(body) == CONTENT
    body.close()
    assert arrived == [True]


def test_a_body_that_nobody_reads_any_more_gives_its_session_back_at_once() -> None:
    gone: list[bool] = []
    body = body_of(CONTENT)
    body.when_arrived(lambda: gone.append(True))
    body.read(10)
    del body
    assert gone == [True]


@pytest.mark.parametrize("let_arrive", [False, True])
def test_a_connection_that_is_lost_shows_behind_what_came(*, let_arrive: bool) -> None:
    body = body_of(CONTENT, announced=len(CONTENT) + 1)
    came = body.read(10)
    if let_arrive:
        body.let_arrive()
    with pytest.raises(Lost):  # noqa: PT012  what came before is the point
        while True:
            came += body.read(1000)
    assert came == CONTENT


def test_a_session_is_lent_until_its_answer_arrived() -> None:
    service = ODataService(Table("Rows", {"Id": "Edm.Int32"}, ["Id"], [{"Id": 1}]))
    with service.running():
        meant = Service(service.url)
        pool = SessionPool(meant, lambda _: Session(meant), wait=0.2)
        url = f"{service.url}/Rows"
        body: Body = pool.fetch(url, lambda body: body, what="rows", stream=True)
        failed: list[Exception] = []

        def ask_meanwhile() -> None:
            try:
                pool.fetch(url, len, what="other rows")
            except Exception as error:  # noqa: BLE001  looked at below
                failed.append(error)

        other = threading.Thread(target=ask_meanwhile)
        other.start()
        other.join()
        assert "became free" in str(failed[0])
        # The thread that is amid it gets what it asks for, and the rest afterwards.
        assert pool.fetch(url, len, what="rows") > 0
        assert b'"Id":1' in read_all(body)
        assert pool.fetch(url, t.cast("t.Any", bytes), what="rows")
        pool.close()
