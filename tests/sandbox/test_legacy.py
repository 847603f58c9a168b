"""The two older URLs: OData 3.0 for inquiries, in the time zone of the user's profile."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from tap_acumatica.sandbox import Habits

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from tests.sandbox.conftest import Client

ATOM = "{http://www.w3.org/2005/Atom}"
DATA = "{http://schemas.microsoft.com/ado/2007/08/dataservices}"
META = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
STOCK = "IN-Stock Items"


def get(client: Client, path: str, accept: str = "", **options: Any) -> requests.Response:
    query = {f"${name}": str(value) for name, value in options.items()}
    headers = {"Accept": accept} if accept else {}
    return client.http.get(
        f"{client.sandbox.url}/{path}", params=query, headers=headers, timeout=10
    )


def light(client: Client, path: str, **options: Any) -> list[dict[str, Any]]:
    answer = get(client, path, format="json", **options)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["value"]
    return found


def entries(answer: requests.Response) -> list[dict[str, str | None]]:
    return [
        {
            element.tag.removeprefix(DATA): None
            if element.get(f"{META}null") == "true"
            else element.text or ""
            for element in properties
        }
        for properties in etree.fromstring(answer.content).iter(f"{META}properties")
    ]


@pytest.mark.parametrize("root", ["odatav4/Company", "ODataV4/company", "odatav4"])
def test_the_older_address_of_classes_answers_as_the_newer_one(client: Client, root: str) -> None:
    older, newer = get(client, f"{root}/SOOrder", top=3), client.get("dac/SOOrder", top=3)
    assert older.json()["value"] == newer.json()["value"]
    assert older.headers["OData-Version"] == "4.0"
    assert get(client, f"{root}/$metadata").content == client.get("dac/$metadata").content


@pytest.mark.parametrize("root", ["odata/Company", "OData/company", "odata"])
def test_the_older_address_of_inquiries_speaks_version_3(client: Client, root: str) -> None:
    answer = get(client, f"{root}/{STOCK}", top=3, orderby="InventoryID")
    assert answer.headers["Content-Type"].startswith("application/atom+xml")
    assert answer.headers["DataServiceVersion"].startswith("3.0")
    rows = light(client, f"{root}/{STOCK}", top=3, orderby="InventoryID")
    assert [entry["InventoryID"] for entry in entries(answer)] == [r["InventoryID"] for r in rows]
    metadata = etree.fromstring(get(client, f"{root}/$metadata").content)
    (services,) = metadata
    assert services.get(f"{META}DataServiceVersion") == "3.0"
    types = {p.get("Type") for p in metadata.iter("{*}Property")}
    assert "Edm.DateTime" in types
    assert "Edm.DateTimeOffset" not in types


def test_all_forms_hold_the_same_values(client: Client) -> None:
    plain = light(client, f"odata/{STOCK}", orderby="InventoryID")
    accepted = get(client, f"odata/{STOCK}", "application/json", orderby="InventoryID").json()
    verbose = get(
        client, f"odata/{STOCK}", "application/json;odata=verbose", orderby="InventoryID"
    ).json()
    atom = entries(get(client, f"odata/{STOCK}", format="atom", orderby="InventoryID"))
    assert accepted["value"] == plain
    assert [
        {name: value for name, value in row.items() if name != "__metadata"}
        for row in verbose["d"]["results"]
    ] == plain
    texts = [
        {
            name: value if value is None or isinstance(value, str) else json.dumps(value)
            for name, value in row.items()
        }
        for row in plain
    ]
    assert atom == texts


def test_times_are_in_the_zone_of_the_profile_also_in_filters(
    start: Callable[..., Client],
) -> None:
    client = start(Habits(profile_zone="America/New_York"))
    zone = ZoneInfo("America/New_York")
    utc = {
        row["InventoryID"]: row["LastModifiedDateTime"]
        for row in client.rows(f"gi/{STOCK}", orderby="InventoryID")
    }
    for row in light(client, f"odata/{STOCK}"):
        told = row["LastModifiedDateTime"]
        assert not told.endswith("Z")
        moment = datetime.fromisoformat(told[:19]).replace(tzinfo=zone)
        assert f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}" in utc[row["InventoryID"]]
    newest = max(utc.values())
    local = datetime.fromisoformat(f"{newest[:19]}+00:00").astimezone(zone)
    since = f"LastModifiedDateTime ge datetime'{local:%Y-%m-%dT%H:%M:%S}'"
    found = {row["InventoryID"] for row in light(client, f"odata/{STOCK}", filter=since)}
    assert found == {name for name, moment in utc.items() if moment[:19] >= newest[:19]}
    dates = [row["Date"] for row in light(client, "odata/AR-Open Documents") if row["Date"]]
    assert dates
    assert all(date.endswith("T00:00:00") for date in dates)


def test_times_in_the_hour_that_occurs_twice_look_the_same(start: Callable[..., Client]) -> None:
    client = start(Habits(profile_zone="America/New_York"))
    first = datetime(2025, 11, 2, 5, 30, tzinfo=timezone.utc)
    items = [row for row in client.sandbox.rows("Company", "InventoryItem") if row["StkItem"]]
    for number, item in enumerate(items[:2]):
        client.sandbox.update(
            "Company",
            "InventoryItem",
            {"InventoryID": item["InventoryID"]},
            LastModifiedDateTime=first + timedelta(hours=number),
        )
    told = [row["LastModifiedDateTime"] for row in light(client, f"odata/{STOCK}")]
    assert told.count("2025-11-02T01:30:00") == 2


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("LastModifiedDateTime gt datetime'2020-01-01T00:00:00'", 200),
        ("LastModifiedDateTime gt 2020-01-01T00:00:00Z", 500),
        ("NoteID eq guid'5ae2b6a0-0000-0000-0000-00000000000f'", 200),
        ("InventoryID gt 'datetime''2020'''", 200),
    ],
)
def test_literals_are_those_of_version_3(client: Client, text: str, status: int) -> None:
    assert get(client, f"odata/{STOCK}", filter=text).status_code == status


def test_counts_are_refused_unless_enabled(start: Callable[..., Client]) -> None:
    client = start()
    path = f"odata/{STOCK}"
    for option in ("inlinecount", "count"):
        assert get(client, path, **{option: "allpages"}).status_code == 500
    client.sandbox.habits.count = True
    counted = get(client, f"odata/{STOCK}", format="json", inlinecount="allpages", top=1).json()
    assert int(counted["odata.count"]) == len(light(client, f"odata/{STOCK}"))


@pytest.mark.parametrize("kind", ["absolute", "relative", "skiptoken"])
def test_pages_are_linked_in_each_form(start: Callable[..., Client], kind: str) -> None:
    client = start(Habits(max_page=4, next_link=kind))
    plain = get(client, f"odata/{STOCK}", format="json", orderby="InventoryID").json()
    verbose = get(client, f"odata/{STOCK}", format="verbosejson", orderby="InventoryID").json()
    feed = etree.fromstring(get(client, f"odata/{STOCK}", orderby="InventoryID").content)
    links = [link.get("href") for link in feed.findall(f"{ATOM}link") if link.get("rel") == "next"]
    assert len(plain["value"]) == len(verbose["d"]["results"]) == 4
    for link in (plain["odata.nextLink"], verbose["d"]["__next"], *links):
        assert ("://" in link) == (kind != "relative")
    assert len(links) == 1


def test_errors_come_in_the_form_of_the_rows(client: Client) -> None:
    path = f"odata/{STOCK}"
    atom = get(client, path, filter="Nothing eq 1")
    assert etree.fromstring(atom.content).tag == f"{META}error"
    said = get(client, path, format="json", filter="Nothing eq 1").json()["odata.error"]
    assert "Could not find a property named 'Nothing'" in said["message"]["value"]
    assert "error" in get(client, path, format="verbosejson", filter="Nothing eq 1").json()
    assert get(client, "odata/Nobody/Nothing").status_code == 404


def test_parameters_of_inquiries_are_query_options(client: Client) -> None:
    every = light(client, "odata/DB-StorageDetails")
    url = f"{client.sandbox.url}/odata/DB-StorageDetails"
    for given in ("MAIN", "'MAIN'"):
        query = {"$format": "json", "Warehouse": given}
        rows = client.http.get(url, params=query, timeout=10).json()["value"]
        assert {row["Warehouse"].strip() for row in rows} == {"MAIN"}
        assert len(rows) < len(every)


def test_some_sites_ignore_accept(start: Callable[..., Client]) -> None:
    client = start(Habits(json_by_accept=False))
    answer = get(client, f"odata/{STOCK}", "application/json", top=1)
    assert answer.headers["Content-Type"].startswith("application/atom+xml")
    assert get(client, f"odata/{STOCK}", format="json", top=1).json()["value"]
