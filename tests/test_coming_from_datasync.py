"""The page for those who come from DataSync names every parameter, and what it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from tap_acumatica.settings.table import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "coming-from-datasync.md").read_text(encoding="utf-8")
PARAMETERS = {
    "Connection properties": [
        "Description",
        "URL",
        "Authentication Mode",
        "Username",
        "Password",
        "Callback URL",
        "Client ID",
        "Client Secret",
        "Authorization URL",
        "Access Token URL",
        "Scope",
        "Convert all dates and times to GMT",
        "Use client-side paging",
        "Page Size",
        "Timeout",
        "Data format",
        "Verbosity",
        "Enable Pooling",
        "Pool idle timeout",
        "Max Pool Size",
        "Pool wait time",
    ],
    "Additional connection properties": ["Property", "Value", "Type"],
    "Advanced settings": ["Tracking Type", "Region", "Time Zone", "Time Offset", "Batch Size"],
}
TESTS = sorted(set(re.findall(r"tests/[\w/]+\.py::\w+", PAGE)))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("heading", PARAMETERS)
def test_every_parameter_has_its_line(heading: str) -> None:
    assert [cells[0] for cells in rows(heading)] == PARAMETERS[heading]


@pytest.mark.parametrize("heading", PARAMETERS)
def test_every_line_names_a_setting_or_plugin_and_a_test(heading: str) -> None:
    known = {setting.name for setting in SETTINGS} | {"tap-acumatica-refresh"}
    for name, here, shown in rows(heading):
        assert known & set(re.findall(r"`([\w-]+)`", here)), name
        assert shown in TESTS, name


@pytest.mark.parametrize("named", TESTS)
def test_every_test_that_is_named_exists(named: str) -> None:
    path, _, name = named.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_setting_that_is_named_exists() -> None:
    known = {setting.name for setting in SETTINGS}
    assert set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE)) - known == set()


def test_the_environments_and_the_job_exist() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    environments = {environment["name"] for environment in project["environments"]}
    named = [cells[0].strip("`") for cells in rows("Refresh and no refresh")]
    assert set(named) == environments - {"dev"}
    assert [job["name"] for job in project["jobs"]] == ["acumatica"]
