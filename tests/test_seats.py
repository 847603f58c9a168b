"""License seats: one session a tenant and run, signed out whatever happens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import typing as t

from tests.sandbox_site import OTHER, TENANT, settings

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSandbox, RunTap


def test_a_run_opens_and_closes_one_session_a_tenant(sandbox: MakeSandbox, run_tap: RunTap) -> None:
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
    assert run.exit_code == 1
    assert len(site.requests) == 1
    errors = [line for line in run.errors.splitlines() if "ERROR" in line]
    assert len(set(errors)) <= 2
    assert "'username' and 'password'" in errors[-1]
    assert "Traceback" not in run.errors
    assert "wrong-one" not in run.errors + run.output


def test_a_wrong_tenant_is_told_apart(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    run = run_tap(settings(site, tenants=["Nobody"]), check=False)
    assert run.exit_code == 1
    assert "check 'url' and 'tenants'" in run.errors


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
