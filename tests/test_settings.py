"""Settings are checked before any request is made."""

from __future__ import annotations

import typing as t

import pytest

from tap_acumatica.errors import SettingsError
from tap_acumatica.settings.checks import check
from tap_acumatica.settings.table import SETTINGS, without_blanks


def _entry(name: str, value: str, place: str) -> dict[str, str]:
    return {"name": name, "value": value, "in": place}


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({}, "setting 'url' is missing"),
        ({"url": "https://h", "page_size": 0}, "'page_size' is wrong: 0 is no whole number from 1"),
        ({"url": "https://h", "page_size": 2.5}, "'page_size' is wrong"),
        ({"url": "https://h", "time_offset": 3601}, "from 0 to 3600"),
        (
            {"url": "https://h", "interface": "x"},
            "'x' is not one of dac, gi, dac-legacy, gi-legacy",
        ),
        ({"url": "https://h", "tenants": "A"}, "'tenants' is wrong: 'A' is not of type array"),
        ({"url": "https://h", "start_date": "soon"}, "'start_date' is wrong"),
        ({"url": "https://h", "password": 5}, "'password' is wrong: its value"),
        ({"url": "https://h", "time_zone": "Mars/Olympus"}, "'Mars/Olympus' is no time zone; give"),
        ({"url": "https://h", "date_fields": ["OrderDate"]}, "is no pattern stream.field"),
        ({"url": "https://h", "locale": "Atlantish"}, "'Atlantish' is no region; give a BCP 47"),
        ({"url": "https://h", "verbosity": 0}, "'verbosity' is wrong: 0 is no whole number from 1"),
        ({"url": "https://h", "verbosity": 6}, "from 1 to 5"),
        ({"url": "https://h", "batch_size": 10001}, "from 1 to 10000"),
        ({"url": "https://h", "pool_idle_timeout": -1}, "from 0 to 3600"),
        (
            {"url": "https://h", "pooling": "yes"},
            "'pooling' is wrong: 'yes' is not of type boolean",
        ),
        (
            {"url": "https://h", "additional_properties": [{"name": "x", "value": "y"}]},
            "each entry has name, value and in, which is header or query",
        ),
        (
            {"url": "https://h", "additional_properties": [_entry("$filter", "1", "query")]},
            "'additional_properties' is wrong: .filter is set by the tap itself",
        ),
        (
            {"url": "https://h", "secret_additional_properties": [_entry("a b", "hush", "header")]},
            "'secret_additional_properties' is wrong: its name is no name of a header",
        ),
        (
            {"url": "https://h", "additional_properties": [_entry("X", "a\nb", "header")]},
            "the value of X cannot be sent in a header",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    config: dict[str, t.Any], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        check(config)


def test_all_faults_are_told_in_one_line() -> None:
    with pytest.raises(SettingsError) as caught:
        check({"page_size": 0, "batch_size": 0})
    assert all(name in str(caught.value) for name in ("url", "page_size", "batch_size"))
    assert "\n" not in str(caught.value)


def test_an_empty_variable_is_no_value() -> None:
    assert without_blanks({"url": "x", "start_date": "", "tenants": []}) == {
        "url": "x",
        "tenants": [],
    }


def test_defaults_are_within_their_own_ranges() -> None:
    check({"url": "https://h"} | {s.name: s.default for s in SETTINGS if s.default is not None})


def test_secrets_are_marked() -> None:
    secret = {setting.name for setting in SETTINGS if setting.json_schema().get("secret")}
    assert secret == {
        "password",
        "client_secret",
        "refresh_token",
        "tenant_credentials",
        "secret_additional_properties",
    }
