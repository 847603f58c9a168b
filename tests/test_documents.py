"""What the project says of itself agrees with what it is."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from importlib import resources
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from demo import documents

ROOT = Path(__file__).resolve().parent.parent
# Put together here, so that this file does not name them either.
REGISTRIES = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.npm" + "js",
    "deb." + "debian.org",
)


@pytest.fixture(scope="module")
def about() -> dict[str, t.Any]:
    return documents.about()


@pytest.fixture(scope="module")
def tap_plugin() -> dict[str, t.Any]:
    found: dict[str, t.Any] = _plugins("extractors")["tap-acumatica"]
    return found


@pytest.mark.parametrize("name", ["README.md", "meltano.yml", ".env.example"])
def test_settings_are_written_down_as_about_tells_them(name: str, about: dict[str, t.Any]) -> None:
    path = ROOT / name

    assert path.read_text(encoding="utf-8") == documents.texts(about)[path], "run `make docs`"


def test_every_setting_is_in_the_readme(about: dict[str, t.Any]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`( 🔒)? \|", text, flags=re.MULTILINE)

    assert {name for name, _ in rows} == set(about["settings"]["properties"])
    assert {name for name, lock in rows if lock} == _secrets(about)


def test_every_setting_is_in_meltano_yml_with_its_secrets_marked(
    about: dict[str, t.Any], tap_plugin: dict[str, t.Any]
) -> None:
    found = {setting["name"]: setting for setting in tap_plugin["settings"]}

    assert set(found) == set(about["settings"]["properties"])
    assert {name for name, setting in found.items() if setting.get("sensitive")} == _secrets(about)


def test_meltano_yml_gives_the_defaults_and_choices_of_the_tap(
    about: dict[str, t.Any], tap_plugin: dict[str, t.Any]
) -> None:
    for setting in tap_plugin["settings"]:
        schema = about["settings"]["properties"][setting["name"]]
        options = [option["value"] for option in setting.get("options", [])]

        assert setting.get("value") == schema.get("default"), setting["name"]
        assert options == [value for value in schema.get("enum", []) if value is not None]


def test_meltano_yml_names_every_capability(
    about: dict[str, t.Any], tap_plugin: dict[str, t.Any]
) -> None:
    assert set(tap_plugin["capabilities"]) == set(about["capabilities"])


def test_meltano_yml_needs_no_hub() -> None:
    for plugin in [*_plugins("extractors").values(), *_plugins("loaders").values()]:
        assert "inherit_from" in plugin or {"namespace", "pip_url", "settings"} <= set(plugin)


def test_meltano_yml_is_what_meltano_allows() -> None:
    schema = (resources.files("meltano") / "schemas" / "meltano.schema.json").read_bytes()
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))

    found = Draft202012Validator(json.loads(schema)).iter_errors(project)

    assert [f"{error.json_path}: {error.message}" for error in found] == []


def test_the_inherited_plugins_track_dates_and_nothing() -> None:
    found = _plugins("extractors")

    assert found["tap-acumatica-refresh"]["config"] == {"tracking_type": "date"}
    assert found["tap-acumatica-no-refresh"]["config"] == {"tracking_type": "none"}


def test_env_example_sets_what_is_required_and_names_the_rest(about: dict[str, t.Any]) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = re.findall(r"^(# )?TAP_ACUMATICA_(\w+)=", text, flags=re.MULTILINE)

    assert {name.lower() for _, name in lines} == set(about["settings"]["properties"])
    assert {name.lower() for mark, name in lines if not mark} == set(about["settings"]["required"])


def test_the_example_catalog_is_what_the_sandbox_offers() -> None:
    assert documents.CATALOG.read_text(encoding="utf-8") == documents.catalog(), "run `make docs`"


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_every_module_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = sorted(set(re.findall(r"`([\w/]+\.py)`", text)))
    missing = [
        path
        for path in named
        if not ((ROOT / path).is_file() or (ROOT / "tap_acumatica" / path).is_file())
    ]

    assert len(named) > 5
    assert missing == []


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    unwanted = (*REGISTRIES, f"{ROOT}/")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in _files()
        for word in unwanted
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]

    assert found == []


def _plugins(kind: str) -> dict[str, dict[str, t.Any]]:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    return {plugin["name"]: plugin for plugin in project["plugins"][kind]}


def _secrets(about: dict[str, t.Any]) -> set[str]:
    properties = about["settings"]["properties"]
    return {name for name, schema in properties.items() if schema.get("secret")}


def _files() -> list[Path]:
    """The files of the project; without git there is nothing that tells them from others."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("name", ["guarantees.md", "drift.md"])
def test_what_the_documents_name_is_there(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    tests = re.findall(r"`(tests/[\w/]+\.py)`", text)
    modules = re.findall(r"`((?!tests/)\w+(?:/\w+)?\.py)`", text)

    assert tests
    for path in (*tests, *(f"tap_acumatica/{module}" for module in modules)):
        assert (ROOT / path).is_file(), path


def test_each_guarantee_says_where_it_is_kept_and_what_attacks_it() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    stated = re.findall(r"^(\d+)\. \*\*", text, flags=re.MULTILINE)
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", text, flags=re.MULTILINE)

    assert [row[0] for row in rows] == stated
    assert all("`tests/" in attacked and ".py`" in kept for _, kept, _, attacked in rows)
