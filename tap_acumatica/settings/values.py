"""Reads the values of settings as they are meant, where that is beyond doubt.

Variables of the environment are texts; Meltano, YAML and people write texts where a number, a
switch or a list is wanted. What may mean two things is left as it is, and the checks refuse it.
Secrets are left to the caller: blanks and quotation marks may be part of them.
"""

from __future__ import annotations

import json
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Schema: t.TypeAlias = "Mapping[str, t.Any]"

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
_BLANKS = " \t\r\n\f\v\0\u00a0\u2007\u200b\u202f\u2060\u3000\ufeff"
LINE_ENDS = "\r\n\0"
"""What is behind a text of a file with the line ends of Windows, and cannot be typed."""

_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019"}
_MARKS = frozenset("\"'`\u201c\u201d\u201e\u2018\u2019")
VARIABLE = re.compile(r"\$\{\w+\}")
"""A text that is a variable, which some loaders replace and others leave as it is."""

_WHOLE = re.compile(r"[+-]?\d{1,18}(\.0+)?", re.ASCII)


def unchanged(text: str) -> str:
    """A secret as it was given."""
    return text


def as_meant(
    value: t.Any,
    schema: Schema,
    *,
    separated: bool = False,
    secret: Callable[[str], str] = unchanged,
) -> t.Any:
    r"""A value in the type of its setting; as it is where its meaning is in doubt.

    >>> as_meant(" 500\r", {"type": "integer"})
    500
    >>> as_meant("ture", {"type": "boolean"})
    'ture'

    Args:
        value: The value as given.
        schema: JSON Schema of the setting.
        separated: Whether a text without brackets is a list of entries between commas, as in
            variables of the environment.
        secret: What to make of a secret.
    """
    kind = kind_of(schema)
    if isinstance(value, str):
        if kind == "string":
            return secret(value) if is_secret(schema) else _string(value, schema)
        found = _from_text(value, kind, schema, separated=separated)
        return value if found is value else as_meant(found, schema, secret=secret)
    if kind == "integer" and isinstance(value, float):
        value = int(value) if value.is_integer() else value
    elif kind == "boolean" and type(value) is int:
        value = bool(value) if value in {0, 1} else value
    elif kind == "array" and isinstance(value, list):
        items = schema.get("items", {})
        value = [as_meant(each, items) if isinstance(each, str) else each for each in value]
    elif kind == "object" and isinstance(value, dict):
        value = _members(value, schema, secret)
    return value


def kind_of(schema: Schema) -> str:
    """The type that a schema asks for, besides null; empty where it asks for none."""
    kinds = schema.get("type", "")
    if isinstance(kinds, str):
        return kinds
    return next((kind for kind in kinds if kind != "null"), "")


def secret_fault(value: str) -> str:
    """What looks wrong with a secret as it was given; empty where nothing does."""
    if value.rstrip(LINE_ENDS) != value:
        return "ends with a line end, which is cut off"
    if value.strip(_BLANKS) != value:
        return "begins or ends with a blank, which is part of it"
    if len(value) > 1 and _QUOTES.get(value[0]) == value[-1]:
        return "stands in quotation marks, which are part of it"
    if VARIABLE.fullmatch(value):
        return "looks like the name of a variable, which is not replaced here"
    return ""


def is_secret(schema: Schema) -> bool:
    """Whether a text must not be changed or shown."""
    return bool(schema.get("secret"))


def _members(
    value: dict[str, t.Any], schema: Schema, secret: Callable[[str], str]
) -> dict[str, t.Any]:
    declared, others = schema.get("properties", {}), schema.get("additionalProperties")
    found = {}
    for name, member in value.items():
        own = declared.get(name, others)
        found[name] = as_meant(member, own, secret=secret) if isinstance(own, dict) else member
    return found


def _from_text(text: str, kind: str, schema: Schema, *, separated: bool) -> t.Any:
    """What a text says of a setting that is not a text; the same text where that is in doubt."""
    plain = _unquoted(text)
    if not plain and kind:
        return None
    if kind == "boolean":
        folded = plain.casefold()
        return True if folded in _TRUE else False if folded in _FALSE else text
    if kind == "integer":
        return int(plain.partition(".")[0]) if _WHOLE.fullmatch(plain) else text
    found = None
    if kind == "object":
        found = _json(text)
    elif kind == "array":
        found = _list(text, schema, separated=separated)
    return found if isinstance(found, dict if kind == "object" else list) else text


def _string(text: str, schema: Schema) -> str:
    plain = _unquoted(text)
    choices = [choice for choice in schema.get("enum") or () if isinstance(choice, str)]
    return next((each for each in choices if each.casefold() == plain.casefold()), plain)


def _unquoted(text: str) -> str:
    """A text without blanks around it, and without the quotation marks that some loaders leave."""
    plain = text.strip(_BLANKS)
    end = _QUOTES.get(plain[:1])
    if end and len(plain) > 1 and plain.endswith(end):
        inner = plain[1:-1].strip(_BLANKS)
        if inner[:1] in {"[", "{"} or not (plain[0] in inner or end in inner):
            return inner
    return plain


def _json(text: str) -> t.Any:
    """The list or object that a JSON text holds, also where it is encoded or quoted twice."""
    plain = text.strip(_BLANKS)
    for candidate in (plain, _unquoted(plain)):
        try:
            found = json.loads(candidate, parse_constant=_refuse)
            found = json.loads(found, parse_constant=_refuse) if isinstance(found, str) else found
        except (ValueError, RecursionError):
            continue
        if isinstance(found, list | dict):
            return found
    return None


def _refuse(constant: str) -> t.NoReturn:
    raise ValueError(constant)


def _list(text: str, schema: Schema, *, separated: bool) -> list[t.Any] | None:
    """A list out of a text; None where it is not clear which one."""
    found = _json(text)
    if isinstance(found, list):
        return found
    if kind_of(schema.get("items", {})) != "string":
        return [found] if isinstance(found, dict) else None
    plain = _unquoted(text)
    bracketed = plain.startswith("[") and plain.endswith("]")
    if not (separated or bracketed) or isinstance(found, dict):
        return None
    entries = re.split(r"[,\r\n]", plain[1:-1] if bracketed else plain)
    entries = [_unquoted(entry) for entry in entries]
    if any(_is_doubtful(entry, pattern=not bracketed) for entry in entries):
        return None
    return [entry for entry in entries if entry]


def _is_doubtful(entry: str, *, pattern: bool) -> bool:
    """Whether an entry has marks that belong to a list; those of a glob pattern [abc] do not."""
    outside = re.sub(r"\[[^\[\]\s]+\]", "", entry) if pattern else entry
    marked = bool(_MARKS & {entry[:1], entry[-1:]}) or any(mark in outside for mark in "[]{}")
    return marked or entry.startswith("- ")
