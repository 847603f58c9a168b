"""Metadata of each OData version, however written, becomes the same model."""

# ruff: noqa: E501  documents and tables of cases are best read line by line

from __future__ import annotations

import gzip
import typing as t
from pathlib import Path

import pytest

from tap_acumatica.errors import MetadataError
from tap_acumatica.odata.csdl import parse_metadata
from tests.odata_service import csdl

if t.TYPE_CHECKING:
    from tap_acumatica.odata.model import Model

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def model(schema: str, attributes: str = 'Namespace="N.S" Alias="A"') -> Model:
    return parse_metadata(csdl(schema, attributes).encode())


CONTAINER = '<EntityContainer Name="C"><EntitySet Name="Rows" EntityType="{}"/></EntityContainer>'


def test_keys_and_properties_of_base_types_are_inherited_through_aliases() -> None:
    found = model(
        '<EntityType Name="Base" Abstract="true"><Key><PropertyRef Name="Id"/></Key>'
        '<Property Name="Id" Type="Edm.Int32" Nullable="false"/></EntityType>'
        '<EntityType Name="Row" BaseType="A.Base"><Property Name="Text" Type="Edm.String"/>'
        '<NavigationProperty Name="Parts" Type="Collection(A.Row)"/></EntityType>'
        + CONTAINER.format("A.Row")
    )
    assert found.sets["Rows"].type == "N.S.Row"
    assert found.key("N.S.Row") == ("Id",)
    assert list(found.properties("A.Row")) == ["Id", "Text"]
    assert found.properties("N.S.Row")["Id"].nullable is False
    assert found.navigation("N.S.Row")["Parts"].collection


def test_a_type_that_is_its_own_base_does_not_hang() -> None:
    found = model(
        '<EntityType Name="X" BaseType="A.Y"/><EntityType Name="Y" BaseType="A.X"><Property Name="P" Type="Edm.String"/>'
        "</EntityType>" + CONTAINER.format("A.X")
    )
    assert list(found.properties("N.S.X")) == ["P"]
    assert found.key("N.S.X") == ()


def test_type_definitions_provide_type_and_facets() -> None:
    found = model(
        '<TypeDefinition Name="Money" UnderlyingType="Edm.Decimal" Precision="19" Scale="4"/>'
        '<EnumType Name="Color"><Member Name="Red"/></EnumType>'
        '<EntityType Name="Row"><Property Name="Price" Type="A.Money"/><Property Name="Cost" Type="A.Money" Scale="2" Precision="9"/>'
        '<Property Name="Tags" Type="Collection(A.Money)"/><Property Name="Color" Type="A.Color"/></EntityType>'
        + CONTAINER.format("N.S.Row")
    )
    properties = {
        name: found.resolve_definition(prop) for name, prop in found.properties("N.S.Row").items()
    }
    assert properties["Price"].type == "Edm.Decimal"
    assert properties["Price"].facets.scale == 4
    assert properties["Cost"].facets.scale == 2
    assert properties["Tags"].collection
    assert found.is_enum("A.Color")
    assert found.is_enum("N.S.Color")


@pytest.mark.parametrize("outside", [False, True])
def test_filter_restrictions_and_descriptions_are_read_inside_and_outside(*, outside: bool) -> None:
    restriction = (
        '<Annotation Term="Org.OData.Capabilities.V1.FilterRestrictions"><Record>'
        '<PropertyValue Property="Filterable" Bool="true"/><PropertyValue Property="NonFilterableProperties">'
        "<Collection><PropertyPath>Text</PropertyPath></Collection></PropertyValue></Record></Annotation>"
    )
    inside = "" if outside else restriction
    found = model(
        '<EntityType Name="Row"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Guid"/>'
        '<Property Name="Text" Type="Edm.String"><Annotation Term="Org.OData.Core.V1.Description" String="Says &lt;it&gt;"/></Property>'
        f'</EntityType><EntityContainer Name="C"><EntitySet Name="Rows" EntityType="N.S.Row">{inside}</EntitySet></EntityContainer>'
        + (f'<Annotations Target="N.S.C/Rows">{restriction}</Annotations>' if outside else "")
    )
    assert found.sets["Rows"].filterable
    assert found.sets["Rows"].non_filterable == {"Text"}
    assert found.properties("N.S.Row")["Text"].description == "Says <it>"


