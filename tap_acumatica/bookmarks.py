"""What the state says of the streams that are read.

A bookmark whose meaning is certain is used. Any other one is refused before anything is read: one
that is silently ignored costs a full load, and one that is misread costs rows.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from tap_acumatica.errors import BookmarkError, SettingsError
from tap_acumatica.odata import times
from tap_acumatica.reading.by_time import CLOCK_ERROR_SECONDS
from tap_acumatica.reading.window import Reached, reached_by
from tap_acumatica.records.schema import TENANT_COLUMN
from tap_acumatica.singer import UNFINISHED
from tap_acumatica.state_input import (
    COMPLETE_ROWS,
    EXPECTED,
    PARTITIONS,
    PROGRESS,
    RUN_OF_ITS_OWN,
    VALUE,
    State,
)

if t.TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Iterable, Mapping

STATE_SOURCE = "entity_set"
"""Where the state of a stream keeps which entity set it is."""
STATE_FILTER = "filter"
"""Where it keeps what 'filters' said of the stream."""

_BOOKMARKS = "bookmarks"
_KEY = "replication_key"
_LEFT_OVER = {_KEY, VALUE, PROGRESS, "starting_replication_value", "replication_key_signpost"}
_UNDERSTOOD = {
    *_LEFT_OVER,
    *RUN_OF_ITS_OWN,
    PARTITIONS,
    STATE_SOURCE,
    STATE_FILTER,
    COMPLETE_ROWS,
    UNFINISHED,
}
_UNDERSTOOD |= {"context", "version"}
_DAY = 86_400.0
_NAMED = 5
_FAULTS = 3


def sources_in(
    state: Mapping[str, t.Any], known: Mapping[str, str], selected: Collection[str] | None
) -> dict[str, str]:
    """The entity sets that streams were made of before, by the catalog and by the state.

    Args:
        state: The state.
        known: What the catalog says.
        selected: The streams that are read; None for all.

    Raises:
        SettingsError: If these two contradict each other.
    """
    found = dict(known)
    for name, held in (state.get(_BOOKMARKS) or {}).items():
        source = held.get(STATE_SOURCE)
        if not isinstance(source, str) or (selected is not None and name not in selected):
            continue
        if found.setdefault(name, source) != source:
            msg = (
                f"the state is of the entity set '{source}', but the catalog says that {name} "
                f"is '{found[name]}'; take {name} out of the state to read it from the start, "
                "or give the catalog that belongs to the state"
            )
            raise SettingsError(msg)
    return found


def check_all(checks: Iterable[Callable[[], None]]) -> None:
    """Check the bookmarks of all streams.

    Args:
        checks: One check per stream.

    Raises:
        SettingsError: If a bookmark cannot be used; the message names the first ones.
    """
    faults = []
    for check in checks:
        try:
            check()
        except (BookmarkError, SettingsError) as error:  # noqa: PERF203  one per stream
            faults.append(str(error))
    if faults:
        more = f" (and {len(faults) - _FAULTS} more)" if len(faults) > _FAULTS else ""
        raise SettingsError("; ".join(faults[:_FAULTS]) + more)


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
            f"stream that is read here; {EXPECTED}"
        )
        raise SettingsError(msg)
    info(f"The state also holds bookmarks of streams that are unknown here; they are kept: {shown}")


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
        return self.replication_key is None and any(part.get(VALUE) for part in parts)

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
        named, value = held.get(_KEY), held.get(VALUE)
        if value is None and isinstance(held.get(key), str):  # as taps without the SDK write it
            named, value = key, held[key]
        if value is None:
            if strange := held.keys() - _UNDERSTOOD:
                msg = (
                    f"{name}: the state holds {', '.join(sorted(strange))}, which is not a "
                    f"bookmark by {key}; write '{_KEY}' and '{VALUE}', or remove it to read all "
                    "rows again"
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
                f"names {key} instead of {self.usual_key}; add the column that the bookmark is of"
            )
            raise SettingsError(msg)
        if named is not None and str(named).casefold() != key.casefold():
            self.warn(
                f"{name}: the bookmark in the state is of {named}, and the stream is read by {key} "
                "now, so all rows are read"
            )
            return Reached()
        return reached_by({**held, VALUE: value}, name, self.zone)

    def _held(self, tenant: str | None) -> Mapping[str, t.Any]:
        if tenant is None:
            return self.held
        context = {TENANT_COLUMN: tenant}
        found = (each for each in self._partitions if each["context"] == context)
        return next(found, {})

    @property
    def _partitions(self) -> list[State]:
        return t.cast("list[State]", self.held.get(PARTITIONS) or [])

    def _name(self, tenant: str | None) -> str:
        return f"{self.stream} of tenant '{tenant}'" if tenant else self.stream

    def _check_tenants(self) -> None:
        """Refuse bookmarks that are of other tenants, or of none.

        Raises:
            SettingsError: If there are such.
        """
        contexts = [each["context"] for each in self._partitions]
        foreign = [
            c for c in contexts if [*c] != [TENANT_COLUMN] or not isinstance(c[TENANT_COLUMN], str)
        ]
        own_value = self.held.get(VALUE) is not None
        read = [tenant for tenant in self.tenants if tenant]
        if foreign and not own_value:
            msg = (
                f"{self.stream}: the state's partitions are by {', '.join(foreign[0]) or 'nothing'}"
                f", and this tap's are by {TENANT_COLUMN}; {EXPECTED}"
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
        new = [tenant for tenant in read if tenant not in held]
        gone = [tenant for tenant in held if tenant not in read]
        if new and gone:
            self.warn(
                f"The state is of the tenants {_listed(gone)}, which are not read now; "
                f"{_listed(new)} is new, so all of its rows are read"
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
