"""What a site says about its own inquiries is used where it can be read, and missed by nobody."""

from __future__ import annotations

import typing as t

import pytest

from tests.field.inquiry_site import CLASSES, USER, InquirySite
from tests.field.orders import FIRST, lines, stamp
from tests.field.service import Row, Service, Table, instant, shown

if t.TYPE_CHECKING:
    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request

NAME = "SO-Open Orders"
STREAM = "SO_Open_Orders"
COLUMNS = {
    "OrderNbr": "Edm.String",
    "Customer": "Edm.String",
    "LastModifiedOn": "Edm.DateTimeOffset",
    "LastModified": "Edm.DateTimeOffset",
    "Total": "Edm.Decimal",
}


def open_orders(rows: int = 12, *, codes: int | None = None) -> Table:
    table = Table(NAME, COLUMNS, ["OrderNbr"])
    for number in range(rows):
        row: Row = {"OrderNbr": f"SO{number % (codes or rows):05d}", "Customer": f"C{number % 3}"}
        row |= {"LastModifiedOn": stamp(number), "LastModified": stamp(number), "Total": number}
        table.rows.append(row)
    return table


@pytest.fixture
def site() -> t.Iterator[InquirySite]:
    found = InquirySite(open_orders())
    with found.running():
        yield found
        found.ended.set()


def config(site: InquirySite, **others: t.Any) -> dict[str, t.Any]:
    return {"url": site.url, **USER, **others}


def entry_of(run: TapRun) -> dict[str, t.Any]:
    (found,) = run.document["streams"]
    return t.cast("dict[str, t.Any]", found)


def said(run: TapRun, level: str = "WARNING") -> str:
    return "\n".join(line for line in lines(run, level) if STREAM in line)


def filtered_or_sorted_by(site: InquirySite, name: str) -> list[str]:
    return [
        each.target
        for each in site.requests
        if name in each.query.get("$filter", "") or name in each.query.get("$orderby", "")
    ]


@pytest.mark.parametrize("caption", ["LastModifiedOn", "Last Modified On", "last modified-on"])
def test_another_column_tracks_changes_where_the_first_is_a_formula(
    run_tap: RunTap, site: InquirySite, caption: str
) -> None:
    site.say(
        "GIResult", NAME, Field="=IsNull([SOOrder.LastModifiedDateTime], Now())", Caption=caption
    )
    discovered = run_tap(config(site), "--discover")
    assert entry_of(discovered)["replication_key"] == "LastModified"
    assert "LastModifiedOn" in said(discovered, "INFO")
    run = run_tap(config(site), catalog=discovered.document)
    assert len(run.records(STREAM)) == 12
    assert not filtered_or_sorted_by(site, "LastModifiedOn")


def test_an_inquiry_is_read_in_full_where_all_stamps_are_formulas(
    run_tap: RunTap, site: InquirySite
) -> None:
    for caption in ("Last Modified On", "Last Modified"):
        site.say("GIResult", NAME, Field=" =Now()", Caption=caption)
    discovered = run_tap(config(site), "--discover")
    assert entry_of(discovered)["replication_method"] == "FULL_TABLE"
    assert "read in full" in said(discovered, "INFO")


@pytest.mark.parametrize(
    "values",
    [
        {"Field": "=Now()", "Caption": "Last Modified On", "IsActive": False},
        {"Field": "lastModifiedDateTime", "Caption": "Last Modified On"},
        {
            "Field": "lastModifiedDateTime",
            "Caption": "LastModifiedOn",
            "TotalAggregateFunction": "MAX",
        },
        {"Field": "=Now()", "Caption": "Something Else"},
        {"Field": "=Now()", "Caption": None},
    ],
)
def test_what_is_no_formula_of_that_name_tracks_changes_as_before(
    run_tap: RunTap, site: InquirySite, values: dict[str, t.Any]
) -> None:
    site.say("GIResult", NAME, **values)
    assert entry_of(run_tap(config(site), "--discover"))["replication_key"] == "LastModifiedOn"


def test_an_aggregate_does_not_track_changes(run_tap: RunTap, site: InquirySite) -> None:
    site.say(
        "GIResult", NAME, Field="lastModifiedDateTime", Caption="LastModifiedOn",
        AggregateFunction="MAX",
    )  # fmt: skip
    assert entry_of(run_tap(config(site), "--discover"))["replication_key"] == "LastModified"


