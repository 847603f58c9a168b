"""License seats: one session per tenant and run, signed out whatever happens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import typing as t

import pytest

from tests.sandbox_site import OTHER, TENANT, assert_same, expected, settings, upserted

if t.TYPE_CHECKING:
    from pathlib import Path

    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox, RunTap

GUID = "9986313F-C5E6-161F-ED75-346CBBCB948F"


def test_a_run_opens_and_closes_one_session_per_tenant(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=40)
    run_tap(settings(site, page_size=5, tenants=[TENANT, OTHER]))
    assert len(site.requests) > 100
    assert (site.sessions_opened, site.sessions_closed) == (2, 2)


def test_discovery_signs_out(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    run_tap(settings(site), "--discover")
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)
    logout = site.requests[-1]
    assert (logout.method, logout.path) == ("POST", "/entity/auth/logout")
    assert {name.lower(): value for name, value in logout.headers.items()}["content-length"] == "0"


def test_a_failed_run_signs_out(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, habits=Habits(html_on=lambda _: True))
    run = run_tap(settings(site, entity_sets=["Ledger"]), check=False)
    assert run.exit_code == 1
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)


def test_a_terminated_run_signs_out_and_leaves_whole_lines(
    sandbox: MakeSandbox, tmp_path: Path
) -> None:
    process: list[subprocess.Popen[str]] = []

    site = sandbox(rows=400)

    def terminate(record: t.Any) -> None:
        if record.total == 6:
            process[0].send_signal(signal.SIGTERM)

    site.on_request(terminate)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings(site, page_size=20)))
    process.append(
        subprocess.Popen(
            [sys.executable, "-m", "tap_acumatica", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    output, _ = process[0].communicate(timeout=60)
    assert process[0].returncode == 128 + signal.SIGTERM
    assert [json.loads(line) for line in output.splitlines()]
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)


def test_a_wrong_password_costs_one_request(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    run = run_tap(settings(site, password="wrong-one"), check=False)
    assert run.exit_code == 4
    assert len(site.requests) == 1
    errors = [line for line in run.errors.splitlines() if "ERROR" in line]
    assert len(set(errors)) <= 2
    assert "'username' and 'password'" in errors[-1]
    assert "Traceback" not in run.errors
    assert "wrong-one" not in run.errors + run.output


def test_a_wrong_tenant_has_an_error_of_its_own(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    run = run_tap(settings(site, tenants=["Kompany"]), check=False)
    assert run.exit_code == 1
    assert (
        f"there is no Acumatica tenant 'Kompany' at {site.url} (HTTP 404); check 'url' (only the "
        "site, no page address) and 'tenants' (login names as on the Tenants screen, SM203520)"
    ) in run.errors


def test_one_tenants_failure_does_not_harm_the_others(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20)
    run = run_tap(settings(site, tenants=["Nobody", OTHER], entity_sets=["Ledger"]), check=False)
    assert run.exit_code == 1
    assert {record["_tenant"] for record in run.records("Ledger")} == {OTHER}
    assert run.state["bookmarks"]["Ledger"]["partitions"][0]["replication_key_value"]


def test_tenants_can_have_credentials_of_their_own(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    users = {TENANT: {"admin": "secret"}, OTHER: {"robot": "other"}}
    site = sandbox(rows=20, tenant_users=users)
    run = run_tap(
        settings(
            site,
            tenants=[TENANT, OTHER],
            entity_sets=["Ledger"],
            tenant_credentials={OTHER: {"username": "robot", "password": "other"}},
        )
    )
    assert {record["_tenant"] for record in run.records("Ledger")} == {TENANT, OTHER}


def test_a_site_below_a_path_and_a_whole_service_root_work(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20, prefix="/AcumaticaERP")
    by_site = run_tap(settings(site, tenants=[OTHER], entity_sets=["Ledger"]))
    root = f"{site.url}/t/Calipso%20LLC/api/odata/dac"
    by_root = run_tap(settings(site, url=root, tenants=None, entity_sets=["Ledger"]))
    assert len(by_site.records("Ledger")) == len(by_root.records("Ledger")) > 0
    assert "_tenant" not in by_root.records("Ledger")[0]
    assert site.sessions_opened == site.sessions_closed == 2


SIGN_IN = {"basic": {}, "oauth2": {"auth_mode": "oauth2", "client_id": f"{GUID}@{TENANT}"}}
MODES = ["basic", pytest.param("oauth2", marks=pytest.mark.slow)]


def many_requests(site: Sandbox, folder: Path, mode: str) -> dict[str, t.Any]:
    """A configuration that reads all of the sandbox's thirty classes by small pages."""
    config = settings(site, page_size=2, **SIGN_IN[mode])
    if mode == "oauth2":
        config["refresh_token"] = site.identity.grant(f"{GUID}@{TENANT}")
        config["token_file"] = str(folder / "tokens.json")
    return config


