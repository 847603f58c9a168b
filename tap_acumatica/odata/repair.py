"""Reads JSON that is whole but not valid, and marks what was wrong within its values.

A value keeps marks in place of what it should not hold: bytes that are not UTF-8, halves of
surrogate pairs, and bare words such as ``NaN`` where JSON has no such word. :func:`repaired` turns
a marked value into one that can be emitted, and says what was done.
"""

from __future__ import annotations

import codecs
import json
import re
import typing as t
from decimal import Decimal, InvalidOperation

from tap_acumatica.errors import PayloadError

MARK = "\ufdd0"
"""Stands for what no text may hold, until it is replaced; Unicode keeps it for such use."""
REPLACEMENT = "\ufffd"
MARKED = "tap_acumatica.marked"
"""Name of the error handler that decodes invalid bytes as marks."""

_BARE = "\ufdd1"
"""Comes before a bare word that was read as a text."""
_WRONG = re.compile("[\x00\ud800-\udfff\ufdd0]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[^\s",:\[\]{}]+', re.DOTALL)
_VALID = re.compile(r"true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_SHOWN = re.compile(r"[\w.+-]{1,20}", re.ASCII)
_NUL = re.compile(rb"\\u0000")
_FEW_ESCAPES = 500
_MOST_DIGITS = 4000  # Python refuses to read longer integers


class Repaired(t.NamedTuple):
    """What became of a value.

    Attributes:
        value: The value without marks.
        replaced: Whether characters of it were replaced.
        bare: Whether it came as a bare word that is not JSON.
    """

    value: t.Any
    replaced: bool = False
    bare: bool = False


def has_nul(body: bytes) -> bool:
    """Whether a JSON text may hold the character NUL, in an escape.

    Where escapes are few, looking at each is ten times as fast as looking for that one.
    """
    place = body.find(b"\\")
    for _ in range(_FEW_ESCAPES):
        if place < 0:
            return False
        if body.startswith(b"u0000", place + 1):
            return True
        place = body.find(b"\\", place + 2)
    return place >= 0 and _NUL.search(body, place) is not None


def read_json(body: bytes) -> t.Any:
    """Read JSON as far as its meaning is certain, with marks in place of the rest.

    Args:
        body: The text, which is neither empty nor valid JSON.

    Raises:
        PayloadError: If it is cut off or is not JSON; the message says which of the two.
    """
    text = body.decode("utf-8", MARKED)
    try:
        return _loads(text)
    except json.JSONDecodeError:
        pass  # bare words may be the reason
    text = _TOKEN.sub(_as_text, text)
    try:
        return _loads(text)
    except json.JSONDecodeError as error:
        raise PayloadError(_fault(text, error)) from None


def repaired(value: t.Any) -> Repaired:
    """A value without marks, NUL and halves of surrogate pairs, at any depth."""
    if isinstance(value, str):
        bare = value.startswith(_BARE)
        text = value.removeprefix(_BARE) if bare else value
        if _WRONG.search(text):
            return Repaired(_WRONG.sub(REPLACEMENT, text), replaced=True, bare=bare)
        return Repaired(text, bare=bare)
    if isinstance(value, list):
        items = [repaired(item) for item in value]
        found: t.Any = [item.value for item in items]
    elif isinstance(value, dict):
        names = [repaired(name) for name in value]
        items = [repaired(item) for item in value.values()]
        found = {name.value: item.value for name, item in zip(names, items, strict=True)}
        items += names
    else:
        return Repaired(value)
    return Repaired(found, any(item.replaced for item in items), any(item.bare for item in items))


def _loads(text: str) -> t.Any:
    try:
        return json.loads(
            text,
            strict=False,
            parse_float=_number,
            parse_int=_integer,
            parse_constant=_BARE.__add__,
        )
    except RecursionError:
        msg = "the response is nested too deeply"
        raise PayloadError(msg) from None


def _number(text: str) -> t.Any:
    try:
        return Decimal(text)
    except InvalidOperation:  # its exponent is beyond all measure
        return _BARE + text


def _integer(text: str) -> t.Any:
    return int(text) if len(text) <= _MOST_DIGITS else Decimal(text)


def _as_text(match: re.Match[str]) -> str:
    """A token as it is, or a word that is not JSON as a text."""
    token = match[0]
    if token[0] == '"' or _VALID.fullmatch(token):
        return token
    return json.dumps(_BARE + token)


def _fault(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong with a text; only one that ends early is cut off."""
    rest = text[error.pos :]
    if not rest.strip() or error.msg.startswith("Unterminated string"):
        return "the response is cut off"
    if error.msg.startswith("Invalid \\") and len(rest) < len(r"\u0000"):
        return "the response is cut off"
    shown = _SHOWN.match(rest)
    at = f"at character {error.pos + 1} of {len(text)}"
    found = f", {shown[0]!r}" if shown else ""
    return f"the response is complete but not valid JSON ({error.msg} {at}{found})"


def _mark(error: UnicodeError) -> tuple[str | bytes, int]:
    """Decode a sequence that is not UTF-8 as one mark; half of a surrogate pair as one as well."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    start = error.start
    half = error.object[start : start + 3]
    is_half = len(half) == 3 and half[0] == 0xED and half[1] >= 0xA0 and half[2] & 0xC0 == 0x80  # noqa: PLR2004  the bytes of U+D800 to U+DFFF
    return MARK, start + 3 if is_half else error.end


codecs.register_error(MARKED, _mark)
