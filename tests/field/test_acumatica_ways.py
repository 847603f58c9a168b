"""What only Acumatica does: seats, sign-ins, its own pages, its own limits."""

from __future__ import annotations

import base64
import datetime as dt
import re
import typing as t

import pytest
from typing_extensions import override

from tests.field.orders import (
    assert_complete,
    assert_one_error,
    bookmark,
    latest,
    lines,
    order,
    orders,
    service_of,
)
from tests.field.service import Reply, Request, Service, instant

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.conftest import RunTap

USER = {"username": "reader", "password": "correct horse"}
SEATS = "The number of concurrent API logins for the user reader has been reached."


def redirect(location: str) -> Callable[[Reply], None]:
    def change(reply: Reply) -> None:
        reply.status, reply.body = 302, "<html><body>Object moved to here.</body></html>"
        reply.headers["Location"] = location

    return change


def error(status: int, text: str) -> Callable[[Reply], None]:
    return lambda reply: reply.refuse(text, status)


def page(status: int, text: str) -> Callable[[Reply], None]:
    def change(reply: Reply) -> None:
        reply.status, reply.content_type = status, "text/html"
        reply.body = f"<html><head><title>Acumatica</title></head><body><p>{text}</p></body></html>"

    return change


def plain(status: int) -> Callable[[Reply], None]:
    def change(reply: Reply) -> None:
        reply.status, reply.body = status, ""

    return change


def signed(request: Request) -> bool:
    return "Authorization" in request.headers


ERROR_PAGE = "/Frames/Error.aspx?exceptionID=1&typeID=error&message="
TAKEN = {
    "redirect": redirect(f"{ERROR_PAGE}{SEATS}"),
    "encoded": redirect(f"{ERROR_PAGE}{SEATS.replace(' ', '%20')}"),
    "login": redirect(f"/Frames/Login.aspx?message={SEATS.replace(' ', '+')}"),
    "elsewhere": redirect(f"http://127.0.0.2:9/ERP{ERROR_PAGE}{SEATS.replace(' ', '%20')}"),
    "followed": page(200, SEATS),
    "policy": error(500, "at PX.LicensePolicy.PXLicensePolicy.CheckApiUsersLimits()"),
    "limit": error(500, "API Login Limit"),
    "screen": error(403, "Sign out of other clients on Users (SM201010)."),
    "ended": plain(401),
}


@pytest.mark.parametrize("form", TAKEN)
def test_a_seat_is_waited_for_in_whatever_form_its_lack_is_reported(
    run_tap: RunTap, form: str
) -> None:
    service, table = service_of()

    def spoil(request: Request, reply: Reply) -> None:
        if request.number in {1, 2, 3}:
            TAKEN[form](reply)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1, **USER})
    assert_complete(run, table)
    assert "'pool_wait_time'" in run.errors
    assert re.search("seats .*are taken", run.errors)


@pytest.mark.parametrize("form", ["redirect", "policy", "ended"])
def test_where_no_seat_becomes_free_each_further_stream_is_tried_once(
    run_tap: RunTap, form: str
) -> None:
    tables = [orders(name=name) for name in ("A", "B", "C", "D")]
    service = Service(*tables)

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set in {"A", "B", "C"}:
            TAKEN[form](reply)

    service.spoil = spoil
    with service.running():
        run = run_tap(
            {"url": service.url, "pool_wait_time": 2, "max_retries": 8, **USER}, check=False
        )
    assert run.exit_code == 3, run.errors
    assert len(latest(run, stream="D")) == 25
    assert len(service.asked("A")) >= 2
    assert [len(service.asked(name)) for name in ("B", "C")] == [1, 1]
    failed = lines(run, "ERROR")
    assert len(failed) == 4, failed
    assert all("SM201010" in line and "'pool_wait_time'" in line for line in failed[:3])
    if form == "ended":
        assert len([r for r in service.requests if signed(r) and r.entity_set in "ABC"]) <= 3