@pytest.mark.parametrize("mode", MODES)
def test_thirty_streams_and_five_hundred_requests_take_one_seat(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path, mode: str
) -> None:
    site = sandbox(rows=150)
    run = run_tap(many_requests(site, tmp_path, mode))
    read = {message["stream"] for message in run.messages if message["type"] == "SCHEMA"}
    assert len(read) == 30
    assert len(site.requests) > 500
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)
    assert site.most_sessions_open == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_long_run_that_is_ended_by_a_signal_gives_its_seat_back(
    sandbox: MakeSandbox, tmp_path: Path, mode: str, number: signal.Signals
) -> None:
    process: list[subprocess.Popen[str]] = []
    site = sandbox(rows=150)

    def end(record: t.Any) -> None:
        if record.total == 450:
            process[0].send_signal(number)
            process[0].send_signal(number)  # as a terminal and Meltano do together

    site.on_request(end)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(many_requests(site, tmp_path, mode)))
    process.append(
        subprocess.Popen(
            [sys.executable, "-m", "tap_acumatica", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    output, errors = process[0].communicate(timeout=120)
    assert process[0].returncode == 128 + number
    assert [json.loads(line) for line in output.splitlines()]
    assert "Traceback" not in errors
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)
    logouts = [request for request in site.requests if request.path.endswith("/auth/logout")]
    assert len(logouts) == 1


def test_a_seat_is_waited_for_and_taken_when_it_becomes_free(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=10, habits=Habits(seats=0, seats_status=500))
    done = threading.Event()

    def free_after_the_second_try() -> None:
        while len(site.requests) < 2 and not done.wait(0.01):
            pass
        site.habits.seats = 1

    other = threading.Thread(target=free_after_the_second_try)
    other.start()
    try:
        run = run_tap(settings(site, entity_sets=["Ledger"], max_retries=8))
    finally:
        done.set()
        other.join()
    assert run.records("Ledger")
    assert "Trying again" in run.errors
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)


def test_no_seat_for_long_names_the_screens_and_the_setting(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=10, habits=Habits(seats=0))
    run = run_tap(settings(site, pool_wait_time=1), check=False)
    assert run.exit_code == 3
    for word in ("license seats", "SM201010", "1 by default", "SM604000", "'pool_wait_time'"):
        assert word in run.errors
    assert "max_pool_size" not in run.errors  # it is 1
    assert len(site.requests) in {2, 3}
    assert "Traceback" not in run.errors


def test_an_answer_of_another_tenant_is_refused_before_any_row_is_written(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=10, habits=Habits(serves_tenant=OTHER))
    run = run_tap(settings(site, entity_sets=["Ledger", "SOOrder"]), check=False)
    assert run.exit_code == 1
    assert f"the answer comes from tenant '{OTHER}'" in run.errors
    assert run.records("Ledger") == run.records("SOOrder") == []
    assert not run.state.get("bookmarks", {}).get("SOOrder", {}).get("replication_key_value")
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)


def test_one_tenant_that_is_another_does_not_harm_the_right_one(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=10, habits=Habits(serves_tenant=OTHER))
    run = run_tap(settings(site, tenants=[TENANT, OTHER], entity_sets=["Ledger"]), check=False)
    assert run.exit_code == 1
    assert {record["_tenant"] for record in run.records("Ledger")} == {OTHER}


