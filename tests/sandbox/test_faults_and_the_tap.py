"""The tap in front of each named fault keeps its promise.

Either every row arrives with its values and the run ends with 0, or it ends with one line and an
exit code that fits. No record holds a value that the site did not send, no row is missing after a
later run without the fault, and no secret is shown.
"""

from __future__ import annotations

import base64
import datetime as dt
import typing as t
from dataclasses import dataclass

import pytest

from tap_acumatica.sandbox import faults
from tests.sandbox_site import assert_same, expected, settings, upserted

if t.TYPE_CHECKING:
    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox, RunTap, TapRun

KEY = ("OrderType", "OrderNbr")
STREAM = "SOOrder"
PASSWORD = "Tr0ub4dor&3"
BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()

DONE, FAILED, SETTINGS, TEMPORARY, SIGN_IN = range(5)

Row = dict[str, t.Any]


@dataclass(frozen=True)
class Case:
    """A fault, the exit codes that fit, and what a bad value may be read as."""

    fault: str
    codes: frozenset[int]
    readings: tuple[t.Any, ...] = ()


def case(fault: str, *codes: int, readings: tuple[t.Any, ...] = ()) -> t.Any:
    """One case."""
    return pytest.param(Case(fault, frozenset(codes), readings), marks=pytest.mark.slow, id=fault)


CASES = [
    # Seats: another run may succeed.
    case("seats-redirect", TEMPORARY),
    case("seats-redirect@first=3", DONE),
    case("seats-429", TEMPORARY),
    case("seats-429@first=1", DONE),
    case("seats-429@first=3", DONE),
    case("seats-500", TEMPORARY),
    case("seats-500@first=1", DONE),
    case("seats-500@first=3", DONE),
    case("seats-401", TEMPORARY, SIGN_IN),
    case("seats-401=2", TEMPORARY, SIGN_IN),
    # Sign-in: a person has to do something.
    case("locked-out", SIGN_IN),
    case("not-allowed", SIGN_IN),
    case("no-api-requests", SIGN_IN),
    case("no-api-requests=403", SIGN_IN),
    case("sign-in-page", FAILED, SETTINGS, SIGN_IN),
    case("sign-in-redirect", FAILED, SETTINGS, SIGN_IN),
    # A site that restarts.
    case("publishing=503", TEMPORARY),
    case("publishing=503@first=1", DONE),
    case("publishing=500@first=1", DONE),
    case("publishing=500", FAILED, TEMPORARY),
    case("publishing=401", SIGN_IN),
    case("maintenance", TEMPORARY),
    case("maintenance@first=1", DONE),
    # Limits: everything is there, only not at once.
    case("denial-510", DONE),
    case("denial-513", DONE),
    case("max-top", DONE),
    case("max-orderby=2", DONE),
    case("max-node-count=9", DONE),
    case("bad-gateway", DONE),
    case("bad-gateway=0@every=3", DONE),
    case("closed", DONE),
    case("missing-next-link", DONE),
    case("foreign-next-link", DONE),
    case("dead-next-link", DONE),
    case("circular-next-link", DONE),
    case("page-without-value", DONE),
    # One value.
    case("text-as-number", DONE, readings=("5",)),
    case("half-surrogate", DONE, readings=("\ufffd",)),
    case("nul", DONE, readings=("\0", "\ufffd", "")),
    case("invalid-utf8", DONE, readings=("caf\ufffd",)),
    case("bare-date", DONE, readings=("2024-03-15", "2024-03-15T00:00:00")),
    case("nan", DONE, readings=(None,)),
    case("number-as-text", DONE),
    case("wrong-type", FAILED),
    # Columns.
    case("absent-column", DONE, FAILED),
    case("absent-column=OrderDesc", DONE, FAILED),
    case("absent-column=LastModifiedDateTime", FAILED),
    case("absent-column=OrderNbr", FAILED),
    case("other-case", DONE, FAILED),
    case("offset-times", DONE),
    case("offset-times=-05:30", DONE),
    case("padded-codes", DONE),
    # Answers that are none.
    case("error-in-200", FAILED, TEMPORARY),
    case("error-in-200@from=2,only=SOOrder", FAILED, TEMPORARY),
    case("error-behind-rows", FAILED, TEMPORARY),
    case("null-rows", FAILED),
    case("empty-200", FAILED),
    case("empty-200@once", DONE, FAILED),
    case("no-content", FAILED),
    case("cut-off", FAILED, TEMPORARY),
    case("cut-off@once", DONE),
    case("broken-off", FAILED, TEMPORARY),
    case("broken-off@once", DONE),
    case("wrong-encoding", DONE),
    case("byte-order-mark", DONE, FAILED),
    case("proxy-403", FAILED, SETTINGS, TEMPORARY),
    case("proxy-407", FAILED, SETTINGS, TEMPORARY),
]


