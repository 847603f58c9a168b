"""Warns of names and patterns in settings that match nothing the service offers, with the nearest.

They have no effect, and mostly are typos: names of entity sets, columns and tenants are
case-sensitive.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import typing as t
from fnmatch import fnmatch, fnmatchcase

from tap_acumatica.errors import SettingsError
from tap_acumatica.odata import times
from tap_acumatica.odata.types import is_timestamp
from tap_acumatica.settings.names import nearest
from tap_acumatica.settings.table import SETTINGS

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from tap_acumatica.acumatica.entity_sets import Entity
    from tap_acumatica.odata.model import Property
    from tap_acumatica.settings.typed import Settings

logger = logging.getLogger(__name__)

_OTHER_STREAMS = "__else__"
_SOURCE = "__source__"


def warn_of_tenants(settings: Settings, tenants: Iterable[str | None]) -> None:
    """Warn of credentials for tenants that are not read, and of a start that is still to come.

    Args:
        settings: The settings.
        tenants: The tenants that are read.
    """
    read = [tenant for tenant in tenants if tenant]
    for tenant in settings.tenant_credentials:
        if tenant not in read:
            fault = f"'tenant_credentials': the tenant '{tenant}' is not read"
            logger.warning("%s%s", fault, _near(tenant, read) or "; it is not one of 'tenants'")
    start = settings.canonical_start_date
    if (
        start
        and settings.tracks_changes
        and start > times.canonical(dt.datetime.now(dt.timezone.utc))
    ):
        logger.warning(
            "'start_date' %s is in the future: no rows that were modified before it are read",
            settings.start_date,
        )


def check_entity_sets(settings: Settings, offered: Sequence[Entity], *, complete: bool) -> None:
    """Warn of names and patterns of entity sets that match none.

    Args:
        settings: The settings.
        offered: Everything that is offered.
        complete: Whether all tenants are among those that offer it.

    Raises:
        SettingsError: If ``entity_sets`` matches nothing at all.
    """
    if not offered or not complete:
        return
    names = [alias for entity in offered for alias in entity.aliases]
    included, excluded = settings.entity_sets, settings.exclude_entity_sets
    wrong = [pattern for pattern in included if _matches_none(pattern, offered)]
    faults = [_fault_of_pattern("entity_sets", pattern, names) for pattern in wrong]
    if included and len(wrong) == len(included):
        raise SettingsError("; ".join(faults))
    wrong = [pattern for pattern in excluded if _matches_none(pattern, offered)]
    faults += [_fault_of_pattern("exclude_entity_sets", pattern, names) for pattern in wrong]
    for fault in faults:
        logger.warning("%s", fault)
    _warn_of_names(settings, names)
    kept = [entity for entity in offered if not included or entity.matches(included)]
    if all(entity.matches(excluded) for entity in kept):
        logger.warning("'exclude_entity_sets' leaves nothing to read")


def _matches_none(pattern: str, offered: Iterable[Entity]) -> bool:
    return not any(entity.matches([pattern]) for entity in offered)


def _fault_of_pattern(setting: str, pattern: str, names: Collection[str]) -> str:
    fault = f"'{setting}': no entity set matches '{pattern}'; names are case-sensitive"
    return f"{fault}{_near_pattern(pattern, names)}"


def _warn_of_names(settings: Settings, names: Collection[str]) -> None:
    """Warn of settings by entity set that name one that is not offered."""
    known = set(names)
    for setting, given in (
        ("expand", settings.expand),
        ("inquiry_parameters", settings.inquiry_parameters),
        ("keys", settings.keys),
    ):
        for name in given:
            if name not in known:
                near = _near(name, names)
                logger.warning(
                    "'%s' names %s, which the service does not offer%s", setting, name, near
                )


def warn_of_filters(settings: Settings, streams: Collection[str]) -> None:
    """Warn of filters for streams that are not there.

    Args:
        settings: The settings.
        streams: What the streams on offer and their entity sets are called.
    """
    for pattern in settings.filters if streams else ():
        if not any(fnmatchcase(name, pattern) for name in streams):
            near = _near_pattern(pattern, streams)
            logger.warning(
                "'filters' names %s, which is neither a stream nor an entity set%s", pattern, near
            )


def warn_of_columns(
    settings: Settings,
    columns: Mapping[str, Mapping[str, Property]],
    matched: Collection[str],
) -> None:
    """Warn of columns that no stream has.

    Args:
        settings: The settings.
        columns: Columns by name, by stream; all streams that are offered.
        matched: The patterns of ``date_fields`` that match a column.
    """
    stamps = [
        (stream, name)
        for stream, properties in columns.items()
        for name, column in properties.items()
        if is_timestamp(column.type)
    ]
    for pattern in settings.date_fields:
        if pattern not in matched:
            near = _near_pattern(pattern, [f"{stream}.{name}" for stream, name in stamps])
            logger.warning(
                "'date_fields' names %s, which is not a timestamp of any stream%s", pattern, near
            )
    _warn_of_tracking_fields(settings, {name for _, name in stamps})


def warn_of_maps(maps: t.Any, streams: Collection[str]) -> None:
    """Warn of stream maps for streams that are not there.

    Args:
        maps: The SDK's setting ``stream_maps``.
        streams: Names of all streams on offer.
    """
    for name, held in (maps if isinstance(maps, dict) and streams else {}).items():
        source = held.get(_SOURCE, name) if isinstance(held, dict) else name
        if source == _OTHER_STREAMS or not isinstance(source, str):
            continue
        if not any(fnmatch(stream, source) for stream in streams):
            near = _near_pattern(source, streams)
            logger.warning("'stream_maps' names %s, which is not a stream%s", source, near)


def _warn_of_tracking_fields(settings: Settings, stamps: AbstractSet[str]) -> None:
    given = settings.tracking_candidates
    usual = next(setting.default for setting in SETTINGS if setting.name == "tracking_fields")
    if list(given) == usual:
        return
    none = stamps.isdisjoint(given)
    for name in given:
        if name not in stamps and (none or name not in usual):
            logger.warning(
                "'tracking_fields': no stream has a timestamp '%s'%s", name, _near(name, stamps)
            )
    if none and given:
        logger.warning(
            "'tracking_fields' names no timestamp of any stream: all rows are read each time"
        )


def _near(name: str, known: Collection[str]) -> str:
    found = nearest(name, known)
    return f"; near: {found}" if found else ""


def _near_pattern(pattern: str, known: Collection[str]) -> str:
    """The name that a pattern would match but for its case, or that is most like its letters."""
    folded = pattern.casefold()
    found = next((name for name in known if fnmatchcase(name.casefold(), folded)), None)
    return f"; near: {found}" if found else _near(re.sub(r"[*?\[\]!]", "", pattern), known)