def test_a_password_that_was_accepted_is_not_sent_again_and_again(run_tap: RunTap) -> None:
    service, _ = service_of()
    service.spoil = lambda _, reply: plain(401)(reply)
    with service.running():
        run = run_tap({"url": service.url, "pool_wait_time": 4, **USER}, check=False)
    assert_one_error(run, "accepted before", "seats", "password was changed", exit_code=3)
    assert len(service.requests) >= 4
    assert len([request for request in service.requests if signed(request)]) <= 3


DENIED = {
    "locked": error(500, "Your account is locked out. Please contact your administrator."),
    "tenant": error(400, "You are not allowed to log in to the tenant Company."),
    "api": error(403, "Current user cannot send API requests."),
    "only": error(403, "Only API requests are allowed for this user."),
    "credentials": error(500, "Invalid credentials. Please try again."),
    "redirected": redirect(f"{ERROR_PAGE}You%20are%20not%20allowed%20to%20log%20in."),
    "page": page(200, "You have to change your password."),
    "factor": page(403, "Two-factor authentication is required."),
}


@pytest.mark.parametrize("form", DENIED)
def test_what_is_said_against_a_user_ends_the_sign_in_at_once(run_tap: RunTap, form: str) -> None:
    tables = [orders(name=name) for name in ("A", "B")]
    service = Service(*tables)
    service.spoil = lambda _, reply: DENIED[form](reply)
    with service.running():
        run = run_tap({"url": service.url, **USER}, check=False)
    assert_one_error(run, "A: HTTP", exit_code=4)
    assert len(service.requests) == 1


PAGES = {
    "Maintenance": redirect("/Frames/Maintenance.aspx"),
    "page for people": redirect("/Main?ScreenId=GL301000"),
    "web page (it says: Acumatica)": page(200, "Welcome to our portal"),
    "Something odd": redirect(f"{ERROR_PAGE}Something%20odd"),
}


@pytest.mark.parametrize("word", PAGES)
def test_a_page_in_place_of_rows_fails_its_stream_with_what_it_is(
    run_tap: RunTap, word: str
) -> None:
    service = Service(orders(name="A"), orders(name="B"))
    service.spoil = lambda request, reply: PAGES[word](reply) if request.entity_set == "A" else None
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 2, **USER}, check=False)
    assert run.exit_code in {1, 3}
    assert "Traceback" not in run.errors
    assert word in lines(run, "ERROR")[0]
    assert len(latest(run, stream="B")) == 25


@pytest.mark.parametrize("code", ["510", "513"])
@pytest.mark.parametrize("form", ["page", "redirected", "broken off", "status 200"])
def test_a_limit_of_the_platform_makes_pages_smaller(run_tap: RunTap, code: str, form: str) -> None:
    service, table = service_of(400)
    text = f"Denial Code {code}. The system was unable to gather the data. {' ' * 600}"

    def spoil(request: Request, reply: Reply) -> None:
        if (request.top or 10_000) <= 50:
            return
        if form == "page":
            page(500, text)(reply)
        elif form == "status 200":
            page(200, text)(reply)
        elif form == "redirected":
            redirect(f"{ERROR_PAGE}Denial%20Code%20{code}.")(reply)
        else:
            reply.cut_at = 900

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "page_size": 200, **USER})
    assert_complete(run, table)
    assert all(request.top for request in service.requests)


REFUSED = {
    "401": plain(401),
    "403": plain(403),
    "404": plain(404),
    "500": plain(500),
    "page": page(200, "Sign in"),
    "400": error(400, "no"),
    "204": plain(204),
}


@pytest.mark.parametrize("form", REFUSED)
def test_a_table_that_is_refused_fails_alone(run_tap: RunTap, form: str) -> None:
    service = Service(orders(name="A"), orders(name="B"), orders(name="C"))
    service.spoil = lambda request, reply: (
        REFUSED[form](reply) if request.entity_set == "B" else None
    )
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1, **USER}, check=False)
    assert run.exit_code == 1, run.errors
    for name in ("A", "C"):
        assert len(latest(run, stream=name)) == 25
    assert "Traceback" not in run.errors