def test_names_that_are_not_identifiers_are_kept_and_stay_distinct() -> None:
    types = "".join(
        f'<EntityType Name="{name}"><Key><PropertyRef Name="K"/></Key><Property Name="K" Type="Edm.String"/></EntityType>'
        for name in ("AR-Customers", "CR-Customers", "PM-Project Summary")
    )
    sets = "".join(
        f'<EntitySet Name="{name}" EntityType="N.S.{name}"/>'
        for name in ("AR-Customers", "CR-Customers", "PM-Project Summary")
    )
    found = model(f'{types}<EntityContainer Name="C">{sets}</EntityContainer>')
    assert list(found.sets) == ["AR-Customers", "CR-Customers", "PM-Project Summary"]
    assert found.key("N.S.PM-Project Summary") == ("K",)


def test_a_set_without_its_type_is_skipped_and_counted() -> None:
    found = model(
        '<EntityType Name="Row"><Property Name="P"/></EntityType><EntityContainer Name="C">'
        '<EntitySet Name="Rows" EntityType="N.S.Row"/><EntitySet Name="Lost" EntityType="Not.There"/>'
        '<EntitySet Name="Nameless"/></EntityContainer>'
    )
    assert list(found.sets) == ["Rows"]
    assert {skipped.name for skipped in found.skipped} == {"N.S.Row.P", "Lost", "Nameless"}


def test_functions_singletons_and_imports() -> None:
    found = model(
        '<EntityType Name="Row"><Property Name="P" Type="Edm.String"/></EntityType>'
        '<Function Name="Ask"><Parameter Name="From" Type="Edm.DateTimeOffset"/><Parameter Name="Ids" Type="Collection(Edm.Int32)" '
        'Nullable="false"/><ReturnType Type="Collection(A.Row)"/></Function><EntityContainer Name="C"><Singleton Name="Me" Type="A.Row"/>'
        '<FunctionImport Name="Rows_Ask" Function="A.Ask" EntitySet="Rows"/></EntityContainer>'
    )
    assert found.sets["Me"].singleton
    asked = found.function_imports["Rows_Ask"]
    assert [(p.name, p.type, p.collection, p.nullable) for p in asked.parameters] == [
        ("From", "Edm.DateTimeOffset", False, True),
        ("Ids", "Edm.Int32", True, False),
    ]


OLDER = """<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">
<edmx:DataServices m:DataServiceVersion="{version}" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">
<Schema Namespace="N.S" xmlns="{namespace}">
<EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32" Nullable="false"/>
<Property Name="At" Type="Edm.DateTime"/><NavigationProperty Name="Lines" Relationship="N.S.OL" FromRole="O" ToRole="L"/></EntityType>
<EntityType Name="Line"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int32"/></EntityType>
<Association Name="OL"><End Type="N.S.Order" Role="O" Multiplicity="1"/><End Type="N.S.Line" Role="L" Multiplicity="*"/></Association>
</Schema><Schema Namespace="Other" xmlns="{namespace}"><EntityContainer Name="C" m:IsDefaultEntityContainer="true">
<EntitySet Name="Orders" EntityType="N.S.Order"/><FunctionImport Name="Find" ReturnType="Collection(N.S.Order)" EntitySet="Orders">
<Parameter Name="id" Type="Edm.Int32"/></FunctionImport></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"""


@pytest.mark.parametrize(
    ("version", "namespace"),
    [
        ("1.0", "http://schemas.microsoft.com/ado/2006/04/edm"),
        ("1.0", "http://schemas.microsoft.com/ado/2007/05/edm"),
        ("2.0", "http://schemas.microsoft.com/ado/2008/01/edm"),
        ("2.0", "http://schemas.microsoft.com/ado/2008/09/edm"),
        ("3.0", "http://schemas.microsoft.com/ado/2009/08/edm"),
        ("3.0", "http://schemas.microsoft.com/ado/2009/11/edm"),
    ],
)
def test_the_older_versions_are_read_by_the_same_names(version: str, namespace: str) -> None:
    found = parse_metadata(OLDER.format(version=version, namespace=namespace).encode())
    assert found.version == version
    assert found.sets["Orders"].type == "N.S.Order"
    lines = found.navigation("N.S.Order")["Lines"]
    assert (lines.type, lines.collection) == ("N.S.Line", True)
    assert found.function_imports["Find"].parameters[0].name == "id"


