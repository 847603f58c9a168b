"""``tap-acumatica-login``: in a real browser, by hand, and through Meltano."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests

from demo import meltano
from tests import browser
from tests.sandbox_site import TENANT

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox, RunTap

CLIENT_ID = f"9986313F-C5E6-161F-ED75-346CBBCB948F@{TENANT}"
SECRET = "ZIRz91x0ZSn_bunidUlZsB"
LOGIN = Path(sys.executable).with_name("tap-acumatica-login")
SECONDS = 90
ADDRESS = re.compile(r"https?://[^\s\"]+/connect/authorize\?[^\s\"]+")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def callback() -> str:
    return f"http://localhost:{free_port()}/callback"


@pytest.fixture
def site(sandbox: MakeSandbox, callback: str) -> Sandbox:
    from tap_acumatica.sandbox import Client  # noqa: PLC0415

    return sandbox(rows=20, clients=[Client(CLIENT_ID, SECRET, (callback,))])


@pytest.fixture
def config(site: Sandbox, callback: str, tmp_path: Path) -> dict[str, t.Any]:
    return {
        "url": site.url,
        "tenants": [TENANT],
        "auth_mode": "oauth2",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "callback_url": callback,
        "token_file": str(tmp_path / "tokens.json"),
        "entity_sets": ["Ledger"],
        "max_retries": 2,
    }


def start(
    config: Mapping[str, t.Any], folder: Path, *arguments: str, **environment: str
) -> subprocess.Popen[str]:
    path = folder / "login.json"
    path.write_text(json.dumps(config))
    return subprocess.Popen(
        [LOGIN, "--config", str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def address_in(process: subprocess.Popen[str]) -> str:
    """The address that the command prints, in a line of its own or in one of Meltano's log."""
    assert process.stderr is not None
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    try:
        for line in process.stderr:
            if found := ADDRESS.search(line):
                return found[0]
    finally:
        limit.cancel()
    pytest.fail("no address was printed")


def submitted(address: str) -> requests.Response:
    """What the sign-in page answers, its form filled in; redirects are not followed."""
    page = requests.get(address, timeout=10)
    hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
    assert hidden["state"]
    form = {**dict(parse_qsl(urlsplit(address).query)), "username": "admin", "password": "secret"}
    return requests.post(address.partition("?")[0], data=form, timeout=10, allow_redirects=False)


def test_signing_in_with_a_real_browser(
    site: Sandbox, config: dict[str, t.Any], tmp_path: Path, run_tap: RunTap
) -> None:
    chromium = browser.chromium()
    if chromium is None:
        pytest.skip("no Chromium is found: signing in with a real browser is not tested")
    shown = tmp_path / "shown"
    script = tmp_path / "open"
    script.write_text(
        f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(browser.__file__)} "
        f'"$1" admin secret > {shlex.quote(str(shown))}\n'
    )
    script.chmod(0o700)
    process = start(config, tmp_path, BROWSER=f"{script} %s")
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert output == ""
    assert "the tokens are in" in errors
    _wait_for_text(shown, "Signed in")
    assert "You can close this window." in shown.read_text()
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    run = run_tap(config)
    assert run.records("Ledger")
    assert site.identity.token_requests == 1  # the sign-in's own
    _assert_quiet(output + errors + run.output + run.errors, tmp_path)


def test_signing_in_by_hand(
    site: Sandbox, config: dict[str, t.Any], tmp_path: Path, run_tap: RunTap
) -> None:
    process = start(config, tmp_path, "--no-browser")
    answer = submitted(address_in(process))
    output, errors = process.communicate(answer.headers["Location"] + "\n", timeout=SECONDS)
    assert process.returncode == 0, errors
    assert run_tap(config).records("Ledger")
    assert site.identity.token_requests == 1
    _assert_quiet(output + errors, tmp_path)


def test_a_callback_on_loopback_is_taken_once_and_the_door_closed(
    config: dict[str, t.Any], tmp_path: Path, callback: str
) -> None:
    process = start(config, tmp_path, BROWSER="true %s")
    answer = submitted(address_in(process))
    assert (
        requests.get(callback.replace("/callback", "/favicon.ico"), timeout=10).status_code == 404
    )
    page = requests.get(answer.headers["Location"], timeout=10)
    assert page.status_code == 200
    assert "Signed in" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(answer.headers["Location"], timeout=10)


def test_a_callback_with_another_state_is_refused(
    site: Sandbox, config: dict[str, t.Any], tmp_path: Path, callback: str
) -> None:
    process = start(config, tmp_path, BROWSER="true %s")
    address_in(process)
    forged = urlencode({"code": "forged-code", "state": "forged-state"})
    page = requests.get(f"{callback}?{forged}", timeout=10)
    assert page.status_code == 400
    assert "Not signed in" in page.text
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 4
    assert "'state' differs" in errors
    assert "forged" not in output + errors + page.text
    assert site.identity.token_requests == 0
    assert not (tmp_path / "tokens.json").exists()


