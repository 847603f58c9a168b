"""Reads the files that people hand in: configuration, catalog and state, in whatever encoding.

Editors and shells on Windows write byte order marks and UTF-16; a file that was copied, padded or
cut off is named together with what to do. What a document means is for others to say.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import typing as t
from pathlib import Path

import msgspec

from tap_acumatica.errors import SettingsError
from tap_acumatica.settings.syntax import PADDING, syntax_fault
from tap_acumatica.settings.table import SETTINGS

if t.TYPE_CHECKING:
    import os

    Source = str | os.PathLike[str] | t.IO[t.Any]

logger = logging.getLogger(__name__)

What = t.Literal["configuration", "catalog", "state"]

STANDARD_INPUT = "-"

_OPTIONS = {"configuration": "--config", "catalog": "--catalog", "state": "--state"}
_WHEN_EMPTY = {
    "configuration": 'write at least {"url": "https://company.acumatica.com"} into it',
    "catalog": "write it again with --discover, into another file than the one being read",
    "state": "delete it to read all rows, or restore the last STATE of the run before",
}
_EXAMPLES = {
    "configuration": '{"url": "https://company.acumatica.com"}',
    "catalog": '{"streams": [...]}',
    "state": '{"bookmarks": {...}}',
}
_KINDS = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")
_SMALL = 100_000
"""Characters up to which a document is looked at as a whole only to tell its kind."""

_STRING_OR_BLANK = re.compile(r'"(?:[^"\\]|\\.)*"|[\u00a0\u2000-\u200b\u202f\u3000\ufeff]')


def document(source: Source, what: What) -> dict[str, t.Any]:
    """The JSON object that a file holds.

    Of a state that is a whole run's output, or several states one per line, the last one counts.

    Args:
        source: Path of the file, ``-`` for standard input, or an open file.
        what: What it is to be.

    Raises:
        SettingsError: One line that names the file and says what to do.
    """
    text, name = _text(source, what), name_of(source)
    try:
        found = decode(text)
    except msgspec.DecodeError as error:
        if what != "state" or (found := _last_state(text, name)) is None:
            raise not_json(text, source, what, error) from None
    if not isinstance(found, dict):
        kind = _KINDS.get(type(found), "a number")
        msg = f"the {what} file {name} must hold a JSON object, {_EXAMPLES[what]}, not {kind}"
        raise SettingsError(msg)
    _refuse_another_kind(found, what, name)
    if what == "configuration":
        _warn_of_repeated_names(text, name)
    return found


def json_text(source: Source, what: What) -> str:
    """What a file holds as text, for documents that are too large to be decoded as a whole.

    Args:
        source: Path of the file, ``-`` for standard input, or an open file.
        what: What it is to be.

    Raises:
        SettingsError: If it cannot be read, is empty, or is small and of another kind.
    """
    text = _text(source, what)
    if len(text) <= _SMALL:
        try:
            found = decode(text)
        except msgspec.DecodeError as error:
            raise not_json(text, source, what, error) from None
        if isinstance(found, dict):
            _refuse_another_kind(found, what, name_of(source))
    return text


def not_json(text: str, source: Source, what: What, error: Exception) -> SettingsError:
    """The error for a text that is not JSON: where, the likely cause, and never a value of it.

    Args:
        text: The text.
        source: Where it is from.
        what: What it was to be.
        error: What the decoder said.
    """
    line, column, cause = syntax_fault(text)
    place = f" (line {line}, column {column})" if line else ""
    return SettingsError(
        f"the {what} file {name_of(source)} is not JSON: {cause or error}{place}",
    )


def decode(text: str) -> t.Any:
    """Decode JSON; blanks that are copied from web pages may stand between its parts.

    Raises:
        msgspec.DecodeError: If it is not JSON.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        plain = _with_plain_blanks(text)
        if plain == text:
            raise
        return msgspec.json.decode(plain)


def name_of(source: Source) -> str:
    """What to call a file in a message: the path as it was given."""
    name = source if isinstance(source, str) else getattr(source, "name", None) or source
    return "<stdin>" if name == STANDARD_INPUT else str(name)


