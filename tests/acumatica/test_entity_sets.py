"""Aliases joined, names made safe, inquiries understood."""

from __future__ import annotations

import re
import typing as t

from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.acumatica.addresses import DAC, GI
from tap_acumatica.acumatica.entity_sets import appended_keys, entities, stream_names
from tap_acumatica.discovery.keys import not_comparable
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.odata.model import EntitySet, Members, Model, Property, StructuredType
from tap_acumatica.records.schema import record_shape

if t.TYPE_CHECKING:
    from pathlib import Path


def _model(sets: dict[str, str]) -> Model:
    return Model(
        types={name: StructuredType(name, members=Members(("ID",))) for name in sets.values()},
        sets={name: EntitySet(name, type_name) for name, type_name in sets.items()},
    )


def test_a_class_name_that_two_namespaces_share_is_spelled_out() -> None:
    model = _model(
        {
            "PX_SO_Order": "PX.SO.Order",
            "Order": "PX.SO.Order",
            "PX_PO_Order": "PX.PO.Order",
            "PX_GL_Batch": "PX.GL.Batch",
        }
    )
    assert [entity.stream for entity in entities(model, DAC)] == [
        "Batch",
        "PX_PO_Order",
        "PX_SO_Order",
    ]


def test_two_sets_of_one_type_are_two_streams_where_the_service_is_not_acumatica() -> None:
    model = _model({"Customers": "Shop.Party", "Suppliers": "Shop.Party"})
    assert [entity.stream for entity in entities(model)] == ["Customers", "Suppliers"]


@given(st.lists(st.text("aA-_ .", min_size=1, max_size=4), unique=True, min_size=1, max_size=12))
def test_names_are_safe_and_never_collide(titles: list[str]) -> None:
    model = _model({title: f"GenericInquiry.T{n}" for n, title in enumerate(titles)})
    names = [entity.stream for entity in entities(model, GI)]
    assert len({name.casefold() for name in names}) == len(titles)
    assert all(re.fullmatch(r"\w+", name) for name in names)


def test_a_suffix_does_not_depend_on_what_else_is_exposed() -> None:
    two = _model({"A-B": "G.X", "A B": "G.Y"})
    three = _model({"A-B": "G.X", "A B": "G.Y", "A.B": "G.Z"})
    before = {e.entity_set.name: e.stream for e in entities(two, GI)}
    after = {e.entity_set.name: e.stream for e in entities(three, GI)}
    assert before.items() <= after.items()


def test_a_name_that_two_sets_could_bear_stays_with_the_one_that_had_it() -> None:
    titles = {"A-B": "A-B", "A B": "A B", "A_B": "A_B", "a_b": "a_b"}
    for source in titles:
        names = stream_names(titles, {"A_B": source})
        assert names[source] == "A_B"
        assert len({name.casefold() for name in names.values()}) == len(titles)
        backwards = stream_names(dict(reversed(titles.items())), {"A_B": source})
        assert backwards == names


def test_a_name_that_was_remembered_without_need_is_kept() -> None:
    titles = {"A-B": "A-B", "A B": "A B"}
    once = stream_names(titles)
    assert stream_names({"A-B": "A-B"}, {once["A-B"]: "A-B"}) == {"A-B": once["A-B"]}
    assert stream_names(titles, {"A_B": "gone"}) == once


def test_keys_at_the_end_of_the_columns_are_not_result_columns() -> None:
    columns = ("LeadID", "Contact", "Total", "ContactID", "LeadID_2")
    assert appended_keys(columns, ("LeadID", "ContactID", "LeadID_2")) == {"ContactID", "LeadID_2"}
    assert appended_keys(("A", "B"), ("A", "B")) == frozenset()
    assert appended_keys(("A", "B"), ("A",)) == frozenset()


def test_the_full_metadata_gives_a_stream_for_every_class(shared_data: Path) -> None:
    import gzip  # noqa: PLC0415

    document = gzip.decompress((shared_data / "acumatica-2026R2-dac-metadata.xml.gz").read_bytes())
    model = parse_metadata(document)
    found = {entity.stream: entity for entity in entities(model, DAC)}
    assert len(model.sets) == 5108 + 158
    assert len(found) == 2198 + 67
    assert set(found["SOOrder"].aliases) >= {"SOOrder", "SalesOrder", "PX_Objects_SO_SOOrder"}
    assert found["SOOrder"].entity_set.name == "PX_Objects_SO_SOOrder"
    assert "NumberingSequence" in found["Numbering"].aliases
    assert {"NoteText", "Secured"} <= found["PX_Objects_AR_Customer"].restricted
    assert found["PX_Objects_GL_ADL_Account"].entity_set.singleton


def test_own_columns_of_a_type_that_cannot_be_filtered_are_barred_where_it_is_inherited() -> None:
    def declared(name: str, base: str | None, *columns: str) -> StructuredType:
        properties = {each: Property(each, "Edm.String") for each in columns}
        return StructuredType(name, base, members=Members(("ID",) if not base else (), properties))

    types = [
        declared("PX.PM.Budget", None, "ID", "Amount"),
        declared("PX.PM.Revenue", "PX.PM.Budget", "Limit"),
        declared("PX.PM.Forecast", "PX.PM.Revenue", "Growth"),
    ]
    model = Model(
        types={each.name: each for each in types},
        sets={
            each.name.replace(".", "_"): EntitySet(
                each.name.replace(".", "_"), each.name, filterable=each.name != "PX.PM.Revenue"
            )
            for each in types
        },
    )
    found = {
        entity.stream: not_comparable(model, entity, record_shape(model, entity.entity_set.type))
        for entity in entities(model, DAC)
    }
    assert found == {"Budget": set(), "Revenue": {"Limit"}, "Forecast": {"Limit"}}