def test_a_page_that_does_not_come_in_time_is_asked_for_by_halves(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    asked: list[int] = []

    def delay(record: t.Any) -> float:
        asked.append(int(record.query["$top"]))
        return 30.0 if asked[-1] > 25 else 0.0

    site = sandbox(rows=200, habits=Habits(delay_seconds=delay))
    config = settings(site, entity_sets=["SOOrder"], page_size=100, timeout=1)
    run = run_tap(config)
    key = ("OrderType", "OrderNbr")
    assert_same(upserted(run.records("SOOrder"), key), expected(site, "SOOrder", key))
    pages = [top for top in asked if top > 2]
    assert sorted(set(pages), reverse=True) == [100, 50, 25]
    assert pages.count(100) == pages.count(50) == 1
    assert "from now on 25 rows are asked for" in run.errors


def test_the_rate_limit_is_shared_by_all_streams(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=10)
    config = settings(site, entity_sets=["Ledger", "Branch", "INSite"], requests_per_minute=1000)
    run = run_tap(config)
    assert {"Ledger", "Branch", "INSite"} == {
        message["stream"] for message in run.messages if message["type"] == "RECORD"
    }
    wrong = run_tap(settings(site, requests_per_minute=0), check=False)
    assert "'requests_per_minute'" in wrong.errors


def test_the_tenants_credentials_are_named_where_they_were_refused(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=10)
    config = settings(
        site,
        tenants=[TENANT, OTHER],
        entity_sets=["Ledger"],
        tenant_credentials={OTHER: {"username": "robot", "password": "wrong-one"}},
    )
    run = run_tap(config, check=False)
    errors = [line for line in run.errors.splitlines() if "ERROR" in line]
    assert "'tenant_credentials'" in errors[0]
    assert f"'{OTHER}'" in errors[0]
    assert {record["_tenant"] for record in run.records("Ledger")} == {TENANT}


def test_a_password_of_its_own_is_told_from_a_shared_user_name(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=10)
    config = settings(site, tenant_credentials={TENANT: {"password": "wrong-one"}})
    run = run_tap(config, check=False)
    assert (
        f"set 'username' and 'password' of tenant '{TENANT}' in 'tenant_credentials'"
    ) in run.errors
    assert run.exit_code == 4


@pytest.mark.parametrize("user", ["admin@Company", "admin@example.com"])
def test_a_user_name_with_a_tenant_in_it_is_explained(
    sandbox: MakeSandbox, run_tap: RunTap, user: str
) -> None:
    site = sandbox(rows=10)
    run = run_tap(settings(site, username=user), check=False)
    assert run.exit_code == 4
    assert "without '@'" in run.errors
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "page",
    [
        "/Main?ScreenId=SO301000&CompanyID=Company",
        "/entity/Default/24.200.001",
        "/Frames/Login.aspx?ReturnUrl=%2f",
        "/t/Company/api/odata/dac/Ledger",
    ],
)
def test_the_site_is_taken_out_of_the_address_of_a_page(
    sandbox: MakeSandbox, run_tap: RunTap, page: str
) -> None:
    site = sandbox(rows=10)
    run = run_tap(settings(site, url=f"{site.url}{page}", entity_sets=["Ledger"]))
    assert run.records("Ledger")
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)


@pytest.mark.parametrize("surplus", ["/Main", "/odata", "/api"])
def test_an_address_that_is_too_long_is_explained_in_one_line(
    sandbox: MakeSandbox, run_tap: RunTap, surplus: str
) -> None:
    site = sandbox(rows=10)
    run = run_tap(settings(site, url=f"{site.url}{surplus}"), check=False)
    assert run.exit_code == 1
    lines = [line for line in run.errors.splitlines() if "ERROR" in line]
    assert len(lines) == 1
    assert f"leave '{surplus}' out of 'url'" in lines[0]
    assert "inquiry" not in lines[0]
    assert "Signing out" not in run.errors
    assert site.sessions_opened == site.sessions_closed


def test_without_tenants_the_hint_on_them_comes_first(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=10)
    run = run_tap(settings(site, tenants=None), check=False)
    assert "(HTTP 404); for an Acumatica site, set 'tenants'" in run.errors
    assert "Signing out" not in run.errors
    assert site.sessions_opened == site.sessions_closed


def test_an_older_address_taken_for_any_service_is_signed_out_of(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=10)
    config = settings(site, url=f"{site.url}/odata/{TENANT}", tenants=None)
    run = run_tap(config, "--discover")
    assert run.document["streams"]
    assert site.sessions_opened == site.sessions_closed == 1
    assert "Signing out" not in run.errors


def test_a_session_that_the_site_ended_is_opened_again(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=40)
    site.on_request(lambda record: site.end_sessions() if record.total == 5 else None)
    run = run_tap(settings(site, entity_sets=["Ledger", "SOOrder"]))
    assert run.records("Ledger")
    assert run.records("SOOrder")
