"""Identity servers that fail or are none, containers without a home, disks that are full."""

from __future__ import annotations

import errno
import json
import logging
import os
import typing as t
from pathlib import Path

import pytest
import requests
from typing_extensions import override

from tap_acumatica.auth.authenticators import OAuthAuthenticator
from tap_acumatica.auth.grants import ConsentGrant
from tap_acumatica.auth.identity import Application, IdentityServer
from tap_acumatica.auth.token_store import Tokens, TokenStore
from tap_acumatica.errors import (
    ExitCode,
    NetworkSettingsError,
    SignInError,
    TapError,
    TokenAddressError,
    TokenFileError,
    UnreachableError,
)
from tap_acumatica.http.retry import RetryableError
from tap_acumatica.settings.connections import connect
from tests.field.surroundings import LOGIN, TAP, Proxy, answering, response, run_in, started_in

NAME = "guid@Company https://erp.example"
NOW = 10_000.0


class Server:
    """An identity server that answers in turn with tokens or an error."""

    application = Application("guid@Company", "https://erp.example")

    def __init__(self, *answers: Tokens | Exception) -> None:
        self._answers = list(answers)
        self.used: list[str] = []

    def refresh(self, token: str) -> Tokens:
        self.used.append(token)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def grant(server: Server, store: TokenStore, *, now: float = NOW) -> ConsentGrant:
    return ConsentGrant(t.cast("IdentityServer", server), store, clock=lambda: now)


def stored(folder: Path, *, issued: float, seconds: float | None = 3600) -> TokenStore:
    store = TokenStore(folder / "tokens.json")
    with store.locked(NAME, None) as consents:
        consents.save(Tokens("kept", "first", issued, seconds))
    return store


def authorization(auth: OAuthAuthenticator) -> str:
    flow = auth.auth_flow(requests.Request("GET", "http://erp.example/").prepare())
    sent: str = next(flow).headers["Authorization"]
    flow.close()
    return sent


# A token that is still good


@pytest.mark.parametrize(
    "error",
    [
        SignInError("invalid_grant"),
        RetryableError("HTTP 500"),
        RetryableError("no answer within 120 seconds"),
        UnreachableError("contains no access token"),
    ],
)
def test_a_kept_token_that_is_still_good_is_used_where_no_new_one_is_to_be_had(
    tmp_path: Path, error: TapError, caplog: pytest.LogCaptureFixture
) -> None:
    now = NOW
    server = Server(error, Tokens("new", "second", NOW + 40, 3600))
    consent = ConsentGrant(
        t.cast("IdentityServer", server), stored(tmp_path, issued=NOW - 3570), clock=lambda: now
    )
    auth = OAuthAuthenticator(consent, clock=lambda: now)
    assert [authorization(auth) for _ in range(3)] == ["Bearer kept"] * 3
    assert server.used == ["first"]
    assert "still valid" in caplog.text
    now = NOW + 40
    assert authorization(auth) == "Bearer new"
    assert server.used == ["first", "first"]


def test_the_failure_is_raised_where_the_kept_token_is_over(tmp_path: Path) -> None:
    server = Server(SignInError("sign in again"))
    auth = OAuthAuthenticator(grant(server, stored(tmp_path, issued=NOW - 3600)), clock=lambda: NOW)
    with pytest.raises(SignInError, match="sign in again"):
        authorization(auth)


def test_a_kept_token_that_the_service_has_refused_is_not_used_again(tmp_path: Path) -> None:
    server = Server(RetryableError("HTTP 500"))
    with pytest.raises(RetryableError):
        grant(server, stored(tmp_path, issued=NOW - 3570)).tokens("kept")


def test_a_token_file_that_became_read_only_does_not_end_a_good_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stored(tmp_path, issued=NOW - 3570)

    def refuse(_: object) -> t.NoReturn:
        msg = "read-only"
        raise TokenFileError(msg)

    monkeypatch.setattr(store, "reserve", refuse)
    auth = OAuthAuthenticator(grant(Server(), store), clock=lambda: NOW)
    assert authorization(auth) == "Bearer kept"


