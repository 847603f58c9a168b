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

    ``scale`` is None where it is not given, ``variable`` or ``floating``; only a floating one may
    have infinities and NaN.
    """

    precision: int | None = None
    scale: int | None = None
    floating: bool = False


NO_FACETS = Facets()


class Property(t.NamedTuple):
    """A structural property.

    Attributes:
        name: Name on the wire.
        type: Qualified type name, ``Edm.String`` or ``Some.Namespace.Type``, without
            ``Collection()``.
        collection: Whether the value is a list.
        nullable: What the metadata says; services send null all the same.
        facets: Precision and scale.
        description: Text of ``Org.OData.Core.V1.Description``, for people.
        feed_path: Where in an ATOM entry the value is told that its content lacks (OData 2.0 and 3.0,
            feed customization): a path for lxml, with ``@name`` at its end for an attribute.
    """

    name: str
    type: str
    collection: bool = False
    nullable: bool = True
    facets: Facets = NO_FACETS
    description: str | None = None
    feed_path: str | None = None


class NavigationProperty(t.NamedTuple):
    """A navigation property: to one entity, or to many (``collection``)."""

    name: str
    type: str
    collection: bool = False


class Members(t.NamedTuple):
    """What a structured_type type declares itself."""

    key: tuple[str, ...] = ()
    properties: Mapping[str, Property] = MappingProxyType({})
    navigation: Mapping[str, NavigationProperty] = MappingProxyType({})


class StructuredType:
    """An entity type or a complex type; inherited members are on ``base``.

    Attributes:
        name: Qualified name.
        base: Qualified name of the base type, as it is spelled.
        abstract: Whether there are only values of derived types.
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
            abstract: Whether it is abstract.
            members: What it declares.
            read: Finds that out at the first question: a service has thousands of types, of which
                a run needs a few.
        """
        self.name = name
        self.base = base
        self.abstract = abstract
        self._members = members
        self._read = read

    @property
    def members(self) -> Members:
        """What it declares, read when it is first asked for."""
        if self._members is None:
            self._members = self._read() if self._read else Members()
            self._read = None
        return self._members

    @property
    def is_read(self) -> bool:
        """Whether its members were asked for."""
        return self._members is not None

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key properties, where it declares a key."""
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
    """An entity set or, with ``singleton``, a single entity at an address of its own.

    Attributes:
        name: Name in the address.
        type: Qualified name of the entity type.
        singleton: Whether the address answers with one entity.
        filterable: False where ``FilterRestrictions/Filterable`` says so.
        non_filterable: Property names under ``NonFilterableProperties``.
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
    """A function that can be called at the service root, with the set its result comes from."""

    name: str
    parameters: tuple[Parameter, ...]
    entity_set: str | None
    returns: str | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the metadata that could not be read, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Model:
    """All that a service declares, and look-ups over it.

    Names may be no legal CSDL identifiers (``PM-Project Summary``): nothing here depends on it.
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
        """Let go of the types that nobody asked for, and so of the document they are in.

        Types that the read ones are made of are read first: what is left is closed in itself.
        """
        waiting = [declared for declared in self.types.values() if declared.is_read]
        while waiting:
            declared = waiting.pop()
            related = {prop.type for prop in declared.properties.values()}
            for name in (*related, declared.base):
                found = self.structured_type(name) if name and not name.startswith(EDM) else None
                if found and not found.is_read:
                    _ = found.members
                    waiting.append(found)
        self.types = {name: found for name, found in self.types.items() if found.is_read}

    def resolve(self, name: str) -> str:
        """Replace a schema alias at the head of a qualified name by its namespace."""
        if not self.aliases:
            return name
        head, dot, tail = name.rpartition(".")
        return f"{self.aliases[head]}{dot}{tail}" if head in self.aliases else name

    def structured_type(self, name: str) -> StructuredType | None:
        """The entity or complex type of that qualified name, if declared."""
        return self.types.get(name) or self.types.get(self.resolve(name))

    def lineage(self, name: str) -> Iterator[StructuredType]:
        """The type and its base types, derived first, as far as they are declared."""
        seen: set[str] = set()
        current = self.structured_type(name)
        while current is not None and current.name not in seen:
            seen.add(current.name)
            yield current
            current = self.structured_type(current.base) if current.base else None

    def properties(self, name: str) -> dict[str, Property]:
        """All structural properties of a type, those of its base types first."""
        merged: dict[str, Property] = {}
        for declared in reversed(list(self.lineage(name))):
            merged.update(declared.properties)
        return merged

    def navigation(self, name: str) -> dict[str, NavigationProperty]:
        """All navigation properties of a type, inherited ones included."""
        merged: dict[str, NavigationProperty] = {}
        for declared in reversed(list(self.lineage(name))):
            merged.update(declared.navigation)
        return merged

    def key(self, name: str) -> tuple[str, ...]:
        """Key property names; a key is declared once, on the type or on one of its bases."""
        return next((declared.key for declared in self.lineage(name) if declared.key), ())

    def resolve_definition(self, prop: Property) -> Property:
        """The property with its type definition, if it has one, replaced by the primitive type."""
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
        """Whether the qualified name is an enumeration type."""
        return self.resolve(name) in self.enums


def split_collection(type_name: str) -> tuple[str, bool]:
    """Split ``Collection(X)`` into ``X`` and True; any other name into itself and False."""
    if type_name.startswith(_COLLECTION) and type_name.endswith(")"):
        return type_name[len(_COLLECTION) : -1], True
    return type_name, False
