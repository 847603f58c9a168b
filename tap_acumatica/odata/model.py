"""The entity data model of one service, as its ``$metadata`` declares it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from types import MappingProxyType

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EDM = "Edm."
_COLLECTION = "Collection("


class Facets(t.NamedTuple):
    """Type facets of a property (CSDL 4.01, section 7.2).

    Attributes:
        precision: Maximum number of significant digits; None if not given.
        scale: Maximum number of digits after the decimal point; None if not given, ``variable`` or
            ``floating``.
        floating: Whether ``Scale`` is ``floating``; only then can a value be infinite or NaN.
    """

    precision: int | None = None
    scale: int | None = None
    floating: bool = False


NO_FACETS = Facets()


class Property(t.NamedTuple):
    """A structural property.

    Attributes:
        name: Name in responses and in query options.
        type: Qualified type name, ``Edm.String`` or ``Some.Namespace.Type``, without
            ``Collection()``.
        collection: Whether the value is a list.
        nullable: What the metadata declares; services send null anyway.
        facets: Precision and scale.
        description: Text of ``Org.OData.Core.V1.Description``, for people.
        feed_path: With feed customization (OData 2.0 and 3.0), the lxml path of the value within
            an ATOM entry, ending with ``@name`` for an attribute; None if it is in the content.
    """

    name: str
    type: str
    collection: bool = False
    nullable: bool = True
    facets: Facets = NO_FACETS
    description: str | None = None
    feed_path: str | None = None


class NavigationProperty(t.NamedTuple):
    """A navigation property: to one entity or, with ``collection``, to many."""

    name: str
    type: str
    collection: bool = False


class Members(t.NamedTuple):
    """The members that a structured type itself declares, without those of its base types."""

    key: tuple[str, ...] = ()
    properties: Mapping[str, Property] = MappingProxyType({})
    navigation: Mapping[str, NavigationProperty] = MappingProxyType({})


class StructuredType:
    """An entity type or a complex type; inherited members are on ``base``.

    Attributes:
        name: Qualified name.
        base: Qualified name of the base type, as spelled in the document; it may use an alias.
        abstract: Whether only values of derived types exist.
    """

    __slots__ = ("_members", "_read", "abstract", "base", "name")

    def __init__(
        self,
        name: str,
        base: str | None = None,
        *,
        abstract: bool = False,
        members: Members | None = None,
        read: Callable[[], Members] | None = None,
    ) -> None:
        """Declare a type.

        Args:
            name: Qualified name.
            base: Qualified name of the base type.
            abstract: Whether only values of derived types exist.
            members: The members it declares.
            read: Called on first use to get the members: a service has thousands of types, and a
                run needs only a few.
        """
        self.name = name
        self.base = base
        self.abstract = abstract
        self._members = members
        self._read = read

    @property
    def members(self) -> Members:
        """The members it declares, read on first use."""
        if self._members is None:
            self._members = self._read() if self._read else Members()
            self._read = None
        return self._members

    @property
    def is_read(self) -> bool:
        """Whether its members have been read."""
        return self._members is not None

    @property
    def key(self) -> tuple[str, ...]:
        """Names of its key properties; empty if it declares no key itself."""
        return self.members.key

    @property
    def properties(self) -> Mapping[str, Property]:
        """Its own structural properties."""
        return self.members.properties

    @property
    def navigation(self) -> Mapping[str, NavigationProperty]:
        """Its own navigation properties."""
        return self.members.navigation

    @property
    def short_name(self) -> str:
        """Name without its namespace."""
        return self.name.rpartition(".")[2]


@dataclass(slots=True)
class EntitySet:
    """An entity set or, with ``singleton``, a single entity with a URL of its own.

    Attributes:
        name: Name in the URL.
        type: Qualified name of the entity type.
        singleton: Whether the response is one entity.
        filterable: False if ``FilterRestrictions/Filterable`` says so.
        non_filterable: Property names in ``FilterRestrictions/NonFilterableProperties``.
    """

    name: str
    type: str
    singleton: bool = False
    filterable: bool = True
    non_filterable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function; ``type`` as in :class:`Property`."""

    name: str
    type: str
    collection: bool = False
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class FunctionImport:
    """A function that can be called at the service root.

    Attributes:
        name: Name in the URL.
        parameters: Its parameters, in declared order.
        entity_set: Name of the entity set that the result belongs to.
        returns: Type of the result, as spelled in the document.
    """

    name: str
    parameters: tuple[Parameter, ...]
    entity_set: str | None
    returns: str | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A declaration in the metadata that could not be read, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Model:
    """Everything a service declares, with look-ups.

    Names need not be valid CSDL identifiers: Acumatica has ``PM-Project Summary``.
    """

    version: str = "4.0"
    types: dict[str, StructuredType] = field(default_factory=dict)
    enums: set[str] = field(default_factory=set)
    definitions: dict[str, Property] = field(default_factory=dict)
    sets: dict[str, EntitySet] = field(default_factory=dict)
    function_imports: dict[str, FunctionImport] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def drop_unread(self) -> None:
        """Drop the types that nobody used, and with them the document that holds their members.

        Types that the used ones refer to are read first, so no reference is left dangling.
        """
        pending = [declared for declared in self.types.values() if declared.is_read]
        while pending:
            declared = pending.pop()
            related = {prop.type for prop in declared.properties.values()}
            for name in (*related, declared.base):
                found = self.structured_type(name) if name and not name.startswith(EDM) else None
                if found and not found.is_read:
                    _ = found.members
                    pending.append(found)
        self.types = {name: found for name, found in self.types.items() if found.is_read}

    def resolve(self, name: str) -> str:
        """Replace a schema alias at the start of a qualified name with its namespace."""
        if not self.aliases:
            return name
        head, dot, tail = name.rpartition(".")
        return f"{self.aliases[head]}{dot}{tail}" if head in self.aliases else name

    def structured_type(self, name: str) -> StructuredType | None:
        """The entity type or complex type with this qualified name, or None."""
        return self.types.get(name) or self.types.get(self.resolve(name))

    def lineage(self, name: str) -> Iterator[StructuredType]:
        """Yield the type and its base types, the derived type first."""
        seen: set[str] = set()
        current = self.structured_type(name)
        while current is not None and current.name not in seen:
            seen.add(current.name)
            yield current
            current = self.structured_type(current.base) if current.base else None

    def properties(self, name: str) -> dict[str, Property]:
        """All structural properties of a type by name, those of its base types first."""
        merged: dict[str, Property] = {}
        for declared in reversed(list(self.lineage(name))):
            merged.update(declared.properties)
        return merged

    def navigation(self, name: str) -> dict[str, NavigationProperty]:
        """All navigation properties of a type by name, including inherited ones."""
        merged: dict[str, NavigationProperty] = {}
        for declared in reversed(list(self.lineage(name))):
            merged.update(declared.navigation)
        return merged

    def key(self, name: str) -> tuple[str, ...]:
        """Names of a type's key properties; the key may be declared on a base type."""
        return next((declared.key for declared in self.lineage(name) if declared.key), ())

    def resolve_definition(self, prop: Property) -> Property:
        """The property with its type definition, if any, replaced with the underlying type."""
        if not self.definitions:
            return prop
        definition = self.definitions.get(self.resolve(prop.type))
        if definition is None:
            return prop
        return prop._replace(
            type=definition.type,
            facets=definition.facets if prop.facets == NO_FACETS else prop.facets,
        )

    def is_enum(self, name: str) -> bool:
        """Whether this is the qualified name of an enumeration type."""
        return self.resolve(name) in self.enums


def split_collection(type_name: str) -> tuple[str, bool]:
    """Split ``Collection(X)`` into ``X`` and True; return any other name with False."""
    if type_name.startswith(_COLLECTION) and type_name.endswith(")"):
        return type_name[len(_COLLECTION) : -1], True
    return type_name, False
