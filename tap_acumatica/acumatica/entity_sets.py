"""What a service offers, one entry per stream: aliases joined, names made safe.

Sources: Acumatica User Guide, "DAC-Based OData" (up to three entity sets address one DAC) and
"Access to Exposed Inquiry Through OData" (``<Title>_WithParameters``; keys of every joined table,
those that are not result columns at the end).
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_acumatica.acumatica.addresses import Interface
    from tap_acumatica.odata.model import EntitySet, FunctionImport, Model

_UNSAFE = re.compile(r"[^A-Za-z0-9_]")
_WITH_PARAMETERS = "_WithParameters"
_INQUIRY_NAMESPACE = "GenericInquiry"


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing to read.

    Attributes:
        stream: Name of its stream.
        entity_set: The set or singleton to ask for.
        aliases: All its names: those of its sets, its type and its stream.
        inquiry: Whether it is a generic inquiry.
        dac: Whether it is a data access class.
        restricted: Properties under ``NonFilterableProperties``. Of a DAC, Acumatica can neither
            filter nor select them, and names those of a base DAC with the base's own sets only.
        function: The function that takes its parameters, for an inquiry that has some.
    """

    stream: str
    entity_set: EntitySet
    aliases: tuple[str, ...]
    inquiry: bool = False
    dac: bool = False
    restricted: frozenset[str] = frozenset()
    function: FunctionImport | None = None

    def matches(self, patterns: Iterable[str]) -> bool:
        """Whether any of its names matches any of the glob patterns."""
        return any(fnmatchcase(alias, pattern) for pattern in patterns for alias in self.aliases)


def entities(model: Model, interface: Interface | None = None) -> list[Entity]:
    """Everything a service offers, ordered by stream name.

    Args:
        model: The service's model.
        interface: The Acumatica interface, None where the address does not show one.
    """
    groups = _groups(model, interface)
    classes = Counter(name.rpartition(".")[2] for name in model.types)
    functions = _parameterised(model)
    by_type = _restricted_by_type(model)
    drafts = []
    for sets in groups:
        chosen = sets[0]
        dac = _is_dac(sets, interface)
        short = chosen.type.rpartition(".")[2]
        title = (short if classes[short] == 1 else chosen.type) if dac else chosen.name
        drafts.append((title, sets, dac))
    names = _safe_names([title for title, _, _ in drafts])
    found = [
        Entity(
            stream=names[title],
            entity_set=sets[0],
            aliases=tuple(dict.fromkeys([*(s.name for s in sets), sets[0].type, names[title]])),
            inquiry=_is_inquiry(sets[0], interface),
            dac=dac,
            restricted=_restricted(model, sets[0], by_type if dac else {}),
            function=functions.get(sets[0].name),
        )
        for title, sets, dac in drafts
    ]
    return sorted(found, key=lambda entity: entity.stream)


def appended_keys(properties: Sequence[str], key: Sequence[str]) -> frozenset[str]:
    """Keys of an inquiry that are not result columns: they stand at the end of its properties.

    A filter on them answers with rows that the unfiltered inquiry does not contain.
    """
    keys = set(key)
    tail: set[str] = set()
    for name in reversed(properties):
        if name not in keys:
            return frozenset(tail)
        tail.add(name)
    return frozenset()


def _groups(model: Model, interface: Interface | None) -> list[list[EntitySet]]:
    """Entity sets in groups that hold the same rows, each with the set to ask for first."""
    by_type: dict[str, list[EntitySet]] = {}
    for entity_set in model.sets.values():
        by_type.setdefault(entity_set.type, []).append(entity_set)
    groups: list[list[EntitySet]] = []
    for type_name, sets in by_type.items():
        if _is_dac(sets, interface):
            qualified = _qualified(type_name)
            groups.append(sorted(sets, key=lambda s: (s.name != qualified, s.name)))
        else:
            groups.extend([entity_set] for entity_set in sets)
    return groups


def _qualified(type_name: str) -> str:
    return type_name.replace(".", "_")


def _is_dac(sets: Sequence[EntitySet], interface: Interface | None) -> bool:
    if interface is not None:
        return not interface.inquiries
    return "." in sets[0].type and any(s.name == _qualified(s.type) for s in sets)


def _is_inquiry(entity_set: EntitySet, interface: Interface | None) -> bool:
    if interface is not None:
        return interface.inquiries
    return entity_set.type.startswith(f"{_INQUIRY_NAMESPACE}.")


def _restricted_by_type(model: Model) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for entity_set in model.sets.values():
        found[entity_set.type] = found.get(entity_set.type, frozenset()) | entity_set.non_filterable
    return found


def _restricted(
    model: Model, entity_set: EntitySet, by_type: dict[str, frozenset[str]]
) -> frozenset[str]:
    inherited = (by_type.get(base.name, frozenset()) for base in model.lineage(entity_set.type))
    return entity_set.non_filterable.union(*inherited) if by_type else entity_set.non_filterable


def _parameterised(model: Model) -> dict[str, FunctionImport]:
    """Functions that take an inquiry's parameters, by the entity set they belong to."""
    found: dict[str, FunctionImport] = {}
    by_stripped = {_stripped(name): name for name in model.sets}
    for function in model.function_imports.values():
        if not function.name.endswith(_WITH_PARAMETERS):
            continue
        stripped = _stripped(function.name.removesuffix(_WITH_PARAMETERS))
        entity_set = function.entity_set or by_stripped.get(stripped)
        if entity_set:
            found[entity_set] = function
    return found


def _stripped(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", title)


def _safe_names(titles: Sequence[str]) -> dict[str, str]:
    """A name without dashes, spaces or dots for every title.

    Where names would be the same, even ignoring case, all but the one that needed least change get
    a suffix made from their title.
    """
    taken: set[str] = set()
    names: dict[str, str] = {}
    for title in sorted(titles, key=lambda title: (bool(_UNSAFE.search(title)), title)):
        name = _UNSAFE.sub("_", title) or "_"
        if name.casefold() in taken:
            name = f"{name}_{hashlib.sha256(title.encode()).hexdigest()[:8]}"
        taken.add(name.casefold())
        names[title] = name
    return names
