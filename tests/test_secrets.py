"""No secret appears in any byte of output, errors, state or token file."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import typing as t
from urllib.parse import quote, quote_plus

import pytest

from tests.sandbox_site import TENANT, settings

if t.TYPE_CHECKING:
    from pathlib import Path

    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox

CLIENT_ID = f"9986313F-C5E6-161F-ED75-346CBBCB948F@{TENANT}"
CLIENT_SECRET = 'ZIRz91x0 "ZSn+bun/idUlZsB'
PASSWORD = 'correct+horse "battery/staple'


class Written:
    """Everything that runs have written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.text = ""
        self.exit_code = 0

    def run(self, config: dict[str, t.Any], *arguments: str) -> None:
        """Run the tap at its most talkative."""
        path = self._folder / "config.json"
        path.write_text(json.dumps(config))
        done = subprocess.run(
            [sys.executable, "-m", "tap_acumatica", "--config", str(path), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "TAP_ACUMATICA_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"},
        )
        path.unlink()
        self.exit_code = done.returncode
        self.text += done.stdout + done.stderr

    def assert_none_of(self, secrets: t.Iterable[str]) -> None:
        """However an address, a header, JSON or Python would spell them."""
        for secret in secrets:
            inside = json.dumps(secret)[1:-1]
            spellings = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), inside}
            for spelling in spellings:
                place = self.text.find(spelling)
                assert place < 0, self.text[max(place - 200, 0) : place + 50]


def issued(site: Sandbox) -> list[str]:
    """Every token that the identity server gave out."""
    found = [*site.identity._access, *site.identity._refresh, *site.identity._codes]
    assert all(len(token) > 20 for token in found)
    return found


def cookies(site: Sandbox) -> list[str]:
    found = [part for one in site.open_sessions for part in (one.name, one.ticket)]
    return [part for part in found if part]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


@pytest.fixture
def extra(request: pytest.FixtureRequest) -> dict[str, t.Any]:
    """The tap's own verbosity, at its highest, where it has one."""
    del request
    from tap_acumatica.settings.table import SETTINGS  # noqa: PLC0415

    offered = {setting.name for setting in SETTINGS}
    return {"verbosity": 5} if "verbosity" in offered else {}


def test_oauth_reveals_no_token_and_no_client_secret(
    sandbox: MakeSandbox, written: Written, extra: dict[str, t.Any], tmp_path: Path
) -> None:
    from tap_acumatica.sandbox import Client, Habits  # noqa: PLC0415

    site = sandbox(
        rows=30,
        clients=[Client(CLIENT_ID, CLIENT_SECRET)],
        habits=Habits(token_requests=3, token_status_on={2: 503}),
    )
    seed = site.identity.grant(CLIENT_ID)
    tokens = tmp_path / "tokens.json"
    config = {
        **settings(site, entity_sets=["SOOrder", "Ledger"], page_size=10, **extra),
        "auth_mode": "oauth2",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": seed,
        "token_file": str(tokens),
    }
    del config["username"], config["password"]
    written.run(config)
    assert written.exit_code == 0, written.text
    assert '"STATE"' in written.text
    assert "DEBUG" in written.text
    assert site.identity.refreshes > 2
    written.run(config, "--discover")
    site.identity.end_consents()
    written.run(config)
    assert written.exit_code == 4
    written.assert_none_of([CLIENT_SECRET, seed, *issued(site)])
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600
    kept = tokens.read_text()
    assert CLIENT_SECRET not in kept
    assert seed not in kept


@pytest.mark.parametrize("flow", ["basic", "password"])
@pytest.mark.parametrize("right", [True, False])
def test_passwords_are_not_revealed(
    sandbox: MakeSandbox, written: Written, extra: dict[str, t.Any], flow: str, *, right: bool
) -> None:
    from tap_acumatica.sandbox import Client  # noqa: PLC0415

    site = sandbox(
        rows=10,
        users={"admin": PASSWORD if right else "another"},
        clients=[Client(CLIENT_ID, CLIENT_SECRET)],
    )
    config = settings(site, password=PASSWORD, entity_sets=["Ledger"], **extra)
    if flow == "password":
        config |= {
            "auth_mode": "oauth2",
            "oauth_flow": "password",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
    seen: list[str] = []
    site.on_request(lambda _: seen.extend(cookies(site)))
    written.run(config)
    assert written.exit_code == (0 if right else 4), written.text
    assert bool(seen) is right
    header = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    written.assert_none_of([PASSWORD, header, CLIENT_SECRET, *issued(site), *seen])


def test_a_site_that_repeats_what_it_was_sent_reveals_nothing(
    sandbox: MakeSandbox, written: Written, extra: dict[str, t.Any]
) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    header = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    site = sandbox(
        rows=10,
        users={"admin": PASSWORD},
        habits=Habits(
            seats=0, seats_status=500, seats_text=f"Oops. Authorization: Basic {header}, {PASSWORD}"
        ),
    )
    written.run(settings(site, password=PASSWORD, max_retries=1, **extra))
    assert written.exit_code == 1
    assert "Oops. Authorization: Basic ***, ***" in written.text
    written.assert_none_of([PASSWORD, header])
