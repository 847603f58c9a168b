"""The house keeps its shape: who may import whom, and where the SDK's private names may stand."""

from __future__ import annotations

import ast
import typing as t
from functools import cache
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "tap_acumatica"
ROOT = Path(__file__).parent.parent / PACKAGE
LONGEST_MODULE = 400

LOWER = {"errors", "odata"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "odata": {"errors"},
    "records": LOWER,
    "reading": {*LOWER, "records"},
    "http": LOWER,
    "auth": {"errors", "http"},
    "acumatica": {*LOWER, "http", "auth"},
    "settings": {*LOWER, "http", "auth", "acumatica"},
    "singer": {"errors"},
    "discovery": {*LOWER, "records", "acumatica", "settings"},
    "catalog": {"discovery"},
    "extraction": {*LOWER, "records", "reading", "acumatica", "settings", "discovery"},
    "run": {"errors", "reading", "acumatica", "settings", "singer", "extraction"},
    "streams": {"errors", "records", "reading", "singer", "discovery", "extraction", "run"},
    "tap": {
        *("errors", "records", "acumatica", "settings", "singer", "discovery", "catalog"),
        *("run", "streams"),
    },
    "cli": {"errors", "http", "auth", "acumatica", "settings", "singer", "tap"},
    "sandbox": {"odata"},
    "__init__": set(),
    "__main__": {"cli"},
}
BELOW_SETTINGS = ("errors", "odata", "records", "reading", "http", "auth", "acumatica")


class Import(t.NamedTuple):
    """One import of one module."""

    module: str
    imported: str


def module_name(path: Path) -> str:
    names = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@cache
def trees() -> dict[str, ast.Module]:
    """Every module of the package, by name."""
    return {module_name(path): ast.parse(path.read_text("utf-8")) for path in ROOT.rglob("*.py")}


@cache
def imports() -> tuple[Import, ...]:
    """Every import within the package, those for types and those in functions as well."""
    return tuple(_imports())


def _imports() -> Iterator[Import]:
    known = trees()
    for module, tree in known.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [
                    full if (full := f"{node.module}.{alias.name}") in known else node.module
                    for alias in node.names
                ]
            else:
                continue
            for name in dict.fromkeys(names):
                if name in known and name != module:
                    yield Import(module, name)


def room(module: str) -> str:
    """The room a module is in: a folder of the package, or a module beside them."""
    names = module.split(".")
    return names[1] if len(names) > 1 else "__init__"


def test_every_room_is_known() -> None:
    assert {room(module) for module in trees()} == MAY_IMPORT.keys()


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_only_rooms_below_it(name: str) -> None:
    wrong = [
        f"{found.module} imports {found.imported}"
        for found in imports()
        if room(found.module) == name and room(found.imported) not in {name, *MAY_IMPORT[name]}
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    above: dict[str, set[str]] = {module: set() for module in trees()}
    for found in imports():
        above[found.module].add(found.imported)
    while free := {module for module, imported in above.items() if not imported & above.keys()}:
        above = {module: imported for module, imported in above.items() if module not in free}
    assert sorted(above) == []


def test_private_names_of_the_sdk_stand_in_one_module() -> None:
    wrong = [
        f"{module}: {ast.unparse(node)[:60]}"
        for module, tree in trees().items()
        if module != f"{PACKAGE}.singer"
        for node in ast.walk(tree)
        if _imports_privately(node) or _overrides_or_calls_privately(node)
    ]
    assert wrong == []


def _imports_privately(node: ast.AST) -> bool:
    if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("singer_sdk"):
        return False
    names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    return any(name.startswith("_") and not name.startswith("__") for name in names)


def _overrides_or_calls_privately(node: ast.AST) -> bool:
    """A private method marked as overriding, or one called on ``super()``."""
    if isinstance(node, ast.FunctionDef):
        marks = {mark.id for mark in node.decorator_list if isinstance(mark, ast.Name)}
        return "override" in marks and node.name.startswith("_") and not node.name.endswith("__")
    return (
        isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "super"
    )


def test_below_the_settings_nobody_looks_one_up_by_name() -> None:
    wrong = [
        f"{module}:{node.lineno}"
        for module, tree in trees().items()
        if room(module) in BELOW_SETTINGS
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and (node.id if isinstance(node, ast.Name) else node.attr) in {"config", "_config"}
    ]
    assert wrong == []


@pytest.mark.parametrize("module", sorted(trees()))
def test_a_module_is_short_enough_to_be_read(module: str) -> None:
    path = ROOT.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_MODULE
