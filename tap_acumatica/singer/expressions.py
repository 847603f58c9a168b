"""What an expression of a stream map names, and the JSON Schema of what it gives."""

from __future__ import annotations

import ast
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

Schema = dict[str, t.Any]

_NUMERIC = {"integer", "number"}
_BY_FUNCTION: dict[str, str] = {
    **dict.fromkeys(("md5", "sha256", "str"), "string"),
    **dict.fromkeys(("float", "rand"), "number"),
    **dict.fromkeys(("int", "len", "randint"), "integer"),
    "bool": "boolean",
}
_OF_ARGUMENTS = frozenset({"abs", "max", "min", "sum"})
_TEXT_METHODS = frozenset(
    {
        *("capitalize", "casefold", "dumps", "format", "hex", "isoformat", "join", "ljust"),
        *("lower", "lstrip", "replace", "rjust", "rstrip", "strftime", "strip", "swapcase"),
        *("title", "upper", "zfill"),
    }
)
_TEST_METHODS = frozenset({"endswith", "isalpha", "isdigit", "startswith"})
_COUNT_METHODS = frozenset({"count", "find"})
_DATE = {"type": "string", "format": "date"}


def parsed(text: str) -> ast.expr:
    """The expression that a text holds.

    Raises:
        SyntaxError: If it does not hold one.
    """
    return ast.parse(text.strip(), mode="eval").body


