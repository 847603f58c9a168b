"""Reads states as Singer defines them, and as programs wrap them.

A state whose meaning is certain is brought into the form that the SDK reads. Any other one is
refused before anything is read: a state that is silently ignored costs a full load.
"""

from __future__ import annotations

import typing as t

import msgspec

from tap_acumatica.errors import BookmarkError, SettingsError
from tap_acumatica.reading.window import reached_by
from tap_acumatica.records.schema import TENANT_COLUMN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

State = dict[str, t.Any]

EXPECTED = "give the value of the last STATE message, or no state to read all rows again"
"""What an error says to do about a state."""
PARTITIONS = "partitions"
PROGRESS = "progress_markers"
VALUE = "replication_key_value"
RUN_OF_ITS_OWN = ("completed_run", "completed_bookmark", "completed_look_back")
"""What this tap keeps beside a bookmark."""
COMPLETE_ROWS = "complete_rows"
"""Where the state of a stream keeps how many rows the last complete full read had, by tenant."""

_BOOKMARKS = "bookmarks"
_COMPLETED = ("completed", "completed_state")
_PARTIAL = ("partial", "partial_state")
_NAMED = 5


def state_of(document: Mapping[str, t.Any], warn: Callable[[str], None]) -> State:
    """The state in a document: as Singer defines it, or in what programs wrap around it.

    Args:
        document: What was handed in.
        warn: Takes a line for the user.

    Raises:
        SettingsError: If it has another form.
    """
    held = _unwrapped(document)
    if not held:
        return {}
    bookmarks = held[_BOOKMARKS]
    if not isinstance(bookmarks, dict) or not all(isinstance(b, dict) for b in bookmarks.values()):
        msg = f"the state file does not hold bookmarks by stream; {EXPECTED}"
        raise SettingsError(msg)
    return {**held, _BOOKMARKS: {name: _entry(name, bookmarks[name], warn) for name in bookmarks}}


def _unwrapped(document: t.Any) -> Mapping[str, t.Any]:
    if isinstance(document, str):
        try:
            document = msgspec.json.decode(document)
        except msgspec.DecodeError:
            document = None
    if not isinstance(document, dict):
        msg = f"the state file does not hold a state; {EXPECTED}"
        raise SettingsError(msg)
    wrapped = [name for name in (*_COMPLETED, *_PARTIAL) if name in document]
    inner = [name for name in ("singer_state", "value", "state") if name in document]
    forms = bool(wrapped) + len(inner) + (_BOOKMARKS in document)
    if forms > 1:
        names = ", ".join([*wrapped, *inner, *([_BOOKMARKS] if _BOOKMARKS in document else [])])
        msg = f"the state file says in several places what was read ({names}); {EXPECTED}"
        raise SettingsError(msg)
    if _BOOKMARKS in document:
        return document
    if wrapped:
        return _merged(document)
    if inner:
        held = document[inner[0]]
        return {} if held is None and inner[0] == "singer_state" else _unwrapped(held)
    streams = {name: held for name, held in document.items() if name != "currently_syncing"}
    if streams and all(_is_entry(held) for held in streams.values()):
        return {_BOOKMARKS: streams}
    if streams:
        names = ", ".join(list(streams)[:_NAMED])
        msg = f'the state file has no "bookmarks", but {names}; {EXPECTED}'
        raise SettingsError(msg)
    return {}


def _is_entry(held: t.Any) -> bool:
    return isinstance(held, dict) and (VALUE in held or PARTITIONS in held)


def _merged(document: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    """What Meltano would pass: the state of runs that failed, laid over that of the last good one.

    Raises:
        SettingsError: If one of them has another form.
    """
    found: Mapping[str, t.Any] = {}
    for name in (*_COMPLETED, *_PARTIAL):
        if held := document.get(name):
            found = _laid_over(found, _unwrapped(held))
    return found


def _laid_over(below: Mapping[str, t.Any], above: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    both = {
        name: _laid_over(below[name], value)
        for name, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(name), dict)
    }
    return {**below, **above, **both}


def _entry(stream: str, held: Mapping[str, t.Any], warn: Callable[[str], None]) -> State:
    """The state of one stream with its partitions as a list, each tenant's once.

    Raises:
        SettingsError: If they have another form.
    """
    entry = {name: value for name, value in held.items() if value is not None or name == VALUE}
    if not isinstance(entry.get(PROGRESS, {}), dict):
        del entry[PROGRESS]
    if PARTITIONS not in entry:
        return entry
    given = entry[PARTITIONS]
    if isinstance(given, dict):  # by number, or by tenant
        given = [
            {"context": {TENANT_COLUMN: name}, **each}
            if isinstance(each, dict) and "context" not in each and not name.isdecimal()
            else each
            for name, each in given.items()
        ]
    if not isinstance(given, list) or not all(
        isinstance(each, dict) and isinstance(each.get("context"), dict) for each in given
    ):
        msg = (
            f"{stream}: the state file's partitions are not a list with a context each, so it is "
            f"not clear whose bookmarks they hold; {EXPECTED}"
        )
        raise SettingsError(msg)
    entry[PARTITIONS] = _distinct(stream, given, warn)
    return entry


def _distinct(stream: str, given: list[State], warn: Callable[[str], None]) -> list[State]:
    """The partitions, each context once: of several, the lowest bookmark counts.

    Raises:
        SettingsError: If one of several bookmarks is not a date-time.
    """
    found: dict[str, State] = {}
    for each in given:
        context = msgspec.json.encode(each["context"], order="sorted").decode()
        other = found.setdefault(context, each)
        if other is each or other == each:
            continue
        values = [p[VALUE] for p in (other, each) if p.get(VALUE) is not None]
        try:
            lowest = min(values, key=lambda value: reached_by({VALUE: value}, stream)[0] or "")
        except BookmarkError as error:
            raise SettingsError(str(error)) from error
        except ValueError:
            continue  # neither of them holds one
        chosen = other if other.get(VALUE) == lowest else each
        found[context] = {n: v for n, v in chosen.items() if n not in RUN_OF_ITS_OWN}
        warn(f"{stream}: the state holds {context} several times; the lowest bookmark counts")
    return list(found.values())
