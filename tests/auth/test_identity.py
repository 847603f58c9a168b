"""The identity server's side of signing in, as the tap sees it."""

from __future__ import annotations

import io
import json
import threading
import traceback
import typing as t
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from typing_extensions import override

from tap_acumatica.auth.identity import Application, IdentityServer
from tap_acumatica.errors import SignInError, TapError, UnreachableError
from tap_acumatica.http.retry import RetryableError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

Answer = tuple[int, dict[str, str], bytes]
DOCUMENT = "/identity/.well-known/openid-configuration"
TOKENS = "/identity/connect/token"
SECRETS = ("the-client-secret", "old-token", "pass-word")
GOOD: Answer = (
    200,
    {},
    b'{"access_token": "new-access", "refresh_token": "next", "expires_in": 3600}',
)


class Seen(t.NamedTuple):
    """A request as it arrived."""

    path: str
    form: dict[str, list[str]]
    headers: dict[str, str]


@contextmanager
def _site(answers: dict[str, Answer]) -> Iterator[tuple[str, list[Seen]]]:
    """A server that answers by path; 404 where it knows none. Its address stands for SITE."""
    log: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            log.append(Seen(self.path, parse_qs(body), headers))
            status, extra, text = answers.get(self.path, (404, {}, b""))
            text = text.replace(b"SITE", site.encode())
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST  # noqa: N815  the name is the library's

        @override
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site, log
        finally:
            server.shutdown()
            thread.join()


def _server(site: str, **others: t.Any) -> IdentityServer:
    secret = others.pop("client_secret", "the-secret")
    application = Application("guid@Company", site, secret, **others)
    return IdentityServer(application, clock=lambda: 1000.0)


def test_a_refresh_says_who_asks_and_brings_the_next_tokens() -> None:
    with _site({TOKENS: GOOD}) as (site, log):
        tokens = _server(site).refresh("old")
    assert (tokens.access, tokens.refresh, tokens.issued, tokens.seconds) == (
        "new-access",
        "next",
        1000.0,
        3600,
    )
    assert [seen.path for seen in log] == [DOCUMENT, TOKENS]
    assert log[1].form == {
        "grant_type": ["refresh_token"],
        "client_id": ["guid@Company"],
        "client_secret": ["the-secret"],
        "refresh_token": ["old"],
    }


def test_a_public_client_sends_no_secret() -> None:
    with _site({TOKENS: GOOD}) as (site, log):
        _server(site, client_secret=None).refresh("old")
    assert "client_secret" not in log[-1].form


