"""Rows have wire values; records are built from rows."""

from __future__ import annotations

import typing as t
from decimal import Decimal

import pytest

from tap_acumatica.errors import PayloadError, ValueMismatchError
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.expand import parse_expand
from tap_acumatica.records.catalog_types import changed_types, schema_conversion
from tap_acumatica.records.codec import RowCodec
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.record_maker import RecordMaker, hashed_key
from tap_acumatica.records.schema import merge_shapes, record_shape
from tests.odata_service import csdl

if t.TYPE_CHECKING:
    from tap_acumatica.odata.model import Model

METADATA = b"""<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
<edmx:DataServices><Schema Namespace="S" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EnumType Name="Colour"><Member Name="Red"/></EnumType>
<TypeDefinition Name="Money" UnderlyingType="Edm.Decimal" Precision="19" Scale="4"/>
<ComplexType Name="Address"><Property Name="City" Type="Edm.String"/>
  <Property Name="Lines" Type="Collection(Edm.String)"/>
  <Property Name="Inner" Type="S.Address"/></ComplexType>
<EntityType Name="Base" Abstract="true"><Key><PropertyRef Name="ID"/></Key>
  <Property Name="ID" Type="Edm.Int64" Nullable="false"/></EntityType>
<EntityType Name="Thing" BaseType="S.Base">
  <Property Name="Amount" Type="S.Money"/><Property Name="When" Type="Edm.DateTimeOffset"/>
  <Property Name="Colour" Type="S.Colour"/><Property Name="Home" Type="S.Address"/>
  <Property Name="Picture" Type="Edm.Stream"/><Property Name="Flag" Type="Edm.Boolean"/>
  <Property Name="Mail" Type="Collection(Edm.String)"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Things" EntityType="S.Thing"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


@pytest.fixture
def model() -> Model:
    return parse_metadata(METADATA)


def _decode(model: Model, row: str) -> dict[str, object]:
    codec = RowCodec(model, record_shape(model, "S.Thing").properties, key=("ID",))
    decoded: list[dict[str, object]] = codec.decode(b'{"value": [' + row.encode() + b"]}").rows
    return decoded[0]


def test_a_shape_holds_inherited_keys_definitions_enumerations_and_complex_types(
    model: Model,
) -> None:
    shape = record_shape(model, "S.Thing", tenant=True)
    columns = shape.schema["properties"]
    assert shape.key_properties == ("_tenant", "ID")
    assert columns["ID"]["type"] == ["integer"]
    assert columns["Amount"] == {"type": ["number", "null"], "precision": 19, "scale": 4}
    assert columns["Colour"]["type"] == ["string", "null"]
    assert columns["Home"]["properties"]["Lines"]["items"]["type"] == ["string", "null"]
    assert columns["Mail"]["type"] == ["array", "null"]
    assert "Picture" not in columns


def test_values_are_decoded_without_loss(model: Model) -> None:
    row = _decode(
        model,
        '{"ID": 9007199254740993, "Amount": 12345678901234567890.1200, "Colour": "Red",'
        ' "When": "2024-03-01T12:00:00.1234567+02:00", "Flag": true, "Mail": ["a"],'
        ' "Home": {"City": "X", "Lines": ["1"], "Inner": {"City": "Y"}, "@odata.type": "#S.A"},'
        ' "Unknown": 5, "@odata.etag": "x"}',
    )
    assert str(row["Amount"]) == "12345678901234567890.1200"
    assert row["ID"] == 9007199254740993
    assert row["When"] == "2024-03-01T10:00:00.123456+00:00"
    assert row["Home"] == {
        "City": "X",
        "Lines": ["1"],
        "Inner": {"City": "Y", "Lines": None, "Inner": None},
    }
    assert set(row) == {"ID", "Amount", "When", "Colour", "Home", "Flag", "Mail"}


def test_numbers_sent_as_text_are_numbers(model: Model) -> None:
    row = _decode(model, '{"ID": "9007199254740993", "Amount": "1.50"}')
    assert (row["ID"], row["Amount"]) == (9007199254740993, Decimal("1.50"))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('{"ID": 7, "When": 5}', "row ID=7: the value of When \\(a number\\) is not a date-time"),
        ('{"ID": 7, "Flag": "yes"}', "Flag \\(a text\\) is not a boolean"),
        ('{"ID": 7, "Amount": "abc"}', "Amount \\(a text\\) is not a number"),
        ('{"ID": 1.5}', "is not an integer"),
        ('{"ID": 9223372036854775808}', "is not an integer between"),
        ('{"ID": 7, "Mail": "a"}', "is not a list"),
        ('{"ID": 7, "When": "2024-02-30T00:00:00Z"}', "is not a valid date-time"),
    ],
)
def test_a_value_that_does_not_fit_names_key_column_and_kind(
    model: Model, row: str, complaint: str
) -> None:
    with pytest.raises(ValueMismatchError, match=complaint):
        _decode(model, row)


def test_a_singleton_may_be_null(model: Model) -> None:
    codec = RowCodec(model, record_shape(model, "S.Thing").properties, singleton=True)
    assert codec.decode(b"null").rows == []
    assert codec.decode(b'{"@odata.context": "x", "ID": 1}').rows[0]["ID"] == 1
    with pytest.raises(PayloadError):
        codec.decode(b"")


def test_rows_get_different_hashes_even_if_all_keys_are_null() -> None:
    assert hashed_key({"A": 1, "B": None}, ("A", "B")) != hashed_key(
        {"A": None, "B": 1}, ("A", "B")
    )
    assert hashed_key({"A": 1, "X": 1}, ("A",)) == hashed_key({"A": 1, "X": 2}, ("A",))
    assert hashed_key({"A": None, "X": 1}, ("A",)) != hashed_key({"A": None, "X": 2}, ("A",))


def test_records_hold_selected_columns_only_trimmed_and_as_the_catalog_types_them() -> None:
    declared: dict[str, dict[str, t.Any]] = {"A": {"type": ["number", "null"]}}
    wanted: dict[str, dict[str, t.Any]] = {"A": {"type": ["string", "null"]}}
    maker = RecordMaker(
        ["_tenant", "A", "T"],
        tenant="Co",
        trim=True,
        overrides={
            name: schema_conversion(schema)
            for name, schema in changed_types(declared, wanted).items()
        },
    )
    row = {"A": Decimal("1.10"), "T": "x  ", "Z": 1}
    assert maker.record(row) == {"_tenant": "Co", "A": "1.10", "T": "x"}
    to_integer = schema_conversion({"type": "integer"})
    with pytest.raises(ValueMismatchError, match="the value of A"):
        RecordMaker(["A"], overrides={"A": to_integer}).record({"A": "x"})


def test_tenants_that_differ_share_one_schema(model: Model) -> None:
    one, two = record_shape(model, "S.Thing"), record_shape(model, "S.Thing")
    two.schema["properties"]["UsrExtra"] = {"type": ["boolean", "null"]}
    two.schema["properties"]["Flag"] = {"type": ["integer", "null"]}
    columns = merge_shapes([one, two]).schema["properties"]
    assert columns["UsrExtra"]["type"] == ["boolean", "null"]
    assert columns["Flag"]["type"] == ["string", "null"]


def test_the_tenant_alone_is_not_a_key() -> None:
    keyless = parse_metadata(
        csdl(
            '<EntityType Name="T"><Property Name="A" Type="Edm.Int32"/></EntityType>'
            '<EntityContainer Name="C"><EntitySet Name="Rows" EntityType="Plain.Model.T"/>'
            "</EntityContainer>"
        ).encode()
    )
    assert record_shape(keyless, "Plain.Model.T", tenant=True).key_properties == ()
    one_row = record_shape(keyless, "Plain.Model.T", tenant=True, singleton=True)
    assert one_row.key_properties == ("_tenant",)


def test_expanded_entities_are_the_same_in_a_feed_and_in_json() -> None:
    document = (
        '<Edmx Version="1.0"><DataServices><Schema Namespace="S"><EntityType Name="Order">'
        '<Property Name="Id" Type="Edm.Int32"/><NavigationProperty Name="Lines"'
        ' Relationship="S.OL" FromRole="O" ToRole="L"/></EntityType><EntityType Name="Line">'
        '<Property Name="Qty" Type="Edm.Decimal"/><Property Name="Open" Type="Edm.Boolean"/>'
        '</EntityType><Association Name="OL"><End Type="S.Order" Role="O" Multiplicity="1"/>'
        '<End Type="S.Line" Role="L" Multiplicity="*"/></Association><EntityContainer>'
        '<EntitySet Name="Orders" EntityType="S.Order"/></EntityContainer></Schema></DataServices>'
        "</Edmx>"
    )
    model = parse_metadata(document.encode())
    codec = RowCodec(
        model,
        model.properties("S.Order"),
        expansions=parse_expand(["Lines"], "S.Order", model),
    )
    line = (
        "<entry><content><m:properties><Qty>1.50</Qty><Open>true</Open></m:properties></content>"
        "</entry>"
    )
    metadata = "http://schemas.microsoft.com/ado/2007/08/dataservices"
    feed = (
        f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:m="{metadata}/metadata"><entry>'
        f'<link rel="{metadata}/related/Lines"><m:inline><feed>{line}</feed></m:inline></link>'
        "<content><m:properties><Id>1</Id></m:properties></content></entry></feed>"
    )
    light = '{"value":[{"Id":1,"Lines":[{"Qty":"1.50","Open":true}]}]}'
    verbose = '{"d":[{"Id":1,"Lines":{"results":[{"Qty":"1.50","Open":true}]}}]}'
    row = {"Id": 1, "Lines": [{"Qty": Decimal("1.50"), "Open": True}]}
    for body in (feed, light, verbose):
        assert codec.decode(body.encode()).rows == [row]
    compiled = CompiledCodec(codec, ["Id", "Lines"], model.properties("S.Order"))
    for cut_short in (
        feed.replace("</feed></m:inline>", '<link rel="next" href="x"/></feed></m:inline>'),
        light.replace('"Lines":', '"Lines@odata.nextLink":"x","Lines":'),
        verbose.replace('"results":', '"__next":"x","results":'),
    ):
        for each in (codec, compiled):
            with pytest.raises(PayloadError, match="only a part of Lines"):
                each.decode(cut_short.encode())
