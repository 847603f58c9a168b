"""Whether the newest rows of a service that speaks local time agree with its clock.

A row cannot have been changed in the future. Where the newest ones say so, their local times are
those of a zone further east than the setting ``time_zone`` has it.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import replace

from tap_acumatica.errors import TapError
from tap_acumatica.odata import times
from tap_acumatica.odata.time_zone import utc_offset, zones_by_offset

if t.TYPE_CHECKING:
    from tap_acumatica.reading.plan import Plan, Source

_LOOKED_AT = 3
_NAMED = 3
_TOLERANCE = dt.timedelta(minutes=15)


def zone_fault(source: Source, plan: Plan, now: dt.datetime) -> str | None:
    """What is wrong with the zone, and which one would fit; empty where nothing is.

    One small request. A single row that is stamped in the future by mistake is not believed, and a
    service that does not sort is not blamed.

    Args:
        source: The entity set.
        plan: Its plan, with a tracking column.
        now: The time by the service's clock, aware.

    Returns:
        The fault; None where there are too few rows, or no order, to know.
    """
    if plan.tracking is None or not (plan.order and plan.time_order):
        return None
    name = plan.tracking.name
    options = plan.options(order=(plan.tracking,), reverse=True, top=_LOOKED_AT)
    options = replace(options, select=plan.select and (name,))
    try:
        rows = source.get(options).rows[:_LOOKED_AT]
    except TapError:
        return None
    stamps = sorted(row[name] for row in rows if row[name] is not None)
    if not stamps:
        return None
    time_zone = plan.time_zone
    ahead = times.parse(times.to_canonical(stamps[len(stamps) // 2])) - now
    if ahead <= _TOLERANCE:
        return ""
    least = utc_offset(time_zone.zone, now) + ahead - _TOLERANCE
    fitting = next((held for held in zones_by_offset(now) if held[0] >= least), None)
    hours = ahead.total_seconds() / 3600
    found = f"its newest rows are stamped {hours:.1f} hours after {now:%H:%M} UTC by its own clock"
    if fitting is None:
        return f"{found}; its clock or its rows are wrong"
    offset, names = fitting
    return f"{found}; {_spelled(offset)} would fit ({', '.join(names[:_NAMED])})"


def _spelled(offset: dt.timedelta) -> str:
    minutes = abs(int(offset.total_seconds() // 60))
    return f"{'-' if offset < dt.timedelta() else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