def test_a_formula_in_a_key_that_is_given_is_not_sorted_by(
    run_tap: RunTap, site: InquirySite
) -> None:
    site.say("GIResult", NAME, Field="=[SOOrder.CustomerID] + 'x'", Caption="Customer")
    run = run_tap(config(site, keys={STREAM: ["OrderNbr", "Customer"]}, page_size=5))
    assert {record["OrderNbr"] for record in run.records(STREAM)} == {
        row["OrderNbr"] for row in site.tables[NAME].rows
    }
    assert not filtered_or_sorted_by(site, "Customer")


def test_a_formula_that_a_catalog_names_is_not_filtered_by(
    run_tap: RunTap, site: InquirySite
) -> None:
    catalog = run_tap(config(site, read_site_information=False), "--discover").document
    assert catalog["streams"][0]["replication_key"] == "LastModifiedOn"
    site.say("GIResult", NAME, Field="=Now()", Caption="Last Modified On")
    run = run_tap(config(site), catalog=catalog)
    assert len(run.records(STREAM)) == 12
    assert not filtered_or_sorted_by(site, "LastModifiedOn")
    assert "LastModifiedOn" in said(run)
    assert "calculated" in said(run)


def test_a_limit_is_said_in_discovery_and_at_each_sync(run_tap: RunTap, site: InquirySite) -> None:
    site.say("GIDesign", NAME, SelectTop=500)
    discovered = run_tap(config(site), "--discover")
    assert "500" in said(discovered)
    assert "Select Top" in said(discovered)
    run = run_tap(config(site), catalog=discovered.document)
    assert "500" in said(run)
    assert len(said(run).splitlines()) == 1
    assert len(run.records(STREAM)) == 12


def test_a_limit_that_was_set_since_is_said_as_well(run_tap: RunTap, site: InquirySite) -> None:
    catalog = run_tap(config(site), "--discover").document
    site.say("GIDesign", NAME, SelectTop=77, LastModifiedDateTime=shown(FIRST.replace(year=2026)))
    assert "77" in said(run_tap(config(site), catalog=catalog))


def test_what_was_found_out_is_asked_for_once(run_tap: RunTap, site: InquirySite) -> None:
    site.say("GIDesign", NAME, SelectTop=500)
    catalog = run_tap(config(site), "--discover").document
    assert len(site.asked_classes) == len(set(site.asked_classes)) == len(CLASSES) - 1
    site.classes.targets.clear()
    run_tap(config(site), catalog=catalog)
    assert site.asked_classes == ["GIDesign"]


def test_an_inquiry_that_groups_is_read_in_full_and_claims_no_key(run_tap: RunTap) -> None:
    site = InquirySite(open_orders(30, codes=4))
    site.say("GIGroupBy", NAME, DataFieldName="SOOrder.customerID")
    with site.running():
        discovered = run_tap(config(site), "--discover")
        run = run_tap(config(site, page_size=7), catalog=discovered.document)
    entry = entry_of(discovered)
    assert (entry["replication_method"], entry["key_properties"]) == ("FULL_TABLE", [])
    assert "SOOrder.customerID" in said(discovered, "INFO")
    assert "'keys'" in said(discovered, "INFO")
    assert sorted(int(float(r["Total"])) for r in run.records(STREAM)) == list(range(30))


def test_a_grouping_that_is_not_active_changes_nothing(run_tap: RunTap, site: InquirySite) -> None:
    site.say("GIGroupBy", NAME, DataFieldName="SOOrder.customerID", IsActive=False)
    assert entry_of(run_tap(config(site), "--discover"))["key_properties"] == ["_key"]


def test_the_key_of_groups_may_be_given(run_tap: RunTap) -> None:
    site = InquirySite(open_orders(3))
    site.say("GIGroupBy", NAME, DataFieldName="SOOrder.customerID")
    with site.running():
        given = config(site, keys={NAME: ["Customer"]})
        discovered = run_tap(given, "--discover")
        run = run_tap(given, catalog=discovered.document)
    entry = entry_of(discovered)
    assert (entry["replication_method"], entry["key_properties"]) == ("FULL_TABLE", ["_key"])
    assert len({record["_key"] for record in run.records(STREAM)}) == 3