def test_a_netrc_file_adds_nothing(tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with _site({TOKENS: GOOD}) as (site, log):
        _server(site).refresh("old")
    assert all("authorization" not in seen.headers for seen in log)


def test_a_refresh_without_a_successor_keeps_the_token() -> None:
    body = b'{"access_token": "new", "expires_in": "60"}'
    with _site({TOKENS: (200, {}, body)}) as (site, _):
        tokens = _server(site).refresh("old")
    assert (tokens.refresh, tokens.seconds) == ("old", 60)


@pytest.mark.parametrize("document", [b"", b"<html>", b"[]", b'{"token_endpoint": 5}', b"{}"])
def test_without_a_usable_openid_document_the_addresses_are_acumaticas(document: bytes) -> None:
    with _site({DOCUMENT: (200, {}, document)}) as (site, _):
        found = _server(site).endpoints()
    assert found.token == f"{site}{TOKENS}"
    assert found.authorization == f"{site}/identity/connect/authorize"


def test_the_openid_document_says_where_to_ask() -> None:
    document = {"token_endpoint": "SITE/other/token", "authorization_endpoint": "SITE/other/go?x=1"}
    answers = {DOCUMENT: (200, {}, json.dumps(document).encode()), "/other/token": GOOD}
    with _site(answers) as (site, log):
        server = _server(site)
        server.refresh("old")
        address = server.authorization_address(callback="http://h/c", state="s", verifier="v")
    assert [seen.path for seen in log] == [DOCUMENT, "/other/token"]
    assert address.startswith(f"{site}/other/go?x=1&response_type=code&")


def test_settings_win_and_then_nothing_is_looked_up() -> None:
    with _site({"/mine": GOOD}) as (site, log):
        own = {"access_token_url": f"{site}/mine", "authorization_url": f"{site}/go"}
        _server("http://nowhere.invalid", **own).refresh("old")
    assert [seen.path for seen in log] == ["/mine"]


@pytest.mark.parametrize(
    ("site", "named", "used"),
    [
        ("https://erp.example", "https://erp.example/x", "https://erp.example/x"),
        # A proxy ends TLS, and the site does not know.
        ("https://erp.example", "http://erp.example/x", "https://erp.example/x"),
        ("https://erp.example", "https://login.example/x", "https://login.example/x"),
        # Secrets go over TLS where the site's own do.
        ("https://erp.example", "http://inside.local/x", "https://erp.example" + TOKENS),
        ("http://erp.example", "http://login.example/x", "http://login.example/x"),
        ("https://erp.example", "file:///etc/passwd", "https://erp.example" + TOKENS),
    ],
)
def test_the_document_does_not_lead_off_tls(
    site: str, named: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = requests.Response()
    found.status_code, found.url = 200, f"{site}{DOCUMENT}"
    found.raw = io.BytesIO(json.dumps({"token_endpoint": named}).encode())
    monkeypatch.setattr("tap_acumatica.auth.identity.send_alone", lambda *_, **__: found)
    assert _server(site).endpoints().token == used


def test_the_authorization_address_carries_pkce_as_the_standard_has_it() -> None:
    own = {"access_token_url": "https://h/t", "authorization_url": "https://h/a"}
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
    address = _server("https://h", scope="openid api", **own).authorization_address(
        callback="http://localhost:8400/callback", state="abc", verifier=verifier
    )
    assert parse_qs(urlsplit(address).query) == {
        "response_type": ["code"],
        "client_id": ["guid@Company"],
        "redirect_uri": ["http://localhost:8400/callback"],
        "scope": ["openid api"],
        "state": ["abc"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"error": "invalid_grant", "error_description": "old is used up"}']
)
def test_any_refusal_of_a_refresh_is_final_whatever_its_body(status: int, body: bytes) -> None:
    refusing = _site({TOKENS: (status, {}, body)})
    with refusing as (site, log), pytest.raises(SignInError, match="sign in again with") as error:
        _server(site).refresh("old-token")
    assert [seen.path for seen in log].count(TOKENS) == 1
    assert "used up" not in str(error.value)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_temporary_failures_have_an_error_of_their_own(status: int) -> None:
    busy = _site({TOKENS: (status, {"Retry-After": "3"}, b"")})
    with busy as (site, _), pytest.raises(RetryableError) as error:
        _server(site).refresh("old")
    assert error.value.wait == 3


def test_no_connection_may_pass() -> None:
    with pytest.raises(RetryableError, match="cannot connect to the identity server"):
        _server("x", access_token_url="http://127.0.0.1:9/t", authorization_url="x").refresh("old")


def test_a_redirect_is_not_followed_with_the_secrets() -> None:
    moved = _site({TOKENS: (307, {"Location": "/elsewhere"}, b"")})
    with moved as (site, log), pytest.raises(UnreachableError, match="'access_token_url'"):
        _server(site).refresh("old")
    assert log[-1].path == TOKENS


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"access_token": 5}', b"[]"])
def test_an_answer_without_a_token_is_no_token(body: bytes) -> None:
    odd = _site({TOKENS: (200, {}, body)})
    with odd as (site, _), pytest.raises(UnreachableError, match="contains no access token"):
        _server(site).refresh("old")


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("invalid_client", "'client_secret'"),
        ("unauthorized_client", "SM303010"),
        ("invalid_scope", "'scope'"),
    ],
)
def test_what_is_wrong_with_the_application_is_named(code: str, word: str) -> None:
    body = json.dumps({"error": code}).encode()
    with _site({TOKENS: (400, {}, body)}) as (site, _), pytest.raises(SignInError) as error:
        _server(site).by_password("me", "secret")
    assert word in str(error.value)
    assert code in str(error.value)


def test_an_error_code_that_is_a_secret_is_not_shown() -> None:
    body = json.dumps({"error": "battery"}).encode()
    with _site({TOKENS: (400, {}, body)}) as (site, _), pytest.raises(SignInError) as error:
        _server(site).by_password("me", "battery")
    assert "HTTP 400 (***)" in str(error.value)


@pytest.mark.parametrize("status", [200, 307, 400, 500])
@pytest.mark.parametrize("ask", ["refresh", "by_password", "exchange"])
def test_no_error_repeats_what_was_sent(status: int, ask: str) -> None:
    client, token, password = SECRETS
    arguments: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        "refresh": ((token,), {}),
        "by_password": (("me", password), {}),
        "exchange": ((token,), {"callback": "http://h/c", "verifier": password}),
    }
    echo = json.dumps({"error": " ".join(SECRETS), "error_description": token}).encode()
    chatty = _site({TOKENS: (status, {"Location": f"/?t={token}"}, echo)})
    positional, named = arguments[ask]
    with chatty as (site, _), pytest.raises(TapError) as error:
        getattr(_server(site, client_secret=client), ask)(*positional, **named)
    shown = "".join(traceback.format_exception(error.value))
    assert [secret for secret in SECRETS if secret in shown] == []