def test_a_lack_of_rights_names_the_screen(run_tap: RunTap) -> None:
    service, _ = service_of()
    text = "You have insufficient rights to access the Sales Orders (SO301000) form."
    service.spoil = lambda _, reply: error(403, text)(reply)
    with service.running():
        run = run_tap({"url": service.url, **USER}, check=False)
    assert_one_error(run, "the screen SO301000", "SM201025")


# Date-times with an offset


OFFSETS = ("+03:00", "-05:30", "+14:00", "Z")


def local(text: str, offset: str) -> str:
    """The same instant with another offset."""
    if offset == "Z":
        return text
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    zone = dt.datetime.fromisoformat(f"2024-01-01T00:00:00{offset}").tzinfo
    return moment.astimezone(zone).isoformat(timespec="milliseconds")


@pytest.mark.parametrize("offset", OFFSETS)
def test_date_times_with_an_offset_are_the_instants_that_they_are(
    run_tap: RunTap, offset: str
) -> None:
    service, table = service_of(60)

    def spoil(_: Request, reply: Reply) -> None:
        for row in reply.rows or ():
            if row.get("LastModifiedDateTime"):
                row["LastModifiedDateTime"] = local(row["LastModifiedDateTime"], offset)

    service.spoil = spoil
    with service.running():
        config = {"url": service.url, "page_size": 10, "time_offset": 0, **USER}
        first = run_tap(config)
        assert_complete(first, table)
        newest = max(instant(row["LastModifiedDateTime"]) for row in table.rows)
        assert instant(bookmark(first)) == newest
        before = len(service.requests)
        table.rows.append(
            {**order(61), "LastModifiedDateTime": table.rows[-1]["LastModifiedDateTime"]}
        )
        table.rows[3]["LastModifiedDateTime"] = order(100)["LastModifiedDateTime"]
        second = run_tap(config, state=first.state)
    found = latest(first, second)
    assert found.keys() == {row["Id"] for row in table.rows}
    assert {4, 61} <= latest(second).keys()
    assert len(latest(second)) <= 10
    for request in service.requests[before:]:
        for term in request.terms:
            if term.name == "LastModifiedDateTime" and term.literal != "null":
                assert term.literal.endswith("Z"), term
                assert "T" in term.literal


def test_a_start_date_without_a_time_is_sent_as_an_instant(run_tap: RunTap) -> None:
    service, _ = service_of(30)
    with service.running():
        run_tap({"url": service.url, "start_date": "2024-03-01", **USER})
    literals = {
        term.literal
        for request in service.requests
        for term in request.terms
        if term.name == "LastModifiedDateTime"
    } - {"null"}
    assert literals
    assert all("T" in literal and literal.endswith("Z") for literal in literals), literals


def test_the_password_is_never_shown(run_tap: RunTap) -> None:
    service, _ = service_of()
    pair = base64.b64encode(b"reader:correct horse").decode()
    service.spoil = lambda _, reply: redirect(f"{ERROR_PAGE}You%20sent%20{pair}")(reply)
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1, **USER}, check=False)
    assert pair not in run.errors
    assert "correct horse" not in run.errors


# The metadata


class Site(Service):
    """A tenant of an Acumatica site whose metadata can be spoiled as well."""

    def __init__(self, spoil: Callable[[int, Reply], None]) -> None:
        super().__init__(orders(), path="/t/Company/api/odata/dac")
        self.spoil_metadata = spoil
        self.asked_for_metadata = 0

    @property
    def config(self) -> dict[str, t.Any]:
        return {"url": f"http://127.0.0.1:{self.port}", "tenants": ["Company"], **USER}

    @override
    def _reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        reply = super()._reply(target, headers)
        if target.endswith("/$metadata"):
            self.asked_for_metadata += 1
            self.spoil_metadata(self.asked_for_metadata, reply)
        return reply