def test_a_catalog_with_a_key_keeps_it_where_the_grouping_is_found_later(run_tap: RunTap) -> None:
    site = InquirySite(open_orders(30, codes=4))
    with site.running():
        catalog = run_tap(config(site, read_site_information=False), "--discover").document
        site.say("GIGroupBy", NAME, DataFieldName="SOOrder.customerID")
        run = run_tap(config(site), catalog=catalog)
    assert len({record["_key"] for record in run.records(STREAM)}) == 30
    assert "groups" in said(run)


def test_parameters_that_only_the_site_tells_of_are_said(
    run_tap: RunTap, site: InquirySite
) -> None:
    site.say("GIFilter", NAME, Name="Warehouse", Required=True)
    site.say("GIFilter", NAME, Name="Status", Required=False, DefaultValue="Open")
    run = run_tap(config(site), "--discover")
    assert "Warehouse (required)" in said(run)
    assert "Status (default Open)" in said(run)
    assert "'inquiry_parameters'" in said(run)


@pytest.mark.parametrize(("minutes", "earliest"), [(60, 60), (2, 5)])
def test_the_overlap_covers_the_age_of_stored_results(
    run_tap: RunTap, site: InquirySite, minutes: int, earliest: int
) -> None:
    site.say("GIDesign", NAME, UseDataWarehouse=True)
    site.say("GIDataWarehouse", NAME, UpdateFrequencyInMinutes=minutes)
    plain = config(site, daily_lookback_hours=0)
    catalog = run_tap(plain, "--discover").document
    first = run_tap(plain, catalog=catalog)
    site.requests.clear()
    second = run_tap(plain, catalog=catalog, state=first.state)
    began = min(
        instant(term.literal)
        for each in site.requests
        for term in each.terms
        if term.name == "LastModifiedOn" and term.operator == "ge"
    )
    assert began == instant(stamp(11 - earliest))
    assert f"{minutes} minutes" in said(second)


def test_stored_results_of_unknown_age_are_warned_of(run_tap: RunTap, site: InquirySite) -> None:
    site.say("GIDesign", NAME, UseDataWarehouse=True)
    assert "'time_offset'" in said(run_tap(config(site), "--discover"))


def test_a_stamp_of_one_of_several_tables_is_warned_of(run_tap: RunTap, site: InquirySite) -> None:
    for alias in ("SOOrder", "Customer", "Location"):
        site.say("GITable", NAME, Alias=alias, Name=f"PX.Objects.{alias}")
    assert "joins 3 tables" in said(run_tap(config(site), "--discover"))
    assert "joins" not in said(run_tap(config(site, tracking_type="none"), "--discover"))


def test_deleted_and_archived_records_are_mentioned(run_tap: RunTap, site: InquirySite) -> None:
    site.say("GIDesign", NAME, ShowDeletedRecords=True, ShowArchivedRecords=True)
    run = run_tap(config(site), "--discover")
    assert "deleted records" in said(run, "INFO")
    assert "archived records" in said(run, "INFO")
    assert not said(run)


def test_names_of_members_are_taken_in_any_case(run_tap: RunTap, site: InquirySite) -> None:
    site.say("GIDesign", NAME, SelectTop=500)
    site.say("GIResult", NAME, Field="=Now()", Caption="Last Modified On")

    def spoil(_request: Request, reply: Reply) -> None:
        reply.rows = [{n.lower(): v for n, v in row.items()} for row in reply.rows or ()]
        for row in reply.rows:
            row["designid"] = row["designid"].upper()

    site.refuse = spoil
    run = run_tap(config(site), "--discover")
    assert "500" in said(run)
    assert entry_of(run)["replication_key"] == "LastModified"


def test_a_column_that_an_older_release_lacks_costs_only_itself(
    run_tap: RunTap, site: InquirySite
) -> None:
    site.say("GIDesign", NAME, SelectTop=500)

    def spoil(request: Request, reply: Reply) -> None:
        if "UseDataWarehouse" in request.query.get("$select", ""):
            reply.refuse("Could not find a property named 'UseDataWarehouse' on type 'GIDesign'.")

    site.refuse = spoil
    assert "500" in said(run_tap(config(site), "--discover"))
    assert site.asked_classes.count("GIDesign") == 2


def test_definitions_of_many_pages_are_read_to_their_end(
    run_tap: RunTap, site: InquirySite
) -> None:
    site.say("GIResult", NAME, Field="=Now()", Caption="LastModifiedOn")

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "GIResult" and not request.skip:
            other = {"DesignID": InquirySite.design("another"), "Field": "a", "IsActive": True}
            reply.rows = [other] * (request.top or 0)
        elif request.entity_set == "GIResult":
            reply.rows = site.classes.tables["GIResult"].rows

    site.refuse = spoil
    assert entry_of(run_tap(config(site), "--discover"))["replication_key"] == "LastModified"


