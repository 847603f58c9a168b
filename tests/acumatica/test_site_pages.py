"""Redirects to pages of the site, and pages that come in place of an answer."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest
import requests

from tap_acumatica.acumatica.answers import Answer
from tap_acumatica.acumatica.site_pages import is_html, page_of, visible_text
from tap_acumatica.http.redaction import Redactor

SEATS = "The number of concurrent API logins for the user has been reached."


def redirect(
    location: str, *, asked: str = "https://h/ERP/t/Co/api/odata/dac/SOOrder"
) -> requests.Response:
    response = requests.Response()
    response.status_code = 302
    response.headers["Location"] = location
    response.request = requests.Request("GET", asked).prepare()
    response.url = asked
    return response


@pytest.mark.parametrize(
    "location",
    [
        f"/Frames/Error.aspx?exceptionID=7&typeID=error&message={SEATS}",
        f"/ERP/frames/error.aspx?Message={SEATS.replace(' ', '%20')}",
        f"https://h/ERP/Frames/Error.aspx?message={SEATS.replace(' ', '+')}&x=1",
        f"../../Frames/Error.aspx?message={SEATS.replace(' ', '%2520')}",
        (
            "Frames/Login.aspx?ReturnUrl=%2fFrames%2fError.aspx%3fmessage%3d"
            f"{quote_plus(quote_plus(SEATS))}"
        ),
        f"/Main?message={SEATS.replace(' ', '%20')}",
        f"/(W(1))/Frames/Maintenance.aspx?message={SEATS.replace(' ', '%20')}",
    ],
)
def test_the_message_of_a_page_is_read_however_it_is_written(location: str) -> None:
    page = page_of(redirect(location))
    assert page is not None
    assert page.message == SEATS


@pytest.mark.parametrize(
    ("location", "status"),
    [
        ("/Frames/Error.aspx", 500),
        ("/Frames/Login.aspx?ReturnUrl=%2f", 401),
        ("/ERP/Frames/Maintenance.aspx", 503),
        ("/Main?ScreenId=GL301000", 302),
        ("/main", 302),
    ],
)
def test_a_page_stands_for_a_status(location: str, status: int) -> None:
    page = page_of(redirect(location))
    assert page is not None
    assert page.status == status


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("https://h/ERP/t/Co/api/odata/dac/SOOrder/", "https://h/ERP/t/Co/api/odata/dac/SOOrder"),
        ("https://h/odata/Main", "http://h/odata/Main"),
        ("https://h/odata/Main/", "http://h/odata/Main?$top=1"),
        ("https://h/Frames/Error", "http://h/odata/X"),
        ("https://[broken", "http://h/odata/X"),
    ],
)
def test_any_other_redirect_is_none_of_the_sites_pages(location: str, asked: str) -> None:
    assert page_of(redirect(location, asked=asked)) is None


def test_a_page_shows_its_text_without_scripts() -> None:
    body = (
        b"\xef\xbb\xbf<!DOCTYPE html><html><head><title> Sign\n In </title><script>locked out"
        b"</script><style>x</style></head><body><!-- locked out --><p>Welcome</p></body></html>"
    )
    assert is_html(body)
    assert visible_text(body) == "Sign In Welcome"
    for other in (b"", b'{"value":"<html>"}', b"<?xml version='1.0'?><edmx:Edmx/>", b"html"):
        assert not is_html(other)


@pytest.mark.parametrize(
    ("text", "denied", "ok"),
    [
        (f"<html><body><h1>{SEATS}</h1></body></html>", False, False),
        ("<html><body>You are not allowed to log in to the tenant Co.</body></html>", True, False),
        ("<html><body>Denial Code 513. data size limits</body></html>", False, False),
        ("<html><script>var m='account is locked out'</script><body>Hi</body></html>", False, True),
        ('{"value":[{"Note":"account is locked out"}]}', False, True),
    ],
)
def test_a_page_with_status_200_that_reports_a_failure_is_one(
    text: str, *, denied: bool, ok: bool
) -> None:
    response = requests.Response()
    response.status_code = 200
    answer = Answer(response, text.encode(), what="X", redactor=Redactor())
    assert (answer.denied, answer.ok) == (denied, ok)
