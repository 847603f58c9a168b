"""OAuth 2.0: tokens renewed in time, rotation survived, consents not killed."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
import typing as t

import pytest

from tests.sandbox_site import OTHER, TENANT, assert_same, expected, settings, upserted

if t.TYPE_CHECKING:
    from pathlib import Path

    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox, RunTap

CLIENT_ID = f"9986313F-C5E6-161F-ED75-346CBBCB948F@{TENANT}"
SECRET = "ZIRz91x0ZSn_bunidUlZsB"


def oauth(site: Sandbox, folder: Path, **others: t.Any) -> dict[str, t.Any]:
    """A configuration with a refresh token that a sign-in elsewhere has brought."""
    config = {
        **settings(site),
        "auth_mode": "oauth2",
        "client_id": CLIENT_ID,
        "token_file": str(folder / "tokens.json"),
        "entity_sets": ["SOOrder"],
        "page_size": 20,
        **others,
    }
    del config["username"], config["password"]
    if "refresh_token" not in others:
        config["refresh_token"] = site.identity.grant(CLIENT_ID)
    return {name: value for name, value in config.items() if value is not None}


def complete(site: Sandbox, records: list[dict[str, t.Any]]) -> None:
    key = ("OrderType", "OrderNbr")
    assert_same(upserted(records, key), expected(site, "SOOrder", key))


def test_a_refresh_token_opens_one_session_and_signs_it_out(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=60)
    run = run_tap(oauth(site, tmp_path))
    complete(site, run.records("SOOrder"))
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)
    assert (site.identity.token_requests, site.identity.refreshes) == (1, 1)
    assert not [request for request in site.requests if "revocation" in request.path]


def test_a_second_run_goes_on_with_the_token_of_the_first(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    config = oauth(site, tmp_path)
    run_tap(config)
    run_tap(config)
    assert site.identity.token_requests == 1
    assert (site.sessions_opened, site.sessions_closed) == (2, 2)


def test_a_later_run_refreshes_with_the_successor_and_not_with_the_configured_token(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, habits=Habits(token_requests=3))
    config = oauth(site, tmp_path)
    for _ in range(3):
        run_tap(config)
    assert site.identity.refreshes == site.identity.token_requests >= 3
    assert site.identity.reused == 0


def test_a_token_that_expires_ten_times_costs_ten_refreshes_and_no_row(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=300)
    expired: list[int] = []

    def expire(record: t.Any) -> None:
        if record.total % 8 == 0 and record.total not in expired and len(expired) < 10:
            expired.append(record.total)
            site.identity.expire()

    site.on_request(expire)
    run = run_tap(oauth(site, tmp_path, page_size=2))
    complete(site, run.records("SOOrder"))
    assert len(expired) == 10
    assert len([request for request in site.requests if request.status == 401]) == 10
    assert site.identity.refreshes == 1 + 10  # the first one is what the run begins with
    assert site.identity.reused == 0
    assert site.sessions_opened == site.sessions_closed == 1 + 10  # a session ends with its token


def test_a_token_is_renewed_before_it_ends(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=60, habits=Habits(token_seconds=0.5, delay_seconds=0.1))
    run = run_tap(oauth(site, tmp_path))
    complete(site, run.records("SOOrder"))
    assert site.identity.refreshes > 1
    assert [request for request in site.requests if request.status == 401] == []


def test_two_runs_at_once_with_the_same_token_both_finish(
    sandbox: MakeSandbox, tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=200, habits=Habits(token_requests=5))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(oauth(site, tmp_path)))
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "tap_acumatica", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for run in runs:
        output, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
        rows = [json.loads(line, parse_float=str) for line in output.splitlines()]
        complete(site, [row["record"] for row in rows if row["type"] == "RECORD"])
    assert site.identity.reused == 0
    assert site.identity.refreshes >= 4
    assert site.sessions_opened == site.sessions_closed


def test_a_dead_consent_is_one_request_and_says_to_sign_in_again(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    config = oauth(site, tmp_path, refresh_token="gone-for-good", entity_sets=None)
    run = run_tap(config, check=False)
    assert run.exit_code == 4
    assert site.identity.token_requests == 1
    assert "sign in again with tap-acumatica-login" in run.errors
    assert "gone-for-good" not in run.errors + run.output
    assert "Traceback" not in run.errors


def test_a_consent_that_is_over_says_to_sign_in_again(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, habits=Habits(consent_seconds=0.0))
    run = run_tap(oauth(site, tmp_path), check=False)
    assert run.exit_code == 4
    assert "sign in again with tap-acumatica-login" in run.errors


def test_a_missing_sign_in_is_reported_before_any_request(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    run = run_tap(oauth(site, tmp_path, refresh_token=None), check=False)
    assert run.exit_code == 4
    assert "sign in with tap-acumatica-login" in run.errors
    assert site.requests == []


def test_a_new_sign_in_wins_over_the_tokens_kept_before(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    config = oauth(site, tmp_path)
    run_tap(config)
    site.identity.end_consents()  # as an administrator does who ends all consents
    assert run_tap(config, check=False).exit_code == 4
    run_tap(oauth(site, tmp_path))


def test_an_identity_server_that_fails_is_asked_again(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, habits=Habits(token_status_on={1: 503}))
    run_tap(oauth(site, tmp_path))
    assert site.identity.token_requests == 2


def test_the_password_flow_needs_no_sign_in_and_keeps_nothing(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=60)
    config = oauth(site, tmp_path, refresh_token=None, oauth_flow="password")
    run = run_tap({**config, "username": "admin", "password": "secret"})
    complete(site, run.records("SOOrder"))
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)
    assert not (tmp_path / "tokens.json").exists()


def test_a_wrong_password_in_the_password_flow_is_sent_once(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    config = oauth(site, tmp_path, refresh_token=None, oauth_flow="password", entity_sets=None)
    run = run_tap({**config, "username": "admin", "password": "wrong-one"}, check=False)
    assert run.exit_code == 4
    assert site.identity.token_requests == 1
    assert "lock the account" in run.errors
    assert "wrong-one" not in run.errors + run.output


def test_a_client_id_of_another_tenant_is_refused_before_any_request(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    run = run_tap(oauth(site, tmp_path, tenants=[TENANT, OTHER]), check=False)
    assert run.exit_code == 2
    assert f"'client_id' is wrong for tenant '{OTHER}'" in run.errors
    assert site.requests == []


def test_tenants_have_applications_and_tokens_of_their_own(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Client  # noqa: PLC0415

    second = f"7A1D0C3E-0000-4000-8000-5B1E2C3D4F5A@{OTHER}"
    site = sandbox(rows=20, clients=[Client(CLIENT_ID, SECRET), Client(second)])
    config = oauth(
        site,
        tmp_path,
        tenants=[TENANT, OTHER],
        client_secret=SECRET,
        entity_sets=["Ledger"],
        tenant_credentials={
            OTHER: {"client_id": second, "refresh_token": site.identity.grant(second)}
        },
    )
    run = run_tap(config)
    assert {record["_tenant"] for record in run.records("Ledger")} == {TENANT, OTHER}
    assert site.sessions_opened == site.sessions_closed == 2
    assert site.identity.refreshes == 2


def test_one_tenants_dead_consent_does_not_harm_the_other(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Client  # noqa: PLC0415

    second = f"7A1D0C3E-0000-4000-8000-5B1E2C3D4F5A@{OTHER}"
    site = sandbox(rows=20, clients=[Client(CLIENT_ID), Client(second)])
    config = oauth(
        site,
        tmp_path,
        tenants=[TENANT, OTHER],
        entity_sets=["Ledger"],
        tenant_credentials={OTHER: {"client_id": second, "refresh_token": "dead"}},
    )
    run = run_tap(config, check=False)
    assert run.exit_code == 4
    assert {record["_tenant"] for record in run.records("Ledger")} == {TENANT}
    assert site.identity.refreshes == 1


@pytest.mark.parametrize("document", [True, False])
def test_scopes_may_be_separated_by_commas_and_addresses_are_found(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path, *, document: bool
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, prefix="/AcumaticaERP", habits=Habits(openid_document=document))
    run_tap(oauth(site, tmp_path, scope="openid, api,offline_access"))
    assert site.identity.refreshes == 1


def test_a_refresh_is_not_cut_off_by_a_signal(sandbox: MakeSandbox, tmp_path: Path) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    site = sandbox(rows=20, habits=Habits(token_delay_seconds=1.0))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(oauth(site, tmp_path)))
    process = subprocess.Popen(
        [sys.executable, "-m", "tap_acumatica", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while site.identity.refreshes == 0 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    kept = json.loads((tmp_path / "tokens.json").read_text())
    (consents,) = kept["chains"].values()
    (consent,) = consents.values()
    assert site.identity.is_valid(consent["refresh_token"])


def test_the_token_file_is_its_owners_only(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    path = tmp_path / "tokens.json"
    path.write_text('{"version": 1, "chains": {}}')
    path.chmod(0o644)
    run_tap(oauth(site, tmp_path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir() if "token" in file.name) == [
        "tokens.json",
        "tokens.json.lock",
    ]


def test_a_token_file_that_cannot_be_written_costs_no_refresh_token(
    sandbox: MakeSandbox, run_tap: RunTap, tmp_path: Path
) -> None:
    site = sandbox(rows=20)
    (tmp_path / "file").write_text("")
    config = oauth(site, tmp_path, token_file=str(tmp_path / "file" / "tokens.json"))
    run = run_tap(config, check=False)
    assert run.exit_code == 2
    assert "'token_file'" in run.errors
    assert site.identity.token_requests == 0