def undefined_names(tree: ast.AST, known: Collection[str]) -> list[str]:
    """Names that an expression uses and that mean nothing."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return list(dict.fromkeys(n.id for n in names if n.id not in bound and n.id not in known))


def names_in(tree: ast.AST) -> list[str]:
    """Names of the columns that an expression may read, each once."""
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found[node.id] = None
        elif isinstance(node, ast.Subscript) and _is_record(node.value):
            found[str(getattr(node.slice, "value", ""))] = None
    return list(found)


def schema_of(tree: ast.expr, columns: Mapping[str, Schema]) -> Schema | None:
    """The JSON Schema of what an expression gives, without null.

    Args:
        tree: The expression.
        columns: JSON Schemas of what it may name.

    Returns:
        The schema, or None where it cannot be told; of kind ``null`` for None.
    """
    find = _BY_NODE.get(type(tree))
    return find(tree, columns) if find else None


def _of_constant(tree: ast.Constant, columns: Mapping[str, Schema]) -> Schema | None:
    del columns
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number"}
    if tree.value is None:
        return {"type": "null"}
    return {"type": kinds[type(tree.value)]} if type(tree.value) in kinds else None


def _of_name(tree: ast.Name, columns: Mapping[str, Schema]) -> Schema | None:
    if tree.id in columns:
        return without_null(columns[tree.id])
    is_text = tree.id in {"__stream_name__", "__original_stream_name__"}
    return {"type": "string"} if is_text else None


def _of_subscript(tree: ast.Subscript, columns: Mapping[str, Schema]) -> Schema | None:
    if _is_record(tree.value):
        name = str(getattr(tree.slice, "value", ""))
        return without_null(columns[name]) if name in columns else None
    return {"type": "string"} if kind(schema_of(tree.value, columns)) == "string" else None


def _of_unary(tree: ast.UnaryOp, columns: Mapping[str, Schema]) -> Schema | None:
    if isinstance(tree.op, ast.Not):
        return {"type": "boolean"}
    return _plain(schema_of(tree.operand, columns))


def _of_binary(tree: ast.BinOp, columns: Mapping[str, Schema]) -> Schema | None:
    op = tree.op
    kinds = [kind(schema_of(side, columns)) for side in (tree.left, tree.right)]
    if {*kinds} <= _NUMERIC:
        whole = kinds == ["integer", "integer"] and not isinstance(op, ast.Div)
        if isinstance(op, ast.Pow):  # a negative exponent makes a fraction
            whole = whole and isinstance(tree.right, ast.Constant)
        return {"type": "integer" if whole else "number"}
    joins_texts = "string" in kinds and isinstance(op, ast.Add | ast.Mult)
    fills_text = kinds[0] == "string" and isinstance(op, ast.Mod)
    return {"type": "string"} if joins_texts or fills_text else None


def _is_record(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in {"record", "_"}


def kind(schema: Mapping[str, t.Any] | None) -> str | None:
    """The only type of a JSON Schema beside null; None where there are several, or none."""
    kinds = (schema or {}).get("type")
    listed = [kinds] if isinstance(kinds, str) else list(kinds or ())
    others = [each for each in listed if each != "null"]
    if len(others) == 1:
        return str(others[0])
    return "null" if listed and not others else None


def without_null(schema: Schema) -> Schema:
    """A JSON Schema that says nothing of null."""
    only = kind(schema)
    return schema if only is None else {**schema, "type": [only]}


def _plain(schema: Schema | None) -> Schema | None:
    """The bare type: what is computed has other bounds and other digits than its column."""
    only = kind(schema)
    return None if only is None else {"type": only}


def _joined(schemas: Iterable[Schema | None]) -> Schema | None:
    """What is one or another of these; text where nothing else fits both."""
    found = list(schemas)
    if None in found:
        return None
    others = [each for each in found if kind(each) != "null"]
    if not others:
        return None
    if all(each == others[0] for each in others):
        return others[0]
    kinds = {kind(each) for each in others}
    if kinds == _NUMERIC:
        return {"type": "number"}
    only = kinds.pop()
    return {"type": "string" if kinds or only is None else only}


def _of_call(tree: ast.Call, columns: Mapping[str, Schema]) -> Schema | None:
    if isinstance(tree.func, ast.Attribute):
        return _of_method(tree.func)
    name = tree.func.id if isinstance(tree.func, ast.Name) else ""
    if name == "round":
        return {"type": "integer" if len(tree.args) == 1 else "number"}
    if name in _OF_ARGUMENTS:
        members: list[ast.expr] = []
        for each in tree.args:
            members += each.elts if isinstance(each, ast.List | ast.Tuple) else [each]
        joined = _joined(schema_of(each, columns) for each in members)
        return joined if name in {"max", "min"} else _plain(joined)
    return {"type": _BY_FUNCTION[name]} if name in _BY_FUNCTION else None


def _of_method(func: ast.Attribute) -> Schema | None:
    called = ast.unparse(func)
    if func.attr in _TEXT_METHODS:
        return {"type": "string"}
    if func.attr in _TEST_METHODS:
        return {"type": "boolean"}
    if func.attr in _COUNT_METHODS:
        return {"type": "integer"}
    if func.attr == "date" or called == "datetime.date.today":
        return _DATE
    if called.startswith("datetime.datetime."):
        return {"type": "string", "format": "date-time"}
    return None


def _boolean(tree: ast.expr, columns: Mapping[str, Schema]) -> Schema:
    del tree, columns
    return {"type": "boolean"}


def _string(tree: ast.expr, columns: Mapping[str, Schema]) -> Schema:
    del tree, columns
    return {"type": "string"}


_BY_NODE: dict[type[ast.expr], Callable[[t.Any, Mapping[str, Schema]], Schema | None]] = {
    ast.Constant: _of_constant,
    ast.Name: _of_name,
    ast.Subscript: _of_subscript,
    ast.UnaryOp: _of_unary,
    ast.BinOp: _of_binary,
    ast.Call: _of_call,
    ast.Compare: _boolean,
    **dict.fromkeys((ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.ListComp), _string),
    ast.BoolOp: lambda tree, columns: _joined(schema_of(v, columns) for v in tree.values),
    ast.IfExp: lambda tree, columns: _joined(
        schema_of(each, columns) for each in (tree.body, tree.orelse)
    ),
}
