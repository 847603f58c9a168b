"""Whether a service gives the columns that its metadata calls non-filterable.

Acumatica's guide selects ``DeletedDatabaseRecord``, which is one of them, while others report that
none can be selected. One small request tells; it is asked for once, and what goes wrong means that
they are left out.
"""

from __future__ import annotations

import logging
import typing as t
from collections import Counter

from tap_acumatica.errors import AccessError, TapError
from tap_acumatica.odata.payload import parse_collection
from tap_acumatica.odata.query import QueryOptions, build_url, path_segment

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.acumatica.entity_sets import Entity

logger = logging.getLogger(__name__)

_TABLES = 3
"""A table that is empty, or closed to the user, shows nothing; then another one is asked."""
_COLUMNS = 20


def gives_non_filterable(connection: Connection, tables: Sequence[Entity]) -> bool:
    """Whether the service gives such columns: the commonest ones, those of one table.

    Args:
        connection: The service.
        tables: What is on offer.
    """
    barred = [each for each in tables if each.restricted and not each.entity_set.singleton]
    common = Counter(name for each in barred for name in each.restricted)
    barred.sort(key=lambda each: (-sum(common[name] for name in each.restricted), each.stream))
    for entity in barred[:_TABLES]:
        given = _given(connection, entity, common)
        if given is not None:
            logger.info(
                "%s %s columns that its metadata calls non-filterable (asked for those of %s); %s.",
                connection.service.where,
                "gives" if given else "does not give",
                entity.stream,
                "they are offered" if given else "they are left out",
            )
            return given
    return False


def _given(connection: Connection, entity: Entity, common: Counter[str]) -> bool | None:
    """Whether the columns of one table come; None where it shows no row."""
    names = sorted(entity.restricted, key=lambda name: (-common[name], name))[:_COLUMNS]

    def parse(body: bytes) -> set[str] | None:
        rows = parse_collection(body).rows
        return {name.casefold() for name in rows[0]} if rows else None

    options = QueryOptions(select=tuple(names), top=1)
    url = build_url(connection.service.root, path_segment(entity.entity_set.name), options)
    try:
        found = connection.sessions.try_once(url, parse, what=entity.stream)
    except AccessError:
        return None
    except TapError:
        return False
    return None if found is None else found >= {name.casefold() for name in names}
