"""URLs, sign-in, sessions and the sandbox's own URLs."""

from __future__ import annotations

import gzip
import http.client
import socket
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest
import requests

from tap_acumatica.sandbox import Habits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.conftest import Client

    Start = Callable[..., Client]


@pytest.mark.parametrize(
    "path", ["/t/Company/api/odata/dac", "/t/Nowhere/api/odata/gi", "/entity", "/whatever"]
)
def test_unsigned_request_gets_401_on_every_path(client: Client, path: str) -> None:
    url = client.sandbox.url + path
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, auth=("admin", "wrong"), timeout=10).status_code == 401


def test_unknown_tenant_is_404_once_signed_in(client: Client) -> None:
    client.tenant = "Nowhere"
    assert client.get("dac").status_code == 404
    assert client.sandbox.open_sessions == []


def test_address_ignores_case_but_entity_sets_do_not(start: Start) -> None:
    client = start(prefix="/AcumaticaERP")
    url = client.sandbox.url.replace("AcumaticaERP", "acumaticaerp")
    assert client.http.get(f"{url}/T/company/API/OData/DAC/SOOrder?$top=1", timeout=10).ok
    assert client.get("dac/soorder").status_code == 404


def test_path_outside_the_prefix_is_404(start: Start) -> None:
    client = start(prefix="/AcumaticaERP")
    url = f"http://127.0.0.1:{client.sandbox.port}/t/Company/api/odata/dac"
    assert client.http.get(url, timeout=10).status_code == 404


def test_tenant_with_a_blank_is_echoed_encoded(client: Client) -> None:
    client.tenant = "Calipso LLC"
    context = client.get("dac/Customer", top=1).json()["@odata.context"]
    assert "/t/Calipso%20LLC/api/odata/dac/$metadata#Customer" in context


def test_request_without_cookies_takes_a_seat_each_time(client: Client) -> None:
    url = f"{client.sandbox.url}/t/Company/api/odata/dac/SOOrder?$top=1"
    for _ in range(3):
        answer = requests.get(url, auth=("admin", "secret"), timeout=10)
        assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert client.sandbox.sessions_opened == 3


def test_cookies_reuse_a_seat_and_sign_out_gives_it_back(client: Client) -> None:
    client.get("dac/SOOrder", top=1)
    client.get("dac/SOLine", top=1)
    assert len(client.sandbox.open_sessions) == 1
    assert {r.session for r in client.sandbox.requests} == {client.sandbox.open_sessions[0].name}
    answer = client.http.post(f"{client.sandbox.url}/entity/auth/logout", timeout=10)
    assert answer.status_code == 204
    assert (client.sandbox.sessions_closed, client.sandbox.open_sessions) == (1, [])


def test_sign_out_without_content_length_is_411(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.sandbox.port)) as connection:
        connection.sendall(b"POST /entity/auth/logout HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411")


def test_a_request_without_a_free_seat_is_429_with_the_known_text(start: Start) -> None:
    client = start(Habits(seats=1))
    client.get("dac/SOOrder", top=1)
    url = f"{client.sandbox.url}/t/Company/api/odata/dac/SOOrder"
    answer = requests.get(url, auth=("admin", "secret"), timeout=10)
    assert answer.status_code == 429
    assert "API Login Limit" in answer.text


def test_third_wrong_password_locks_the_account(client: Client) -> None:
    url = f"{client.sandbox.url}/t/Company/api/odata/dac"
    for _ in range(3):
        assert requests.get(url, auth=("admin", "wrong"), timeout=10).status_code == 401
    assert client.get("dac").status_code == 401
    client.tenant = "Calipso LLC"
    assert client.get("dac").ok, "the same name in another tenant is another account"


def test_date_header_follows_the_clock_offset(start: Start) -> None:
    client = start(clock_offset=3600)
    date = parsedate_to_datetime(client.get("dac").headers["Date"])
    assert abs((date - client.sandbox.now()).total_seconds()) < 2


def test_large_answers_are_compressed_on_request(client: Client) -> None:
    large = client.get("dac/SOOrder")
    assert large.headers["Content-Encoding"] == "gzip"
    small = client.get("dac/SOOrder", top=1, select="OrderNbr")
    assert "Content-Encoding" not in small.headers
    client.http.headers["Accept-Encoding"] = "identity"
    plain = client.get("dac/SOOrder")
    assert int(plain.headers["Content-Length"]) > len(gzip.compress(plain.content))


def test_connection_is_kept_alive(client: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.sandbox.port, timeout=10)
    sockets = set()
    for path in ("/entity", "/t/Company/api/odata/dac", "/nowhere"):
        connection.request("GET", path)
        assert connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1
    assert None not in sockets


def test_entity_root_names_the_build(client: Client) -> None:
    answer = client.http.get(f"{client.sandbox.url}/entity", timeout=10).json()
    assert answer["version"]["acumaticaBuildVersion"].startswith("26.")


def test_log_keeps_requests_without_secrets(client: Client) -> None:
    client.get("dac/SOOrder", top=3, filter="OrderNbr ge 'SO'")
    record = client.sandbox.requests[-1]
    assert (record.set, record.entity, record.status, record.rows) == ("SOOrder", "SOOrder", 200, 3)
    assert record.query == {"$top": "3", "$filter": "OrderNbr ge 'SO'"}
    assert record.headers["authorization"] == "***"


def test_sandbox_changes_rows_over_http_and_counts(client: Client) -> None:
    done = requests.post(f"{client.sandbox.url}/sandbox/changes?rows=12", timeout=10).json()
    assert sum(sum(tally.values()) for tally in done.values()) == 12
    seen = requests.get(f"{client.sandbox.url}/sandbox/statistics", timeout=10).json()
    assert seen["sessions_opened"] == 0
    assert seen["requests"] == 1


def test_rows_change_by_themselves_every_so_many_requests(start: Start) -> None:
    client = start(change_every=1)
    before = client.get("dac/SOOrder", top=1, orderby="LastModifiedDateTime desc").json()
    for _ in range(20):
        client.get("dac/SOOrder", top=1)
    after = client.get("dac/SOOrder", top=1, orderby="LastModifiedDateTime desc").json()
    assert after["value"][0]["LastModifiedDateTime"] > before["value"][0]["LastModifiedDateTime"]


def test_callback_may_change_rows_between_pages(client: Client) -> None:
    key = {"OrderType": "QT", "OrderNbr": "SO000001"}
    client.sandbox.on_request(
        lambda record: client.sandbox.update(
            "Company", "SOOrder", key, OrderDesc=f"before request {record.number}"
        )
    )
    assert client.rows("dac/SOOrder", top=1)[0]["OrderDesc"] == "before request 1"
    assert client.rows("dac/SalesOrder", top=1)[0]["OrderDesc"] == "before request 2"
