"""The house keeps its shape: who may import whom, and where the SDK's private names may stand.

CONTRIBUTING.md draws the same picture. Imports are read from the source, so those for type
checkers only, and those inside functions, count like any other.
"""

from __future__ import annotations

import ast
import re
import typing as t
from functools import cache
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    "discovery": {"reading", *LOWER, "records", "acumatica", "settings"},
    "catalog": {"discovery"},
    "catalog_input": {"errors", "catalog"},
    "catalog_entry": {"records", "discovery"},
    "state_input": {"errors", "records", "reading"},
    "bookmarks": {*LOWER, "records", "reading", "state_input", "singer"},
    "activation": {"errors", "settings", "discovery"},
    "columns": {*LOWER, "records", "reading", "settings", "discovery"},
    "extraction": {
        *LOWER,
        *("records", "reading", "acumatica", "settings", "discovery", "columns"),
    },
    "run": {"errors", "reading", "acumatica", "settings", "singer", "extraction"},
    "sync": {
        *("errors", "records", "reading", "singer", "discovery", "extraction", "run"),
        *("activation", "state_input"),
    },
    "streams": {
        *("errors", "records", "reading", "singer", "discovery", "extraction", "run", "sync"),
        *("bookmarks", "catalog_entry"),
    },
    "tap": {
        *("errors", "records", "acumatica", "settings", "singer", "discovery", "catalog"),
        *("run", "streams", "bookmarks", "state_input", "catalog_entry", "catalog_input"),
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
    return tuple(
        Import(module, name)
        for module, tree in trees().items()
        for name in dict.fromkeys(imported_modules(module, tree))
        if name != module
    )


def imported_modules(module: str, tree: ast.Module) -> Iterator[str]:
    """The modules of the package that a module imports, in whatever form it does."""
    known = trees()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            source = absolute_name(module, node)
            for alias in node.names:
                full = f"{source}.{alias.name}"
                if full in known:
                    yield full
                elif source in known:
                    yield source


def absolute_name(module: str, node: ast.ImportFrom) -> str:
    """What a ``from`` import names, also where it is relative to the module."""
    if not node.level:
        return node.module or ""
    is_package = ROOT.parent.joinpath(*module.split("."), "__init__.py").is_file()
    names = module.split(".")
    above = names[: len(names) - node.level + is_package]
    return ".".join([*above, *([node.module] if node.module else [])])


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
    graph: dict[str, list[str]] = {module: [] for module in trees()}
    for found in imports():
        graph[found.module].append(found.imported)
    assert " -> ".join(circle(graph)) == ""


def test_no_rooms_may_import_each_other_in_a_circle() -> None:
    assert circle(MAY_IMPORT) == []


def test_the_picture_in_contributing_md_shows_these_arrows() -> None:
    drawn = picture()
    reached: dict[str, set[str]] = {}
    for name in MAY_IMPORT:
        reached[name] = set()
        waiting = [name]
        while waiting:
            new = drawn.get(waiting.pop(), set()) - reached[name]
            reached[name] |= new
            waiting += new
    for name in MAY_IMPORT.keys() - {"__init__", "__main__"}:
        assert drawn.get(name, set()) <= MAY_IMPORT[name], name
        assert MAY_IMPORT[name] <= reached[name], name


def picture() -> dict[str, set[str]]:
    """The arrows that CONTRIBUTING.md draws."""
    text = (ROOT.parent / "CONTRIBUTING.md").read_text("utf-8")
    lines = re.sub(r'\[".*?"\]', "", text.partition("```mermaid")[2].partition("```")[0])
    found = re.findall(r"^ +(\w+) --> (.+)$", lines, flags=re.MULTILINE)
    return {source: set(targets.split(" & ")) for source, targets in found}


def test_private_names_of_the_sdk_stand_in_one_room() -> None:
    wrong = [
        f"{module}: {ast.unparse(node)[:60]}"
        for module, tree in trees().items()
        if room(module) != "singer"
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import tap_acumatica.errors", "tap_acumatica.errors"),
        ("from tap_acumatica import errors", "tap_acumatica.errors"),
        ("from tap_acumatica.errors import TapError", "tap_acumatica.errors"),
        ("from . import retry", "tap_acumatica.http.retry"),
        ("from .retry import RetryableError", "tap_acumatica.http.retry"),
        ("from ..errors import TapError", "tap_acumatica.errors"),
        ("if t.TYPE_CHECKING:\n    import tap_acumatica.errors", "tap_acumatica.errors"),
        ("def f():\n    import tap_acumatica.errors", "tap_acumatica.errors"),
    ],
)
def test_an_import_is_seen_in_each_form(text: str, expected: str) -> None:
    found = imported_modules("tap_acumatica.http.body", ast.parse(text))

    assert list(found) == [expected]


def test_a_circle_is_found_and_named() -> None:
    assert circle({"a": ["b", "c"], "b": [], "c": ["d"], "d": ["c"]}) == ["c", "d", "c"]
    assert circle({"a": ["b", "c"], "b": ["c"], "c": []}) == []