def decoded(data: bytes, name: str) -> str:
    """Text in any encoding of Unicode, without byte order marks and padding.

    Args:
        data: The bytes.
        name: What to call the file, such as "the state file state.json".

    Raises:
        SettingsError: If the bytes are in another encoding.
    """
    if data.startswith(_COMPRESSED):
        msg = f"{name} is compressed; unpack it first"
        raise SettingsError(msg)
    encoding = json.detect_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-8"):
            line = data.count(b"\n", 0, error.start) + 1
            fault = f"is not UTF-8 (line {line}): it looks like Windows-1252 or Latin-1"
        else:
            fault = f"is not {encoding.upper()} to its end: it is cut off, or was added to"
        msg = f"{name} {fault}; save it again with the encoding UTF-8"
        raise SettingsError(msg) from None
    return text.lstrip("\ufeff\0").rstrip(PADDING)


def _with_plain_blanks(text: str) -> str:
    """A JSON text with ordinary blanks between its parts; its strings are left as they are."""
    return _STRING_OR_BLANK.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)


def _text(source: Source, what: What) -> str:
    name = f"the {what} file {name_of(source)}"
    text = decoded(_bytes(source, name, what), name)
    if not text.strip(PADDING):
        msg = f"{name} is empty; {_WHEN_EMPTY[what]}"
        raise SettingsError(msg)
    return text


def _bytes(source: Source, name: str, what: What) -> bytes:
    if source == STANDARD_INPUT:
        source = sys.stdin
    if not isinstance(source, str) and hasattr(source, "read"):
        found = getattr(source, "buffer", source).read()
        return found.encode() if isinstance(found, str) else bytes(found)
    path = Path(t.cast("str", source))
    if not path.exists() and str(source).startswith("~"):
        path = path.expanduser()
    fault = ""
    try:
        if not path.is_dir():
            return path.read_bytes()
        fault = "is a folder; name the file in it"
    except FileNotFoundError:
        fault = f"does not exist; check the path given with {_OPTIONS[what]}"
    except PermissionError:
        fault = "may not be read by the user that runs the tap; check its permissions"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    msg = f"{name} {fault}"
    raise SettingsError(msg)


# What it is


def _kind(found: t.Mapping[str, t.Any]) -> What | None:
    """What a document looks like; None where that is not clear."""
    if isinstance(found.get("streams"), list):
        return "catalog"
    if found.get("type") == "STATE" or found.keys() & {"bookmarks", "singer_state"}:
        return "state"
    named = sum(setting.name in found for setting in SETTINGS)
    return "configuration" if "url" in found or named > 1 else None


def _refuse_another_kind(found: t.Mapping[str, t.Any], what: What, name: str) -> None:
    kind = _kind(found)
    if kind not in {None, what}:
        a, wanted = (f"a {'Singer ' if each == 'catalog' else ''}{each}" for each in (kind, what))
        option = _OPTIONS[str(kind)]
        msg = f"{_OPTIONS[what]}: {name} is not {wanted}, but {a}; give it with {option}"
        raise SettingsError(msg)


def _warn_of_repeated_names(text: str, name: str) -> None:
    repeated: dict[str, None] = {}

    def members(pairs: list[tuple[str, t.Any]]) -> None:
        names = [each for each, _ in pairs]
        repeated.update((each, None) for each in names if names.count(each) > 1)

    json.loads(_with_plain_blanks(text), object_pairs_hook=members)
    for each in repeated:
        logger.warning("'%s' is given twice in %s; the last one counts", each, name)


# States of several lines


def _last_state(text: str, name: str) -> dict[str, t.Any] | None:
    """The last state of a text that holds one message or state per line; None if it does not.

    Only the last line may be cut off: the states before it hold less, so rows are read twice.

    Raises:
        SettingsError: If these are messages, but none of them is a STATE.
    """
    lines = [line for line in text.splitlines() if line.strip(PADDING)]
    if len(lines) < 2:  # noqa: PLR2004  then it is one document
        return None
    found: list[tuple[int, dict[str, t.Any]]] = []
    for number, line in enumerate(lines, 1):
        try:
            held = msgspec.json.decode(line)
        except msgspec.DecodeError:
            if number == len(lines) and found:
                continue
            return None
        if not isinstance(held, dict) or not ("type" in held or _kind(held) == "state"):
            return None
        if _kind(held) == "state":
            found.append((number, held))
    if not found:
        msg = f"the state file {name} holds Singer messages, but no STATE; {_WHEN_EMPTY['state']}"
        raise SettingsError(msg)
    number, held = found[-1]
    logger.info("%s holds %s lines; the last STATE is used (line %s)", name, len(lines), number)
    return held
