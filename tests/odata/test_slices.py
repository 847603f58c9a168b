"""Parsing types on first use gives the same model as parsing the whole document."""

# ruff: noqa: E501  documents are best read line by line

from __future__ import annotations

import gzip
import typing as t
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.errors import MetadataError
from tap_acumatica.odata.csdl import open_metadata, parse_metadata
from tap_acumatica.odata.slices import slice_document
from tests.odata_service import csdl

if t.TYPE_CHECKING:
    from pathlib import Path

    from tap_acumatica.odata.model import Model

RESTRICTED = (
    '<Annotation Term="Org.OData.Capabilities.V1.FilterRestrictions"><Record><PropertyValue '
    'Property="NonFilterableProperties"><Collection><PropertyPath>Text</PropertyPath></Collection>'
    "</PropertyValue></Record></Annotation>"
)
BINDING = '<NavigationPropertyBinding Path="Parts" Target="Rows"/>'
TYPES = (
    '<EntityType Name="Row" BaseType="N.S.Base"><Property Name="Text" Type="Edm.String"><Annotation '
    'Term="Org.OData.Core.V1.Description" String="Says &lt;it&gt; > all"/></Property>'
    '<NavigationProperty Name="Parts" Type="Collection(N.S.Row)"/></EntityType>'
    '<EntityType Name="Base"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" '
    'Type="Edm.Guid"/><Property Type="Edm.String"/></EntityType><EntityType Name="Bare"/>'
)
SETS = (
    f'<EntityContainer Name="C"><EntitySet Name="Rows" EntityType="N.S.Row">{BINDING}{RESTRICTED}'
    f'{BINDING}</EntitySet><EntitySet Name="More" EntityType="N.S.Base">{BINDING}</EntitySet>'
    '<EntitySet Name="Bare" EntityType="N.S.Bare"/><Singleton Name="One" Type="N.S.Base">'
    f"{BINDING}</Singleton></EntityContainer>"
)
DOCUMENT = csdl(TYPES + SETS, 'Namespace="N.S"').partition("?>")[2]


def content(model: Model) -> t.Any:
    """Everything in a model, with all types read."""
    types = {
        name: (found.base, found.key, dict(found.properties), dict(found.navigation))
        for name, found in model.types.items()
    }
    return (
        model.version,
        types,
        model.enums,
        model.sets,
        model.definitions,
        model.function_imports,
        model.aliases,
        sorted(item.name for item in model.skipped),
    )


def assert_same(document: bytes) -> None:
    try:
        expected = content(parse_metadata(document))
    except MetadataError:
        with pytest.raises(MetadataError):
            content(open_metadata(document))
    else:
        assert content(open_metadata(document)) == expected


def test_a_usual_document_is_split() -> None:
    slices = slice_document(DOCUMENT.encode())
    assert slices is not None
    assert len(slices.bodies) == 2
    assert b"Path=" not in slices.skeleton.replace(f"{RESTRICTED}{BINDING}".encode(), b"")
    assert_same(DOCUMENT.encode())


