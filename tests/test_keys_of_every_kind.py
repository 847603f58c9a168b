"""Sets without a key, with a key that cannot be compared, and with a key that is none."""

from __future__ import annotations

import random
import typing as t

from tests.odata_service import ODataService, Request, Table, csdl

if t.TYPE_CHECKING:
    from tests.conftest import RunTap


def unsorted_unless_asked(table: Table) -> t.Callable[[Request], None]:
    """A service that gives rows in another order each time, as it may, unless asked to sort."""
    chance = random.Random(1)  # noqa: S311  no secret

    def shuffle(request: Request) -> None:
        if "$orderby" not in request.query:
            rows = list(table.rows.values())
            chance.shuffle(rows)
            table.rows = dict(enumerate(rows))

    return shuffle


def test_a_set_without_a_key_is_sorted_by_all_its_columns(run_tap: RunTap) -> None:
    rows = [{"Text": f"t{number % 7}", "Amount": number % 5, "Id": number} for number in range(60)]
    table = Table(
        "Keyless", {"Text": "Edm.String", "Amount": "Edm.Int32", "Id": "Edm.Int32"}, [], rows
    )
    service = ODataService(table)
    service.before_answer = unsorted_unless_asked(table)
    with service.running():
        result = run_tap({"url": service.url, "page_size": 10})
    assert sorted(row["Id"] for row in result.records("Keyless")) == list(range(60))


def test_a_set_whose_key_is_an_enumeration_is_sorted_by_it(run_tap: RunTap) -> None:
    table = Table("Kinds", {"Kind": "Edm.String", "Text": "Edm.String"}, ["Kind"])
    for number in range(40):
        table.insert({"Kind": f"K{number * 7 % 40}", "Text": "same"})
    metadata = csdl(
        '<EnumType Name="Kind"><Member Name="K0"/></EnumType>'
        '<EntityType Name="KindsRow"><Key><PropertyRef Name="Kind"/></Key>'
        '<Property Name="Kind" Type="Plain.Model.Kind" Nullable="false"/>'
        '<Property Name="Text" Type="Edm.String"/></EntityType>'
        '<EntityContainer Name="C"><EntitySet Name="Kinds" EntityType="Plain.Model.KindsRow"/>'
        "</EntityContainer>"
    )
    service = ODataService(table, metadata=metadata)
    service.before_answer = unsorted_unless_asked(table)
    with service.running():
        result = run_tap({"url": service.url, "page_size": 10})
    read = [row["Kind"] for row in result.records("Kinds")]
    assert sorted(read) == sorted(f"K{number}" for number in range(40))


def test_a_key_that_leads_into_an_object_is_no_key_of_the_rest_alone(run_tap: RunTap) -> None:
    table = Table("Places", {"Id": "Edm.Int32", "Text": "Edm.String"}, [])
    for number in range(30):
        table.insert({"Id": number % 3, "Text": f"t{number}"})
    metadata = csdl(
        '<ComplexType Name="Address"><Property Name="City" Type="Edm.String"/></ComplexType>'
        '<EntityType Name="PlacesRow"><Key><PropertyRef Name="Id"/>'
        '<PropertyRef Name="Address/City" Alias="City"/></Key>'
        '<Property Name="Id" Type="Edm.Int32" Nullable="false"/>'
        '<Property Name="Text" Type="Edm.String"/></EntityType>'
        '<EntityContainer Name="C"><EntitySet Name="Places" EntityType="Plain.Model.PlacesRow"/>'
        "</EntityContainer>"
    )
    service = ODataService(table, metadata=metadata)
    with service.running():
        result = run_tap({"url": service.url, "page_size": 5})
    schema = next(message for message in result.messages if message["type"] == "SCHEMA")
    assert not schema.get("key_properties")
    assert len(result.records("Places")) == 30


def test_rows_of_an_inquiry_that_share_their_key_all_arrive(run_tap: RunTap) -> None:
    table = Table("Sales", {"Id": "Edm.Int32", "Text": "Edm.String"}, ["Id"])
    for number in range(40):
        # Each row of a key of its own at first, then four rows share one.
        table.insert({"Id": number if number < 16 else number // 4 + 12, "Text": f"t{number}"})
    service = ODataService(table, path="/t/Company/api/odata/gi")
    with service.running():
        result = run_tap(
            {"url": service.url, "page_size": 5, "username": "admin", "password": "secret"}
        )
    assert {row["Text"] for row in result.records("Sales")} == {f"t{n}" for n in range(40)}
