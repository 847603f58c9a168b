"""What the commands besides the Singer one share."""

from __future__ import annotations

import json
import typing as t

import pytest

from tap_acumatica.cli.command import one_line_errors, read_config
from tap_acumatica.errors import (
    CallbackError,
    LoginError,
    SettingsError,
    SignInError,
    UnreachableError,
)

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("'url' is\nmissing"), 2),
        (UnreachableError("no answer"), 3),
        (SignInError("refused"), 4),
        (LoginError("nobody signed in"), 4),
        (CallbackError("the port is taken"), 1),
        (FileNotFoundError(2, "No such file", "config.json"), 1),
        (KeyboardInterrupt(), 130),
        (KeyError("hush"), 1),
    ],
)
def test_a_command_ends_with_one_line_and_the_exit_code_of_its_error(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors("tap-acumatica-login"):
        raise error
    assert ended.value.code == code
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("tap-acumatica-login: ")
    assert len(errors.splitlines()) == 1
    assert "hush" not in errors


def test_later_configurations_win_and_variables_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps({"url": "https://a", "page_size": 5}))
    second.write_text(json.dumps({"url": "https://b"}))
    monkeypatch.setenv("TAP_ACUMATICA_PAGE_SIZE", "7")
    assert read_config([str(first), str(second)]) == {"url": "https://b", "page_size": 5}
    assert read_config([str(first), "ENV"])["page_size"] == 7


@pytest.mark.parametrize("text", ['{"password": "hush"', '["hush"]', ""])
def test_a_file_that_holds_no_configuration_is_named_without_its_content(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"the configuration file .*config\.json") as caught:
        read_config([str(path)])
    assert "hush" not in str(caught.value)


def test_a_variable_that_does_not_fit_its_setting_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAP_ACUMATICA_PAGE_SIZE", "many")
    with pytest.raises(SettingsError, match="TAP_ACUMATICA_PAGE_SIZE is 'many'"):
        read_config(["ENV"])
