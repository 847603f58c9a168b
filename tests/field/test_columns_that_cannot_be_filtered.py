"""Columns that the metadata calls non-filterable, and keys that people may rename."""

from __future__ import annotations

import typing as t

import pytest

from tests.field.inquiry_site import DAC, USER
from tests.field.orders import lines, stamp, warnings
from tests.field.service import Row, Service, Table

if t.TYPE_CHECKING:
    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request

ORDERS = "PX_Objects_SO_SOOrder"
ITEMS = "PX_Objects_IN_InventoryItem"
SETUP = "PX_Objects_GL_GLSetup"
HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" '
    'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
)
EDM = 'xmlns="http://docs.oasis-open.org/odata/ns/edm"'
BARRED = {ORDERS: ("CuryRate", "NoteText"), ITEMS: ("NoteText",)}
COLUMNS: dict[str, dict[str, str]] = {
    ORDERS: {
        "OrderNbr": "Edm.String",
        "NoteText": "Edm.String",
        "CuryRate": "Edm.Decimal",
        "LastModifiedDateTime": "Edm.DateTimeOffset",
    },
    ITEMS: {
        "InventoryCD": "Edm.String",
        "InventoryID": "Edm.Int32",
        "NoteText": "Edm.String",
        "LastModifiedDateTime": "Edm.DateTimeOffset",
    },
}


def csdl() -> str:
    """The metadata, with the annotations as Acumatica writes them."""
    types, sets = [], []
    for name, columns in COLUMNS.items():
        namespace, _, kind = name.replace("_", ".").rpartition(".")
        key = next(iter(columns))
        properties = "".join(f'<Property Name="{n}" Type="{k}"/>' for n, k in columns.items())
        types.append(
            f'<Schema Namespace="{namespace}" {EDM}><EntityType Name="{kind}">'
            f'<Key><PropertyRef Name="{key}"/></Key>{properties}</EntityType></Schema>'
        )
        paths = "".join(f"<PropertyPath>{each}</PropertyPath>" for each in BARRED[name])
        sets.append(
            f'<EntitySet Name="{name}" EntityType="{namespace}.{kind}">'
            '<Annotation Term="Org.OData.Capabilities.V1.FilterRestrictions"><Record>'
            '<PropertyValue Property="NonFilterableProperties">'
            f"<Collection>{paths}</Collection></PropertyValue></Record></Annotation></EntitySet>"
        )
    container = f'<EntityContainer Name="Container">{"".join(sets)}</EntityContainer>'
    default = f'<Schema Namespace="Default" {EDM}>{container}</Schema>'
    return f"{HEAD}{''.join(types)}{default}</edmx:DataServices></edmx:Edmx>"


def tables(*, rows: int = 3) -> Service:
    """Two tables; what the annotation bars is given like any other column."""
    found = []
    for name, columns in COLUMNS.items():
        table = Table(name, columns, [next(iter(columns))])
        for number in range(rows):
            row: Row = dict.fromkeys(columns)
            row |= {"LastModifiedDateTime": stamp(number), "NoteText": f"note {number}"}
            row[next(iter(columns))] = f"A{number}"
            if "InventoryID" in columns:
                row["InventoryID"] = number + 100
            table.rows.append(row)
        found.append(table)
    service = Service(*found, path=DAC)
    service.metadata = csdl()
    return service


def config(service: Service, **others: t.Any) -> dict[str, t.Any]:
    return {"url": service.url, **USER, **others}


def columns_of(run: TapRun, stream: str) -> set[str]:
    (found,) = [e for e in run.document["streams"] if e["tap_stream_id"] == stream]
    return set(found["schema"]["properties"])


def refusing(name: str) -> t.Callable[[Request, Reply], None]:
    def spoil(request: Request, reply: Reply) -> None:
        if name in request.select:
            reply.refuse(f"The property '{name}' cannot be used in the $select query option.")

    return spoil


def probes(service: Service) -> list[str]:
    return [r.entity_set for r in service.requests if "NoteText" in r.select and r.top == 1]


def test_columns_that_are_given_are_offered_after_one_request(run_tap: RunTap) -> None:
    service = tables()
    with service.running():
        discovered = run_tap(config(service), "--discover")
        assert probes(service) == [ORDERS]
        service.requests.clear()
        run = run_tap(config(service), catalog=discovered.document)
    assert {"NoteText", "CuryRate"} <= columns_of(discovered, "SOOrder")
    assert [r["NoteText"] for r in run.records("InventoryItem")] == ["note 0", "note 1", "note 2"]
    assert probes(service) == []
    assert not [r for r in service.requests if "NoteText" in r.query.get("$filter", "")]
    assert not [r for r in service.requests if "NoteText" in r.query.get("$orderby", "")]


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_columns_that_are_refused_are_left_out(run_tap: RunTap, status: int) -> None:
    service = tables()

    def spoil(request: Request, reply: Reply) -> None:
        if "NoteText" in request.select:
            reply.refuse("The property 'NoteText' cannot be used in $select.", status)

    service.spoil = spoil
    with service.running():
        discovered = run_tap(config(service), "--discover")
        run = run_tap(config(service), catalog=discovered.document)
    assert columns_of(discovered, "SOOrder") == {"OrderNbr", "LastModifiedDateTime"}
    assert len(run.records("SOOrder")) == 3
    assert len(probes(service)) == (2 if status in {403, 404} else 1)
    assert not warnings(discovered)
    assert not warnings(run)


