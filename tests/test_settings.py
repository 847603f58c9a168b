"""Settings are checked before any request is made."""

from __future__ import annotations

import re
import types
import typing as t
from collections.abc import Mapping
from dataclasses import fields

import pytest

from tap_acumatica.errors import SettingsError
from tap_acumatica.settings.checks import check, check_environment
from tap_acumatica.settings.connections import connect
from tap_acumatica.settings.table import SETTINGS, without_blanks
from tap_acumatica.settings.typed import Settings

URL = {"url": "https://h"}


def _entry(name: str, value: str, place: str) -> dict[str, str]:
    return {"name": name, "value": value, "in": place}


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            {"url": None},
            (
                "'url' is missing: the address of the Acumatica site, for example "
                "https://company.acumatica.com"
            ),
        ),
        ({"page_size": 0}, "'page_size' must be a whole number from 1 to 10000, not 0"),
        ({"page_size": 2.5}, "'page_size' must be a whole number from 1 to 10000, not 2.5"),
        ({"time_offset": 3601}, "'time_offset' must be a whole number from 0 to 3600, not 3601"),
        ({"verbosity": 6}, "'verbosity' must be a whole number from 1 to 5, not 6"),
        ({"pool_idle_timeout": -1}, "must be a whole number from 0 to 3600, not -1"),
        (
            {"interface": "x"},
            "'interface' must be one of dac, gi, dac-legacy, gi-legacy, not 'x'",
        ),
        ({"tenants": "Company"}, "'tenants' must be a list: write [\"Company\"]"),
        ({"tenants": [5]}, "'tenants' must contain only strings, not 5"),
        ({"expand": {"SOOrder": "Lines"}}, "must have a list for 'SOOrder': write [\"Lines\"]"),
        ({"expand": ["SOOrder"]}, "'expand' must be an object, not ['SOOrder']"),
        ({"inquiry_parameters": {"Sales": 5}}, "must have an object for 'Sales', not 5"),
        ({"pooling": "yes"}, "'pooling' must be true or false, not 'yes'"),
        ({"username": 5}, "'username' must be a string, not 5"),
        ({"callback_url": "here"}, "must begin with https:// or http://, not 'here'"),
        (
            {"start_date": "soon"},
            "'start_date' must be a date-time such as 2024-01-31T00:00:00Z, not 'soon'",
        ),
        (
            {"time_zone": "CEST"},
            (
                "'time_zone' must be an IANA name such as America/New_York or a Windows name such "
                "as Eastern Standard Time, not 'CEST'"
            ),
        ),
        (
            {"locale": "Atlantish"},
            (
                "'locale' must be a BCP 47 tag such as de-CH or a Windows name such as "
                "German (Switzerland), not 'Atlantish'"
            ),
        ),
        ({"date_fields": ["OrderDate"]}, "patterns stream.field such as SOOrder.OrderDate, not"),
        (
            {"additional_properties": [{"name": "x", "value": "y"}]},
            "must have exactly name, value and in (header or query) in each entry",
        ),
        (
            {"additional_properties": [_entry("$filter", "1", "query")]},
            "'additional_properties' is wrong: $filter is set by the tap itself",
        ),
        (
            {"additional_properties": [_entry("X", "a\nb", "header")]},
            "the value of X cannot be sent in a header",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    config: dict[str, t.Any], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(complaint)):
        check(URL | config)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"password": 735}, "'password' must be a string"),
        ({"tenant_credentials": "735"}, "'tenant_credentials' must be an object"),
        ({"tenant_credentials": {"A": "735"}}, "must have an object for tenant 'A'"),
        (
            {"tenant_credentials": {"A": {"password": 735}}},
            "must have a string as password of tenant 'A'",
        ),
        (
            {"tenant_credentials": {"A": {"user": "735"}}},
            (
                "'tenant_credentials' must not have 'user' for tenant 'A'; allowed are username, "
                "password, client_id, client_secret, refresh_token"
            ),
        ),
        ({"secret_additional_properties": "735"}, "'secret_additional_properties' must be a list"),
        (
            {"secret_additional_properties": [_entry("X", "735", "body")]},
            "'secret_additional_properties' must have exactly name, value and in",
        ),
        (
            {"secret_additional_properties": [_entry("a b", "735", "header")]},
            "'secret_additional_properties' is wrong: its name",
        ),
    ],
)
def test_a_wrong_secret_is_named_without_its_value(
    config: dict[str, t.Any], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(complaint)) as caught:
        check(URL | config)
    assert "735" not in str(caught.value)


def test_one_line_names_all_faults() -> None:
    with pytest.raises(SettingsError) as caught:
        check({"page_size": 0, "batch_size": 0})
    assert all(name in str(caught.value) for name in ("url", "page_size", "batch_size"))
    assert "\n" not in str(caught.value)


def test_variables_that_do_not_fit_their_settings_are_named() -> None:
    with pytest.raises(SettingsError) as caught:
        check_environment(
            {
                "TAP_ACUMATICA_PAGE_SIZE": "abc",
                "TAP_ACUMATICA_POOLING": "maybe",
                "TAP_ACUMATICA_EXPAND": "SOOrder",
                "TAP_ACUMATICA_TENANT_CREDENTIALS": "hush",
            }
        )
    for fault in (
        "'page_size' must be a whole number from 1 to 10000, but TAP_ACUMATICA_PAGE_SIZE is 'abc'",
        "'pooling' must be true or false, but TAP_ACUMATICA_POOLING is 'maybe'",
        "'expand' must be an object written as JSON, but TAP_ACUMATICA_EXPAND is 'SOOrder'",
        "'tenant_credentials' must be an object written as JSON, but",
    ):
        assert fault in str(caught.value)
    assert "hush" not in str(caught.value)


