"""What goes wrong is said in one line that helps, without a traceback and without a secret."""

from __future__ import annotations

import socket
import time
import typing as t

import pytest

from tests.odata_service import ODataService, Table, answer

if t.TYPE_CHECKING:
    from tests.conftest import RunTap, TapRun

SECRET = "correct horse battery staple"


def service() -> ODataService:
    columns = {"Id": "Edm.Int32", "LastModified": "Edm.DateTimeOffset"}
    row = {"Id": 1, "LastModified": "2024-02-28T00:00:00Z"}
    return ODataService(*(Table(name, columns, ["Id"], [row]) for name in ("Orders", "Rows")))


def one_error(result: TapRun, *words: str, exit_code: int = 1) -> str:
    """The only line of level ERROR; the run failed, and no secret is shown."""
    assert result.exit_code == exit_code
    assert "Traceback" not in result.errors
    assert SECRET not in result.errors + result.output
    errors = [line for line in result.errors.splitlines() if "ERROR" in line]
    assert len(errors) == 1, errors
    for word in words:
        assert word in errors[0]
    return errors[0]


def test_a_dead_server_is_given_up_within_a_minute(run_tap: RunTap) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/odata"
        began = time.monotonic()
        result = run_tap({"url": url, "max_retries": 3}, "--discover", check=False)
    assert time.monotonic() - began < 60
    one_error(result, "url", "127.0.0.1", exit_code=3)


def test_a_host_that_does_not_exist(run_tap: RunTap) -> None:
    result = run_tap(
        {
            "url": "http://no-such-host.invalid",
            "max_retries": 1,
            "tenants": ["A"],
            "username": "u",
            "password": SECRET,
        },
        "--discover",
        check=False,
    )
    one_error(result, "url", "no-such-host.invalid", exit_code=3)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html><body>Welcome</body></html>"),
        (200, '{"value":[]}'),
        (200, ""),
        (404, "no such page"),
    ],
)
def test_an_address_that_is_no_odata_service(run_tap: RunTap, status: int, body: str) -> None:
    plain = service()
    plain.fail("$metadata", answer(status, body))
    with plain.running():
        result = run_tap({"url": plain.url, "max_retries": 1}, "--discover", check=False)
    one_error(result, f"{plain.url}", "'url' was taken as the root", "'interface' decides")


def test_a_wrong_password_is_sent_once(run_tap: RunTap) -> None:
    locked = service()
    locked.password = ("reader", "another")
    with locked.running():
        config = {"url": locked.url, "username": "reader", "password": SECRET, "max_retries": 5}
        result = run_tap(config, check=False)
    one_error(result, "'password'", exit_code=4)
    assert len([request for request in locked.log if request.credentials]) == 1


def test_a_right_password_opens_and_is_not_told(run_tap: RunTap) -> None:
    locked = service()
    locked.password = ("réader", SECRET)
    with locked.running():
        result = run_tap({"url": locked.url, "username": "réader", "password": SECRET})
    assert result.records("Rows")
    assert SECRET not in result.errors + result.output


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_stream_that_may_not_be_read_fails_alone_or_is_left_out(
    run_tap: RunTap, status: int
) -> None:
    guarded = service()
    guarded.fail("Orders", answer(status, '{"error":{"message":"not for you"}}'))
    with guarded.running():
        config = {"url": guarded.url, "max_retries": 1}
        failed = run_tap(config, check=False)
        skipped = run_tap({**config, "on_stream_error": "skip"}, check=False)
    errors = [line for line in failed.errors.splitlines() if "ERROR" in line]
    assert failed.exit_code == 1
    assert len(errors) == 2
    assert "Orders" in errors[0]
    assert "not for you" in errors[0]
    assert failed.records("Rows")
    if status < 500:
        assert skipped.exit_code == 0
        warnings = [line for line in skipped.errors.splitlines() if "WARNING" in line]
        assert len(warnings) == 1
        assert "Orders" in warnings[0]
    assert skipped.records("Rows")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"url": None}, ["'url'", "missing"]),
        ({"page_size": 0}, ["'page_size'", "1 to 10000"]),
        ({"tenants": "Company"}, ["'tenants'", 'write ["Company"]']),
        ({"interface": "soap"}, ["'interface'", "dac, gi"]),
        ({"start_date": "last tuesday"}, ["'start_date'", "2024-01-31T00:00:00Z"]),
        ({"start_date": "2024-02-30"}, ["'start_date'"]),
        ({"url": "ftp://example"}, ["'url'", "https://"]),
        ({"url": f"https://u:{SECRET}@example"}, ["'url'", "'password'"]),
        (
            {"tenant_credentials": {"A": {"password": SECRET, "user": "x"}}},
            ["'tenant_credentials'", "tenant 'A'", "'user'", "allowed are username, password"],
        ),
        ({"time_zone": "Eastern"}, ["'time_zone'", "America/New_York"]),
        ({"locale": "Nowhere Land"}, ["'locale'", "de-CH"]),
        ({"date_fields": ["OrderDate"]}, ["'date_fields'", "stream.field"]),
        ({"time_offset": 3601}, ["'time_offset'", "0 to 3600"]),
        ({"batch_size": 10001}, ["'batch_size'", "1 to 10000"]),
        ({"verbosity": 6}, ["'verbosity'", "1 to 5"]),
        ({"pool_idle_timeout": -1}, ["'pool_idle_timeout'", "0 to 3600"]),
        ({"deleted_records": "all"}, ["'deleted_records'", "ignore, soft"]),
        (
            {"secret_additional_properties": [{"name": "X", "value": SECRET, "in": "body"}]},
            ["'secret_additional_properties'", "header or query"],
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    run_tap: RunTap, setting: dict[str, t.Any], words: list[str]
) -> None:
    config = {"url": "http://127.0.0.1:9/odata", **setting}
    given = {name: value for name, value in config.items() if value is not None}
    one_error(run_tap(given, "--discover", check=False), *words, exit_code=2)


def test_a_bookmark_that_is_no_date_is_an_error_before_anything_is_read(run_tap: RunTap) -> None:
    spoilt = {
        "bookmarks": {
            "Orders": {"replication_key": "LastModified", "replication_key_value": "soon"}
        }
    }
    with service().running() as plain:
        result = run_tap({"url": plain.url}, state=spoilt, check=False)
    assert result.exit_code == 2
    assert "Traceback" not in result.errors
    errors = [line for line in result.errors.splitlines() if "ERROR" in line]
    assert "Orders" in errors[0]
    assert "'soon'" in errors[0]
    assert not result.messages
