"""The sandbox's identity server, seats and rate limits."""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tap_acumatica.sandbox import CLIENT, Client, Habits
from tap_acumatica.sandbox.rate_limits import RateLimits, TooManyRequestsError
from tap_acumatica.sandbox.replies import LOGIN_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.conftest import Client as SignedIn

    Start = Callable[..., SignedIn]

ID = f"{CLIENT}@Company"
CALLBACK = "http://localhost:8400/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().strip("=")
ASKED = {
    "response_type": "code",
    "client_id": ID,
    "redirect_uri": CALLBACK,
    "scope": "api offline_access",
    "state": "st&te",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
ME = {"username": "admin", "password": "secret"}


def authorize(client: SignedIn, **changes: str) -> requests.Response:
    url = f"{client.sandbox.url}/identity/connect/authorize"
    return requests.post(url, data={**ASKED, **ME, **changes}, timeout=10, allow_redirects=False)


def back(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def token(client: SignedIn, **form: str) -> requests.Response:
    url = f"{client.sandbox.url}/identity/connect/token"
    return requests.post(url, data={"client_id": ID, **form}, timeout=10)


def exchange(client: SignedIn, code: str, **changes: str) -> requests.Response:
    form = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changes}
    return token(client, grant_type="authorization_code", **form)


def consent(client: SignedIn, **changes: str) -> dict[str, Any]:
    answer = exchange(client, back(authorize(client, **changes))["code"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refresh(client: SignedIn, value: str) -> requests.Response:
    return token(client, grant_type="refresh_token", refresh_token=value)


def bearer(client: SignedIn, access: str, **options: Any) -> requests.Response:
    url = f"{client.sandbox.url}/t/Company/api/odata/dac/Ledger"
    headers = {"Authorization": f"Bearer {access}"}
    return requests.get(url, headers=headers, timeout=10, **options)


def test_the_sign_in_page_leads_to_tokens_that_open_the_service(client: SignedIn) -> None:
    page = requests.get(
        f"{client.sandbox.url}/identity/connect/authorize", params=ASKED, timeout=10
    )
    assert "<form" in page.text
    assert 'value="st&amp;te"' in page.text
    found = back(authorize(client))
    assert found["state"] == "st&te"
    tokens = exchange(client, found["code"]).json()
    assert tokens["expires_in"] == 3600
    assert bearer(client, tokens["access_token"]).status_code == 200
    assert bearer(client, "made-up").status_code == 401


def test_a_code_is_valid_once_and_only_with_its_verifier(client: SignedIn) -> None:
    code = back(authorize(client))["code"]
    assert exchange(client, code, code_verifier="w" * 43).json() == {"error": "invalid_grant"}
    code = back(authorize(client))["code"]
    assert exchange(client, code).status_code == 200
    assert exchange(client, code).status_code == 400


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_pkce_is_required(client: SignedIn, change: dict[str, str], error: str) -> None:
    assert back(authorize(client, **change))["error"] == error


@pytest.mark.parametrize(
    "change", [{"client_id": "nobody"}, {"redirect_uri": "http://evil.example/"}]
)
def test_an_unknown_client_or_callback_gets_no_redirect(
    client: SignedIn, change: dict[str, str]
) -> None:
    assert authorize(client, **change).status_code == 400


def test_a_client_with_a_secret_must_send_it(start: Start) -> None:
    client = start(clients=[Client(ID, "hidden")])
    code = back(authorize(client))["code"]
    assert exchange(client, code).json() == {"error": "invalid_client"}
    assert exchange(client, code, client_secret="hidden").status_code == 200


def test_three_wrong_passwords_lock_the_account_at_the_page_too(client: SignedIn) -> None:
    for _ in range(3):
        assert "Invalid credentials" in authorize(client, password="wrong").text
    assert authorize(client).status_code == 200
    assert client.get("dac").status_code == 401


def test_a_refresh_token_is_valid_once_and_a_second_use_ends_the_consent(client: SignedIn) -> None:
    first = consent(client)
    second = refresh(client, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert refresh(client, first["refresh_token"]).status_code == 400
    assert refresh(client, second["refresh_token"]).json() == {"error": "invalid_grant"}
    assert client.sandbox.identity.reused == 1


def test_without_offline_access_there_is_no_refresh_token(client: SignedIn) -> None:
    assert "refresh_token" not in consent(client, scope="api")


def test_a_consent_ends(start: Start) -> None:
    client = start(Habits(consent_seconds=0))
    assert refresh(client, consent(client)["refresh_token"]).status_code == 400


def test_a_token_ends_after_requests_or_seconds_and_its_session_with_it(start: Start) -> None:
    client = start(Habits(token_requests=2))
    access = consent(client)["access_token"]
    answers = [bearer(client, access).status_code for _ in range(3)]
    assert answers == [200, 200, 401]
    assert client.sandbox.open_sessions == []
    client = start(Habits(token_seconds=0))
    assert bearer(client, consent(client)["access_token"]).status_code == 401


def test_a_token_of_scope_api_has_one_session_and_others_one_per_request(client: SignedIn) -> None:
    access = consent(client)["access_token"]
    for _ in range(3):
        bearer(client, access)
    assert client.sandbox.sessions_opened == 1
    access = consent(client, scope="api:concurrent_access")["access_token"]
    for _ in range(3):
        bearer(client, access)
    assert client.sandbox.sessions_opened == 4


def test_cookies_continue_the_session_with_the_next_token(client: SignedIn) -> None:
    tokens = consent(client)
    with requests.Session() as http:
        http.cookies = bearer(client, tokens["access_token"]).cookies
        later = refresh(client, tokens["refresh_token"]).json()["access_token"]
        bearer(client, later, cookies=http.cookies)
    assert client.sandbox.sessions_opened == 1
    assert len(client.sandbox.open_sessions) == 1


def test_a_sign_out_with_the_token_frees_the_seat_and_keeps_the_token_valid(
    client: SignedIn,
) -> None:
    access = consent(client)["access_token"]
    bearer(client, access)
    headers = {"Authorization": f"Bearer {access}"}
    url = f"{client.sandbox.url}/entity/auth/logout"
    assert requests.post(url, headers=headers, timeout=10).status_code == 204
    assert client.sandbox.open_sessions == []
    assert bearer(client, access).status_code == 200


def test_a_token_is_valid_for_its_own_tenant_only(client: SignedIn) -> None:
    access = consent(client, client_id=ID)["access_token"]
    url = f"{client.sandbox.url}/t/Calipso LLC/api/odata/dac"
    headers = {"Authorization": f"Bearer {access}"}
    assert requests.get(url, headers=headers, timeout=10).status_code == 401


def test_the_password_flow_checks_the_password(client: SignedIn) -> None:
    assert token(client, grant_type="password", scope="api", **ME).status_code == 200
    wrong = token(client, grant_type="password", username="admin", password="no")
    assert wrong.json() == {"error": "invalid_grant"}


def test_the_openid_document_has_the_urls(start: Start) -> None:
    path = "/identity/.well-known/openid-configuration"
    client = start(prefix="/AcumaticaERP")
    document = requests.get(client.sandbox.url + path, timeout=10).json()
    assert document["token_endpoint"] == f"{client.sandbox.url}/identity/connect/token"
    without = start(Habits(openid_document=False))
    assert requests.get(without.sandbox.url + path, timeout=10).status_code == 404


def test_requests_to_the_identity_server_are_logged_without_content(client: SignedIn) -> None:
    tokens = consent(client)
    bearer(client, tokens["access_token"])
    logged = repr(client.sandbox.requests)
    for secret in (VERIFIER, CHALLENGE, tokens["access_token"], tokens["refresh_token"], "secret"):
        assert secret not in logged


@pytest.mark.parametrize("text", LOGIN_LIMITS)
@pytest.mark.parametrize("status", [429, 500])
def test_a_full_license_has_the_configured_status_and_text(
    start: Start, status: int, text: str
) -> None:
    client = start(Habits(seats=0, seats_status=status, seats_text=text))
    answer = client.get("dac")
    assert (answer.status_code, answer.text) == (status, text)


def test_from_half_of_the_limit_on_requests_are_delayed() -> None:
    waited: list[float] = []
    now = 0.0
    rate_limits = RateLimits(Habits(requests_per_minute=10), waited.append, lambda: now)
    for _ in range(10):
        with rate_limits.request():
            pass
    assert waited == [60 / 5, 60 / 4, 60 / 3, 60 / 2, 60 / 1]
    assert rate_limits.delayed == 5
    now = 60.0
    with rate_limits.request():
        pass
    assert len(waited) == 5


def test_requests_are_refused_when_the_queue_is_full() -> None:
    habits = Habits(concurrent_requests=1, queue_length=2, queue_seconds=20)
    rate_limits = RateLimits(habits, lambda _: None)
    leave = threading.Event()

    def request() -> None:
        with rate_limits.request():
            leave.wait(20)

    threads = [threading.Thread(target=request) for _ in range(3)]
    for thread in threads:
        thread.start()
    while rate_limits.delayed < 2:
        pass
    with pytest.raises(TooManyRequestsError), rate_limits.request():
        pass
    leave.set()
    for thread in threads:
        thread.join()
    assert (rate_limits.delayed, rate_limits.declined) == (2, 1)


def test_a_request_that_waits_too_long_is_refused() -> None:
    rate_limits = RateLimits(Habits(concurrent_requests=1, queue_seconds=0), lambda _: None)
    with rate_limits.request(), pytest.raises(TooManyRequestsError), rate_limits.request():
        pass
    with rate_limits.request():
        pass


def test_a_refused_request_is_429_without_the_text_of_a_full_license(start: Start) -> None:
    client = start(Habits(concurrent_requests=1, queue_length=0))
    statuses: list[int] = []

    def ask_meanwhile(_: object) -> None:
        if not statuses:
            statuses.append(0)
            answer = client.get("dac/Ledger")
            statuses.append(answer.status_code)
            assert "Limit" not in answer.text

    client.sandbox.on_request(ask_meanwhile)
    with requests.Session() as http:
        http.auth = ("admin", "secret")
        url = f"{client.sandbox.url}/t/Company/api/odata/dac/Ledger"
        assert http.get(url, timeout=10).status_code == 200
    assert statuses == [0, 429]