@pytest.mark.parametrize(
    "years", ["2006/04", "2007/05", "2008/01", "2008/09", "2009/08", "2009/11"]
)
def test_a_document_without_a_version_shows_it_by_its_namespace(years: str) -> None:
    namespace = f"http://schemas.microsoft.com/ado/{years}/edm"
    document = OLDER.replace(' m:DataServiceVersion="{version}"', "").format(namespace=namespace)
    assert parse_metadata(document.encode()).version == "3.0"
    assert parse_metadata(document.encode(), version="2.0").version == "2.0"
    assert model('<EntityType Name="Row"/>' + CONTAINER.format("N.S.Row")).version == "4.0"
    said = OLDER.format(version="3.0;NetFx", namespace=namespace)
    assert parse_metadata(said.encode(), version="1.0").version == "3.0"


def test_aliases_short_type_names_and_complex_types_of_older_versions() -> None:
    document = OLDER.format(
        version="3.0", namespace="http://schemas.microsoft.com/ado/2009/11/edm"
    ).replace(
        '<EntityType Name="Line">',
        '<Using Namespace="Other" Alias="O"/><ComplexType Name="Place"><Property Name="City" Type="String"/></ComplexType>'
        '<EntityType Name="Line"><Property Name="At" Type="O.Here"/><Property Name="Old" Type="N.S.Place" CollectionKind="List"/>',
    )
    found = parse_metadata(document.encode())
    assert found.resolve("O.Here") == "Other.Here"
    assert found.properties("N.S.Place")["City"].type == "Edm.String"
    assert found.properties("N.S.Line")["Old"].collection


def test_feed_customization_says_where_a_value_is() -> None:
    m = 'xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
    found = model(
        f'<EntityType Name="Row" {m} m:FC_SourcePath="Who" m:FC_TargetPath="SyndicationAuthorName" m:FC_KeepInContent="false"'
        ' m:FC_SourcePath_1="Place/City" m:FC_TargetPath_1="SyndicationRights" m:FC_KeepInContent_1="false">'
        '<Property Name="Name" Type="Edm.String" m:FC_TargetPath="SyndicationTitle" m:FC_KeepInContent="false"/>'
        '<Property Name="Kept" Type="Edm.String" m:FC_TargetPath="SyndicationSummary" m:FC_KeepInContent="true"/>'
        '<Property Name="At" Type="Edm.String" m:FC_TargetPath="place/@at" m:FC_NsUri="urn:x" m:FC_NsPrefix="p" m:FC_KeepInContent="false"/>'
        '<Property Name="Who" Type="Edm.String"/></EntityType>' + CONTAINER.format("N.S.Row")
    )
    atom = "{http://www.w3.org/2005/Atom}"
    assert {name: prop.feed_path for name, prop in found.properties("N.S.Row").items()} == {
        "Name": f"{atom}title",
        "Kept": None,
        "At": "{urn:x}place/@at",
        "Who": f"{atom}author/{atom}name",
    }
    assert [skipped.name for skipped in found.skipped] == ["N.S.Row.Place/City"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"  \n",
        b"no xml",
        b"<html><body>Sign in</body></html>",
        b"<edmx:Edmx xmlns:edmx='x'>",
        b"{}",
        b"\x00\xff",
    ],
)
def test_anything_but_metadata_is_an_error(document: bytes) -> None:
    with pytest.raises(MetadataError):
        parse_metadata(document)


def test_entities_in_xml_are_not_resolved() -> None:
    document = csdl(
        '<EntityType Name="Row"><Property Name="P" Type="Edm.String"/></EntityType>'
        + CONTAINER.format("N.S.Row"),
        'Namespace="N.S"',
    ).replace("<edmx:Edmx", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><edmx:Edmx', 1)
    assert list(parse_metadata(document.encode()).sets) == ["Rows"]


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside this clone")
def test_nothing_in_the_metadata_of_a_real_site_is_skipped() -> None:
    with gzip.open(DATA / "acumatica-2026R2-dac-metadata.xml.gz") as packed:
        found = parse_metadata(packed.read())
    assert found.skipped == []
    assert len(found.sets) > 5000
    assert all(found.structured_type(entity_set.type) for entity_set in found.sets.values())
    inquiries = parse_metadata((DATA / "acumatica-gi-metadata.xml").read_bytes())
    assert {"AR-Customers", "CR-Customers"} <= set(inquiries.sets)
