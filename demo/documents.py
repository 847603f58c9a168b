"""Writes what can be asked of the tap: its settings, and the catalog of the sandbox.

``tap-acumatica --about`` and ``--discover`` are where they come from; ``make docs`` runs this, and
a test holds the files against it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
import typing as t
from dataclasses import dataclass
from pathlib import Path

import yaml

from demo.sandbox import sandbox

if t.TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
CATALOG = ROOT / "catalog.example.json"
KINDS = {
    "string": "string",
    "integer": "integer",
    "number": "decimal",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}
EXAMPLES = {"url": "https://company.acumatica.com"}
ENV_HEAD = """\
# Settings of tap-acumatica as environment variables. Copy this file to .env: Meltano reads it by
# itself, the tap alone with --config=ENV. Lists and objects are written as JSON.
"""


@dataclass(frozen=True)
class Setting:
    """One setting of the tap, as ``--about`` shows it.

    Attributes:
        name: Name in the configuration.
        kind: What Meltano calls its type.
        title: Label.
        description: What it means.
        default: Value where none is given; None where there is none.
        options: Values allowed; empty where any of its type is.
        limits: Lowest and highest number allowed.
        required: Whether it must be given.
        secret: Whether it must not be shown.
    """

    name: str
    kind: str
    title: str
    description: str
    default: t.Any
    options: tuple[str, ...]
    limits: tuple[int, int] | None
    required: bool
    secret: bool

    @property
    def variable(self) -> str:
        """Name of its environment variable."""
        return f"TAP_ACUMATICA_{self.name.upper()}"


def about() -> dict[str, t.Any]:
    """What the tap says of itself."""
    done = subprocess.run(
        [sys.executable, "-m", "tap_acumatica", "--about", "--format=json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, t.Any] = json.loads(done.stdout)
    return found


def catalog() -> str:
    """The text of ``catalog.example.json``: what the sandbox's discovery gives."""
    with tempfile.TemporaryDirectory() as name, sandbox(Path(name), rows=20) as source:
        config = Path(name) / "config.json"
        config.write_text(json.dumps(source.config()), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tap_acumatica", "--config", config, "--discover"],
            stdout=subprocess.PIPE,
            check=True,
        )
    return json.dumps(json.loads(done.stdout), indent=2, ensure_ascii=False) + "\n"


def settings(about: Mapping[str, t.Any]) -> list[Setting]:
    """Read the settings out of ``--about``.

    Args:
        about: What the tap says of itself.
    """
    required = about["settings"].get("required", [])
    return [
        _setting(name, schema, required=name in required)
        for name, schema in about["settings"]["properties"].items()
    ]


def texts(about: Mapping[str, t.Any]) -> dict[Path, str]:
    """The files that hold settings, as they should read.

    Args:
        about: What the tap says of itself.
    """
    found = settings(about)
    readme, project = ROOT / "README.md", ROOT / "meltano.yml"
    return {
        readme: _between(readme, "<!-- {}settings -->", readme_table(found)),
        project: _between(project, "    # {}settings", meltano_settings(found, about)),
        ROOT / ".env.example": env_example(found),
    }


def readme_table(settings: t.Sequence[Setting]) -> str:
    """The settings as a table for people.

    Args:
        settings: What to show.
    """
    lines = ["", "| Setting | Default | Meaning |", "| --- | --- | --- |"]
    for setting in settings:
        name = f"`{setting.name}`" + (" 🔒" if setting.secret else "")
        cells = [name, _default(setting), _meaning(setting)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", ""])


def meltano_settings(settings: t.Sequence[Setting], about: Mapping[str, t.Any]) -> str:
    """Capabilities and settings of the extractor in ``meltano.yml``.

    Args:
        settings: What to show.
        about: What the tap says of itself.
    """
    block = {
        "capabilities": about["capabilities"],
        "settings_group_validation": [["url", "username", "password"], ["url"]],
        "settings": [_meltano_setting(setting) for setting in settings],
    }
    text = yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=95)
    return textwrap.indent(text, "    ")


def env_example(settings: t.Sequence[Setting]) -> str:
    """The text of ``.env.example``.

    Args:
        settings: What to show.
    """
    parts = [ENV_HEAD]
    for setting in settings:
        comment = textwrap.fill(
            _meaning(setting),
            width=98,
            initial_indent="# ",
            subsequent_indent="# ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        value = EXAMPLES.get(setting.name, _env_value(setting.default))
        mark = "" if setting.required else "# "
        parts.append(f"{comment}\n{mark}{setting.variable}={value}\n")
    return "\n".join(parts)


def main() -> None:
    """Write the files."""
    for path, text in texts(about()).items():
        path.write_text(text, encoding="utf-8")
    CATALOG.write_text(catalog(), encoding="utf-8")


def _setting(name: str, schema: Mapping[str, t.Any], *, required: bool) -> Setting:
    options = tuple(value for value in schema.get("enum", ()) if value is not None)
    limits = (schema["minimum"], schema["maximum"]) if "minimum" in schema else None
    return Setting(
        name=name,
        kind="options" if options else _kind(name, schema),
        title=schema.get("title") or name.replace("_", " ").title(),
        description=" ".join(str(schema.get("description", "")).split()),
        default=schema.get("default"),
        options=options,
        limits=limits,
        required=required,
        secret=bool(schema.get("secret")),
    )


def _kind(name: str, schema: Mapping[str, t.Any]) -> str:
    if name.endswith("_date"):
        return "date_iso8601"
    types = schema.get("type", "string")
    names = [types] if isinstance(types, str) else types
    return next((KINDS[kind] for kind in names if kind in KINDS), "string")


def _meltano_setting(setting: Setting) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {"name": setting.name, "label": setting.title, "kind": setting.kind}
    if setting.default is not None:
        found["value"] = setting.default
    if setting.options:
        found["options"] = [{"label": value, "value": value} for value in setting.options]
    if setting.secret:
        found["sensitive"] = True
    return {**found, "description": setting.description}


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    if setting.default is None:
        return "none"
    if isinstance(setting.default, list):
        return ", ".join(f"`{value}`" for value in setting.default)
    return f"`{_env_value(setting.default)}`"


def _meaning(setting: Setting) -> str:
    if setting.limits is None:
        return setting.description
    low, high = setting.limits
    return f"{setting.description} Allowed: {low} to {high}."


def _env_value(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _between(path: Path, mark: str, text: str) -> str:
    """A file with what stands between its two marks replaced."""
    head, opening, rest = path.read_text(encoding="utf-8").partition(mark.format("") + "\n")
    _, closing, tail = rest.partition(mark.format("/"))
    if not opening or not closing:
        message = f"{path.name} lacks the marks {mark.format('')!r} and {mark.format('/')!r}"
        raise ValueError(message)
    return f"{head}{opening}{text}{closing}{tail}"


if __name__ == "__main__":
    main()
