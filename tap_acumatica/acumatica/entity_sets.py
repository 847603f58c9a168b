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
    from collections.abc import Iterable, Mapping, Sequence

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
        restricted: Properties under ``NonFilterableProperties``. Whether a DAC gives them where
            they are selected differs; those of a base DAC are named with the base's own sets only.
        barred_types: Its types, or types that it inherits from, whose own properties cannot be
            filtered by, since a set of theirs has ``Filterable="false"``.
        function: The function that takes its parameters, for an inquiry that has some.
    """

    stream: str
    entity_set: EntitySet
    aliases: tuple[str, ...]
    inquiry: bool = False
    dac: bool = False
    restricted: frozenset[str] = frozenset()
    barred_types: tuple[str, ...] = ()
    function: FunctionImport | None = None

    def matches(self, patterns: Iterable[str]) -> bool:
        """Whether any of its names matches any of the glob patterns."""
        return any(fnmatchcase(alias, pattern) for pattern in patterns for alias in self.aliases)


class Offer(t.NamedTuple):
    """Entity sets that hold the same rows.

    Attributes:
        title: What their stream is named after.
        sets: The sets, the one to ask for first.
        dac: Whether they address a data access class.
    """

    title: str
    sets: Sequence[EntitySet]
    dac: bool

    @property
    def source(self) -> str:
        """Name of the set to ask for: what the stream is, whatever it is called."""
        return self.sets[0].name


def offers(model: Model, interface: Interface | None = None) -> list[Offer]:
    """What a service offers, not named yet.

    Args:
        model: The service's model.
        interface: The Acumatica interface, None where the address does not show one.
    """
    classes = Counter(name.rpartition(".")[2] for name in model.types)
    found = []
    for sets in _groups(model, interface):
        chosen = sets[0]
        dac = _is_dac(sets, interface)
        short = chosen.type.rpartition(".")[2]
        title = (short if classes[short] == 1 else chosen.type) if dac else chosen.name
        found.append(Offer(title, sets, dac))
    return found


def entities(
    model: Model,
    interface: Interface | None = None,
    *,
    offered: Sequence[Offer] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[Entity]:
    """Everything a service offers, ordered by stream name.

    Args:
        model: The service's model.
        interface: The Acumatica interface, None where the address does not show one.
        offered: What :func:`offers` found; None to look.
        names: Names of the streams by entity set; None to name them now.
    """
    offered = offers(model, interface) if offered is None else offered
    if names is None:
        names = stream_names({offer.source: offer.title for offer in offered})
    functions = _parameterised(model)
    by_type = _restricted_by_type(model)
    barred = {each.type for each in model.sets.values() if not each.filterable}
    found = []
    for _, sets, dac in offered:
        chosen, name = sets[0], names[sets[0].name]
        found.append(
            Entity(
                stream=name,
                entity_set=chosen,
                aliases=tuple(dict.fromkeys([*(s.name for s in sets), chosen.type, name])),
                inquiry=_is_inquiry(chosen, interface),
                dac=dac,
                restricted=_restricted(model, chosen, by_type if dac else {}),
                barred_types=_barred(model, chosen, barred if dac else set()),
                function=functions.get(chosen.name),
            )
        )
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


def _barred(model: Model, entity_set: EntitySet, barred: set[str]) -> tuple[str, ...]:
    own = () if entity_set.filterable else (entity_set.type,)
    above = (each.name for each in model.lineage(entity_set.type)) if barred else ()
    return tuple(dict.fromkeys([*own, *(name for name in above if name in barred)]))


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


def stream_names(
    titles: Mapping[str, str], remembered: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A name without dashes, spaces or dots for every entity set.

    Where names would be the same, even ignoring case, all but one get a suffix made from their
    title: the one that keeps the name is the one that had it before, else the one that needs least
    change.

    Args:
        titles: What each stream is named after, by entity set.
        remembered: The entity sets of an earlier run, by stream name.
    """
    kept = {source: name for name, source in (remembered or {}).items() if source in titles}
    taken = {name.casefold() for name in kept.values()}
    names: dict[str, str] = dict(kept)
    others = [(title, source) for source, title in titles.items() if source not in kept]
    for title, source in sorted(others, key=lambda other: (bool(_UNSAFE.search(other[0])), other)):
        name = safe_name(title)
        for text in (title, source):
            if name.casefold() in taken:
                name = f"{safe_name(title)}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        taken.add(name.casefold())
        names[source] = name
    return names


def safe_name(title: str) -> str:
    """What a stream is called that shares its name with no other."""
    return _UNSAFE.sub("_", title) or "_"
