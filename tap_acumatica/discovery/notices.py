"""What people should know of a stream before they rely on it, in one line each."""

from __future__ import annotations

import logging
import typing as t

from tap_acumatica.discovery.keys import code_and_number

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_acumatica.acumatica.site_information import InquiryDefinition
    from tap_acumatica.discovery.definitions import StreamDefinition, TenantSource
    from tap_acumatica.settings.typed import Settings

_NAMED = 5
_SEVERAL = 2


class Notice(t.NamedTuple):
    """A line of the log."""

    level: int
    text: str


def inquiry_notice(
    name: str, stream: StreamDefinition, source: TenantSource, settings: Settings
) -> Notice | None:
    """What the definition of an inquiry means for its stream; None where it means nothing.

    Args:
        name: What to call the stream.
        stream: The stream.
        source: What one tenant holds of it.
        settings: The settings.
    """
    said = source.definition
    if said is None:
        return None
    found = [
        *_missing(said, source),
        *_stale(said, stream, source, settings),
        *_identity(said, stream),
        *_further(said, stream, source, settings),
    ]
    if not found:
        return None
    level = max(notice.level for notice in found)
    return Notice(level, f"{name} {'; it '.join(notice.text for notice in found)}.")


def _missing(said: InquiryDefinition, source: TenantSource) -> Iterator[Notice]:
    if said.select_top:
        yield _warning(
            f"gives at most {said.select_top} rows ('Select Top' of its definition), so others may "
            "be missing without a sign"
        )
    if said.export_top:
        yield _warning(
            f"may give at most {said.export_top} rows ('Export Top' of its definition), so others "
            "may be missing without a sign"
        )
    if said.parameters and source.parameters is None and source.entity.function is None:
        listed = ", ".join(
            f"{each.name} ({'required' if each.required else f'default {each.default}'})"
            for each in said.parameters
        )
        yield _warning(
            f"has parameters, and may give other rows or none without them: {listed}; set them in "
            "'inquiry_parameters'"
        )


def _stale(
    said: InquiryDefinition, stream: StreamDefinition, source: TenantSource, settings: Settings
) -> Iterator[Notice]:
    if said.warehouse and said.warehouse_minutes:
        text = (
            f"answers from stored results, which may be {said.warehouse_minutes} minutes old "
            "('Store Result in Data Warehouse')"
        )
        if stream.tracking and source.stale_seconds > settings.time_offset:
            text += f", so {source.stale_seconds} seconds are read again instead of 'time_offset'"
        yield _warning(text)
    elif said.warehouse:
        yield _warning(
            "answers from stored results ('Store Result in Data Warehouse') whose age is not "
            "known; set 'time_offset' to more than that"
        )
    if said.tables >= _SEVERAL and stream.tracking:
        yield _warning(
            f"joins {said.tables} tables, and {stream.tracking} shows when rows of one of them "
            "changed: changes in the others are not noticed; to read all rows each time, set its "
            "replication method to FULL_TABLE"
        )


def _identity(said: InquiryDefinition, stream: StreamDefinition) -> Iterator[Notice]:
    if said.grouped_by:
        text = f"groups its rows by {', '.join(said.grouped_by)}, so they have no identity of "
        text += "their own and no time of change: it is read in full"
        if not stream.has_given_key:
            text += ", without a key; name the columns that identify a group in 'keys'"
        yield Notice(logging.INFO, text)


def _further(
    said: InquiryDefinition, stream: StreamDefinition, source: TenantSource, settings: Settings
) -> Iterator[Notice]:
    passed = [name for name in settings.tracking_candidates if name in source.calculated]
    if passed and not said.grouped_by:
        instead = f"tracked by {stream.tracking}" if stream.tracking else "read in full"
        yield Notice(
            logging.INFO,
            f"calculates {', '.join(passed)}, which cannot be filtered by: it is {instead}",
        )
    if said.shows_deleted:
        yield Notice(logging.INFO, "also shows deleted records")
    if said.shows_archived:
        yield Notice(logging.INFO, "also shows archived records")
    if said.conditions and stream.tracking:
        yield Notice(
            logging.INFO, "has fixed conditions: rows that no longer meet them stay at the target"
        )


def _warning(text: str) -> Notice:
    return Notice(logging.WARNING, text)


def renamed_keys(definitions: Sequence[StreamDefinition]) -> str | None:
    """Which tables are keyed by a code that people can rename; None where there are none."""
    found = []
    for definition in sorted(definitions, key=lambda each: (len(each.name), each.name)):
        source = next(iter(definition.sources.values()))
        pair = None if definition.has_given_key else code_and_number(source.entity, source.shape)
        if pair:
            found.append(f"{definition.name} by {pair[0]} (or {pair[1]})")
    if not found:
        return None
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return (
        f"{'1 stream is' if len(found) == 1 else f'{len(found)} streams are'} keyed by a code that "
        f"the action Change ID can rename: {', '.join(found[:_NAMED])}{more}. "
        "A renamed row comes under its new key, and the old one stays at the target; 'keys' takes "
        "the number in brackets instead."
    )
