"""Files, variables and names as people write them, through the process and over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

import pytest

from tests.conftest import TapRun
from tests.field.orders import assert_complete, assert_one_error, lines, service_of, warnings

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RunTap

LOGIN = "from tap_acumatica.cli.login import login; login()"


def run_in(
    folder: Path, *arguments: str, command: tuple[str, ...] = (), **variables: str
) -> TapRun:
    """Run the tap, or another command, in a folder with variables of the environment."""
    done = subprocess.run(
        [sys.executable, *(command or ("-m", "tap_acumatica")), *arguments],
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
    ("settings", "words"),
    [
        ({"entity_sets": ["Ordrs", "Orders"]}, ["'entity_sets'", "'Ordrs'", "near: Orders"]),
        ({"entity_sets": ["orders", "O*"]}, ["'orders'", "case-sensitive", "near: Orders"]),
        ({"exclude_entity_sets": ["Custmer*"]}, ["'exclude_entity_sets'", "'Custmer*'"]),
        ({"date_fields": ["Orders.Nope"]}, ["'date_fields'", "Orders.Nope"]),
        ({"tracking_fields": ["LastModified_"]}, ["'tracking_fields'", "'LastModified_'"]),
        ({"tracking_fields": ["lastmodifieddatetime"]}, ["near: LastModifiedDateTime"]),
        ({"expand": {"Order": ["x"]}}, ["'expand'", "near: Orders"]),
        ({"keys": {"ORDERS": ["Id"]}}, ["'keys'", "near: Orders"]),
        ({"inquiry_parameters": {"Order": {"x": 1}}}, ["'inquiry_parameters'", "near: Orders"]),
        ({"stream_maps": {"Ordres": {"x": "1"}}}, ["'stream_maps'", "near: Orders"]),
        ({"tenant_credentials": {"A": {"username": "u"}}}, ["'tenant_credentials'", "'A'"]),
        ({"start_date": "2999-01-01"}, ["'start_date'", "future"]),
        ({"pagesize": 5}, ["'pagesize' is unknown and has no effect; did you mean 'page_size'?"]),
    ],
)
def test_what_has_no_effect_is_said_once_with_the_nearest_name(
    run_tap: RunTap, settings: dict[str, t.Any], words: list[str]
) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url, **settings}, "--discover")
    assert [one["stream"] for one in run.document["streams"]] == ["Orders"]
    said = [line for line in warnings(run) if all(word in line for word in words)]
    assert len(said) == 1, run.errors


@pytest.mark.parametrize("arguments", [("--discover",), ()])
def test_entity_sets_without_any_match_end_the_run(
    run_tap: RunTap, arguments: tuple[str, ...]
) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url, "entity_sets": ["Ordrs", "orders"]}
        run = run_tap(config, *arguments, check=False)
    assert_one_error(run, "'entity_sets'", "'Ordrs'", "'orders'", "near: Orders", exit_code=2)
    assert run.output == ""


def test_a_catalog_is_not_read_where_entity_sets_match_nothing(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        catalog = run_tap({"url": service.url}, "--discover").document
        config = {"url": service.url, "entity_sets": ["Ordrs"]}
        run = run_tap(config, catalog=catalog, check=False)
    assert_one_error(run, "'entity_sets'", "'Ordrs'", exit_code=2)
    assert service.requests == []


def test_nothing_is_said_of_settings_that_have_an_effect(run_tap: RunTap) -> None:
    service, table = service_of()
    config = {
        "entity_sets": ["Ord*"],
        "date_fields": ["*.LastModified*"],
        "stream_maps": {"Orders": {"Copy": "Note"}},
        "_note": "for people",
    }
    with service.running():
        run = run_tap({"url": service.url, **config}, "--discover")
        plain = run_tap({"url": service.url, "tracking_fields": ["LastModifiedDateTime"]})
    assert [*warnings(run), *warnings(plain)] == []
    assert_complete(plain, table)


def test_texts_in_a_configuration_are_read_as_they_are_meant(run_tap: RunTap) -> None:
    service, table = service_of()
    config = {
        "url": f" {service.url} ",
        "use_select": "false",
        "page_size": "10",
        "entity_sets": '["Orders"]',
        "tracking_type": "DATE",
        "batch_size": 5.0,
        "trim_strings": 0,
    }
    with service.running():
        run = run_tap({**config, "url": f" {service.url} "})
    assert_complete(run, table)
    assert all(request.query["$top"] in {"10", "11"} for request in service.requests[:1])
    assert not any(request.select for request in service.requests)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("command", ["tap", "login"])
def test_env_of_the_working_folder_is_read(tmp_path: Path, encoding: str, command: str) -> None:
    service, table = service_of()
    with service.running():
        text = f"export TAP_ACUMATICA_URL='{service.url}'\r\nTAP_ACUMATICA_USE_SELECT=off\r\n"
        (tmp_path / ".env").write_bytes(text.encode(encoding))
        if command == "tap":
            run = run_in(tmp_path, "--config=ENV", TAP_ACUMATICA_USE_SELECT="yes")
            assert_complete(run, table)
            assert any(request.select for request in service.requests)
        else:
            run = run_in(tmp_path, "--config=ENV", command=("-c", LOGIN))
            assert "'client_id' is missing" in run.errors
    assert any("Settings are read from .env" in line for line in run.errors.splitlines())


def test_env_of_another_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".env").write_text("TAP_ACUMATICA_URL=http://127.0.0.1:9/odata")
    run = run_in(tmp_path, "--config=ENV")
    assert_one_error(run, "no settings were given", "TAP_ACUMATICA_", exit_code=2)


def test_no_settings_at_all_are_said(tmp_path: Path) -> None:
    run = run_in(tmp_path, "--discover", TAP_ACUMATICA_URL="http://127.0.0.1:9/odata")
    assert_one_error(run, "no settings were given: use --config FILE, or --config=ENV", exit_code=2)


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("config", b"", ["file.json is empty"]),
        ("config", None, ["file.json is a folder"]),
        ("config", b'{"url": "https://h",}', ["comma after the last entry"]),
        ("config", b"url: https://h", ["YAML"]),
        ("config", b'{"username": "m\xfcller"}', ["UTF-8"]),
        ("config", b'["https://h"]', ["must hold a JSON object"]),
        ("config", b'{"streams": []}', ["Singer catalog", "--catalog"]),
        ("config", b'{"bookmarks": {}}', ["a state", "--state"]),
        ("catalog", b"", ["catalog file file.json is empty"]),
        ("catalog", None, ["file.json is a folder"]),
        ("catalog", b"{'streams': []}", ["single quotation marks"]),
        ("catalog", b'{"url": "https://h"}', ["a configuration", "--config"]),
        ("state", b"", ["state file file.json is empty; delete it to read all rows"]),
        ("state", None, ["file.json is a folder"]),
        ("state", b"[]", ["must hold a JSON object"]),
        ("state", b'{"type": "RECORD"}\n{"type": "RECORD"}\n', ["no STATE"]),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_line(
    tmp_path: Path, option: str, content: bytes | None, words: list[str]
) -> None:
    (tmp_path / "config.json").write_text('{"url": "http://127.0.0.1:9/odata"}')
    if content is None:
        (tmp_path / "file.json").mkdir()
    else:
        (tmp_path / "file.json").write_bytes(content)
    arguments = [] if option == "config" else ["--config", "config.json"]
    run = run_in(tmp_path, *arguments, f"--{option}", "file.json", PYTHONWARNINGS="always")
    assert_one_error(run, "file.json", *words, exit_code=2)
    assert "ResourceWarning" not in run.errors


def test_a_state_is_not_left_open_where_discovery_fails(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"url": "https://h", "page_size": 0}')
    (tmp_path / "state.json").write_text("{}")
    arguments = ("--config", "config.json", "--state", "state.json", "--discover")
    run = run_in(tmp_path, *arguments, PYTHONWARNINGS="always")
    assert_one_error(run, "'page_size'", "(config.json)", exit_code=2)
    assert "ResourceWarning" not in run.errors


def test_the_output_of_a_run_is_a_state(run_tap: RunTap, tmp_path: Path) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url}
        first = run_tap(config)
        (tmp_path / "output.jsonl").write_text(first.output, encoding="utf-16")
        second = run_tap(config, "--state", "output.jsonl")
    assert len(second.records("Orders")) < len(first.records("Orders"))
    assert second.state["bookmarks"].keys() == first.state["bookmarks"].keys()


def test_all_faults_stand_in_one_line_with_where_they_are_from(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"url": "https://h", "page_size": 0, "password": 735735, "pagesize": 1})
    )
    run = run_in(
        tmp_path,
        "--config",
        "config.json",
        "--config=ENV",
        TAP_ACUMATICA_TIMEOUT="0",
        TAP_ACUMATICA_POOLING="ture",
        TAP_ACUMATICA_TENANTS='["A"',
        TAP_ACUMATICA__SELECT='["*.*"]',
    )
    assert_one_error(
        run,
        "'page_size' must be a whole number from 1 to 10000, not 0 (config.json)",
        "'password' must be a string: put it in quotes (config.json)",
        "'timeout' must be a whole number from 1 to 3600, not 0 (TAP_ACUMATICA_TIMEOUT)",
        "'pooling' must be true or false, but TAP_ACUMATICA_POOLING is 'ture'",
        "'tenants' must be a list",
        exit_code=2,
    )
    assert "735735" not in run.errors
    assert len(lines(run, "WARNING")) == 1
