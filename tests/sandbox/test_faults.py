"""Each named fault, by plain HTTP: the answers look as real sites' answers do."""

from __future__ import annotations

import gzip
import json
import re
import socket
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tap_acumatica.sandbox import Habits, faults
from tap_acumatica.sandbox.exchange import Reply, Request
from tests import odata_service
from tests.field import service as field_service
from tests.field.orders import service_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.conftest import Client

    Start = Callable[..., Client]

KEY = ("OrderType", "OrderNbr")


@pytest.fixture
def spoiled(start: Start) -> Callable[..., Client]:
    """Start a sandbox of 200 orders with these faults."""

    def started(*texts: str, **options: Any) -> Client:
        habits = Habits()
        return start(habits, spoil=faults.prepare(texts, habits), **options)

    return started


def raw(client: Client, path: str = "dac/SOOrder", query: str = "") -> requests.Response:
    """The first answer, whatever it is: redirects are not followed."""
    url = f"{client.sandbox.url}/t/Company/api/odata/{path}{query}"
    return client.http.get(url, timeout=10, allow_redirects=False)


def by_key(rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {tuple(row[name].rstrip() for name in KEY): row for row in rows}


def differences(client: Client) -> dict[str, list[tuple[Any, Any]]]:
    """What the fault changed in whole rows: right and sent values by column."""
    sent = by_key(client.rows("dac/SOOrder"))
    again = by_key(client.rows("dac/SOOrder", orderby="OrderDesc desc"))
    assert sent == again, "the same row is bad in every answer"
    client.sandbox.spoil = None
    found: dict[str, list[tuple[Any, Any]]] = {}
    for key, row in by_key(client.rows("dac/SOOrder")).items():
        for name, value in row.items():
            if sent[key].get(name, "absent") != value:
                found.setdefault(name, []).append((value, sent[key].get(name, "absent")))
    return found


# Seats and sign-in


def test_a_full_license_may_be_a_redirect_to_a_page_with_the_text(spoiled: Start) -> None:
    client = spoiled("seats-redirect", prefix="/AcumaticaERP")
    answer = raw(client)
    location = urlsplit(answer.headers["Location"])
    assert (answer.status_code, location.path) == (302, "/AcumaticaERP/Frames/Error.aspx")
    said = "The number of concurrent API logins for the user has been reached."
    assert parse_qs(location.query)["message"] == [said]
    followed = client.get("dac/SOOrder")
    assert followed.status_code == 200
    assert followed.headers["Content-Type"].startswith("text/html")
    assert said in followed.text


def test_a_full_license_may_be_429(spoiled: Start) -> None:
    answer = raw(spoiled("seats-429"))
    assert (answer.status_code, answer.text[:15]) == (429, "API Login Limit")


def test_a_full_license_may_be_500_with_a_stack_trace(spoiled: Start) -> None:
    answer = raw(spoiled("seats-500"))
    assert answer.status_code == 500
    assert answer.json()["exceptionMessage"] == "API Login Limit"
    assert "PX.LicensePolicy.PXLicensePolicy.CheckApiUsersLimits" in answer.json()["stackTrace"]


def test_a_full_license_may_accept_the_sign_in_and_then_answer_401(spoiled: Start) -> None:
    client = spoiled("seats-401=0")
    identity = {"name": "admin", "password": "secret", "tenant": "Company"}
    url = f"{client.sandbox.url}/entity/auth"
    assert client.http.post(f"{url}/login", json=identity, timeout=10).status_code == 204
    assert [raw(client).status_code for _ in range(3)] == [401] * 3
    assert client.http.post(f"{url}/logout", timeout=10).status_code == 204
    client = spoiled("seats-401")
    assert [raw(client).status_code for _ in range(3)] == [200, 401, 401]


def test_signing_in_by_rest_checks_the_password(client: Client) -> None:
    url = f"{client.sandbox.url}/entity/auth/login"
    wrong = {"name": "admin", "password": "wrong"}
    assert requests.post(url, json=wrong, timeout=10).status_code == 401
    assert requests.post(url, data="x", timeout=10).status_code == 400


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("locked-out", 500, "account is locked out"),
        ("locked-out=401", 401, "account is locked out"),
        ("not-allowed", 500, "You are not allowed to log in to the tenant Company. Please contact"),
        ("no-api-requests=403", 403, "Current user cannot send API requests."),
    ],
)
def test_a_sign_in_is_refused_with_the_text_of_the_site(
    spoiled: Start, fault: str, status: int, said: str
) -> None:
    answer = raw(spoiled(fault))
    assert answer.status_code == status
    assert said in answer.json()["exceptionMessage"]