@pytest.fixture
def site(sandbox: MakeSandbox) -> Sandbox:
    return sandbox(rows=200, users={"admin": PASSWORD})


def config(site: Sandbox) -> dict[str, t.Any]:
    return settings(site, password=PASSWORD, entity_sets=[STREAM], pool_wait_time=4)


@pytest.mark.parametrize("case", CASES)
def test_the_promise_holds(run_tap: RunTap, site: Sandbox, case: Case) -> None:
    site.spoil = faults.prepare([case.fault], site.habits)
    # Where everything is to arrive, a seat is waited for; where it cannot, only for a while.
    seconds = 60 if case.codes == {DONE} else 4
    spoiled = run_tap({**config(site), "pool_wait_time": seconds}, check=False)
    site.spoil = None
    good = run_tap(config(site), state=spoiled.state)
    assert_one_line(spoiled, case.codes)
    assert_no_secret(spoiled)
    source = expected(site, STREAM, KEY)
    assert_nothing_made_up(spoiled, source, case.readings)
    if spoiled.exit_code == DONE:
        assert warehouse(spoiled).keys() == source.keys()
    assert (warehouse(spoiled) | warehouse(good)).keys() == source.keys()


def test_who_sees_less_is_not_told_and_reads_that(run_tap: RunTap, site: Sandbox) -> None:
    site.spoil = faults.prepare(["restriction-group"], site.habits)
    run = run_tap(config(site))
    source = expected(site, STREAM, KEY)
    assert 0 < len(warehouse(run)) < len(source)
    assert_nothing_made_up(run, source, ())


def test_rows_that_change_meanwhile_are_there_in_the_end(run_tap: RunTap, site: Sandbox) -> None:
    site.spoil = faults.prepare(["rows-change=1"], site.habits)
    changing = run_tap({**config(site), "page_size": 20})
    site.habits.change_every = 0
    quiet = run_tap(config(site), state=changing.state)
    records = [*changing.records(STREAM), *quiet.records(STREAM)]
    assert_same(upserted(records, KEY), expected(site, STREAM, KEY))


@pytest.mark.slow
def test_a_locked_account_is_not_tried_again(run_tap: RunTap, site: Sandbox) -> None:
    site.spoil = faults.prepare(["locked-out"], site.habits)
    run_tap({**config(site), "max_retries": 8}, check=False)
    asked = [r for r in site.requests if not r.path.endswith("/entity/auth/logout")]
    assert len(asked) == 1, [request.path for request in asked]


def test_every_fault_is_tried() -> None:
    tried = {param.values[0].fault.partition("@")[0].partition("=")[0] for param in CASES}
    assert tried | {"restriction-group", "rows-change"} == faults.NAMED.keys()


def warehouse(run: TapRun) -> dict[t.Any, Row]:
    """The records of a run by key, without the blanks that codes may be padded with."""
    return upserted([stripped(record) for record in run.records(STREAM)], KEY)


def stripped(record: Row) -> Row:
    return {**record, **{name: record[name].rstrip() for name in KEY}}


def assert_one_line(run: TapRun, codes: frozenset[int]) -> None:
    """The run ended with a fitting exit code; an error is one line, and at most one sums it up."""
    assert "Traceback" not in run.errors, run.errors
    assert run.exit_code in codes, run.errors
    found = [line for line in run.errors.splitlines() if " ERROR " in line or "CRITICAL" in line]
    assert len(found) <= 2, run.errors
    assert bool(found) == (run.exit_code != DONE), run.errors


def assert_no_secret(run: TapRun) -> None:
    assert not [s for s in (PASSWORD, BASIC) if s in run.errors or s in run.output]


def assert_nothing_made_up(
    run: TapRun, source: dict[t.Any, Row], readings: tuple[t.Any, ...]
) -> None:
    """Each value of each record is that of the site; one may be a reading of the bad one."""
    odd = {}
    for key, record in warehouse(run).items():
        for name, value in record.items():
            if name in source[key] and not same(value, source[key][name]):
                odd[key, name] = (source[key][name], value)
    assert len(odd) <= bool(readings), odd
    for right, value in odd.values():
        text = str(value).removeprefix(str(right or ""))
        assert any(text == r or (r and text.startswith(r)) for r in readings), (right, value)


def same(value: t.Any, right: t.Any) -> bool:
    """Whether a value is the right one; instants may be written in different ways."""
    return bool(value == right or (None not in (value, right) and moment(value) == moment(right)))


def moment(value: t.Any) -> t.Any:
    """A date-time as such; what is none, as it is."""
    try:
        return dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return value