BEFORE_A_SESSION = {
    **{form: change for form, change in TAKEN.items() if form != "ended"},
    "429": plain(429),
    "429 of IIS": error(429, "The custom error module does not recognize this error."),
    "429 as a page": page(429, "Too many"),
}


@pytest.mark.parametrize("form", BEFORE_A_SESSION)
def test_a_seat_for_the_first_request_is_waited_for(run_tap: RunTap, form: str) -> None:
    site = Site(lambda number, reply: BEFORE_A_SESSION[form](reply) if number < 3 else None)
    with site.running():
        run = run_tap({**site.config, "max_retries": 1})
    assert len(run.records("OrdersRow")) == 25
    assert "'pool_wait_time'" in run.errors


@pytest.mark.parametrize("form", BEFORE_A_SESSION)
def test_no_seat_for_the_first_request_ends_the_tenant_for_now(run_tap: RunTap, form: str) -> None:
    site = Site(lambda _, reply: BEFORE_A_SESSION[form](reply))
    with site.running():
        run = run_tap({**site.config, "pool_wait_time": 1}, check=False)
    assert_one_error(run, "seats", "SM201010", "SM604000", "1 by default", exit_code=3)
    assert "max_pool_size" not in run.errors


def test_the_time_that_a_site_asks_for_is_waited(run_tap: RunTap) -> None:
    def full(_: int, reply: Reply) -> None:
        TAKEN["limit"](reply)
        reply.headers["Retry-After"] = "3600"

    site = Site(full)
    with site.running():
        run_tap({**site.config, "pool_wait_time": 1}, check=False)
    assert site.asked_for_metadata == 2


@pytest.mark.parametrize(
    "location", ["/Frames/Login.aspx", "/ERP/Frames/Login.aspx?ReturnUrl=%2fERP%2ft%2fCompany"]
)
def test_a_redirect_to_the_sign_in_is_a_wrong_password(run_tap: RunTap, location: str) -> None:
    site = Site(lambda _, reply: redirect(location)(reply))
    with site.running():
        run = run_tap(site.config, check=False)
    assert_one_error(run, "Login.aspx", "'username' and 'password'", exit_code=4)
    assert site.asked_for_metadata == 1


@pytest.mark.parametrize("form", DENIED)
def test_what_is_said_against_a_user_costs_one_request(run_tap: RunTap, form: str) -> None:
    site = Site(lambda _, reply: DENIED[form](reply))
    with site.running():
        run = run_tap(site.config, check=False)
    assert_one_error(run, "the metadata of tenant 'Company'", exit_code=4)
    assert site.asked_for_metadata == 1


REFUSED_METADATA = {
    "OData4 User": plain(403),
    "web page (it says: Acumatica)": page(200, "Sign in"),
    "page for people": redirect("/Main"),
    "Tenants screen, SM203520": plain(404),
    "other than XML": error(500, "only supported at platform implementing .NETStardard 2.0."),
}


@pytest.mark.parametrize("words", REFUSED_METADATA)
def test_metadata_that_cannot_be_had_says_why(run_tap: RunTap, words: str) -> None:
    site = Site(lambda _, reply: REFUSED_METADATA[words](reply))
    with site.running():
        run = run_tap({**site.config, "max_retries": 1}, check=False)
    assert_one_error(run, words)
    assert "inquiry" not in run.errors


def test_a_site_that_restarts_is_waited_for_with_the_reason(run_tap: RunTap) -> None:
    def restart(number: int, reply: Reply) -> None:
        if number < 3:
            reply.html(503)

    site = Site(restart)
    with site.running():
        run = run_tap(site.config)
    assert len(run.records("OrdersRow")) == 25
    assert "after a customization was published" in run.errors
