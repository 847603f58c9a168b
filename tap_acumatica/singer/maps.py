"""Stream maps: the SDK's, with exact amounts, the right types, and errors that name their cause."""

from __future__ import annotations

import ast
import contextlib
import copy
import difflib
import fnmatch
import importlib.util
import keyword
import typing as t

from singer_sdk import typing as th
from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    CustomStreamMap,
    PluginMapper,
    RemoveRecordTransform,
    SameRecordTransform,
    StreamMap,
)
from typing_extensions import override

from tap_acumatica.errors import MapError
from tap_acumatica.singer.amounts import Amount, as_amounts, as_decimals
from tap_acumatica.singer.expressions import kind, names_in, parsed, schema_of, undefined_names
from tap_acumatica.singer.fitting import FITTING
from tap_acumatica.singer.flattening import Flattener

if t.TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

Schema = dict[str, t.Any]
Record = dict[str, t.Any]

_OPERATORS = (
    *(MAPPER_ALIAS_OPTION, MAPPER_ELSE_OPTION, MAPPER_FILTER_OPTION),
    *(MAPPER_KEY_PROPERTIES_OPTION, MAPPER_SOURCE_OPTION),
)
_OWN_NAMES = frozenset(
    {"_", "record", "config", "self", "__stream_name__", "__original_stream_name__"}
)


class _Flattening(StreamMap):
    """A map that flattens records by its schema."""

    _flattener: Flattener | None = None
    _nested: Schema | None = None

    @override
    def flatten_schema(self, raw_schema: Schema) -> Schema:
        if self.flattening_options and self.flattening_enabled:
            self._nested = raw_schema
            self._flattener = Flattener(raw_schema, self.flattening_options)
        return super().flatten_schema(raw_schema)

    @override
    def flatten_record(self, record: Record) -> Record:
        return self._flattener.flattened(record) if self._flattener else record


class SameRecordMap(_Flattening, SameRecordTransform):
    """Leaves records as they are, but may flatten them."""


