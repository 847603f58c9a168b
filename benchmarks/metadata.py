"""Metadata: of the two sets that are read, alone or among the thousands of a whole Acumatica."""

from __future__ import annotations

import gzip
import random
import typing as t
from pathlib import Path

from benchmarks.dataset import KEYS, TYPES

if t.TYPE_CHECKING:
    from collections.abc import Iterator

REAL = Path(__file__).resolve().parents[2] / "shared/data/acumatica-2026R2-dac-metadata.xml.gz"
"""Metadata in the shape of a true 2026 R2, where it lies beside the clone."""

# What a clean 2026 R2 declares.
NAMESPACES = 211
TYPES_IN_ALL = 2265
ADDRESSED = 2198
SETS = 5108
SINGLETONS = 158
PROPERTIES = 42_288
NAVIGATIONS = 23_576
BINDINGS = 88_000
RESTRICTED = 1074

_OWN = "PX.Benchmark"
_CORE = "Org.OData.Core.V1.Description"
_RESTRICTIONS = "Org.OData.Capabilities.V1.FilterRestrictions"
_KINDS = ("String", "String", "Decimal", "Int32", "Boolean", "DateTimeOffset", "Guid", "Int16")
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" '
    'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
)
_SCHEMA = '<Schema Namespace="{}" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
_TAIL = "</edmx:DataServices></edmx:Edmx>"


def small_metadata() -> bytes:
    """A service of two entity sets."""
    return f"{_HEAD}{_own_schema()}{_TAIL}".encode()


def full_metadata() -> tuple[bytes, str]:
    """The metadata of a whole Acumatica with the two sets in it, and where it is from."""
    if not REAL.is_file():
        return large_metadata(), "made by the benchmark"
    document = gzip.decompress(REAL.read_bytes())
    head, tail, rest = document.rpartition(_TAIL.encode())
    return head + _own_schema().encode() + tail + rest, REAL.name


def large_metadata() -> bytes:
    """Metadata of the size and shape of a whole Acumatica, always the same."""
    return f"{_HEAD}{''.join(_schemas())}{_own_schema()}{_TAIL}".encode()


def _own_schema() -> str:
    types = sets = ""
    for name, key in KEYS.items():
        references = "".join(f'<PropertyRef Name="{column}"/>' for column in key)
        columns = "".join(
            f'<Property Name="{column}" Type="{kind}"'
            + (' Nullable="false"/>' if column in key else ' Scale="Variable"/>')
            if kind == "Edm.Decimal" or column in key
            else f'<Property Name="{column}" Type="{kind}"/>'
            for column, kind in TYPES.items()
        )
        types += f'<EntityType Name="{name}"><Key>{references}</Key>{columns}</EntityType>'
        sets += f'<EntitySet Name="{name}" EntityType="{_OWN}.{name}"/>'
    container = f'<EntityContainer Name="Benchmark">{sets}</EntityContainer>'
    return f"{_SCHEMA.format(_OWN)}{types}{container}</Schema>"


def _schemas() -> Iterator[str]:
    made = random.Random(2026)  # noqa: S311  it is to be the same each time
    names = [
        f"PX.Objects.M{number % NAMESPACES:03}.Entity{number:04}" for number in range(TYPES_IN_ALL)
    ]
    for number in range(NAMESPACES):
        types = "".join(
            _type(made, names, index) for index in range(number, TYPES_IN_ALL, NAMESPACES)
        )
        yield f"{_SCHEMA.format(f'PX.Objects.M{number:03}')}{types}</Schema>"
    yield f"{_SCHEMA.format('Default')}{_container(made, names)}</Schema>"


def _type(made: random.Random, names: list[str], index: int) -> str:
    short = names[index].rpartition(".")[2]
    properties = _share(PROPERTIES, index, made)
    navigations = _share(NAVIGATIONS, index, made)
    # Few types make up for the many small ones, as it is in truth.
    body = (
        f'<Key><PropertyRef Name="{short}ID" /></Key><Property Name="{short}ID" Type="Edm.Int32" />'
    )
    body += "".join(_property(made, number) for number in range(1, properties))
    for number in range(navigations):
        target = made.choice(names)
        name = target.rpartition(".")[2]
        kind, tag = (target, " />") if number % 3 else (f"Collection({target})", " />")
        if number % 5 == 1:
            tag = (
                f'><ReferentialConstraint Property="{short}ID" ReferencedProperty="{name}ID" />'
                "</NavigationProperty>"
            )
        body += f'<NavigationProperty Name="{name}By{number}" Type="{kind}"{tag}'
    return f'<EntityType Name="{short}">{body}</EntityType>'


def _share(total: int, index: int, made: random.Random) -> int:
    mean = total / TYPES_IN_ALL
    return max(1, round(mean * (3.4 if index % 9 == 0 else 0.7) * made.uniform(0.8, 1.2)))


def _property(made: random.Random, number: int) -> str:
    kind = made.choice(_KINDS)
    facets = ' Scale="Variable"' if kind == "Decimal" else ""
    facets += ' Nullable="false"' if number % 4 == 0 else ""
    name = "LastModifiedDateTime" if number == 1 else f"Property{number:03}"
    kind = "DateTimeOffset" if number == 1 else kind
    tag = f'<Property Name="{name}" Type="Edm.{kind}"{facets}'
    if number % 8 in {0, 3, 6}:  # the others have a display name
        return f"{tag} />"
    return f'{tag}><Annotation Term="{_CORE}" String="Display name {number}" /></Property>'


def _container(made: random.Random, names: list[str]) -> str:
    members = []
    addresses = [name for name in names[:ADDRESSED] for _ in range(3)][: SETS + SINGLETONS]
    for number, name in enumerate(addresses):
        singleton = number >= SETS
        own = (name.replace(".", "_"), f"Friendly{name[-4:]}", name.rpartition(".")[2])[number % 3]
        tag = "Singleton" if singleton else "EntitySet"
        kind = "Type" if singleton else "EntityType"
        bindings = "".join(
            f'<NavigationPropertyBinding Path="Entity{made.randrange(TYPES_IN_ALL):04}By{place}" '
            f'Target="{made.choice(names).replace(".", "_")}" />'
            for place in range(BINDINGS // (SETS + SINGLETONS))
        )
        restricted = ""
        if number // 3 < RESTRICTED:
            paths = "".join(f"<PropertyPath>Property{n:03}</PropertyPath>" for n in range(2, 6))
            restricted = (
                f'<Annotation Term="{_RESTRICTIONS}"><Record><PropertyValue '
                f'Property="NonFilterableProperties"><Collection>{paths}</Collection>'
                "</PropertyValue></Record></Annotation>"
            )
        members.append(f'<{tag} Name="{own}" {kind}="{name}">{bindings}{restricted}</{tag}>')
    return f'<EntityContainer Name="Container">{"".join(members)}</EntityContainer>'