def test_the_sign_in_page_may_come_with_200(spoiled: Start) -> None:
    answer = raw(spoiled("sign-in-page"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<title>Sign In</title>" in answer.text


@pytest.mark.parametrize(
    ("fault", "page"),
    [
        ("sign-in-redirect", "/Frames/Login.aspx?ReturnUrl=%2f"),
        ("maintenance", "/Frames/Maintenance.aspx"),
    ],
)
def test_a_site_may_redirect_to_a_page_of_its_own(spoiled: Start, fault: str, page: str) -> None:
    client = spoiled(fault)
    answer = raw(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, page)
    assert client.get("dac/SOOrder").headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_site_that_restarts_fails_for_a_while(spoiled: Start, status: int) -> None:
    client = spoiled(f"publishing={status}@first=2")
    assert [raw(client).status_code for _ in range(3)] == [status, status, 200]


# Limits


@pytest.mark.parametrize("code", [510, 513])
def test_too_many_rows_are_a_denial_code_in_html(spoiled: Start, code: int) -> None:
    client = spoiled(f"denial-{code}=60")
    answer = raw(client, query="?$top=61")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (500, "text/html")
    assert f"Denial Code {code}. The system was unable to gather the data needed" in answer.text
    assert re.search(r"Timestamp: .{20} {600}", answer.text)
    assert len(client.rows("dac/SOOrder", top=60)) == 60


@pytest.mark.parametrize(
    ("fault", "good", "bad", "said"),
    [
        (
            "max-top=60",
            {"top": 60},
            {"top": 61},
            "The limit of '60' for Top query has been exceeded. The value from",
        ),
        (
            "max-orderby=2",
            {"orderby": "OrderType,OrderNbr desc"},
            {"orderby": "OrderType,OrderNbr,OrderDesc"},
            "The maximum number of $orderby clauses allowed is 2.",
        ),
        (
            "max-node-count",
            {"filter": " or ".join(["OrderNbr eq 'this and that or more'"] * 20)},
            {"filter": " or ".join(["OrderNbr eq 'A'"] * 21)},
            "The node count limit of '100' has been exceeded.",
        ),
    ],
)
def test_a_limit_is_400_with_the_text_of_the_library(
    spoiled: Start, fault: str, good: dict[str, Any], bad: dict[str, Any], said: str
) -> None:
    client = spoiled(fault)
    assert client.get("dac/SOOrder", **good).ok
    answer = client.get("dac/SOOrder", **bad)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_the_other_form_of_odata_has_errors_of_its_own(spoiled: Start) -> None:
    client = spoiled("max-top=3")
    url = f"{client.sandbox.url}/odata/Company/AR-Customers?$format=json&$top=4"
    answer = client.http.get(url, timeout=10)
    assert answer.status_code == 400
    assert "The limit of '3'" in answer.json()["odata.error"]["message"]["value"]


def test_a_gateway_may_give_up_on_large_pages(spoiled: Start) -> None:
    client = spoiled("bad-gateway=60")
    answer = raw(client, query="?$top=61")
    assert (answer.status_code, "<html>" in answer.text) == (502, True)
    assert len(client.rows("dac/SOOrder", top=60)) == 60


def test_large_pages_may_close_the_connection(spoiled: Start) -> None:
    client = spoiled("closed=60")
    with pytest.raises(requests.ConnectionError):
        raw(client, query="?$top=61")
    assert len(client.rows("dac/SOOrder", top=60)) == 60


@pytest.mark.parametrize("path", ["dac/SOOrder", "gi/AR-Open Documents"])
def test_a_user_of_a_restriction_group_sees_less_and_is_not_told(spoiled: Start, path: str) -> None:
    client = spoiled("restriction-group=4")
    seen = client.rows(path)
    assert seen == client.rows(path, top=20) + client.rows(path, skip=20)
    client.sandbox.habits.visible_share = 0
    all_rows = client.rows(path)
    assert 0 < len(seen) < len(all_rows) / 2
    assert all(row in all_rows for row in seen)


def test_rows_may_change_between_requests(spoiled: Start) -> None:
    client = spoiled("rows-change=1")
    sets = ("SOOrder", "SOLine", "ARTran", "GLTran", "BAccount", "Contact")
    before = {name: client.sandbox.rows("Company", name) for name in sets}
    for _ in range(10):
        raw(client, query="?$top=1")
    assert any(client.sandbox.rows("Company", name) != rows for name, rows in before.items())


# Values


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        ("text-as-number", re.compile("5")),
        ("half-surrogate", re.compile(".*\ud83d")),
        ("nul", re.compile(".*\0")),
        ("bare-date", re.compile("2024-03-15")),
        ("number-as-text", re.compile(r"[\d.]+")),
        ("wrong-type", re.compile("n/a")),
    ],
)
def test_one_value_of_one_row_is_bad_in_every_answer(
    spoiled: Start, fault: str, sent: re.Pattern[str]
) -> None:
    ((_, found),) = differences(spoiled(fault)).items()
    ((right, wrong),) = found
    assert sent.fullmatch(str(wrong))
    assert type(right) is not type(wrong) or right != wrong


