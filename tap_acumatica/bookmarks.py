"""The state: how far earlier runs have read each stream, in whatever form it is handed in.

A state whose meaning is certain is used. Any other one is refused before anything is read: a state
that is silently ignored costs a full load, and one that is misread costs rows.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import msgspec

from tap_acumatica.errors import BookmarkError, SettingsError
from tap_acumatica.odata import times
from tap_acumatica.reading.by_time import CLOCK_ERROR_SECONDS
from tap_acumatica.reading.window import Reached, reached_by
from tap_acumatica.records.schema import TENANT_COLUMN

if t.TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterable, Mapping

State = dict[str, t.Any]

STATE_SOURCE = "entity_set"
"""Where the state of a stream keeps which entity set it is."""

_BOOKMARKS = "bookmarks"
_KEY = "replication_key"
_VALUE = "replication_key_value"
_PARTITIONS = "partitions"
_PROGRESS = "progress_markers"
_COMPLETED = ("completed", "completed_state")
_PARTIAL = ("partial", "partial_state")
_RUN_OF_ITS_OWN = ("completed_run", "completed_bookmark", "completed_look_back")
_LEFT_OVER = {_KEY, _VALUE, _PROGRESS, "starting_replication_value", "replication_key_signpost"}
_UNDERSTOOD = {*_LEFT_OVER, *_RUN_OF_ITS_OWN, _PARTITIONS, STATE_SOURCE, "context", "version"}
_EXPECTED = "give the value of the last STATE message, or no state to read all rows again"
_DAY = 86_400.0
_NAMED = 5


# What a file holds


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
        msg = f"the state file does not hold bookmarks by stream; {_EXPECTED}"
        raise SettingsError(msg)
    return {**held, _BOOKMARKS: {name: _entry(name, bookmarks[name], warn) for name in bookmarks}}


def _unwrapped(document: t.Any) -> Mapping[str, t.Any]:
    if isinstance(document, str):
        try:
            document = msgspec.json.decode(document)
        except msgspec.DecodeError:
            document = None
    if not isinstance(document, dict):
        msg = f"the state file does not hold a state; {_EXPECTED}"
        raise SettingsError(msg)
    wrapped = [name for name in (*_COMPLETED, *_PARTIAL) if name in document]
    inner = [name for name in ("singer_state", "value", "state") if name in document]
    forms = bool(wrapped) + len(inner) + (_BOOKMARKS in document)
    if forms > 1:
        names = ", ".join([*wrapped, *inner, *([_BOOKMARKS] if _BOOKMARKS in document else [])])
        msg = f"the state file says in several places what was read ({names}); {_EXPECTED}"
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
        msg = f'the state file has no "bookmarks", but {names}; {_EXPECTED}'
        raise SettingsError(msg)
    return {}


def _is_entry(held: t.Any) -> bool:
    return isinstance(held, dict) and (_VALUE in held or _PARTITIONS in held)


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
    entry = {name: value for name, value in held.items() if value is not None or name == _VALUE}
    if not isinstance(entry.get(_PROGRESS, {}), dict):
        del entry[_PROGRESS]
    if _PARTITIONS not in entry:
        return entry
    given = entry[_PARTITIONS]
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
            f"not clear whose bookmarks they hold; {_EXPECTED}"
        )
        raise SettingsError(msg)
    entry[_PARTITIONS] = _distinct(stream, given, warn)
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
        values = [p[_VALUE] for p in (other, each) if p.get(_VALUE) is not None]
        try:
            lowest = min(values, key=lambda value: reached_by({_VALUE: value}, stream)[0] or "")
        except BookmarkError as error:
            raise SettingsError(str(error)) from error
        except ValueError:
            continue  # neither of them holds one
        chosen = other if other.get(_VALUE) == lowest else each
        found[context] = {n: v for n, v in chosen.items() if n not in _RUN_OF_ITS_OWN}
        warn(f"{stream}: the state holds {context} several times; the lowest bookmark counts")
    return list(found.values())


# What it says of the streams that are read


def check_streams(
    state: Mapping[str, t.Any], known: Collection[str], info: Callable[[str], None]
) -> None:
    """Refuse the state of another tap; say which bookmarks are of streams that are not known.

    Args:
        state: The state.
        known: Names of the streams on offer and in the catalog.
        info: Takes a line for the user.

    Raises:
        SettingsError: If no bookmark is of this tap, or one is of a stream in another case.
    """
    held: Mapping[str, State] = state.get(_BOOKMARKS) or {}
    unknown = [name for name in held if name not in known]
    if not unknown:
        return
    own = any(STATE_SOURCE in entry for entry in held.values())
    shown = ", ".join(sorted(unknown)[:_NAMED])
    by_fold = {name.casefold(): name for name in known}
    for name in unknown:
        near = by_fold.get(name.casefold())
        if near is not None and near not in held:
            msg = (
                f"the state holds a bookmark of {name}, and the stream is {near}; write the name "
                "in the state as the stream's, or remove it to read all rows again"
            )
            raise SettingsError(msg)
    if len(unknown) == len(held) and not own:
        msg = (
            f"the state is of another tap or service: it holds bookmarks of {shown}, and none of a "
            f"stream that is read here; {_EXPECTED}"
        )
        raise SettingsError(msg)
    info(f"The state also holds bookmarks of streams that are not known here, and keeps them: {shown}")


@dataclass(frozen=True, slots=True)
class StreamBookmarks:
    """The bookmarks of one stream: one, or one per tenant.

    Attributes:
        stream: Name of the stream.
        held: What the state holds of it.
        tenants: The tenants that are read; None where there are none.
        replication_key: What changes are read by; None for a full read.
        usual_key: What discovery found for that.
        zone: Time zone of the service.
        warn: Takes a line for the user.
    """

    stream: str
    held: Mapping[str, t.Any]
    tenants: Collection[str | None]
    replication_key: str | None
    usual_key: str | None
    zone: dt.tzinfo
    warn: Callable[[str], None]

    @property
    def is_idle(self) -> bool:
        """Whether there is a bookmark, and the stream is read as a whole."""
        parts = (self.held, *self._partitions)
        return self.replication_key is None and any(part.get(_VALUE) for part in parts)

    def check(self, began: Callable[[str | None], dt.datetime]) -> None:
        """Refuse what cannot be used, before anything is read.

        Args:
            began: Start of the run by the clock of a tenant's service.

        Raises:
            SettingsError: If it is not clear what the state means.
            BookmarkError: If a bookmark is not a date-time.
        """
        if self.replication_key is None:
            return
        self._check_tenants()
        for tenant in self.tenants:
            bookmark = self.reached(tenant).bookmark
            if bookmark is not None:
                self._check_future(tenant, bookmark, times.canonical(began(tenant)))

    def reached(self, tenant: str | None) -> Reached:
        """What earlier runs have read of a tenant.

        Args:
            tenant: The tenant; None where there are none.

        Raises:
            SettingsError: If the state does not say what its bookmark is of.
            BookmarkError: If the bookmark is not a date-time.
        """
        key, held = self.replication_key, self._held(tenant)
        if key is None:
            return Reached()
        name = self._name(tenant)
        named, value = held.get(_KEY), held.get(_VALUE)
        if value is None and isinstance(held.get(key), str):  # as taps without the SDK write it
            named, value = key, held[key]
        if value is None:
            if strange := held.keys() - _UNDERSTOOD:
                msg = (
                    f"{name}: the state holds {', '.join(sorted(strange))}, which is not a bookmark "
                    f"by {key}; write '{_KEY}' and '{_VALUE}', or remove it to read all rows again"
                )
                raise SettingsError(msg)
            if held.keys() & _LEFT_OVER:
                self.warn(
                    f"{name}: the state holds no bookmark that can be gone on from, so all rows "
                    "are read"
                )
            return Reached()
        if named is None and key != self.usual_key:
            msg = (
                f"{name}: the state has a bookmark without a 'replication_key', and the catalog "
                f"names {key}, where {self.usual_key} is usual; add the column that the bookmark is of"
            )
            raise SettingsError(msg)
        if named is not None and str(named).casefold() != key.casefold():
            self.warn(
                f"{name}: the bookmark in the state is of {named}, and the stream is read by {key} "
                "now, so all rows are read"
            )
            return Reached()
        return reached_by({**held, _VALUE: value}, name, self.zone)

    def _held(self, tenant: str | None) -> Mapping[str, t.Any]:
        if tenant is None:
            return self.held
        context = {TENANT_COLUMN: tenant}
        found = (each for each in self._partitions if each["context"] == context)
        return next(found, {})

    @property
    def _partitions(self) -> list[State]:
        return t.cast("list[State]", self.held.get(_PARTITIONS) or [])

    def _name(self, tenant: str | None) -> str:
        return f"{self.stream} of tenant '{tenant}'" if tenant else self.stream

    def _check_tenants(self) -> None:
        """Refuse bookmarks that are of other tenants, or of none.

        Raises:
            SettingsError: If there are such.
        """
        contexts = [each["context"] for each in self._partitions]
        foreign = [c for c in contexts if [*c] != [TENANT_COLUMN] or not isinstance(c[TENANT_COLUMN], str)]
        own_value = self.held.get(_VALUE) is not None
        read = [tenant for tenant in self.tenants if tenant]
        if foreign and not own_value:
            msg = (
                f"{self.stream}: the state's partitions are by {', '.join(foreign[0]) or 'nothing'}"
                f", and this tap's are by {TENANT_COLUMN}; {_EXPECTED}"
            )
            raise SettingsError(msg)
        held = [c[TENANT_COLUMN] for c in contexts if c not in foreign]
        if not read and held and not own_value:
            raise SettingsError(
                f"{self.stream}: the state has one bookmark per tenant ({_listed(held)}), and "
                "'tenants' is not set; set it, or give no state to read all rows again"
            )
        if read and own_value and not held:
            raise SettingsError(
                f"{self.stream}: the state is of a run without 'tenants', which is set now "
                f"({_listed(read)}); with it, each row has a {TENANT_COLUMN} in its key: give no "
                "state to read all rows again, or take out 'tenants'"
            )
        by_fold = {name.casefold(): name for name in held}
        for tenant in read:
            before = by_fold.get(tenant.casefold())
            if before is not None and tenant not in held:
                raise SettingsError(
                    f"{self.stream}: 'tenants' names '{tenant}', which was '{before}' in earlier "
                    f"runs; {TENANT_COLUMN} is part of each key, so its rows would come a "
                    f"second time: write '{before}' in 'tenants', or take it out of the state"
                )
        if held and read and not set(read) & set(held):
            self.warn(
                f"The state is of the tenants {_listed(held)}; {_listed(read)} is new, so all of "
                "its rows are read"
            )

    def _check_future(self, tenant: str | None, bookmark: str, began: str) -> None:
        name = self._name(tenant)
        if bookmark > times.shifted(began, seconds=_DAY):
            msg = (
                f"{name}: the bookmark in the state, {bookmark}, lies in the future (it is {began} "
                "at the service), so it cannot say what was read; correct it, or remove it to read "
                "all rows again"
            )
            raise SettingsError(msg)
        if bookmark > times.shifted(began, seconds=CLOCK_ERROR_SECONDS):
            self.warn(
                f"{name}: the bookmark in the state, {bookmark}, lies ahead of the service's clock "
                f"({began}); reading begins at the start of this run, less what is read again"
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)[:_NAMED])
