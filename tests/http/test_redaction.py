"""No secret survives in what a service says; the tap's own words do."""

from __future__ import annotations

import base64
import html
import json
import logging
import typing as t
from urllib.parse import quote, quote_plus

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.acumatica.answers import Answer
from tap_acumatica.auth.authenticators import BasicAuthenticator
from tap_acumatica.errors import PayloadError
from tap_acumatica.http.redaction import MASK, Redactor
from tap_acumatica.http.request_log import RequestLog

SPELLINGS: dict[str, t.Callable[[str], str]] = {
    "as it is": str,
    "in an address": lambda secret: quote(secret, safe=""),
    "in a path": quote,
    "in lower-case escapes": lambda secret: quote(secret, safe="").replace("%2B", "%2b"),
    "in a form": quote_plus,
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON as it is": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "in HTML": html.escape,
    "in HTML of ASP.NET": lambda secret: html.escape(secret).replace("&#x27;", "&#39;"),
    "in XML": lambda secret: html.escape(secret).replace("&#x27;", "&apos;"),
}
# None of these stands in the mask or in the words around a secret.
secrets = st.text(
    st.sampled_from("ABXYZ0189 +/\"'\\%&=?#{}<>:;äöü€𝄞\t"), min_size=1, max_size=30
).filter(lambda secret: secret.strip())


def basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


@given(st.lists(secrets, min_size=1, max_size=3), st.sampled_from(sorted(SPELLINGS)))
def test_no_secret_survives_however_it_is_spelled(found: list[str], spelling: str) -> None:
    redactor = Redactor(*found)
    for secret in found:
        spelled = SPELLINGS[spelling](secret)
        assert spelled not in redactor.redact(f"you sent {spelled} to us")


@given(secrets)
def test_no_secret_survives_in_base64(secret: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        spelled = encode(secret.strip().encode()).decode()
        assert spelled not in Redactor(secret).redact(f"you sent {spelled} to us")


@given(secrets, secrets)
def test_no_pair_of_user_and_password_survives(username: str, password: str) -> None:
    redactor = Redactor()
    redactor.add_basic(username, password)
    pair = basic(username, password)
    for spelled in (pair, pair.rstrip("="), quote(pair, safe=""), json.dumps(pair)):
        assert spelled not in redactor.redact(f"Authorization: Basic {spelled}!")


@given(st.sampled_from(["wrong", "password", "HTTP", "refused", "the", "e", "401", "Ledger", ";"]))
def test_the_taps_own_words_survive_in_an_error(password: str) -> None:
    auth = BasicAuthenticator("me", password)
    response = requests.Response()
    response.status_code = 401
    answer = Answer(response, b"", what="Ledger", redactor=auth.redactor)
    cause, remedy = auth.refusal
    assert answer.explain(cause, remedy) == f"Ledger: HTTP 401, {cause}; {remedy}"


def refusal(body: str, *secrets: str) -> str:
    """What is shown of an answer that refuses a request."""
    response = requests.Response()
    response.status_code = 400
    return Answer(response, body.encode(), what="X", redactor=Redactor(*secrets)).explain()


def test_what_the_service_says_is_masked_before_it_is_shortened() -> None:
    assert "a-long" not in refusal("x" * 190 + " a-long-secret-value", "a-long-secret-value")


@given(secrets)
def test_no_secret_survives_that_only_decoding_brings_to_light(secret: str) -> None:
    escaped = "".join(f"\\u{unit:04x}" for unit in memoryview(secret.encode("utf-16-le")).cast("H"))
    as_entities = "".join(f"&#{ord(character)};" for character in secret)
    for body in (
        f'{{"error": {{"message": "you sent {escaped} to us"}}}}',
        f"<error><message>you sent {as_entities} to us</message></error>",
    ):
        shown = refusal(body, secret)
        assert "you sent" in shown
        assert f"you sent {' '.join(secret.split())} to us" not in shown


def test_a_secret_that_begins_within_another_is_masked_to_its_end() -> None:
    assert Redactor("Xl", "long-secret").redact("you sent Xlong-secret") == f"you sent {MASK}"
    assert Redactor("ab", "bc").redact("ab, abc, bcab") == f"{MASK}, {MASK}, {MASK}{MASK}"


def test_a_secret_is_masked_where_the_service_trims_it() -> None:
    assert Redactor(" pass word ").redact("you sent 'pass word'") == f"you sent '{MASK}'"


def test_a_secret_that_is_a_word_of_json_does_not_garble_what_the_service_says() -> None:
    shown = refusal('{"error": {"message": "no such column"}}', "message")
    assert "(the service says: no such column)" in shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("the response is empty", "X: the response is empty"),
        ("the response contains an error: response!", "X: the response contains an error: ***!"),
        ("the response is not JSON (response)", "X: the response is not JSON (***)"),
    ],
)
def test_only_what_a_parser_quotes_is_masked(message: str, shown: str) -> None:
    answer = Answer(requests.Response(), b"", what="X", redactor=Redactor("response"))
    assert answer.explain_payload(PayloadError(message)) == shown


def test_the_request_log_masks_addresses_and_headers_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "tap_acumatica.http.request_log")
    log = RequestLog(5, Redactor("bytes"))
    url = "http://h/a/bytes?$select=bytes"
    log.write("GET", url, status=200, seconds=0, size=7, sent={"Accept": "bytes"})
    assert "GET /a/***?$select=*** 200 0 ms 7 bytes" in caplog.text
    assert "sent Accept: ***" in caplog.text


def test_nothing_is_masked_where_there_is_no_secret() -> None:
    assert Redactor(None, "").redact("as it is") == "as it is"
    assert Redactor("  ").redact("as  it is") == "as  it is"


def test_an_added_secret_is_masked_from_then_on() -> None:
    redactor = Redactor("first")
    redactor.add("second", None)
    assert redactor.redact("first, second") == f"{MASK}, {MASK}"