class ExpressionMap(_Flattening, CustomStreamMap):
    """Computes columns by expressions."""

    def __init__(self, source: str, **arguments: t.Any) -> None:
        """Parse the expressions.

        Args:
            source: Name of the stream whose records are mapped.
            arguments: What the SDK's map takes.

        Raises:
            MapError: If an expression cannot be evaluated, whatever the record.
        """
        self._stream = source
        self._computed: dict[str, str] = {}
        self._trees: dict[str, ast.expr] = {}
        super().__init__(stream_name=source, **arguments)
        operators = t.cast("dict[t.Any, t.Any]", self.expr_evaluator.operators)
        operators[ast.Pow] = _power(operators[ast.Pow])

    @property
    @override
    def functions(self) -> dict[str, Callable[..., t.Any]]:
        """What expressions can call: the SDK's functions, and what amounts are computed with."""
        more: dict[str, t.Any] = {
            "abs": abs,
            "len": len,
            "max": max,
            "min": min,
            "round": round,
            "sum": sum,
        }
        return {**super().functions, **more}

    @override
    def _init_functions_and_schema(
        self, stream_map: dict[str, t.Any]
    ) -> tuple[Callable[[Record], bool], Callable[[Record], Record | None], Schema]:
        # The SDK removes columns from its copy while it still looks others up in it.
        self._columns: dict[str, Schema] = copy.deepcopy(self.raw_schema.get("properties", {}))
        wanted = {n: v.strip() if isinstance(v, str) else v for n, v in stream_map.items()}
        if wanted.get(MAPPER_ELSE_OPTION, "") in {None, NULL_STRING}:
            keys = wanted.get(MAPPER_KEY_PROPERTIES_OPTION, self.raw_key_properties)
            for name in keys or ():
                if name in self._columns:
                    wanted.setdefault(name, _reference(name))
        self._refuse_operators(wanted)
        for name, text in wanted.items():
            if isinstance(text, str) and text != NULL_STRING and name != MAPPER_ELSE_OPTION:
                self._trees[text] = self._checked(name, text)
                if name != MAPPER_FILTER_OPTION:
                    self._computed[name] = text
        if wanted.get(MAPPER_KEY_PROPERTIES_OPTION, ()) is None:
            wanted[MAPPER_KEY_PROPERTIES_OPTION] = []  # a SCHEMA without that member is none
        made = super()._init_functions_and_schema(wanted)
        self._declared: dict[str, Schema] = (self._nested or made[2]).get("properties", {})
        return made

    def _refuse_operators(self, wanted: t.Iterable[str]) -> None:
        """Refuse names that are nearly those of the SDK's operators.

        Raises:
            MapError: If there are any.
        """
        for name in wanted:
            near = difflib.get_close_matches(name, _OPERATORS, n=1, cutoff=0.8)
            if near and name not in {*_OPERATORS, *self._columns}:
                msg = f"{self._stream}: 'stream_maps' has '{name}'; did you mean {near[0]}?"
                raise MapError(msg)

    def _checked(self, column: str, text: str) -> ast.expr:
        """The expression, if it can be evaluated at all.

        Raises:
            MapError: If it cannot.
        """
        try:
            tree = parsed(text)
        except (SyntaxError, ValueError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else error
            msg = f"{self._wrong(column, text)}: it is not an expression ({reason})"
            raise MapError(msg) from error
        known = {*self._columns, *self.functions, *_OWN_NAMES}
        for name in undefined_names(tree, known):
            if name != "fake":
                msg = f"{self._wrong(column, text)}: there is no column or function '{name}'"
                raise MapError(msg)
            if not importlib.util.find_spec("faker"):
                msg = (
                    f"{self._wrong(column, text)}: the package 'faker' is not installed; "
                    "pip install 'singer-sdk[faker]'"
                )
                raise MapError(msg)
        return tree

    def _wrong(self, column: str, text: str) -> str:
        return f"{self._stream}: 'stream_maps' cannot compute {column} by '{text}'"

    @override
    def _eval_type(
        self, expr: str, default: th.JSONTypeHelper[t.Any] | None = None
    ) -> th.JSONTypeHelper[t.Any]:
        own = {"self": default.type_dict} if isinstance(default, th.CustomType) else {}
        found = schema_of(self._trees[expr], {**own, **self._columns})
        if found is None or kind(found) == "null":
            return super()._eval_type(expr, default)
        only = kind(found)
        return th.CustomType({**copy.deepcopy(found), **({"type": [only]} if only else {})})

    @override
    def transform(self, record: Record) -> Record | None:
        """The mapped record; None where it is filtered out.

        Raises:
            MapError: If an expression cannot be evaluated; it names the expression and the row.
        """
        made = self._transform_fn(as_amounts(record))
        if made is None:
            return None
        made = as_decimals(made)
        for name, text in self._computed.items():
            made[name] = self._fitted(name, text, made.get(name), record)
        return self.flatten_record(made)

    @override
    def _eval(
        self, expr: str, expr_parsed: ast.Expr, record: Record, property_name: str | None
    ) -> t.Any:
        try:
            return super()._eval(expr, expr_parsed, record, property_name)
        except Exception as error:
            column = property_name or MAPPER_FILTER_OPTION
            cause = error.__cause__ or error
            nulls = [n for n in names_in(self._trees[expr]) if n in record and record[n] is None]
            hint = f"; {', '.join(nulls)} is null there" if nulls else ""
            reason = f"{type(cause).__name__}: {cause}{hint}"
            raise self._failed(column, expr, record, reason) from error

    def _failed(self, column: str, text: str, record: Record, reason: str) -> MapError:
        keys = [n for n in self.raw_key_properties or () if n in record]
        row = ", ".join(f"{name}={record[name]}" for name in keys)
        where = f" in row {row}" if row else ""
        return MapError(" ".join(f"{self._wrong(column, text)}{where}: {reason}".split()))

    def _fitted(self, name: str, text: str, value: t.Any, record: Record) -> t.Any:
        """A computed value in the type that SCHEMA declares for it.

        Raises:
            MapError: If it cannot be of that type.
        """
        declared = kind(self._declared.get(name))
        if value is None or declared not in FITTING:
            return value
        try:
            return FITTING[declared](value)
        except (TypeError, ValueError, ArithmeticError) as error:
            reason = f"it gives a {type(value).__name__}, but the column is of type {declared}"
            raise self._failed(name, text, record, reason) from error


def _reference(name: str) -> str:
    """An expression that reads a column."""
    if name.isidentifier() and not keyword.iskeyword(name):
        return name
    return f"record[{name!r}]"


def _power(standard: Callable[[t.Any, t.Any], t.Any]) -> Callable[[t.Any, t.Any], t.Any]:
    """The power of amounts, too, whose digits are limited; the SDK refuses those over 4 million."""

    def power(base: t.Any, exponent: t.Any) -> t.Any:
        if isinstance(base, Amount) or isinstance(exponent, Amount):
            return base**exponent
        return standard(base, exponent)

    return power


class StreamMapper(PluginMapper):
    """Makes the maps of each stream.

    Attributes:
        raw: Schema and key of each stream, before its maps.
        errors: Why a stream's maps cannot be used, by stream.
    """

    def __init__(self, config: Mapping[str, t.Any], logger: logging.Logger) -> None:
        """Take the settings of the SDK: maps, flattening, faker.

        Args:
            config: The settings; they are not changed.
            logger: For what the SDK says of the maps.

        Raises:
            Exception: What the SDK raises where they cannot be used.
        """
        given = {name: value for name, value in config.items() if value is not None}
        maps = copy.deepcopy(given.get("stream_maps", {}))
        super().__init__({**given, "stream_maps": maps}, logger)
        if self.default_mapper_type is SameRecordTransform:
            self.default_mapper_type = SameRecordMap
        self.raw: dict[str, tuple[Schema, Sequence[str]]] = {}
        self.errors: dict[str, MapError] = {}

    @override
    def register_raw_stream_schema(
        self, stream_name: str, schema: Schema, key_properties: Sequence[str] | None
    ) -> None:
        """Make the maps of a stream, in place of those it had.

        Args:
            stream_name: Its name.
            schema: JSON Schema of its records.
            key_properties: Its key.

        Raises:
            Exception: What a map raises that cannot be used.
        """
        self.raw[stream_name] = copy.deepcopy(schema), tuple(key_properties or ())
        maps: list[StreamMap] = [
            self.default_mapper_type(stream_name, schema, key_properties, self.flattening_options)
        ]
        for name, definition in self.stream_maps_dict.items():
            wanted = dict(definition) if isinstance(definition, dict) else None
            is_copy = wanted is not None and MAPPER_SOURCE_OPTION in wanted
            source = wanted.pop(MAPPER_SOURCE_OPTION) if wanted and is_copy else name
            if stream_name != source and not fnmatch.fnmatch(stream_name, source):
                continue
            if wanted is None:
                removed = RemoveRecordTransform(stream_name, schema, None, self.flattening_options)
                maps[0] = removed
                continue
            if stream_name == source:
                self._warn_of_absent(stream_name, wanted, schema)
            alias = name if is_copy else stream_name
            if MAPPER_ALIAS_OPTION in wanted:
                alias = _alias(wanted.pop(MAPPER_ALIAS_OPTION), stream_name)
            made = ExpressionMap(
                stream_name,
                stream_alias=alias,
                map_transform=wanted,
                map_config=self.map_config,
                faker_config=self.faker_config,
                raw_schema=schema,
                key_properties=key_properties,
                flattening_options=self.flattening_options,
            )
            if is_copy:
                maps.append(made)
            else:
                maps[0] = made
        _refuse_lost_keys(stream_name, maps)
        self.stream_maps[stream_name] = maps

    def _warn_of_absent(self, stream: str, wanted: Mapping[str, t.Any], schema: Schema) -> None:
        """Warn of columns that a map leaves out and that are not there: a name with a mistake."""
        columns = schema.get("properties", {})
        absent = [n for n, v in wanted.items() if v in (None, NULL_STRING) and n not in columns]
        if names := ", ".join(name for name in absent if not name.startswith("__")):
            self.logger.warning(
                "%s: 'stream_maps' leaves out %s, which is not one of its columns (maps come "
                "before flattening); check the name.",
                stream,
                names,
            )

    def leaves_out(self, stream: str) -> bool:
        """Whether nothing of a stream leaves, and that is no error."""
        maps = self.stream_maps.get(stream, ())
        return stream not in self.errors and all(
            isinstance(each, RemoveRecordTransform) for each in maps
        )

    def find_clashes(self, streams: Sequence[str]) -> None:
        """Take note of streams whose maps give a name that another stream leaves under.

        Args:
            streams: The streams that are read.
        """
        owners: dict[str, list[str]] = {}
        for stream in streams:
            for each in () if stream in self.errors else self.stream_maps[stream]:
                if not isinstance(each, RemoveRecordTransform):
                    owners.setdefault(each.stream_alias, []).append(stream)
        for alias, sharing in owners.items():
            for stream in sharing if len(sharing) > 1 else ():
                others = [other for other in sharing if other != stream]
                if stream != alias or not others:
                    taken = f"as stream {others[0]} does" if others else "twice"
                    msg = (
                        f"{stream}: 'stream_maps' makes it leave under the name '{alias}', "
                        f"{taken}; give each a name of its own"
                    )
                    self.errors[stream] = MapError(msg)


def _refuse_lost_keys(stream: str, maps: Sequence[StreamMap]) -> None:
    """Refuse flattening that shortens the name of a column of the key, by a ``MapError``."""
    for each in maps:
        held = each.transformed_schema.get("properties", {})
        lost = [name for name in each.transformed_key_properties or () if name not in held]
        if lost and not isinstance(each, RemoveRecordTransform):
            msg = (
                f"{stream}: 'flattening_max_key_length' shortens {', '.join(lost)}, which is part "
                "of its key, so no loader would find it; set a larger one"
            )
            raise MapError(msg)


def _alias(text: str, stream: str) -> str:
    """The name that an ``__alias__`` gives a stream: itself, or a text that it computes.

    Raises:
        MapError: If it computes something else of the stream's name.
    """
    found: t.Any = None
    with contextlib.suppress(Exception):  # it is a name, not an expression
        found = PluginMapper._eval_stream(text, stream)  # noqa: SLF001
    if isinstance(found, str) and found:
        return found
    if not text or "__stream_name__" in text:
        msg = f"{stream}: 'stream_maps' has the __alias__ '{text}', which does not give a name"
        raise MapError(msg)
    return text