def test_columns_that_are_taken_and_not_given_are_left_out(run_tap: RunTap) -> None:
    service = tables()

    def spoil(_request: Request, reply: Reply) -> None:
        for row in reply.rows or ():
            row.pop("NoteText", None)

    service.spoil = spoil
    with service.running():
        discovered = run_tap(config(service), "--discover")
    assert "NoteText" not in columns_of(discovered, "SOOrder")


def test_an_empty_table_shows_nothing_so_the_next_one_is_asked(run_tap: RunTap) -> None:
    service = tables()
    service.tables[ORDERS].rows.clear()
    with service.running():
        discovered = run_tap(config(service), "--discover")
    assert "NoteText" in columns_of(discovered, "InventoryItem")
    assert probes(service) == [ORDERS, ITEMS]


@pytest.mark.parametrize("way", ["refuses", "leaves out"])
def test_a_table_that_does_not_give_them_does_without(run_tap: RunTap, way: str) -> None:
    service = tables()

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == ITEMS:
            if way == "refuses":
                refusing("NoteText")(request, reply)
            for row in reply.rows or ():
                row.pop("NoteText", None)

    service.spoil = spoil
    with service.running():
        catalog = run_tap(config(service), "--discover").document
        run = run_tap(config(service), catalog=catalog)
    assert len(run.records("InventoryItem")) == 3
    assert not any("NoteText" in record for record in run.records("InventoryItem"))
    assert all("NoteText" in record for record in run.records("SOOrder"))
    assert "NoteText" in "".join(warnings(run))


@pytest.mark.parametrize("setting", ["always", "never"])
def test_a_setting_decides_without_a_request(run_tap: RunTap, setting: str) -> None:
    service, offered = tables(), setting == "always"
    with service.running():
        given = config(service, non_filterable_columns=setting)
        discovered = run_tap(given, "--discover")
        assert service.requests == []
        run = run_tap(given, catalog=discovered.document)
    assert ("NoteText" in columns_of(discovered, "SOOrder")) is offered
    assert all(("NoteText" in record) is offered for record in run.records("SOOrder"))


def test_an_older_catalog_is_read_as_before(run_tap: RunTap) -> None:
    service = tables()
    with service.running():
        never = config(service, non_filterable_columns="never")
        catalog = run_tap(never, "--discover").document
        run = run_tap(config(service), catalog=catalog)
    assert probes(service) == []
    assert not any("NoteText" in record for record in run.records("SOOrder"))


def test_whole_rows_hold_them_without_a_question(run_tap: RunTap) -> None:
    service = tables()
    with service.running():
        discovered = run_tap(config(service, use_select=False), "--discover")
    assert "NoteText" in columns_of(discovered, "SOOrder")
    assert service.requests == []


def test_codes_that_people_may_rename_are_named_in_one_line(run_tap: RunTap) -> None:
    service = tables()
    with service.running():
        plain = run_tap(config(service), "--discover")
        given = run_tap(config(service, keys={"InventoryItem": ["InventoryID"]}), "--discover")
    (line,) = [each for each in lines(plain, "INFO") if "Change ID" in each]
    assert "InventoryItem by InventoryCD (or InventoryID)" in line
    assert "'keys'" in line
    assert "Change ID" not in given.errors


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_singleton_that_is_refused_disturbs_nothing(run_tap: RunTap, status: int) -> None:
    service = tables()
    others: list[str] = []

    def before(request: Request) -> None:
        others.append(request.entity_set)

    service.before = before
    service.tables["ODataPreferences"] = Table("ODataPreferences", {"A": "Edm.String"}, ())
    service.tables["SMDeletedRecordsTrackingTables"] = Table(
        "SMDeletedRecordsTrackingTables",
        {"TableName": "Edm.String", "CreatedDateTime": "Edm.DateTimeOffset"},
        (),
        [{"TableName": "PX.Objects.SO.SOOrder", "CreatedDateTime": stamp(1)}],
    )

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "ODataPreferences":
            reply.refuse("no", status)

    service.spoil = spoil
    with service.running():
        discovered = run_tap(config(service, deleted_records="soft"), "--discover")
    assert len(discovered.document["streams"]) == 2
    assert others.count("ODataPreferences") == 1
    assert "PX.Objects.SO.SOOrder" in discovered.errors
    assert not warnings(discovered)