@pytest.mark.parametrize(
    "document",
    [
        f"<?xml version='1.0' encoding='UTF-8'?>\n<!-- <EntityType> -->\n{DOCUMENT}",
        f"\ufeff<?xml version='1.0'?>{DOCUMENT}",
        DOCUMENT.replace("<EntityType ", "<!-- <EntityType> --><EntityType ", 1),
        DOCUMENT.replace('String="', 'String="<![CDATA[', 1),
        DOCUMENT.replace("</Record>", "<String><![CDATA[</EntitySet>]]></String></Record>"),
        DOCUMENT.replace("<Key>", "<?x </EntityType> ?><Key>"),
        DOCUMENT.replace("</EntityType>", "</EntityType >"),
        DOCUMENT.replace("</EntityType>", "</EntityType >", 1),
        DOCUMENT.replace("</EntityType>", "", 1),
        DOCUMENT.replace("</EntitySet>", "", 1),
        DOCUMENT.replace("</Property>", "", 1),
        DOCUMENT.replace('Name="Row"', "Name='R\">'", 1),
        DOCUMENT.replace('Name="Row"', "Name = '/>'", 1),
        DOCUMENT.replace('<EntityType Name="Row"', '<EntityType\n\tm:HasStream="true" Name="Row"'),
        DOCUMENT.replace("<Property ", '<Property m:Extra="x" ', 1),
        DOCUMENT.replace("<Schema ", '<Schema xmlns:m="urn:m" xmlns:n="a&amp;b" ').replace(
            "<Property ", '<Property m:Extra="x" ', 1
        ),
        DOCUMENT.replace("<Schema ", '<e:Schema xmlns:e="urn:e" ')
        .replace("</Schema", "</e:Schema")
        .replace("<EntityType", "<e:EntityType")
        .replace("</EntityType", "</e:EntityType"),
        DOCUMENT.replace(
            BINDING, f"<NavigationPropertyBinding>{RESTRICTED}</NavigationPropertyBinding>"
        ),
        f"<!DOCTYPE x [<!ENTITY e 'Edm.Int32'>]>{DOCUMENT.replace('Edm.String', '&e;')}",
        DOCUMENT[: len(DOCUMENT) // 2],
        DOCUMENT.replace('Name="Row"', 'Name="Row" Name="Row"'),
    ],
)
def test_a_document_written_in_any_way_gives_the_same_model(document: str) -> None:
    assert_same(document.encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_document_in_any_encoding_gives_the_same_model(encoding: str) -> None:
    document = DOCUMENT.replace("all", "ällé")
    assert_same(f"<?xml version='1.0' encoding='{encoding}'?>{document}".encode(encoding))


NAMES = st.text("abÄ<>&'\"/ .-", min_size=1, max_size=5)
PROPERTIES = st.lists(
    st.tuples(NAMES, st.sampled_from(["Edm.String", "Collection(N.S.a)"]), NAMES), max_size=3
)


@given(types=st.dictionaries(NAMES, PROPERTIES, max_size=4), comment=st.booleans())
def test_any_names_give_the_same_model(types: dict[str, t.Any], *, comment: bool) -> None:
    schema = "<!-- -->" if comment else ""
    for name, properties in types.items():
        schema += f"<EntityType Name={quoteattr(name)}>"
        for own, kind, description in properties:
            schema += f'<Property Name={quoteattr(own)} Type="{kind}"><Annotation Term="Org.OData.Core.V1.Description" String={quoteattr(description)}/></Property>'
        schema += "</EntityType>"
    sets = "".join(
        f"<EntitySet Name={quoteattr(name)} EntityType={quoteattr(f'N.S.{name}')}>{BINDING}</EntitySet>"
        for name in types
    )
    container = f'<EntityContainer Name="C">{sets}</EntityContainer>'
    assert_same(csdl(schema + container, 'Namespace="N.S"').encode())


def test_unused_types_are_dropped_and_referenced_types_stay() -> None:
    model = open_metadata(
        csdl(
            '<ComplexType Name="Inner"><Property Name="P" Type="Edm.String"/></ComplexType>'
            '<ComplexType Name="Outer"><Property Name="I" Type="Collection(N.S.Inner)"/></ComplexType>'
            '<EntityType Name="Row" BaseType="N.S.Base"><Property Name="O" Type="N.S.Outer"/>'
            '<NavigationProperty Name="N" Type="N.S.Other"/></EntityType>'
            '<EntityType Name="Base"><Property Name="B" Type="Edm.Int32"/></EntityType>'
            '<EntityType Name="Other"><Property Name="B" Type="Edm.Int32"/></EntityType>'
            '<EntityContainer Name="C"><EntitySet Name="Rows" EntityType="N.S.Row"/></EntityContainer>',
            'Namespace="N.S"',
        ).encode()
    )
    assert model.types["N.S.Row"].key == ()
    assert not model.types["N.S.Other"].is_read
    model.drop_unread()
    assert set(model.types) == {"N.S.Row", "N.S.Base", "N.S.Outer", "N.S.Inner"}


def test_the_metadata_of_a_real_site_gives_the_same_model(shared_data: Path) -> None:
    packed = (shared_data / "acumatica-2026R2-dac-metadata.xml.gz").read_bytes()
    document = gzip.decompress(packed)
    slices = slice_document(document)
    assert slices is not None
    assert len(slices.skeleton) < len(document) / 10
    assert_same(document)
