"""Whether a loader may be told to delete what a full read has not brought.

ACTIVATE_VERSION makes it delete, so whatever hides rows without an error would empty a warehouse: a
filter, an archive, a restriction group that was changed in Acumatica.
"""

from __future__ import annotations

import typing as t

from tap_acumatica.errors import ShrunkError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.discovery import StreamDefinition
    from tap_acumatica.settings.typed import Settings

_ARCHIVED = "GotReadyForArchiveAt"
"""Column of tables whose rows Acumatica moves to its archive."""
_ALL = 100


def narrowed_by(definition: StreamDefinition, settings: Settings) -> str | None:
    """What keeps rows of a stream from being read, which are at the source; None for nothing.

    Args:
        definition: The stream.
        settings: Settings.
    """
    if settings.filter_of(definition.names):
        return "'filters' leaves rows out"
    if _ARCHIVED in definition.shape.properties and not settings.archived_records:
        return "rows in Acumatica's archive are not read ('archived_records')"
    return None


def check_rows(
    name: str, before: Mapping[str, t.Any], now: Mapping[str, int], most_percent: int
) -> None:
    """Make sure that a full read holds nearly as many rows as the one before.

    Args:
        name: Name of the stream.
        before: Rows of the last complete read, by tenant; empty for none.
        now: Rows of this one.
        most_percent: How many fewer there may be.

    Raises:
        ShrunkError: If there are fewer.
    """
    for tenant, rows in now.items():
        held = before.get(tenant)
        if not isinstance(held, int) or most_percent >= _ALL:
            continue
        if (held - rows) * _ALL > held * most_percent:
            where = f"{name} of tenant '{tenant}'" if tenant else name
            msg = (
                f"{where}: {rows:,} rows came, where the last complete read had {held:,}, so the "
                "loader is not told to delete the others; check the user's access rights and "
                "restriction groups in Acumatica. If they are gone indeed, set 'max_drop_percent' "
                f"to {_ALL} for one run"
            )
            raise ShrunkError(msg)
