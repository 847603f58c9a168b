"""What the sites say about themselves, as far as it bears on streams."""

from __future__ import annotations

import logging
import typing as t

from tap_acumatica.acumatica.column_probe import gives_non_filterable
from tap_acumatica.acumatica.site_information import (
    InquiryDefinition,
    inquiry_definitions,
    log_deletion_tracking,
)
from tap_acumatica.discovery.memory import Memory
from tap_acumatica.discovery.notices import inquiry_notice, renamed_keys

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.acumatica.entity_sets import Entity
    from tap_acumatica.discovery.definitions import StreamDefinition
    from tap_acumatica.settings.typed import Settings

logger = logging.getLogger(__name__)

_NOTHING = Memory()


class SiteKnowledge:
    """Asks the sites, or remembers what they said."""

    def __init__(
        self, settings: Settings, memories: Mapping[str, Memory], *, probes: bool = False
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            settings: The settings.
            memories: What an earlier discovery found out, by stream name.
            probes: Whether to find out which columns are given: a catalog will keep it.
        """
        self._probes = probes and settings.non_filterable_columns == "auto" and settings.use_select
        self._settings = settings
        self._memories = memories
        self._inquiries: dict[str | None, dict[str, InquiryDefinition]] = {}
        self._grouped: set[str] = set()
        self._gives: dict[str | None, bool] = {}

    def ask(
        self,
        tenant: str | None,
        connection: Connection,
        selected: Sequence[Entity],
        *,
        discovers: bool,
    ) -> None:
        """Find out what is needed about a tenant's entity sets; a failure means nothing.

        Args:
            tenant: The tenant.
            connection: Its service.
            selected: What is offered, or what is to be read.
            discovers: Whether all that is on offer is looked at, and not what a catalog selects.
        """
        inquiries = [entity for entity in selected if entity.inquiry]
        if connection.service.tables is not None and self._settings.read_site_information:
            if inquiries:
                self._ask_inquiries(tenant, connection, inquiries)
            elif discovers and self._settings.soft_deletes:
                log_deletion_tracking(connection)
        for entity in inquiries:
            # The key of a catalog stays what it was, whatever becomes known later.
            said = self.definition(tenant, entity) if discovers else self._kept(tenant, entity)
            if said and said.grouped_by:
                self._grouped.add(entity.stream)
        if discovers and self._probes and connection.service.tables is not None:
            tables = [entity for entity in selected if entity.dac]
            self._gives[tenant] = gives_non_filterable(connection, tables)

    def _ask_inquiries(
        self, tenant: str | None, connection: Connection, inquiries: Iterable[Entity]
    ) -> None:
        by_title = {entity.entity_set.name: entity for entity in inquiries}
        kept = {
            title: memory.inquiries[tenant or ""]
            for title, entity in by_title.items()
            if tenant_in(memory := self._memories.get(entity.stream, _NOTHING), tenant)
        }
        if len(kept) == len(by_title) and not any(kept.values()):
            self._inquiries[tenant] = {}  # it could not be read before either
            return
        remembered = {title: said for title, said in kept.items() if said}
        found = inquiry_definitions(connection, by_title, remembered)
        self._inquiries[tenant] = {by_title[title].stream: said for title, said in found.items()}

    def _kept(self, tenant: str | None, entity: Entity) -> InquiryDefinition | None:
        return self._memories.get(entity.stream, _NOTHING).inquiries.get(tenant or "")

    def definition(self, tenant: str | None, entity: Entity) -> InquiryDefinition | None:
        """What a tenant's site says of an inquiry; None where that is not known."""
        return self._inquiries.get(tenant, {}).get(entity.stream)

    def was_asked(self, tenant: str | None, entity: Entity) -> bool:
        """Whether the site was asked about an inquiry, with whatever result."""
        return entity.inquiry and tenant in self._inquiries

    def is_grouped(self, entity: Entity) -> bool:
        """Whether the rows of an inquiry are groups, for any tenant."""
        return entity.stream in self._grouped

    def given_columns(self, tenant: str | None, entity: Entity) -> frozenset[str]:
        """Columns of a table that are called non-filterable, and that are given."""
        setting = self._settings.non_filterable_columns
        if setting == "always" or (setting == "auto" and self._gives.get(tenant)):
            return entity.restricted
        if setting == "never":
            return frozenset()
        return entity.restricted & self._memories.get(entity.stream, _NOTHING).columns

    def report(self, definitions: Sequence[StreamDefinition], *, discovers: bool) -> None:
        """Say what rows may be missing or stale, and which keys may be renamed.

        Args:
            definitions: The streams.
            discovers: Whether they are all that is on offer.
        """
        for definition in definitions:
            for tenant, source in definition.sources.items():
                several = len(definition.sources) > 1
                name = f"{definition.name} of tenant '{tenant}'" if several else definition.name
                found = inquiry_notice(name, definition, source, self._settings)
                if found:
                    logger.log(found.level, "%s", found.text)
        if discovers and (text := renamed_keys(definitions)):
            logger.info("%s", text)


def tenant_in(memory: Memory, tenant: str | None) -> bool:
    """Whether something is remembered of a tenant."""
    return (tenant or "") in memory.inquiries