@pytest.mark.parametrize(
    ("fault", "bytes_sent"),
    [
        ("text-as-number", rb'"CustomerOrderNbr":5,'),
        ("half-surrogate", rb'\\ud83d"'),
        ("nul", rb'\\u0000"'),
        ("nan", rb'"\w+":NaN,'),
        ("invalid-utf8", rb'"\w+":"caf\xe9"'),
    ],
)
def test_a_bad_value_is_sent_as_these_bytes(spoiled: Start, fault: str, bytes_sent: bytes) -> None:
    assert len(re.findall(bytes_sent, raw(spoiled(fault)).content)) == 1


def test_a_column_may_be_missing_from_every_row(spoiled: Start) -> None:
    ((_, found),) = differences(spoiled("absent-column")).items()
    assert (len(found), {sent for _, sent in found}) == (200, {"absent"})
    assert set(differences(spoiled("absent-column=OrderDesc"))) == {"OrderDesc"}


def test_names_may_come_in_another_case(spoiled: Start) -> None:
    row = spoiled("other-case").rows("dac/SOOrder", top=1)[0]
    assert {"orderType", "orderNbr", "lastModifiedDateTime"} < row.keys()
    assert "OrderNbr" not in row


def test_date_times_may_have_an_offset(spoiled: Start) -> None:
    found = differences(spoiled("offset-times"))
    assert "LastModifiedDateTime" in found
    for right, sent in (pair for pairs in found.values() for pair in pairs):
        assert sent.endswith("+03:00")
        assert len(sent.removesuffix("+03:00")) == len(right.removesuffix("Z"))
    service, table = service_of()
    service.spoil = faults.values.offset_times("-05:30")
    with service.running():
        sent = requests.get(f"{service.url}/Orders?$top=1", timeout=10).json()["value"][0]
    assert table.rows[0]["LastModifiedDateTime"] == "2024-03-01T08:01:00.000Z"
    assert sent["LastModifiedDateTime"] == "2024-03-01T02:31:00.000-05:30"


def test_codes_may_be_padded_with_blanks(spoiled: Start) -> None:
    client = spoiled("padded-codes")
    found = differences(client)
    assert set(found) == set(KEY)
    assert all(sent == right.ljust(10) for right, sent in found["OrderNbr"])


# Answers that are none


def test_an_error_may_come_with_200(spoiled: Start) -> None:
    answer = raw(spoiled("error-in-200"))
    assert (answer.status_code, list(answer.json())) == (200, ["error"])


def test_an_error_may_come_behind_some_rows(spoiled: Start) -> None:
    answer = raw(spoiled("error-behind-rows"))
    assert list(answer.json()) == ["@odata.context", "value", "error"]
    assert len(answer.json()["value"]) == 100


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [("empty-200", 200, ""), ("no-content", 204, "")],
)
def test_an_answer_may_hold_nothing(spoiled: Start, fault: str, status: int, body: str) -> None:
    answer = raw(spoiled(fault))
    assert (answer.status_code, answer.text) == (status, body)


def test_rows_may_be_null(spoiled: Start) -> None:
    assert raw(spoiled("null-rows")).json()["value"] is None