@pytest.mark.parametrize("value", [None, "soon", "", 0, -5, True, [], "nan", "inf", {}])
def test_a_life_that_is_no_number_of_seconds_means_until_it_is_refused(value: object) -> None:
    body = json.dumps({"access_token": "a", "refresh_token": "b", "expires_in": value})
    with answering(response("200 OK", body=body)) as port:
        tokens = _server(port).refresh("old")
    assert tokens.seconds is None
    assert tokens.fresh(NOW)


# No home, no room


def test_without_a_home_directory_only_who_needs_the_file_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_home(_: object = None) -> t.NoReturn:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.delenv("MELTANO_PROJECT_ROOT", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "expanduser", no_home)
    url = "https://erp.example"
    basic = connect({"url": url, "tenants": ["A"], "username": "u", "password": "p"}, user_agent="")
    assert basic.connections
    basic.close()
    for token_file in ({}, {"token_file": "~/tokens.json"}):
        site = connect({"url": url, **token_file}, user_agent="")
        with (
            pytest.raises(TokenFileError, match=r"home directory.*'token_file'"),
            site.token_store.locked(NAME, None),
        ):
            pass


@pytest.mark.parametrize("home", ["/proc/none", "/dev/null", "/proc/self"])
@pytest.mark.parametrize("command", [TAP, LOGIN], ids=["tap", "login"])
def test_a_home_that_cannot_be_written_names_the_setting(
    tmp_path: Path, home: str, command: tuple[str, ...]
) -> None:
    with answering(response("404 Not Found")) as port:
        config = {
            "url": f"http://127.0.0.1:{port}",
            "tenants": ["Company"],
            "auth_mode": "oauth2",
            "client_id": "guid@Company",
        }
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        variables: dict[str, str | None] = {"HOME": home, "MELTANO_PROJECT_ROOT": None}
        run = started_in(tmp_path, command, "--config", "config.json", **variables)
    assert run.exit_code == ExitCode.SETTINGS, run.errors
    assert "'token_file'" in run.errors
    assert "Traceback" not in run.errors


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the disk is full: then nothing can be written that was not there before."""
    full = [False]
    real = os.fsync

    def fsync(handle: int) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return full


def test_room_for_the_successor_is_taken_before_a_refresh_token_is_used_up(tmp_path: Path) -> None:
    store = stored(tmp_path, issued=0)
    sizes: list[int] = []

    class Watching(Server):
        @override
        def refresh(self, token: str) -> Tokens:
            sizes.extend(file.stat().st_size for file in tmp_path.glob("*.new"))
            return super().refresh(token)

    grant(Watching(Tokens("new", "second", NOW, 3600)), store).tokens(None)
    assert sizes[0] > 16_000
    assert list(tmp_path.glob("*.new")) == []
    assert "second" in store.path.read_text()
    assert not store.path.read_text().endswith(" ")


def test_a_refresh_token_that_cannot_be_written_is_kept_and_written_later(
    tmp_path: Path, full_disk: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    store = stored(tmp_path, issued=0)

    class Filling(Server):
        @override
        def refresh(self, token: str) -> Tokens:
            full_disk[0] = True
            return super().refresh(token)

    server = Filling(Tokens("new", "second", NOW, 3600), Tokens("newer", "third", NOW, 3600))
    consent = grant(server, store)
    assert consent.tokens(None).access == "new"
    assert "could not be written" in caplog.text
    assert "No space left" in caplog.text
    assert "second" not in caplog.text
    assert consent.tokens("new").access == "newer"
    assert server.used == ["first", "second"]
    full_disk[0] = False
    store.close()
    with TokenStore(store.path).locked(NAME, None) as consents:
        assert consents.newest() == Tokens("newer", "third", NOW, 3600)


def test_a_refresh_token_that_is_lost_in_the_end_is_said(
    tmp_path: Path, full_disk: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    store = stored(tmp_path, issued=0)
    with store.locked(NAME, None) as consents:
        consents.keep(Tokens("new", "second", NOW, 3600))
    full_disk[0] = True
    store.close()
    assert "is lost" in caplog.text
    assert "tap-acumatica-login" in caplog.text


# What answers for the identity server


def _server(port: int, *, is_set: bool = True, path: str = "/token") -> IdentityServer:
    own = f"http://127.0.0.1:{port}"
    address = f"{own}{path}" if is_set else None
    return IdentityServer(
        Application("guid@Company", own, "a-client-secret", access_token_url=address)
    )


@pytest.mark.parametrize(
    "reply",
    [
        response("404 Not Found"),
        response("405 Method Not Allowed", body="<html><title>no</title></html>"),
        response("200 OK", body="<html><title>Welcome</title></html>"),
        response("302 Found", "Location: https://elsewhere.example/login"),
    ],
)
def test_a_wrong_address_for_tokens_is_a_wrong_setting(reply: bytes) -> None:
    with answering(reply) as port, pytest.raises(TokenAddressError) as error:
        _server(port).by_password("me", "pass-word")
    assert "'access_token_url'" in str(error.value)
    assert error.value.exit_code == ExitCode.SETTINGS


@pytest.mark.parametrize("address", ["erp.example/token", "ftp://erp.example/token", "http://"])
def test_an_address_for_tokens_that_is_none_is_a_wrong_setting(address: str) -> None:
    own = Application("guid@Company", None, access_token_url=address)
    with pytest.raises(TokenAddressError, match="'access_token_url'"):
        IdentityServer(own).refresh("old")


@pytest.mark.parametrize(
    ("status", "kind"),
    [("403 Forbidden", UnreachableError), ("503 Service Unavailable", RetryableError)],
)
def test_a_filter_before_the_identity_server_is_no_refusal_of_the_consent(
    status: str, kind: type[TapError]
) -> None:
    body = "<html><head><title>Internet Security by Zscaler</title></head></html>"
    with (
        answering(response(status, body=body)) as port,
        pytest.raises(kind, match=r"between.*Zscaler") as error,
    ):
        _server(port).refresh("old")
    assert not isinstance(error.value, SignInError)


def test_a_dead_proxy_before_the_identity_server_is_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://someone:proxy-secret@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    own = Application("guid@Company", None, access_token_url="http://erp.example/token")
    with pytest.raises(RetryableError, match=r"proxy 127\.0\.0\.1:9.*erp\.example") as error:
        IdentityServer(own).refresh("old")
    assert "HTTP_PROXY" in error.value.remedy
    assert "proxy-secret" not in str(error.value)


def test_a_proxy_before_the_identity_server_may_want_a_sign_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Application("guid@Company", None, access_token_url="http://erp.example/token")
    with Proxy(response("407 Proxy Authentication Required")).running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(NetworkSettingsError, match="user:password@") as error:
            IdentityServer(own).refresh("old")
    assert error.value.exit_code == ExitCode.SETTINGS


def test_a_wrong_password_is_called_so(tmp_path: Path) -> None:
    body = json.dumps({"error": "invalid_grant"})
    with answering(response("400 Bad Request", body=body)) as port:
        config = {
            "url": f"http://127.0.0.1:{port}",
            "tenants": ["Company"],
            "auth_mode": "oauth2",
            "oauth_flow": "password",
            "client_id": "guid@Company",
            "client_secret": "a-client-secret",
            "username": "me",
            "password": "wrong",
        }
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        run = run_in(tmp_path, "--config", "config.json")
    assert run.exit_code == ExitCode.SIGN_IN
    assert "the user name or the password is wrong" in run.errors
    assert "a-client-secret" not in run.errors
