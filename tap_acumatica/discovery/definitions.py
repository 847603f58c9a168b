"""What a stream is made of: its shape, and what each tenant holds of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from tap_acumatica.discovery.keys import nullable_keys
from tap_acumatica.errors import IdentityError
from tap_acumatica.odata.types import edm_type
from tap_acumatica.reading.evidence import Evidence

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.connection import Connection
    from tap_acumatica.acumatica.entity_sets import Entity
    from tap_acumatica.acumatica.site_information import InquiryDefinition
    from tap_acumatica.odata.expand import Expansion
    from tap_acumatica.odata.model import Model
    from tap_acumatica.records.schema import RecordShape


@dataclass(frozen=True, slots=True)
class TenantSource:
    """What one tenant holds of a stream.

    Attributes:
        connection: The tenant's service.
        model: Its model.
        entity: The entity to read.
        shape: The shape of its rows.
        expansions: Navigation properties to include.
        not_comparable: Columns that must not be filtered by.
        parameters: Wire values of an inquiry's parameters; None where they are not given.
        evidence: What is learned of the service in this run, shared by all that it holds.
        proved: Whether no two rows have the same key, since it is that of a table.
        nullable: Columns of the key that may be null.
        given: Whether the key is one that ``keys`` gives.
        definition: What the site says of it, for an inquiry; None where that is not known.
        asked: Whether the site was asked for that.
        shown: Columns that the metadata calls non-filterable and that are offered all the same.
    """

    connection: Connection
    model: Model
    entity: Entity
    shape: RecordShape
    expansions: tuple[Expansion, ...] = ()
    not_comparable: frozenset[str] = frozenset()
    parameters: Mapping[str, t.Any] | None = None
    evidence: Evidence = field(default_factory=Evidence)
    proved: bool = True
    nullable: frozenset[str] = frozenset()
    given: bool = False
    definition: InquiryDefinition | None = None
    asked: bool = False
    shown: frozenset[str] = frozenset()

    @property
    def calculated(self) -> frozenset[str]:
        """Columns of an inquiry that are formulas or aggregates: no filter and no order."""
        return self.definition.calculated(self.shape.properties) if self.definition else frozenset()

    @property
    def stale_seconds(self) -> int:
        """How old the rows of an answer may be, where the site says so."""
        minutes = self.definition.warehouse_minutes if self.definition else None
        return (minutes or 0) * 60

    def vouched(self, key: tuple[str, ...], stream: str) -> TenantSource:
        """The same with a key that the catalog gives instead.

        Another one is checked like one of ``keys``: perhaps the service's has grown since.

        Raises:
            IdentityError: If it names a column that is not there.
        """
        if missing := [name for name in key if name not in self.shape.properties]:
            msg = (
                f"{stream}: the catalog's key_properties name {', '.join(missing)}, which the "
                "service does not have; run discovery again"
            )
            raise IdentityError(msg)
        return replace(
            self,
            shape=replace(self.shape, key=key, hashed=False),
            proved=self.proved and set(key) == set(self.shape.key),
            nullable=nullable_keys(self.entity, self.model, key),
        )

    @property
    def order(self) -> tuple[str, ...]:
        """The columns to read by: the key, or a table's own where values of another tell little."""
        shape, own = self.shape, self.model.key(self.entity.entity_set.type)
        known = shape.properties.keys() >= set(own)
        if known and not self.entity.inquiry and set(shape.key) < set(own):
            return tuple(own)
        seekable = all(edm_type(shape.properties[name].type).seekable for name in shape.key)
        if self.entity.dac and not seekable and known:
            return tuple(own)
        return shape.key

    @property
    def lacks_parameters(self) -> bool:
        """Whether it is an inquiry whose parameters are missing."""
        return self.entity.function is not None and self.parameters is None


@dataclass(slots=True)
class StreamDefinition:
    """One stream: its shape over all tenants, and what each holds of it."""

    name: str
    shape: RecordShape
    tracking: str | None
    sources: dict[str | None, TenantSource] = field(default_factory=dict)

    @property
    def entity_set(self) -> str:
        """The entity set that it reads, whatever it is called."""
        return next(iter(self.sources.values())).entity.entity_set.name

    @property
    def names(self) -> set[str]:
        """What people may call it: the stream, and the entity set in each of its spellings."""
        aliases = (source.entity.aliases for source in self.sources.values())
        return {self.name}.union(*aliases)

    @property
    def has_given_key(self) -> bool:
        """Whether its key is one that the setting ``keys`` gives."""
        return any(source.given for source in self.sources.values())

    @property
    def is_grouped(self) -> bool:
        """Whether it is an inquiry whose rows are groups of others."""
        return any(each.definition and each.definition.grouped_by for each in self.sources.values())

    @property
    def was_asked_for(self) -> bool:
        """Whether a site was asked what it says of it, with whatever result."""
        return any(source.asked for source in self.sources.values())

    def untracked(self, name: str) -> str | None:
        """Why changes cannot be tracked by a column, None where nothing speaks against it."""
        if self.is_grouped:
            return "is a column of groups of rows"
        if any(name in source.calculated for source in self.sources.values()):
            return "is calculated, so it cannot be filtered by"
        return None if self.shape.tracking_field([name]) else "is not a timestamp of the service"

    @property
    def selected_by_default(self) -> bool:
        """Whether it can be read as it is."""
        return not all(part.lacks_parameters for part in self.sources.values())
