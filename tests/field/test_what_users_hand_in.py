"""Settings, catalogs and states as people's machines write them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

import pytest

from tests.conftest import TapRun
from tests.field.orders import (
    COLUMNS,
    assert_complete,
    assert_one_error,
    order,
    service_of,
    stamp,
    warnings,
)
from tests.field.service import Service, Table

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RunTap
    from tests.field.service import Reply, Request


def run_in(folder: Path, *arguments: str, **variables: str) -> TapRun:
    """Run the tap in a folder, with variables of the environment."""
    done = subprocess.run(
        [sys.executable, "-m", "tap_acumatica", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return TapRun(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("y", True),
        ("Yes", True),
        ("on", True),
        ("1", True),
        ("true ", True),
        ("true\r", True),
        ("n", False),
        ("off", False),
        ("0", False),
        (" FALSE\r", False),
    ],
)
def test_a_switch_in_the_environment_means_what_it_says(
    tmp_path: Path, written: str, *, meant: bool
) -> None:
    service, table = service_of()
    with service.running():
        run = run_in(
            tmp_path,
            "--config=ENV",
            TAP_ACUMATICA_URL=service.url,
            TAP_ACUMATICA_USE_SELECT=written,
        )
    assert_complete(run, table)
    assert any(request.select for request in service.requests) == meant


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("USE_SELECT", "ture"),
        ("PAGE_SIZE", "2k"),
    ],
)
def test_a_variable_that_says_nothing_is_named(tmp_path: Path, name: str, written: str) -> None:
    service, _ = service_of()
    variables = {f"TAP_ACUMATICA_{name}": written}
    with service.running():
        run = run_in(tmp_path, "--config=ENV", TAP_ACUMATICA_URL=service.url, **variables)
    assert_one_error(run, f"TAP_ACUMATICA_{name}", exit_code=2)
    assert service.targets == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_files_are_read_in_the_encodings_that_windows_writes(
    run_tap: RunTap, tmp_path: Path, encoding: str
) -> None:
    service, table = service_of()
    with service.running():
        config = {"url": service.url}
        first = run_tap(config)
        catalog = run_tap(config, "--discover").document
        arguments = []
        for name, content in (("config", config), ("catalog", catalog), ("state", first.state)):
            path = tmp_path / f"{name}-{encoding}.json"
            bom = "\ufeff" if encoding.endswith("e") else ""
            path.write_bytes(f"{bom}{json.dumps(content)}\r\n".encode(encoding))
            arguments += [f"--{name}", str(path)]
        run = run_in(tmp_path, *arguments)
    assert run.exit_code == 0, run.errors
    assert 0 < len(run.records("Orders")) < len(table.rows)


def test_only_the_credentials_that_were_configured_are_sent(tmp_path: Path) -> None:
    """A file for other programs stands in the home directory, and the service redirects."""
    service, table = service_of()
    (tmp_path / ".netrc").write_text(
        "machine 127.0.0.1 login somebody password else\ndefault login any password other\n",
        encoding="utf-8",
    )
    (tmp_path / ".netrc").chmod(0o600)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")

    def spoil(request: Request, reply: Reply) -> None:
        if "moved" not in request.query.get("$format", ""):
            reply.status, reply.body = 302, ""
            sign = "&" if "?" in request.target else "?"
            reply.headers["Location"] = f"{request.target}{sign}$format=moved"

    service.spoil = spoil
    with service.running():
        (tmp_path / "config.json").write_text(json.dumps({"url": service.url}), encoding="utf-8")
        run = run_in(tmp_path, "--config", "config.json", HOME=str(tmp_path))
    assert all("Authorization" not in request.headers for request in service.requests)
    assert "password" not in run.errors
    assert_complete(run, table)


def created() -> Service:
    rows = [{**order(n), "Created": stamp(100 - n)} for n in range(1, 26)]
    return Service(Table("Orders", {**COLUMNS, "Created": "Edm.DateTimeOffset"}, ["Id"], rows))


@pytest.mark.parametrize("place", ["metadata", "entry", "both"])
def test_the_replication_key_that_the_user_wrote_is_used_or_both_are_named(
    run_tap: RunTap, place: str
) -> None:
    service = created()
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        entry = catalog["streams"][0]
        if place in {"metadata", "both"}:
            root = next(item["metadata"] for item in entry["metadata"] if not item["breadcrumb"])
            root["replication-key"] = "Created"
        if place in {"entry", "both"}:
            entry["replication_key"] = "Created"
        run = run_tap(config, catalog=catalog)
    used = run.state["bookmarks"]["Orders"]["replication_key"]
    named = [w for w in warnings(run) if "Created" in w and "LastModifiedDateTime" in w]
    assert used == "Created" or named
    if used == "Created":
        assert any("Created" in " ".join(request.orderby) for request in service.requests)