def test_a_refused_consent_is_reported(
    site: Sandbox, config: dict[str, t.Any], tmp_path: Path
) -> None:
    site.habits.deny_consent = True
    process = start(config, tmp_path, "--no-browser")
    location = requests.get(address_in(process), timeout=10, allow_redirects=False).headers[
        "Location"
    ]
    _, errors = process.communicate(location + "\n", timeout=SECONDS)
    assert process.returncode == 4
    assert "consent was refused on the sign-in page" in errors
    assert "Traceback" not in errors


def test_a_new_sign_in_takes_the_place_of_a_configured_token_that_is_dead(
    config: dict[str, t.Any], tmp_path: Path, run_tap: RunTap
) -> None:
    stale = {**config, "refresh_token": "dead-and-gone"}
    assert run_tap(stale, check=False).exit_code == 4
    process = start(stale, tmp_path, "--no-browser")
    answer = submitted(address_in(process))
    _, errors = process.communicate(answer.headers["Location"] + "\n", timeout=SECONDS)
    assert process.returncode == 0, errors
    assert run_tap(stale).records("Ledger")
    assert run_tap(config).records("Ledger")


def test_nobody_signing_in_ends_after_a_while(config: dict[str, t.Any], tmp_path: Path) -> None:
    process = start(config, tmp_path, "--wait", "1", BROWSER="true %s")
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 4
    assert "nobody signed in within 1 seconds" in errors


def test_a_port_that_is_taken_is_reported(
    config: dict[str, t.Any], tmp_path: Path, callback: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", urlsplit(callback).port or 0))
        taken.listen()
        process = start(config, tmp_path, BROWSER="true %s")
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "'callback_url'" in errors


def test_the_version_is_that_of_the_tap() -> None:
    done = subprocess.run([LOGIN, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"tap-acumatica-login, version \S+\n", done.stdout)


def test_a_site_that_does_not_answer_is_a_temporary_failure(
    site: Sandbox, config: dict[str, t.Any], tmp_path: Path
) -> None:
    process = start(config, tmp_path, "--no-browser")
    location = submitted(address_in(process)).headers["Location"]
    site.habits.token_status_on = dict.fromkeys(range(5), 503)
    output, errors = process.communicate(location + "\n", timeout=SECONDS)
    assert process.returncode == 3, errors
    assert "try again later" in errors
    assert "Traceback" not in output + errors


@pytest.mark.parametrize(
    ("changes", "arguments", "complaint"),
    [
        ({"url": None}, [], "'url' is missing: the address of the Acumatica site"),
        ({"client_id": None}, [], "'client_id' is missing for tenant 'Company'"),
        ({}, ["--tenant", "Other"], "--tenant 'Other' must be one of 'tenants' (Company)"),
    ],
)
def test_a_wrong_setting_ends_with_an_exit_code_of_its_own(
    config: dict[str, t.Any],
    tmp_path: Path,
    changes: dict[str, t.Any],
    arguments: list[str],
    complaint: str,
) -> None:
    process = start(config | changes, tmp_path, *arguments)
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert errors.startswith(f"tap-acumatica-login: {complaint}")
    assert (output, len(errors.splitlines())) == ("", 1)


@pytest.mark.usefixtures("plugins")
def test_signing_in_through_meltano(config: dict[str, t.Any], tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    settings = {
        f"TAP_ACUMATICA_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in config.items()
        if name != "token_file"
    }
    project = meltano.Project(folder, settings)
    process = project.begin("invoke", "tap-acumatica:login", "--no-browser")
    answer = submitted(address_in(process))
    output, errors = process.communicate(answer.headers["Location"] + "\n", timeout=SECONDS)
    assert process.returncode == 0, errors
    kept = folder / ".tap-acumatica" / "tokens.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (kept.parent / ".gitignore").read_text() == "*\n"
    assert SECRET not in output + errors


def _wait_for_text(path: Path, text: str) -> None:
    end = time.monotonic() + 10
    while text not in path.read_text():
        assert time.monotonic() < end, path.read_text()
        time.sleep(0.05)


def _assert_quiet(text: str, folder: Path) -> None:
    """Nothing secret was shown."""
    kept = json.loads((folder / "tokens.json").read_text())
    (consents,) = kept["chains"].values()
    (consent,) = consents.values()
    for secret in (SECRET, consent["access_token"], consent["refresh_token"], "code="):
        assert secret not in text