def status(code: int) -> t.Callable[[Reply], None]:
    return lambda reply: reply.refuse("You have insufficient rights.", code)


def empty(reply: Reply) -> None:
    reply.body = ""


def no_rows(reply: Reply) -> None:
    reply.rows = []


def null(reply: Reply) -> None:
    reply.body = "null"


def other_columns(reply: Reply) -> None:
    reply.rows = [{"Other": 1, "DesignID": 5, "SelectTop": "many", "Field": 7}]


def half(reply: Reply) -> None:
    reply.body = '{"value":[{"DesignID":"a'


REFUSALS: dict[str, t.Callable[[Reply], None]] = {
    **{str(code): status(code) for code in (400, 401, 403, 404, 429, 500, 503)},
    "page for signing in": lambda reply: reply.html(200, "Sign In"),
    "page of an error": lambda reply: reply.html(500),
    "closed": lambda reply: reply.close(),
    "empty": empty,
    "no rows": no_rows,
    "null": null,
    "other columns": other_columns,
    "half": half,
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_site_that_says_nothing_is_read_as_before(
    run_tap: RunTap, site: InquirySite, name: str
) -> None:
    plain = run_tap(config(site, read_site_information=False), "--discover").document
    assert site.asked_classes == []
    site.refuse = lambda _request, reply: REFUSALS[name](reply)
    discovered = run_tap(config(site), "--discover")
    assert discovered.exit_code == 0
    document = discovered.document
    assert document["streams"][0]["metadata"][-1]["metadata"].pop("inquiry") == {"": None}
    assert document == plain
    assert not lines(discovered, "WARNING", "ERROR")
    assert len([line for line in lines(discovered, "INFO") if "Cannot tell" in line]) <= 1
    assert len(site.asked_classes) == len(set(site.asked_classes))
    run = run_tap(config(site), catalog=plain)
    assert len(run.records(STREAM)) == 12
    assert not lines(run, "WARNING", "ERROR")


def test_a_site_that_does_not_answer_in_time_is_asked_once(
    run_tap: RunTap, site: InquirySite
) -> None:
    site.held = set(CLASSES)
    run = run_tap(config(site, timeout=1))
    assert len(run.records(STREAM)) == 12
    assert site.asked_classes == ["GIDesign"]


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"GIDesign"}))
def test_one_class_that_is_refused_hides_nothing_of_the_others(
    run_tap: RunTap, site: InquirySite, name: str
) -> None:
    site.say("GIDesign", NAME, SelectTop=500, UseDataWarehouse=True)
    site.refuse = lambda request, reply: (
        reply.refuse("no", 403) if request.entity_set == name else None
    )
    run = run_tap(config(site), "--discover")
    assert "500" in said(run)
    assert site.asked_classes.count(name) == 1


def test_what_could_not_be_read_at_discovery_is_not_asked_for_in_each_run(
    run_tap: RunTap, site: InquirySite
) -> None:
    site.refuse = lambda _request, reply: reply.refuse("no", 403)
    catalog = run_tap(config(site), "--discover").document
    site.classes.targets.clear()
    run_tap(config(site), catalog=catalog)
    assert site.asked_classes == []


def test_nothing_is_asked_for_where_that_is_set(run_tap: RunTap, site: InquirySite) -> None:
    off = config(site, read_site_information=False)
    catalog = run_tap(off, "--discover").document
    run_tap(off, catalog=catalog)
    run_tap(off)
    assert site.asked_classes == []


def test_another_odata_service_is_not_asked(run_tap: RunTap) -> None:
    service = Service(open_orders())
    with service.running():
        run_tap({"url": service.url})
    assert not [each for each in service.targets if "GIDesign" in each or "dac" in each]


def test_a_memory_that_somebody_changed_by_hand_does_no_harm(
    run_tap: RunTap, site: InquirySite
) -> None:
    catalog = run_tap(config(site), "--discover").document
    root = catalog["streams"][0]["metadata"][-1]["metadata"]
    for kept in ("x", 5, {"": 7}, {"": {"select_top": "all"}}, [1]):
        root["inquiry"] = kept
        assert len(run_tap(config(site), catalog=catalog).records(STREAM)) == 12
