"""Whether there is a session to sign out, and with what."""

from __future__ import annotations

import pytest
import requests
from requests.cookies import RequestsCookieJar

from tap_acumatica.auth.seat import Seat, TokenSessions

BEARER = {"Authorization": "Bearer a-token"}
BASIC = {"Authorization": "Basic bWU6cGFzcw=="}


def answer(headers: dict[str, str], status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.request = requests.Request("GET", "http://h.invalid/", headers=headers).prepare()
    return response


def seat(*cookies: str, shared: TokenSessions | None = None) -> Seat:
    jar = RequestsCookieJar()
    for name in cookies:
        jar.set(name, "value")
    return Seat(jar, shared or TokenSessions())


def test_a_session_that_sent_nothing_has_nothing_to_sign_out() -> None:
    assert seat("ASP.NET_SessionId").release() is None


@pytest.mark.parametrize("headers", [BASIC, BEARER])
def test_a_session_with_cookies_is_signed_out_once(headers: dict[str, str]) -> None:
    held = seat("ASP.NET_SessionId")
    held.answered(answer(headers))
    assert (held.held, held.release()) == (True, headers)
    assert (held.held, held.release()) == (False, None)


def test_a_refused_sign_in_holds_no_seat_even_with_cookies() -> None:
    refused = seat("ASP.NET_SessionId")
    refused.answered(answer(BASIC, 401))
    assert refused.release() is None


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_failed_request_with_cookies_holds_a_seat(status: int) -> None:
    failed = seat("ASP.NET_SessionId")
    failed.answered(answer(BASIC, status))
    assert failed.release() == BASIC


def test_without_cookies_a_password_names_no_session() -> None:
    without = seat()
    without.answered(answer(BASIC))
    assert without.release() is None


def test_the_session_of_a_token_is_signed_out_by_the_first_to_end() -> None:
    shared = TokenSessions()
    first, second = seat(shared=shared), seat(shared=shared)
    for each in (first, second):
        each.answered(answer(BEARER))
    assert first.release() == BEARER
    assert second.release() is None


def test_a_token_that_is_used_again_is_signed_out_again() -> None:
    again = seat()
    for _ in range(2):
        again.answered(answer(BEARER))
        assert again.release() == BEARER


def test_where_the_site_sets_cookies_a_session_without_them_has_no_seat() -> None:
    shared = TokenSessions()
    with_cookies, without = seat("ASP.NET_SessionId", shared=shared), seat(shared=shared)
    for each in (with_cookies, without):
        each.answered(answer(BEARER))
    assert without.release() is None
    assert with_cookies.release() == BEARER


def test_an_answer_that_is_not_waited_for_may_have_opened_a_session_by_token() -> None:
    by_token, by_password = seat(), seat()
    by_token.interrupted(answer(BEARER).request)
    by_password.interrupted(answer(BASIC).request)
    assert by_token.release() == BEARER
    assert by_password.release() is None