def test_a_body_may_end_early_without_a_sign(spoiled: Start) -> None:
    answer = raw(spoiled("cut-off"))
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_connection_may_close_in_the_middle(spoiled: Start) -> None:
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        raw(spoiled("broken-off"))


def test_the_header_may_name_another_encoding(spoiled: Start) -> None:
    with pytest.raises(requests.exceptions.ContentDecodingError):
        raw(spoiled("wrong-encoding"))


def test_a_body_may_begin_with_a_byte_order_mark(spoiled: Start) -> None:
    answer = raw(spoiled("byte-order-mark"))
    assert answer.content[:3] == b"\xef\xbb\xbf"
    assert len(json.loads(answer.content.decode("utf-8-sig"))["value"]) == 200


@pytest.mark.parametrize(("fault", "status"), [("proxy-403", 403), ("proxy-407", 407)])
def test_a_proxy_may_answer_in_place_of_the_site(spoiled: Start, fault: str, status: int) -> None:
    answer = raw(spoiled(fault), "dac/$metadata")
    assert (answer.status_code, "<html>" in answer.text) == (status, True)
    assert answer.headers["Via"] == "1.1 proxy.example (squid/6.6)"
    assert "Set-Cookie" not in answer.headers
    assert ("Proxy-Authenticate" in answer.headers) == (status == 407)


# Links


def test_a_page_may_be_cut_without_a_link(spoiled: Start) -> None:
    page = raw(spoiled("missing-next-link")).json()
    assert (len(page["value"]), "@odata.nextLink" in page) == (50, False)


def test_a_link_may_name_an_internal_host(spoiled: Start) -> None:
    page = raw(spoiled("foreign-next-link=30"), query="?$top=130").json()
    assert len(page["value"]) == 30
    assert page["@odata.nextLink"] == (
        "http://odata.invalid/t/Company/api/odata/dac/SOOrder?$top=100&$skip=30"
    )


def test_a_link_may_lead_nowhere(spoiled: Start) -> None:
    client = spoiled("dead-next-link")
    link = raw(client).json()["@odata.nextLink"]
    address = requests.compat.urljoin(client.sandbox.url, link)
    assert client.http.get(address, timeout=10).status_code == 404


def test_a_link_may_lead_in_a_circle(spoiled: Start) -> None:
    query = "?$top=130&$orderby=OrderNbr"
    link = raw(spoiled("circular-next-link"), query=query).json()["@odata.nextLink"]
    assert link == f"/t/Company/api/odata/dac/SOOrder{query}"


def test_a_page_may_have_a_link_in_place_of_its_rows(spoiled: Start) -> None:
    client = spoiled("page-without-value")
    first, second = raw(client, query="?$top=5").json(), raw(client, query="?$top=6").json()
    assert list(second) == ["@odata.context", "@odata.nextLink"]
    link = requests.compat.urljoin(client.sandbox.url, second["@odata.nextLink"])
    rows = client.http.get(link, timeout=10).json()["value"]
    assert (rows[:5], len(rows)) == (first["value"], 6)


# When, and how faults are put together


def test_a_fault_counts_only_what_it_is_for(spoiled: Start) -> None:
    client = spoiled("empty-200@every=2,only=SOOrder")
    sent = []
    for _ in range(4):
        sent.append(bool(raw(client).content))
        assert raw(client, "dac/$metadata").content
        assert raw(client, "dac/Batch").content
    assert sent == [True, False, True, False]
    client = spoiled("empty-200@only=SOOrder")
    assert not raw(client, "dac/PX_Objects_SO_SOOrder").content, "by another name of the set"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("once", [1]),
        ("first=2", [1, 2]),
        ("from=5", [5, 6]),
        ("every=3", [3, 6]),
        ("every=2,first=3", [2]),
    ],
)
def test_requests_are_counted_from_one(when: str, expected: list[int]) -> None:
    spoil = faults.make(f"proxy-403@{when}")
    assert callable(spoil)
    replies = []
    for _ in range(6):
        replies.append(Reply())
        spoil(Request(path="/Orders", query={}, headers={}), replies[-1])
    assert [n for n, reply in enumerate(replies, 1) if reply.status == 403] == expected


