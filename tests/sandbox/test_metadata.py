"""The documents at the service roots, compared with real ones if available."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lxml import etree

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="needs real metadata next to the repository"
)


def types_of(root: etree._Element) -> dict[str, etree._Element]:
    return {
        f"{schema.get('Namespace')}.{found.get('Name')}": found
        for schema in root.iter(f"{EDM}Schema")
        for found in schema.findall(f"{EDM}EntityType")
    }


def sets_of(root: etree._Element) -> dict[str | None, str | None]:
    return {
        found.get("Name"): found.get("EntityType") or found.get("Type")
        for found in root.iter(f"{EDM}EntitySet", f"{EDM}Singleton")
    }


def key_of(entity: etree._Element) -> list[str | None]:
    return [found.get("Name") for found in entity.iter(f"{EDM}PropertyRef")]


def properties_of(entity: etree._Element) -> dict[str | None, tuple[str | None, str | None]]:
    return {
        found.get("Name"): (found.get("Type"), found.get("Nullable"))
        for found in entity.findall(f"{EDM}Property")
    }


def barred_of(root: etree._Element) -> dict[str | None, set[str | None]]:
    return {
        found.get("Name"): {path.text for path in found.iter(f"{EDM}PropertyPath")}
        for found in root.iter(f"{EDM}EntitySet", f"{EDM}Singleton")
    }


@needs_data
def test_classes_agree_with_real_metadata(client: Client) -> None:
    true = etree.fromstring(gzip.decompress(next(DATA.glob("*dac-metadata.xml.gz")).read_bytes()))
    ours = etree.fromstring(client.get("dac/$metadata").content)
    true_types, true_sets, true_barred = types_of(true), sets_of(true), barred_of(true)
    for name, entity in types_of(ours).items():
        expected = true_types[name]
        assert entity.get("BaseType") == expected.get("BaseType"), name
        assert key_of(entity) == key_of(expected), name
        assert properties_of(entity).items() <= properties_of(expected).items(), name
    barred = barred_of(ours)
    assert sets_of(ours).items() <= true_sets.items()
    for set_name, names in barred.items():
        assert names <= true_barred[set_name], set_name


@needs_data
def test_inquiries_agree_with_the_example_metadata(client: Client) -> None:
    path = DATA / "acumatica-gi-metadata.xml"
    example = types_of(etree.parse(str(path)).getroot())
    ours = types_of(etree.fromstring(client.get("gi/$metadata").content))
    shared = ours.keys() & example.keys()
    assert len(shared) > 10
    for name in shared:
        assert key_of(ours[name]) == key_of(example[name]), name
        assert properties_of(ours[name]).items() <= properties_of(example[name]).items(), name


def test_every_listed_class_and_inquiry_can_be_read(client: Client) -> None:
    for interface in ("dac", "gi"):
        for item in client.get(interface).json()["value"]:
            assert client.get(f"{interface}/{item['url']}", top=1).status_code == 200, item


def test_rows_have_the_properties_of_the_metadata(client: Client) -> None:
    root = etree.fromstring(client.get("gi/$metadata").content)
    types = types_of(root)
    for name, type_name in sets_of(root).items():
        rows = client.rows(f"gi/{name}", top=1)
        assert set(rows[0]) == set(properties_of(types[str(type_name)])), name


def test_metadata_in_json_is_refused(client: Client) -> None:
    client.http.headers["Accept"] = "application/json"
    answer = client.get("dac/$metadata")
    assert answer.status_code == 500
    assert ".NETStandard 2.0" in answer.text


def test_service_document_lists_aliases_and_singletons(client: Client) -> None:
    kinds = {item["name"]: item["kind"] for item in client.get("dac").json()["value"]}
    assert {"PX_Objects_SO_SOOrder", "SalesOrder", "SOOrder"} <= kinds.keys()
    assert kinds["GLSetup"] == "Singleton"


def test_parameterised_inquiries_have_a_function_import(client: Client) -> None:
    root = etree.fromstring(client.get("gi/$metadata").content)
    imports = {found.get("Name") for found in root.iter(f"{EDM}FunctionImport")}
    assert "DBStorageDetails_WithParameters" in imports
    assert "PMProjectSummary_WithParameters" in imports
