"""The rooms of the house and the arrows between them: what may import what.

CONTRIBUTING.md draws the same picture. Imports are read from the source, so those that are only
for type checkers, and those inside functions, count like any other.
"""

from __future__ import annotations

import ast
import functools
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tap_acumatica"
MOST_LINES = 400

# A room is a folder, or a module at the top. Each may import itself and the rooms named here.
MAY_IMPORT = {
    "errors": "",
    "odata": "errors",
    "records": "odata errors",
    "reading": "records odata errors",
    "http": "odata errors",
    "auth": "http errors",
    "acumatica": "auth http odata errors",
    "settings": "acumatica auth http odata errors",
    "singer": "errors",
    "discovery": "acumatica settings records odata errors",
    "catalog": "discovery records errors",
    "extraction": "discovery settings acumatica reading records odata errors",
    "run": "extraction settings acumatica singer errors",
    "streams": "run extraction discovery singer records reading settings errors",
    "tap": "streams run discovery catalog singer settings acumatica records errors",
    "sandbox": "odata",
}
# The way in stands above all rooms.
ENTRANCES = ("cli", "__main__")


class Import(t.NamedTuple):
    """One name that a module imports."""

    line: int
    module: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imports(module: str, tree: ast.Module) -> Iterator[Import]:
    """All that a module imports, wherever in it the import stands."""
    is_package = (ROOT.joinpath(*module.split(".")) / "__init__.py").is_file()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                up = module.split(".")
                base = up[: len(up) - node.level + is_package]
                source = ".".join([*base, *filter(None, [source])])
            yield from (Import(node.lineno, source, alias.name) for alias in node.names)


@functools.cache
def arrows() -> dict[str, dict[str, int]]:
    """By module, which modules of the package it imports, each with the line."""
    found: dict[str, dict[str, int]] = {}
    for module, tree in modules().items():
        found[module] = {}
        for one in imports(module, tree):
            target = next((name for name in (str(one), one.module) if name in modules()), None)
            if target and target != module:
                found[module].setdefault(target, one.line)
    return found


def room(module: str) -> str:
    """The room a module stands in; the package itself is the room of its name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def circle(graph: Mapping[str, t.Iterable[str]]) -> list[str]:
    """The nodes of one circle in their order, the first again at the end; empty without one."""
    finished: set[str] = set()

    def search(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node not in finished:
            for target in graph.get(node, ()):
                if found := search(target, [*path, node]):
                    return found
            finished.add(node)
        return []

    return next((found for node in graph if (found := search(node, []))), [])


def attribute_of_super(node: ast.AST) -> str | None:
    """The name ``x`` where a node is ``super().x``."""
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "super"
    ):
        return node.attr
    return None


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names_of_the_sdk(module: str) -> Iterator[str]:
    """Private names of the SDK that a module imports, or reaches through ``super()``."""
    tree = modules()[module]
    uses_sdk = False
    for one in imports(module, tree):
        if str(one).split(".")[0] == "singer_sdk":
            uses_sdk = True
            if any(map(is_private, str(one).split("."))):
                yield f"{module}:{one.line} imports {one}"
    for node in ast.walk(tree):
        name = attribute_of_super(node)
        if uses_sdk and name and is_private(name):
            yield f"{module}:{t.cast('ast.Attribute', node).lineno} calls super().{name}"


def look_ups_in_config(tree: ast.Module) -> Iterator[int]:
    """Lines where something named ``config`` is subscripted or asked by ``get``."""
    for node in ast.walk(tree):
        value: ast.expr | None = None
        if isinstance(node, ast.Subscript) or (
            isinstance(node, ast.Attribute) and node.attr == "get"
        ):
            value = node.value
        name = getattr(value, "id", None) or getattr(value, "attr", None)
        if isinstance(value, (ast.Name, ast.Attribute)) and name in {"config", "_config"}:
            yield value.lineno


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert " -> ".join(circle(arrows())) == ""


def test_no_rooms_may_import_each_other_in_a_circle() -> None:
    assert circle({name: allowed.split() for name, allowed in MAY_IMPORT.items()}) == []


def test_every_room_has_its_line_in_the_table() -> None:
    rooms = {room(module) for module in modules()} - {PACKAGE, *ENTRANCES}

    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_below_it(name: str) -> None:
    allowed = {name, *MAY_IMPORT[name].split()}
    wrong = [
        f"{module}:{line} imports {target}"
        for module, targets in arrows().items()
        for target, line in targets.items()
        if room(module) == name and room(target) not in allowed
    ]

    assert not wrong, "\n".join(wrong)


def test_only_singer_py_uses_private_names_of_the_sdk() -> None:
    wrong = [
        use
        for module in modules()
        if module != f"{PACKAGE}.singer"
        for use in private_names_of_the_sdk(module)
    ]

    assert not wrong, "\n".join(wrong)


def test_no_module_is_longer_than_can_be_read_at_a_sitting() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / PACKAGE).rglob("*.py")
    }
    wrong = [f"{name}: {lines}" for name, lines in lengths.items() if lines > MOST_LINES]

    assert not wrong, "\n".join(wrong)


def test_outside_the_settings_room_nobody_looks_a_setting_up_by_its_name() -> None:
    wrong = [
        f"{module}:{line}"
        for module, tree in modules().items()
        if room(module) != "settings"
        for line in look_ups_in_config(tree)
    ]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import tap_acumatica.errors", ["tap_acumatica.errors"]),
        ("from tap_acumatica import errors", ["tap_acumatica.errors"]),
        ("from . import wire, retry", ["tap_acumatica.http.wire", "tap_acumatica.http.retry"]),
        ("from ..errors import TapError", ["tap_acumatica.errors.TapError"]),
        ("if TYPE_CHECKING:\n    from a.b import c", ["a.b.c"]),
        ("def f():\n    import a.b", ["a.b"]),
    ],
)
def test_imports_are_found_in_each_form(text: str, expected: list[str]) -> None:
    found = imports("tap_acumatica.http.body", ast.parse(text))

    assert [str(one) for one in found] == expected


def test_a_circle_is_found_and_named() -> None:
    assert circle({"a": ["b", "c"], "b": [], "c": ["d"], "d": ["c"]}) == ["c", "d", "c"]
    assert circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []


@pytest.mark.parametrize(
    "text", ["config['url']", "config.get('url')", "self.config['url']", "tap._config.get(name)"]
)
def test_a_look_up_in_the_configuration_is_found(text: str) -> None:
    assert list(look_ups_in_config(ast.parse(text))) == [1]
    assert list(look_ups_in_config(ast.parse(text.replace("config", "settings")))) == []
