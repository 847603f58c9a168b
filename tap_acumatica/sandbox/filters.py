"""Compiles `$filter` to a parameterised SQL condition, with the grammar of odata-query."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from odata_query import ast, exceptions
from odata_query.grammar import ODataLexer, ODataParser

from . import errors
from .clock import STORED
from .model import NUMBERS, Column
from .store import comparable

if TYPE_CHECKING:
    from .source import Joiner, Source

_OPERATORS: dict[type, tuple[str, str]] = {
    ast.Eq: ("=", "Equal"),
    ast.NotEq: ("<>", "NotEqual"),
    ast.Lt: ("<", "LessThan"),
    ast.LtE: ("<=", "LessThanOrEqual"),
    ast.Gt: (">", "GreaterThan"),
    ast.GtE: (">=", "GreaterThanOrEqual"),
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_BOOLEAN_FUNCTIONS = {
    "contains": "instr(lower({0}), lower({1})) > 0",
    "startswith": "substr(lower({0}), 1, length({1})) = lower({1})",
    "endswith": "substr(lower(rtrim({0})), -length({1})) = lower({1})",
}
_STRING_FUNCTIONS = {
    "tolower": ("String", "lower({0})"),
    "toupper": ("String", "upper({0})"),
    "trim": ("String", "trim({0})"),
    "length": ("Int32", "length(rtrim({0}))"),
}
_DATE_FUNCTIONS = {"year": (1, 4), "month": (6, 2), "day": (9, 2), "hour": (12, 2)}
_DATE_TIME = re.compile(r"(.{10})T(\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True)
class Condition:
    """SQL, its parameters, the columns it names, and whether it has a `ne null`."""

    sql: str
    parameters: tuple[object, ...]
    columns: frozenset[str]
    not_null: bool = False


@dataclass(frozen=True)
class _Operand:
    edm: str
    sql: str
    parameters: tuple[object, ...] = ()
    column: str = ""

    @property
    def comparable(self) -> str:
        return comparable(Column("", self.edm), self.sql)


@dataclass
class _Compiler:
    source: Source
    joiner: Joiner
    text: str
    not_null: bool = False
    columns: set[str] | None = None

    def condition(self, node: Any) -> tuple[str, tuple[object, ...]]:
        if isinstance(node, ast.BoolOp):
            return self._logical(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            sql, parameters = self.condition(node.operand)
            return f"NOT ({sql})", parameters
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.Call) and node.func.full_name() in _BOOLEAN_FUNCTIONS:
            one, other = (self._operand(argument) for argument in node.args)
            sql = _BOOLEAN_FUNCTIONS[node.func.full_name()]
            order = re.findall(r"\{(\d)\}", sql)
            values = [p for o in order for p in (one, other)[int(o)].parameters]
            return sql.format(one.sql, other.sql), tuple(values)
        operand = self._operand(node)
        if operand.edm != "Boolean":
            msg = "The $filter expression must evaluate to a single boolean value."
            raise errors.QueryError(msg)
        return f"{operand.sql} = 1", operand.parameters

    def _logical(self, node: ast.BoolOp) -> tuple[str, tuple[object, ...]]:
        if (
            isinstance(node.op, ast.Or)
            and self.source.inquiry
            and all(
                isinstance(side, ast.Call) and side.func.name == "startswith"
                for side in (node.left, node.right)
            )
        ):
            raise errors.EmptyAnswerError
        left, first = self.condition(node.left)
        right, second = self.condition(node.right)
        word = "OR" if isinstance(node.op, ast.Or) else "AND"
        return f"({left} {word} {right})", first + second

    def _compare(self, node: ast.Compare) -> tuple[str, tuple[object, ...]]:
        if isinstance(node.comparator, ast.In):
            return self._in_list(node)
        if isinstance(node.left, ast.Call) and node.left.func.name in _BOOLEAN_FUNCTIONS:
            sql, parameters = self.condition(node.left)
            right = self._operand(node.right)
            return f"({sql}) = {right.sql}", parameters + right.parameters
        operator, kind = _OPERATORS[type(node.comparator)]
        left, right = self._operand(node.left), self._operand(node.right)
        if left.edm == "Null":
            left, right = right, left
            operator = _MIRRORED.get(operator, operator)
        if right.edm == "Null":
            if operator not in {"=", "<>"}:
                return "0", ()
            self.not_null = self.not_null or operator == "<>"
            word = "IS NULL" if operator == "=" else "IS NOT NULL"
            return f"{left.sql} {word}", left.parameters
        _check_types(left, right, kind)
        if not left.column and right.column:
            left, right = right, left
            operator = _MIRRORED.get(operator, operator)
        value = _matching_value(left, right)
        return f"{left.comparable} {operator} {value}", left.parameters + right.parameters

    def _in_list(self, node: ast.Compare) -> tuple[str, tuple[object, ...]]:
        left = self._operand(node.left)
        values: Any = node.right  # the grammar allows only lists here
        rights = [self._operand(value) for value in values.val]
        for right in rights:
            _check_types(left, right, "Equal")
        marks = ", ".join(_matching_value(left, right) for right in rights)
        parameters = tuple(p for right in rights for p in right.parameters)
        return f"{left.comparable} IN ({marks})", left.parameters + parameters

    def _operand(self, node: Any) -> _Operand:
        if isinstance(node, ast.Identifier):
            column = self.source.filterable(node.full_name(), "$filter")
            if self.columns is not None:
                self.columns.add(column.name)
            return _Operand(column.edm, self.source.expressions[column.name], (), column.name)
        if isinstance(node, ast.Attribute):
            return self._navigated(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        found = _literal(node)
        if found is not None:
            edm, value = found
            return _Operand(
                edm, "NULL" if edm == "Null" else "?", (value,) if value is not None else ()
            )
        msg = f"The expression '{self.text}' is not supported."
        raise errors.QueryError(msg)

    def _navigated(self, node: ast.Attribute) -> _Operand:
        if not isinstance(node.owner, ast.Identifier):
            msg = f"The expression '{self.text}' is not supported."
            raise errors.QueryError(msg)
        other, many = self.joiner.follow(self.source, node.owner.full_name(), 1)
        if many:
            msg = "The parent value for a property access of a property is not a single value."
            raise errors.QueryError(msg)
        column = other.filterable(node.attr, "$filter")
        sql = (
            f"(SELECT {other.expressions[column.name]} FROM {other.tables}"  # noqa: S608 - names of ours
            f" WHERE {other.condition} LIMIT 1)"
        )
        return _Operand(column.edm, sql, (), column.name)

    def _call(self, node: ast.Call) -> _Operand:
        name = node.func.full_name()
        argument = self._operand(node.args[0]) if node.args else _Operand("Null", "NULL")
        if name in _STRING_FUNCTIONS:
            edm, sql = _STRING_FUNCTIONS[name]
            return replace(argument, edm=edm, sql=sql.format(argument.sql))
        if name in _DATE_FUNCTIONS:
            start, length = _DATE_FUNCTIONS[name]
            sql = f"CAST(substr({argument.sql}, {start}, {length}) AS INTEGER)"
            return replace(argument, edm="Int32", sql=sql)
        raise _unknown_function(name)


def compile_filter(text: str, source: Source, joiner: Joiner) -> Condition:
    """Return the SQL condition of a `$filter`.

    Raises:
        QueryError: if it cannot be parsed, or names an unknown column or function.
    """
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(text))
    except exceptions.UnknownFunctionException as error:
        raise _unknown_function(error.function_name) from error
    except exceptions.ODataException as error:
        raise _syntax_error(text) from error
    compiler = _Compiler(source, joiner, text, columns=set())
    sql, parameters = compiler.condition(tree)
    return Condition(sql, parameters, frozenset(compiler.columns or ()), compiler.not_null)


def literal(text: str) -> tuple[str, object]:
    """Return the type of a literal, and its value in the form of the database.

    Raises:
        QueryError: if the text is not a literal.
    """
    try:
        node = ODataParser().parse(ODataLexer().tokenize(text))
    except exceptions.ODataException as error:
        raise _syntax_error(text) from error
    found = _literal(node)
    if found is None:
        raise _syntax_error(text)
    return found


def _literal(node: Any) -> tuple[str, object] | None:
    if isinstance(node, ast.Null):
        return "Null", None
    if isinstance(node, (ast.DateTime, ast.Date)):
        return "DateTimeOffset", moment(node.val)
    if isinstance(node, (ast.Integer, ast.Boolean)):
        return "Int64" if isinstance(node, ast.Integer) else "Boolean", int(node.py_val)
    if isinstance(node, ast.GUID):
        return "Guid", node.val.lower()
    if isinstance(node, (ast.String, ast.Float)):
        return "String" if isinstance(node, ast.String) else "Decimal", node.val
    return None


def moment(text: str) -> str:
    """Convert a date-time literal to a form that compares with values in the database.

    Raises:
        QueryError: if it has no zone, or is not a date-time.
    """
    found = _DATE_TIME.fullmatch(text if "T" in text.upper() else f"{text}T00:00:00Z")
    if found is None or found[5] is None:
        msg = (
            f"The time zone information is missing on the DateTimeOffset value '{text}'."
            " A DateTimeOffset value must contain the time zone information."
        )
        raise errors.QueryError(msg)
    try:
        local = datetime.strptime(f"{found[1]}T{found[2]}:{found[3] or '00'}+0000", f"{STORED}%z")
    except ValueError as error:
        raise _syntax_error(text) from error
    utc = (local - _offset(found[5])).astimezone(timezone.utc).strftime(STORED)
    fraction = (found[4] or "").rstrip("0").ljust(3, "0")
    return f"{utc}.{fraction}"


def _offset(text: str) -> timedelta:
    if text in {"Z", "z"}:
        return timedelta()
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    return timedelta(minutes=-minutes if text[0] == "-" else minutes)


def _matching_value(left: _Operand, right: _Operand) -> str:
    if left.edm == "String":
        return f"rtrim({right.sql})"
    return f"CAST({right.sql} AS TEXT)" if left.edm == "Decimal" else right.sql


def _check_types(left: _Operand, right: _Operand, kind: str) -> None:
    if left.edm in NUMBERS and right.edm in NUMBERS:
        return
    if left.edm != right.edm or (left.edm == "Binary" and kind not in {"Equal", "NotEqual"}):
        raise errors.incompatible_types(f"Edm.{left.edm}", f"Edm.{right.edm}", kind)


def _unknown_function(name: str) -> errors.QueryError:
    return errors.QueryError(
        f"An unknown function with name '{name}' was found. This may also be a function import"
        " or a key lookup on a navigation property, which is not allowed."
    )


def _syntax_error(text: str) -> errors.QueryError:
    odd = re.search(r"\b([a-z]+'[^']*')", text)
    if odd:
        return errors.QueryError(
            f"Unrecognized 'Edm.String' literal '{odd[1]}' at '{odd.start()}' in '{text}'."
        )
    return errors.QueryError(f"Syntax error at position {len(text)} in '{text}'.")
