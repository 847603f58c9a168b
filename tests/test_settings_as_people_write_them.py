"""Settings, catalogs and states as people, editors, shells and loaders of ``.env`` write them."""

from __future__ import annotations

import gzip
import io
import json
import logging
import typing as t

import pytest

from tap_acumatica.errors import SettingsError
from tap_acumatica.settings.connections import connect
from tap_acumatica.settings.documents import document, json_text
from tap_acumatica.settings.sources import prepared, read_config, with_environment
from tap_acumatica.settings.table import schemas
from tap_acumatica.settings.typed import Settings
from tap_acumatica.settings.unmatched import warn_of_maps
from tap_acumatica.tap import TapAcumatica

if t.TYPE_CHECKING:
    from pathlib import Path

URL = {"url": "https://h"}
HUSH = "hush-hush"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, so no other ``.env`` is found."""
    monkeypatch.chdir(tmp_path)


def settings_of(variables: dict[str, str]) -> Settings:
    """What these variables set, besides the address."""
    environment = {"TAP_ACUMATICA_URL": "https://h", **variables}
    return Settings.from_config(prepared(with_environment({}, environment)))


def fault_of(call: t.Callable[[], object]) -> str:
    """The one line that a call ends with."""
    with pytest.raises(SettingsError) as caught:
        call()
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Documents

CONTENT = {"url": "https://h", "username": "Jürgen „J“ 日本"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]


@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\r\n", " \r\n\0\0\0\0", "\n\x1a"])
def test_a_document_is_read_in_every_encoding_of_unicode(
    tmp_path: Path, encoding: str, mark: str, end: str
) -> None:
    path = tmp_path / "config.json"
    text = json.dumps(CONTENT, ensure_ascii=False, indent=2).replace("\n", "\r\n")
    path.write_bytes(f"{mark}{text}{end}".encode(encoding))
    assert document(str(path), "configuration") == CONTENT
    assert json.loads(json_text(path, "configuration")) == CONTENT


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp850"])
def test_another_encoding_is_named_with_the_remedy(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(f'{{"url": "https://h",\n"password": "{HUSH}ü"}}'.encode(encoding))
    fault = fault_of(lambda: document(str(path), "configuration"))
    assert "config.json is not UTF-8 (line 2)" in fault
    assert "save it again with the encoding UTF-8" in fault
    assert HUSH not in fault


def test_utf_16_that_something_was_added_to_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes("{}".encode("utf-16") + b"\n")
    assert "cut off, or was added to" in fault_of(lambda: document(str(path), "configuration"))


def test_a_compressed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json.gz"
    path.write_bytes(gzip.compress(b"{}"))
    assert "is compressed" in fault_of(lambda: json_text(path, "catalog"))


@pytest.mark.parametrize("content", [b"", b" \r\n", b"\0" * 512, b"\xef\xbb\xbf", b"\xff\xfe\r\0"])
def test_an_empty_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert fault_of(lambda: document("state.json", "state")) == (
        "the state file state.json is empty; delete it to read all rows, or restore the last STATE "
        "of the run before"
    )
    assert "--discover" in fault_of(lambda: json_text("state.json", "catalog"))


@pytest.mark.parametrize(
    ("content", "cause", "place"),
    [
        ('{"url": "https://h",}', "a comma after the last entry", "column 20"),
        ('{"a": [1, 2,\n ]}', "a comma after the last entry", "line 1, column 12"),
        ('{"url": "https://h", // site\n"a": 1}', "no comments", "line 1"),
        ('{\n# site\n"a": 1}', "no comments", "line 2"),
        ("{'url': 'https://h'}", "single quotation marks", "column 2"),
        ("{“url”: “https://h”}", "typographic quotation marks", "column 2"),
        ('{"a": 1\n"b": 2}', "a comma is missing", "line 2"),
        ('{"a": True}', "write true, false or null", "column 7"),
        ('{"a": C}', "double quotation marks", "column 7"),
        ('{"a": "C:\\data"}', "a backslash in a text is written as two", "line 1"),
        ('{"password": "hush-hush', "ends in the middle", "line 1"),
        ('{"a": {"b": 1}', "ends in the middle", "line 1"),
        ('{"url": "a"}\n{"url": "b"}', "more than one JSON value", "line 2"),
        ("url: https://h\npassword: hush-hush", "YAML", "line 1"),
        ("---\n# settings\nurl: https://h", "YAML", "line 1"),
        ("- hush-hush", "YAML", "line 1"),
        ("TAP_ACUMATICA_URL=https://h", "name it .env and use --config=ENV", "line 1"),
        ("[tap]\nurl = hush-hush", "TOML or INI", "line 1"),
        ("<html>", "XML or HTML", "line 1"),
    ],
)
def test_what_is_not_json_is_explained_without_its_content(
    tmp_path: Path, content: str, cause: str, place: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content, encoding="utf-8")
    fault = fault_of(lambda: document("config.json", "configuration"))
    assert fault.startswith("the configuration file config.json is not JSON: ")
    assert cause in fault
    assert place in fault
    assert HUSH not in fault


def test_blanks_of_web_pages_may_indent_a_document(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{\n\u00a0\u00a0"url":\u00a0"https://h",\n\u2003"a": "b\u00a0c"}', "utf-8")
    assert document(path, "configuration") == {"url": "https://h", "a": "b\u00a0c"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [("[]", "a list"), ('"x"', "a text"), ("5", "a number"), ("null", "null"), ("true", "true")],
)
def test_a_document_of_another_shape_is_named(tmp_path: Path, content: str, kind: str) -> None:
    (tmp_path / "state.json").write_text(content)
    fault = fault_of(lambda: document("state.json", "state"))
    assert "the state file state.json must hold a JSON object" in fault
    assert kind in fault


@pytest.mark.parametrize(
    ("what", "content", "words"),
    [
        ("configuration", {"streams": []}, ["a Singer catalog", "--catalog"]),
        ("configuration", {"bookmarks": {}}, ["a state", "--state"]),
        ("configuration", {"type": "STATE", "value": {}}, ["a state", "--state"]),
        ("state", {"url": "https://h"}, ["a configuration", "--config"]),
        ("state", {"streams": []}, ["a Singer catalog", "--catalog"]),
        ("catalog", {"url": "https://h"}, ["a configuration", "--config"]),
        ("catalog", {"bookmarks": {}}, ["a state", "--state"]),
    ],
)
def test_a_document_that_is_another_one_is_named(
    tmp_path: Path, what: t.Any, content: t.Any, words: list[str]
) -> None:
    (tmp_path / "file.json").write_text(json.dumps(content))
    fault = fault_of(lambda: document("file.json", what))
    assert fault == fault_of(lambda: json_text("file.json", what))
    assert all(word in fault for word in ["file.json", *words])


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    assert "is a folder" in fault_of(lambda: document(str(tmp_path), "configuration"))
    fault = fault_of(lambda: document("none.json", "state"))
    assert fault == "the state file none.json does not exist; check the path given with --state"


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    path.write_text("{}")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    assert "may not be read by the user" in fault_of(lambda: document(str(path), "state"))


def test_standard_input_and_open_files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf{}")))
    assert document("-", "state") == {}
    assert document(io.StringIO('{"bookmarks": {}}'), "state") == {"bookmarks": {}}


def _state(number: int) -> str:
    return json.dumps({"bookmarks": {"A": {"replication_key_value": f"{number}"}}})


def _message(number: int) -> str:
    return f'{{"type": "STATE", "value": {_state(number)}}}'


@pytest.mark.parametrize(
    "lines",
    [
        [_state(1), _state(2)],
        [_message(1), _message(2)],
        ['{"type": "SCHEMA"}', _message(1), '{"type": "RECORD"}', _message(2)],
        ['{"type": "RECORD"}', _message(2), '{"type": "RECORD"}'],
        [_message(1), "", _message(2), '{"type": "RECORD", "rec'],
    ],
)
def test_the_last_state_of_several_lines_is_used(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "state.json").write_text("\r\n".join(lines) + "\r\n")
    found = document("state.json", "state")
    assert found.get("value", found) == json.loads(_state(2))


@pytest.mark.parametrize(
    "lines",
    [
        ['{"type": "RECORD"}', '{"type": "RECORD"}'],
        ["2026-12-01 INFO", _message(1)],
        [_message(1), "Traceback", _message(2)],
        [_message(1), "[]"],
    ],
)
def test_lines_without_a_clear_state_are_refused(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "state.json").write_text("\n".join(lines))
    assert "the state file state.json" in fault_of(lambda: document("state.json", "state"))


def test_a_setting_that_is_given_twice_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.json").write_text('{"url": "a", "url": "https://h"}')
    assert document("config.json", "configuration") == URL
    assert caplog.messages == ["'url' is given twice in config.json; the last one counts"]


# Values


@pytest.mark.parametrize(
    "text", ["true", "T", "yes", "y", "ON", "1", " true\r\n", '"true"', "\u2018Yes\u2019"]
)
def test_a_switch_is_on(text: str) -> None:
    assert settings_of({"TAP_ACUMATICA_TRIM_STRINGS": text}).trim_strings


@pytest.mark.parametrize("text", ["false", "F", "no", "N", "off", "0", "\u00a0FALSE\r", "'0'"])
def test_a_switch_is_off(text: str) -> None:
    assert not settings_of({"TAP_ACUMATICA_USE_SELECT": text}).use_select


@pytest.mark.parametrize("text", ["ture", "2", "-1", "truee", "y n", "wahr", "null", "1.0"])
@pytest.mark.parametrize("name", ["USE_SELECT", "FLATTENING_ENABLED"])
def test_any_other_switch_is_refused_with_setting_and_variable(name: str, text: str) -> None:
    fault = fault_of(lambda: settings_of({f"TAP_ACUMATICA_{name}": text}))
    assert f"'{name.lower()}' must be true or false, but TAP_ACUMATICA_{name} is '{text}'" in fault


@pytest.mark.parametrize(
    ("text", "expected"), [("500", 500), (" 500\r", 500), ('"500"', 500), ("+7", 7), ("500.0", 500)]
)
def test_a_whole_number_is_read(text: str, expected: int) -> None:
    assert settings_of({"TAP_ACUMATICA_PAGE_SIZE": text}).page_size == expected
    assert Settings.from_config(URL | {"page_size": text}).page_size == expected


@pytest.mark.parametrize(
    "text", ["2k", "1,000", "1_000", "5.5", "0x10", "five", "\uff15\uff10\uff10", "true"]
)
def test_any_other_number_is_refused(text: str) -> None:
    fault = fault_of(lambda: settings_of({"TAP_ACUMATICA_PAGE_SIZE": text}))
    assert "'page_size' must be a whole number from 1 to 10000" in fault
    assert f"TAP_ACUMATICA_PAGE_SIZE is '{text}'" in fault


def test_whole_numbers_of_json_are_whole_numbers() -> None:
    found = Settings.from_config(URL | {"page_size": 500.0, "pooling": 0})
    assert (found.page_size, type(found.page_size), found.pooling) == (500, int, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["A","B"]', ("A", "B")),
        (' ["A", "B"]\r\n', ("A", "B")),
        ('"["A","B"]"', ("A", "B")),
        ('"[\\"A\\",\\"B\\"]"', ("A", "B")),
        ("'[\"A\"]'", ("A",)),
        ("A,B", ("A", "B")),
        ("A, B ,", ("A", "B")),
        ("A\r\nB", ("A", "B")),
        ("Calipso LLC", ("Calipso LLC",)),
        ('"Calipso LLC"', ("Calipso LLC",)),
        ("[Company]", ("Company",)),
        ("[A, B]", ("A", "B")),
        ("['A', 'B']", ("A", "B")),
        ("[“A”, “B”]", ("A", "B")),
        ("O'Brien", ("O'Brien",)),
        ("[]", ()),
        ("", ()),
    ],
)
def test_a_list_in_a_variable_is_read(text: str, expected: tuple[str, ...]) -> None:
    assert settings_of({"TAP_ACUMATICA_TENANTS": text}).tenants == expected


@pytest.mark.parametrize("text", ['["A"', '["A" "B"]', '{"A": 1}', "['A, B']", "- A\n- B", "[[A]]"])
def test_a_list_that_is_not_clear_is_refused_with_an_example(text: str) -> None:
    fault = fault_of(lambda: settings_of({"TAP_ACUMATICA_TENANTS": text}))
    assert "'tenants' must be a list written as JSON" in fault
    assert 'such as ["A", "B"], but TAP_ACUMATICA_TENANTS is' in fault


@pytest.mark.parametrize("text", ["[SG]O*", "[SG]O*,AR[A-Z]*"])
def test_a_pattern_with_brackets_is_a_pattern(text: str) -> None:
    assert settings_of({"TAP_ACUMATICA_ENTITY_SETS": text}).entity_sets == tuple(text.split(","))


def test_texts_are_read_as_they_are_meant() -> None:
    found = settings_of(
        {
            "TAP_ACUMATICA_URL": "\ufeff'https://site.example' \r",
            "TAP_ACUMATICA_USERNAME": ' "admin"\r',
            "TAP_ACUMATICA_AUTH_MODE": "OAuth2\r",
            "TAP_ACUMATICA_START_DATE": "\u00a02024-01-31 ",
            "TAP_ACUMATICA_TIME_ZONE": "   ",
            "TAP_ACUMATICA_EXPAND": '\'{"SOOrder": ["Lines "]}\'\r',
        }
    )
    assert (found.url, found.username) == ("https://site.example", "admin")
    assert (found.auth_mode, found.start_date, found.time_zone) == ("oauth2", "2024-01-31", "UTC")
    assert found.expand == {"SOOrder": ("Lines",)}


@pytest.mark.parametrize(
    ("given", "kept", "said"),
    [
        (f"{HUSH}\r", HUSH, "ends with a line end, which is cut off"),
        (f"{HUSH}\r\n", HUSH, "ends with a line end, which is cut off"),
        (f" {HUSH}", f" {HUSH}", "begins or ends with a blank, which is part of it"),
        (f"{HUSH}\u00a0", f"{HUSH}\u00a0", "begins or ends with a blank, which is part of it"),
        (f'"{HUSH}"', f'"{HUSH}"', "stands in quotation marks, which are part of it"),
        ("${ACUMATICA_PASSWORD}", "${ACUMATICA_PASSWORD}", "looks like the name of a variable"),
        (HUSH, HUSH, ""),
    ],
)
def test_a_password_is_never_changed_in_silence(
    given: str, kept: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert settings_of({"TAP_ACUMATICA_PASSWORD": given}).password == kept
    assert [said in message for message in caplog.messages] == ([True] if said else [])
    assert all("TAP_ACUMATICA_PASSWORD" in message for message in caplog.messages)
    assert HUSH not in caplog.text
    caplog.clear()
    of_tenant = {"tenants": ["A"], "tenant_credentials": {"A": {"password": given}}}
    found = Settings.from_config(prepared(URL | of_tenant))
    assert found.tenant_credentials["A"].password == kept
    assert [said in message for message in caplog.messages] == ([True] if said else [])
    assert HUSH not in caplog.text


@pytest.mark.parametrize("name", ["username", "client_id", "start_date", "password"])
def test_a_number_that_should_be_a_text_is_refused_with_the_remedy(name: str) -> None:
    fault = fault_of(lambda: prepared(URL | {name: 12345678}))
    assert f"'{name}' must be a string" in fault
    assert ("2024-01-31T00:00:00Z" if name == "start_date" else "put it in quotes") in fault
    assert name != "password" or "12345678" not in fault


def test_variables_that_nobody_replaced_are_refused() -> None:
    fault = fault_of(lambda: prepared({"url": "${SITE}", "tenants": ["${TENANT}"]}))
    assert "'url' holds the name of a variable" in fault
    assert "'tenants' holds the name of a variable" in fault
    assert "'tenants' must not contain an empty name" in fault_of(
        lambda: prepared(URL | {"tenants": [""]})
    )


# Where a value is from


def test_a_fault_says_where_its_value_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site.json").write_text('{"url": "https://h", "page_size": 0, "timeout": 0}')
    (tmp_path / "more.json").write_text('{"verbosity": 9}')
    monkeypatch.setenv("TAP_ACUMATICA_PAGE_SIZE", "0")
    monkeypatch.setenv("TAP_ACUMATICA_POOLING", "ture")
    fault = fault_of(lambda: read_config(["ENV", "site.json", "more.json"]))
    assert "'page_size' must be a whole number from 1 to 10000, not 0 (TAP_ACUMATICA_PAGE" in fault
    assert "'timeout' must be a whole number from 1 to 3600, not 0 (site.json)" in fault
    assert "'verbosity' must be a whole number from 1 to 5, not 9 (more.json)" in fault
    assert "'pooling' must be true or false, but TAP_ACUMATICA_POOLING is 'ture'" in fault


def test_settings_that_meltano_passes_are_not_blamed_on_its_file(tmp_path: Path) -> None:
    folder = tmp_path / ".meltano" / "run"
    folder.mkdir(parents=True)
    (folder / "tap.1f2e.config.json").write_text('{"url": "https://h", "page_size": 0}')
    fault = fault_of(lambda: read_config([str(folder / "tap.1f2e.config.json")]))
    assert "not 0 (as Meltano passes it)" in fault


def test_no_settings_at_all_say_how_to_give_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fault_of(lambda: read_config([])).startswith(
        "no settings were given: use --config FILE, or --config=ENV for TAP_ACUMATICA_… variables"
    )
    (tmp_path / "config.json").write_text("{}")
    fault = fault_of(lambda: read_config(["config.json"]))
    assert "'url' is missing: there are no settings in config.json" in fault
    assert "no variable TAP_ACUMATICA_… is set" in fault_of(lambda: with_environment({}, {}))
    (tmp_path / "config.json").write_text('{"page_size": 5}')
    monkeypatch.setenv("TAP_ACUMATICA_URL", "https://h")
    fault = fault_of(lambda: read_config(["config.json"]))
    assert "TAP_ACUMATICA_URL is set, but variables are read with --config=ENV only" in fault


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_env_is_read_from_the_working_folder_and_never_wins(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    encoding: str,
) -> None:
    caplog.set_level(logging.INFO)
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    lines = [
        "# the site",
        "export TAP_ACUMATICA_URL=https://of-file",
        "TAP_ACUMATICA_PAGE_SIZE = 5",
        f"TAP_ACUMATICA_PASSWORD='{HUSH}ü'",
        "TAP_ACUMATICA_POOLING=no",
        "",
    ]
    (below / ".env").write_bytes("\r\n".join(lines).encode(encoding))
    variables = {"TAP_ACUMATICA_PAGE_SIZE": "7"}
    found = Settings.from_config(with_environment({}, variables))
    assert (found.url, found.page_size, found.pooling) == ("https://of-file", 7, False)
    assert found.password == f"{HUSH}ü"
    (said,) = caplog.messages
    assert said.startswith("Settings are read from .env: TAP_ACUMATICA_PASSWORD, TAP_ACUMATICA_POO")
    assert HUSH not in said


def test_a_fault_of_env_names_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TAP_ACUMATICA_URL=https://h\nTAP_ACUMATICA_POOLING=ture\n")
    fault = fault_of(lambda: prepared(with_environment({}, {})))
    assert fault.endswith("but TAP_ACUMATICA_POOLING in .env is 'ture'")
    (tmp_path / ".env").write_bytes(f"TAP_ACUMATICA_PASSWORD={HUSH}ü".encode("latin-1"))
    fault = fault_of(lambda: with_environment({}, {}))
    assert "the file .env is not UTF-8 (line 1)" in fault
    assert HUSH not in fault


# What has no effect


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("pagesize", "page_size"),
        ("pageSize", "page_size"),
        ("page-size", "page_size"),
        ("PAGE_SIZE", "page_size"),
        ("Tenants", "tenants"),
        ("user_name", "username"),
        ("start_dat", "start_date"),
        ("stream_map", "stream_maps"),
    ],
)
def test_an_unknown_setting_is_named_with_the_nearest(
    name: str, near: str, caplog: pytest.LogCaptureFixture
) -> None:
    prepared(URL | {name: HUSH})
    said = f"setting '{name}' is unknown and has no effect; did you mean '{near}'?"
    assert caplog.messages == [said]


def test_an_unknown_setting_that_is_like_none_is_named(caplog: pytest.LogCaptureFixture) -> None:
    prepared(URL | {"zzz": 1, "settings": {"page_size": 5}})
    assert caplog.messages == [
        "setting 'zzz' is unknown and has no effect; tap-acumatica --about lists all settings",
        (
            "setting 'settings' is unknown and has no effect; write the settings in it at the top "
            "of the file"
        ),
    ]


def test_settings_of_the_sdk_and_comments_are_known(caplog: pytest.LogCaptureFixture) -> None:
    schema: dict[str, t.Any] = {}
    TapAcumatica.append_builtin_config(schema)
    assert schema["properties"].keys() <= schemas().keys()
    prepared(URL | dict.fromkeys(schema["properties"]) | {"_comment": "x", "$schema": "y", "//": 1})
    assert caplog.messages == []


def test_an_unknown_member_of_a_setting_is_named(caplog: pytest.LogCaptureFixture) -> None:
    prepared(URL | {"batch_config": {"encoding": {"format": "jsonl", "compresion": "gzip"}}})
    (said,) = caplog.messages
    assert said.startswith("'batch_config', 'encoding': 'compresion' is unknown and has no effect")
    assert said.endswith("did you mean 'compression'?")
    fault = fault_of(lambda: prepared(URL | {"tenant_credentials": {"A": {"pasword": HUSH}}}))
    assert "'pasword' for tenant 'A'; allowed are username, password" in fault
    assert "did you mean 'password'?" in fault
    assert HUSH not in fault


def test_an_unknown_variable_is_named(caplog: pytest.LogCaptureFixture) -> None:
    settings_of(
        {
            "TAP_ACUMATICA_PAGESIZE": HUSH,
            "tap_acumatica_timeout": HUSH,
            "Tap_Acumatica_Star_Date": HUSH,
        }
    )
    assert caplog.messages == [
        (
            "setting 'pagesize' is unknown and has no effect; did you mean 'page_size'? "
            "(TAP_ACUMATICA_PAGESIZE)"
        ),
        (
            "setting 'star_date' is unknown and has no effect; did you mean 'start_date'? "
            "(Tap_Acumatica_Star_Date)"
        ),
        "variable 'tap_acumatica_timeout' has no effect; its name must be TAP_ACUMATICA_TIMEOUT",
    ]


def test_variables_that_meltano_and_the_sdk_read_are_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = ["LOGLEVEL", "LOG_CONFIG", "_LOAD_SCHEMA", "_SELECT", "_SELECT_FILTER", "_METADATA"]
    names += ["_CATALOG", "_STATE", "_USE_CACHED_CATALOG", "REFRESH_ENTITY_SETS"]
    names += ["NO_REFRESH_TENANTS", "_REFRESH_URL"]
    settings_of({f"TAP_ACUMATICA_{name}": "x" for name in names} | {"TAP_OTHER_URL": "x"})
    assert caplog.messages == []


def test_credentials_of_a_tenant_that_is_not_read_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = {"company": {"password": HUSH}, "B": {"password": HUSH}}
    connect(URL | {"tenants": ["Company", "B"], "tenant_credentials": own}, user_agent="tests")
    said = "'tenant_credentials': the tenant 'company' is not read; near: Company"
    assert caplog.messages == [said]


def test_a_start_in_the_future_is_named(caplog: pytest.LogCaptureFixture) -> None:
    connect(URL | {"start_date": "2999-01-01"}, user_agent="tests")
    connect(URL | {"start_date": "2999-01-01", "tracking_type": "none"}, user_agent="tests")
    connect(URL | {"start_date": "2024-01-01"}, user_agent="tests")
    (said,) = caplog.messages
    assert said.startswith("'start_date' 2999-01-01 is in the future")


def test_maps_of_streams_that_are_not_there_are_named(caplog: pytest.LogCaptureFixture) -> None:
    maps = {"Ordres": {}, "orders": None, "Ord*": {}, "Copy": {"__source__": "Orders"}}
    warn_of_maps({**maps, "Other": {"__source__": "Order"}, "__else__": None}, ["Orders"])
    assert caplog.messages == [
        "'stream_maps' names Ordres, which is not a stream; near: Orders",
        "'stream_maps' names orders, which is not a stream; near: Orders",
        "'stream_maps' names Order, which is not a stream; near: Orders",
    ]