@pytest.mark.parametrize("module", [odata_service, field_service])
def test_the_services_of_the_tests_take_the_same_faults(module: Any) -> None:
    rows = [{"Id": n, "Code": f"C{n}", "Changed": "2024-03-01T08:00:00Z"} for n in range(1, 10)]
    columns = {"Id": "Edm.Int32", "Code": "Edm.String", "Changed": "Edm.DateTimeOffset"}
    table = module.Table("Things", columns, ["Code"], rows)
    service = module.ODataService(table) if module is odata_service else module.Service(table)

    def sent(fault: str) -> requests.Response:
        service.spoil = faults.make(fault)
        return requests.get(f"{service.url}/Things?$top=9", timeout=10)

    with service.running():
        assert [row["Code"] for row in sent("padded-codes=4").json()["value"]][:2] == [
            "C1  ",
            "C2  ",
        ]
        assert {row["Changed"] for row in sent("offset-times").json()["value"]} == {
            "2024-03-01T11:00:00+03:00"
        }
        assert sent("max-top=3").status_code == 400
        assert "Denial Code 510" in sent("denial-510=8").text
        assert sent("empty-200").content == b""
        with pytest.raises(requests.ConnectionError):
            sent("closed=8")
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            sent("broken-off")


def test_several_faults_act_one_after_the_other(spoiled: Start) -> None:
    client = spoiled("padded-codes=12", "offset-times", "missing-next-link=7", "max-top=150")
    rows = client.rows("dac/SOOrder", top=150)
    assert len(rows) == 7
    assert len(rows[0]["OrderNbr"]) == 12
    assert rows[0]["LastModifiedDateTime"].endswith("+03:00")
    assert client.get("dac/SOOrder", top=151).status_code == 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope", "there is no fault 'nope'"),
        ("max-top=x", "whole number from 0, not 'x'"),
        ("empty-200=1", "'empty-200' takes no argument, so not '1'"),
        ("offset-times=x", "'offset-times' does not take 'x'"),
        ("max-top@often", "'often' must be once, first=N"),
        ("max-top@every=0", "whole number from 1, not '0'"),
        ("max-top@only=", "'only=' must be once, first=N"),
        ("restriction-group@once", "it takes no '@once'"),
    ],
)
def test_a_fault_that_cannot_be_made_is_named(text: str, said: str) -> None:
    with pytest.raises(faults.FaultError, match=re.escape(said)):
        faults.make(text)


def test_every_fault_has_a_line_that_fits_the_screen() -> None:
    assert all(len(line) <= 120 for line in faults.listed())
    assert all(re.fullmatch(r"\S+ +\S.+[.]", line) for line in faults.listed())


# Without a fault


def test_a_hook_that_does_nothing_changes_nothing(start: Start) -> None:
    """Also digit for digit, and in all forms."""
    client = start(spoil=lambda _request, _reply: None)
    paths = ("t/Company/api/odata/dac/SOOrder", "t/Company/api/odata/gi/AR-Open Documents")
    older = ("odata/Company/AR-Customers", "odata/Company/AR-Customers?$format=json")
    for path in (*paths, *older, "t/Company/api/odata/dac", "t/Company/api/odata/gi/$metadata"):
        url = f"{client.sandbox.url}/{path}"
        sent = client.http.get(url, timeout=10)
        client.sandbox.spoil, hook = None, client.sandbox.spoil
        right = client.http.get(url, timeout=10)
        client.sandbox.spoil = hook
        assert sent.headers["Content-Type"] == right.headers["Content-Type"]
        if "json" not in sent.headers["Content-Type"]:
            assert sent.content == right.content
        else:
            # Numbers as text: 1.50 is not 1.5.
            one, other = (json.loads(r.text, parse_float=str, parse_int=str) for r in (sent, right))
            assert one == other


def test_what_is_sent_is_still_compressed_on_request(spoiled: Start) -> None:
    client = spoiled("padded-codes")
    with socket.create_connection(("127.0.0.1", client.sandbox.port)) as connection:
        connection.settimeout(10)
        path = "/t/Company/api/odata/dac/SOOrder?$top=9"
        basic = "Basic YWRtaW46c2VjcmV0"
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic}\r\n"
            "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode()
        )
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert len(json.loads(gzip.decompress(body), parse_float=Decimal)["value"]) == 9