def test_variables_that_fit_their_settings_are_accepted() -> None:
    check_environment(
        {
            "TAP_ACUMATICA_PAGE_SIZE": " 500",
            "TAP_ACUMATICA_POOLING": "No",
            "TAP_ACUMATICA_TENANTS": "Company,Calipso LLC",
            "TAP_ACUMATICA_EXPAND": "{}",
            "TAP_ACUMATICA_URL": "",
            "PAGE_SIZE": "abc",
        }
    )


def test_an_empty_variable_is_no_value() -> None:
    assert without_blanks({"url": "x", "start_date": "", "tenants": []}) == {
        "url": "x",
        "tenants": [],
    }


def test_defaults_are_within_their_own_ranges() -> None:
    check(URL | {s.name: s.default for s in SETTINGS if s.default is not None})


def test_secrets_are_marked() -> None:
    secret = {setting.name for setting in SETTINGS if setting.json_schema().get("secret")}
    assert secret == {
        "password",
        "client_secret",
        "refresh_token",
        "tenant_credentials",
        "secret_additional_properties",
    }


def test_the_typed_settings_are_those_of_the_table() -> None:
    assert [one.name for one in fields(Settings)] == [setting.name for setting in SETTINGS]


def test_the_typed_settings_have_the_defaults_of_the_table() -> None:
    typed = Settings(url="https://h")
    for setting in SETTINGS:
        value = getattr(typed, setting.name)
        given = list(value) if isinstance(value, tuple) else value
        assert setting.required or (given or None) == (setting.default or None), setting.name
    assert {one.name for one in fields(Settings) if one.default is one.default_factory} == {"url"}


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_the_typed_settings_have_the_types_of_the_table(name: str) -> None:
    (setting,) = (setting for setting in SETTINGS if setting.name == name)
    hint = t.get_type_hints(Settings, localns={"Mapping": Mapping})[name]
    if t.get_origin(hint) is types.UnionType:
        hint, none = t.get_args(hint)
        assert none is types.NoneType
        assert setting.default is None
    if "enum" in setting.schema:
        assert list(t.get_args(hint)) == setting.schema["enum"]
    kinds = {"string": str, "integer": int, "boolean": bool, "array": tuple, "object": Mapping}
    expected = t.Literal if "enum" in setting.schema else kinds[setting.schema["type"]]
    assert (t.get_origin(hint) or hint) is expected


def test_a_configuration_becomes_typed_values() -> None:
    settings = Settings.from_config(
        URL
        | {
            "tenants": ["A"],
            "page_size": None,
            "start_date": "",
            "expand": {"SOOrder": ["Lines"]},
            "tenant_credentials": {"A%20B": {"password": "hush", "username": ""}},
            "stream_maps": {},
        }
    )
    assert settings.tenants == ("A",)
    assert settings.page_size == 2000
    assert settings.start_date is None
    assert settings.expand == {"SOOrder": ("Lines",)}
    assert settings.tenant_credentials["A B"].password == "hush"
    assert settings.tenant_credentials["A B"].username is None
    assert "hush" not in repr(settings)


def test_a_wrong_configuration_does_not_become_settings() -> None:
    with pytest.raises(SettingsError, match="page_size"):
        Settings.from_config(URL | {"page_size": 0})


def test_a_tenants_credentials_are_completed_by_the_shared_ones() -> None:
    own = {"A": {"password": "a"}, "B": {"client_id": "x@B"}}
    shared = {"username": "u", "password": "p", "client_id": "x@A", "client_secret": "s"}
    settings = Settings.from_config(URL | shared | {"tenant_credentials": own})
    first, second, third = (settings.credentials(name) for name in ("A", "B", None))
    assert (first.username, first.password, first.client_secret) == ("u", "a", "s")
    assert (second.username, second.client_id, second.client_secret) == ("u", "x@B", None)
    assert (third.password, third.client_id) == ("p", "x@A")


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("2024-01-31", "2024-01-31T00:00:00.000000+00:00"),
        ("2024-01-31T01:00:00+02:00", "2024-01-30T23:00:00.000000+00:00"),
        (None, None),
    ],
)
def test_a_start_date_has_one_form(given: str | None, canonical: str | None) -> None:
    assert Settings.from_config(URL | {"start_date": given}).canonical_start_date == canonical


def test_a_site_is_ready_without_anything_being_sent() -> None:
    config = {"url": "http://no-such-host.invalid", "tenants": ["A", "B"]}
    signed = {"username": "u", "password": "p"}
    site = connect(config | signed, user_agent="tests")
    assert list(site.services) == list(site.connections) == ["A", "B"]
    assert site.connections is site.connections
    site.close()
    site.close()


def test_missing_credentials_are_named_when_connections_are_asked_for() -> None:
    site = connect(URL | {"tenants": ["A"], "username": "u"}, user_agent="tests")
    with pytest.raises(SettingsError, match="'password' is missing for tenant 'A': auth_mode"):
        _ = site.connections
    site.close()


def test_an_application_belongs_to_its_tenant() -> None:
    oauth = {"auth_mode": "oauth2", "client_id": "x@A", "refresh_token": "r"}
    site = connect(URL | oauth | {"tenants": ["A", "B"]}, user_agent="tests")
    assert site.application(site.services["A"]).client_id == "x@A"
    assert site.configured_token(site.services["A"]) == "r"
    with pytest.raises(SettingsError, match="it belongs to tenant 'A'"):
        site.application(site.services["B"])
