"""Rows, query options and their error messages."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tap_acumatica.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.conftest import Client

    Start = Callable[..., Client]


def test_responses_have_the_stored_rows_digit_for_digit(client: Client) -> None:
    read = msgspec.json.decode(client.get("dac/SOLine").content, type=dict[str, Any])["value"]
    exact = re.findall(r'"CuryLineAmt":(null|[^,}]+)', client.get("dac/SOLine").text)
    stored = client.sandbox.rows("Company", "SOLine")
    by_key = {(r["OrderType"], r["OrderNbr"], r["LineNbr"]): r for r in stored}
    assert len(read) == len(stored) == 200
    for row, amount in zip(read, exact, strict=True):
        kept = by_key[row["OrderType"], row["OrderNbr"], row["LineNbr"]]
        assert row["InventoryID"] == kept["InventoryID"]
        assert (
            datetime.fromisoformat(
                row["LastModifiedDateTime"].replace("Z", "+00:00")
                if "." not in row["LastModifiedDateTime"]
                else row["LastModifiedDateTime"].rstrip("Z").ljust(23, "0") + "+00:00"
            )
            == kept["LastModifiedDateTime"]
        )
        assert (None if amount == "null" else Decimal(amount)) == kept["CuryLineAmt"]


def test_same_seed_same_rows_and_tenants_differ() -> None:
    until = datetime(2025, 6, 1, tzinfo=timezone.utc)
    with Sandbox(50, 3, until=until) as one, Sandbox(50, 3, until=until) as other:
        assert one.rows("Company", "SOOrder") == other.rows("Company", "SOOrder")
        assert one.rows("Company", "Customer") != one.rows("Calipso LLC", "Customer")


def test_stamps_have_the_precision_of_sql_datetime(client: Client) -> None:
    texts = [row["LastModifiedDateTime"] for row in client.rows("dac/SOOrder")]
    fractions = [re.fullmatch(r".{19}(?:\.(\d*[1-9]))?Z", text) for text in texts]
    assert all(fractions)
    full = [found[1] for found in fractions if found and found[1] and len(found[1]) == 3]
    assert {fraction[-1] for fraction in full} == {"3", "7"}
    assert any(found and found[1] and len(found[1]) < 3 for found in fractions)


def test_many_rows_share_a_stamp_and_some_have_none(start: Start) -> None:
    client = start(rows=2000)
    stamps = Counter(row["LastModifiedDateTime"] for row in client.rows("dac/SOLine"))
    assert stamps.most_common(1)[0][1] == 400
    assert client.rows("dac/Address", filter="LastModifiedDateTime eq null")


def test_there_are_values_that_are_hard_to_transfer(start: Start) -> None:
    client = start(rows=1000)
    text = client.get("dac/SOLine").text
    assert "1234567890123456789.123456" in text
    keys = {row["InventoryCD"] for row in client.rows("dac/InventoryItem")}
    assert {c for key in keys for c in key} >= set("/'&+%#\"Ü ")
    assert all(key.endswith(" ") for key in keys)
    assert all(row["CuryInfoID"] > 2**53 for row in client.rows("dac/CurrencyInfo"))


@pytest.mark.parametrize(
    ("condition", "test"),
    [
        ("CuryOrderTotal gt 40000", lambda r: r["CuryOrderTotal"] > 40000),
        ("CuryOrderTotal le -0.5", lambda r: r["CuryOrderTotal"] <= Decimal("-0.5")),
        ("OrderNbr ge 'so000100'", lambda r: r["OrderNbr"] >= "SO000100"),
        ("OrderType eq 'SO  '", lambda r: r["OrderType"] == "SO"),
        ("OrderDesc eq null", lambda r: r["OrderDesc"] is None),
        ("OrderDesc ne null", lambda r: r["OrderDesc"] is not None),
        ("OrderDesc eq 'O''Neil\\Sons'", lambda r: r["OrderDesc"] == "O'Neil\\Sons"),
        (
            "Hold eq true and not (OrderType eq 'SO')",
            lambda r: r["Hold"] and r["OrderType"] != "SO",
        ),
        ("OrderType in ('QT','RM')", lambda r: r["OrderType"] in {"QT", "RM"}),
        ("contains(tolower(OrderDesc),'lego')", lambda r: "Lego" in (r["OrderDesc"] or "")),
        ("startswith(OrderDesc,'Consult')", lambda r: (r["OrderDesc"] or "").startswith("Cons")),
        ("endswith(OrderDesc,'+ tax')", lambda r: (r["OrderDesc"] or "").endswith("+ tax")),
        ("length(OrderDesc) eq 0", lambda r: r["OrderDesc"] == ""),
        (
            "toupper(OrderType) eq 'QT' or 5 lt Priority",
            lambda r: r["OrderType"] == "QT" or (r["Priority"] or 0) > 5,
        ),
        ("CuryInfoID gt 9007199254741000", lambda r: (r["CuryInfoID"] or 0) > 9007199254741000),
    ],
)
def test_filter_returns_exactly_the_matching_rows(
    client: Client, condition: str, test: Callable[[dict[str, Any]], bool]
) -> None:
    expected = {r["OrderNbr"] for r in client.sandbox.rows("Company", "SOOrder") if test(r)}
    assert expected
    assert {row["OrderNbr"] for row in client.rows("dac/SOOrder", filter=condition)} == expected


def test_filter_on_times_takes_fractions_and_offsets(client: Client) -> None:
    rows = client.sandbox.rows("Company", "SOOrder")
    middle = sorted(row["LastModifiedDateTime"] for row in rows)[100]
    count = sum(row["LastModifiedDateTime"] >= middle for row in rows)
    literal = middle.isoformat(timespec="milliseconds").replace("+00:00", "")
    for text in (f"{literal}Z", f"{literal}0000Z"):
        assert len(client.rows("dac/SOOrder", filter=f"LastModifiedDateTime ge {text}")) == count
    shifted = (middle + timedelta(hours=2)).isoformat(timespec="milliseconds")
    text = shifted.replace("+00:00", "+02:00")
    assert len(client.rows("dac/SOOrder", filter=f"LastModifiedDateTime ge {text}")) == count
    day = middle.date().isoformat()
    assert client.rows("dac/SOOrder", filter=f"LastModifiedDateTime ge {day}")
    assert not client.get("dac/SOOrder", filter=f"LastModifiedDateTime ge {literal}").ok


def test_filter_on_a_guid_and_on_a_linked_row(client: Client) -> None:
    guid = client.rows("dac/SOOrder", top=1)[0]["NoteID"]
    assert len(client.rows("dac/SOOrder", filter=f"NoteID eq {guid.upper()}")) == 1
    rows = client.rows(
        "dac/SOOrder",
        filter="CustomerByCustomerID/AcctCD eq 'C000001'",
        expand="CustomerByCustomerID($select=AcctCD)",
    )
    assert {row["CustomerByCustomerID"]["AcctCD"] for row in rows} == {"C000001   "}


def test_default_order_is_by_key_and_pages_add_up(client: Client) -> None:
    whole = client.rows("dac/SOLine")
    keys = [(r["LineNbr"], r["OrderNbr"], r["OrderType"]) for r in whole]
    assert keys == sorted(keys)
    pages = [client.rows("dac/SOLine", top=70, skip=skip) for skip in (0, 70, 140)]
    assert [row for page in pages for row in page] == whole
    dates = [r["ShipDate"] for r in client.rows("dac/SOLine", orderby="ShipDate desc")]
    known = [date for date in dates if date is not None]
    assert dates == [*sorted(known, reverse=True), *([None] * (len(dates) - len(known)))]
    amounts = [r["CuryLineAmt"] for r in client.rows("dac/SOLine", orderby="CuryLineAmt")]
    assert amounts == sorted(amounts)


def test_strings_are_ordered_as_they_are_compared(client: Client) -> None:
    keys = [row["InventoryCD"] for row in client.rows("dac/InventoryItem")]
    for index, key in enumerate(keys):
        literal = key.rstrip().replace("AALEGO", "aalego").replace("'", "''")
        assert (
            len(client.rows("dac/InventoryItem", filter=f"InventoryCD gt '{literal}'"))
            == len(keys) - index - 1
        )


def test_select_and_expand_nest(client: Client) -> None:
    row = client.rows(
        "dac/SOOrder",
        top=1,
        select="OrderNbr",
        expand="SOLineCollection($select=LineNbr),BranchByBranchID($select=BranchCD),"
        "CustomerByCustomerID($select=AcctCD;$expand=ContactByDefBillContactID($select=EMail))",
    )[0]
    assert row["SOLineCollection"] == [{"LineNbr": 1}, {"LineNbr": 2}]
    assert list(row) == [
        "OrderNbr", "SOLineCollection", "BranchByBranchID", "CustomerByCustomerID"
    ]  # fmt: skip
    assert list(row["CustomerByCustomerID"]) == ["AcctCD", "ContactByDefBillContactID"]


def test_context_echoes_the_selection(client: Client) -> None:
    answer = client.get("dac/SOOrder", select="OrderNbr,Status", top=1).json()
    assert answer["@odata.context"].endswith("$metadata#SOOrder(OrderNbr,Status)")


def test_singleton_is_an_object(client: Client) -> None:
    answer = client.get("dac/GLSetup").json()
    assert "value" not in answer
    assert answer["BatchNumberingID"]
    assert client.get("dac/PX_Objects_GL_ADL_Account").json()["AccountID"]


def test_key_finds_one_row(client: Client) -> None:
    answer = client.get("dac/SOOrder(OrderType='QT',OrderNbr='SO000001')").json()
    assert answer["OrderNbr"] == "SO000001"
    assert client.get("dac/SOOrder(OrderType='QT',OrderNbr='none')").status_code == 404


def test_derived_class_shares_rows_with_its_base(client: Client) -> None:
    customers = client.rows("dac/Customer")
    accounts = {row["AcctCD"]: row for row in client.rows("dac/BusinessAccount")}
    assert 0 < len(customers) < len(accounts)
    client.sandbox.update("Company", "Customer", {"AcctCD": customers[0]["AcctCD"]}, AcctName="New")
    found = client.rows("dac/BAccount", filter=f"AcctCD eq '{customers[0]['AcctCD']}'")
    assert found[0]["AcctName"] == "New"


def test_second_tenant_lacks_a_class_and_has_a_field(client: Client) -> None:
    assert client.get("dac/POOrder", top=1).ok
    assert "UsrRegion" not in client.rows("dac/Customer", top=1)[0]
    client.tenant = "Calipso LLC"
    assert client.get("dac/POOrder").status_code == 404
    assert "UsrRegion" in client.rows("dac/Customer", top=1)[0]


@pytest.mark.parametrize(
    ("path", "options", "text"),
    [
        (
            "dac/SOOrder",
            {"filter": "Foo eq 1"},
            "Could not find a property named 'Foo' on type 'PX.Objects.SO.SOOrder'",
        ),
        ("dac/SOOrder", {"select": "BranchID"}, "Could not find a property named 'BranchID'"),
        ("dac/SOOrder", {"select": "CuryRate"}, "'CuryRate' cannot be used in the $select"),
        ("dac/SOOrder", {"filter": "CuryRate gt 1"}, "'CuryRate' cannot be used in the $filter"),
        (
            "dac/SOOrder",
            {"filter": "OrderNbr gt 1.5"},
            "Found operand types 'Edm.String' and 'Edm.Decimal' for operator kind 'GreaterThan'.",
        ),
        ("dac/SOOrder", {"count": "true"}, "Query option 'Count' is not allowed"),
        ("dac/SOOrder", {"apply": "x"}, "Query option 'Apply' is not allowed"),
        ("dac/SOOrder", {"expand": "Nope"}, "Could not find a property named 'Nope'"),
        (
            "gi/AR-Customers",
            {"filter": "Foo eq 1"},
            "Could not find a property named 'Foo' on type 'GI.Row'.",
        ),
        (
            "gi/AR-Customers",
            {"filter": "substringof('a',Customer)"},
            "An unknown function with name 'substringof' was found.",
        ),
        (
            "gi/AR-Customers",
            {"filter": "CreatedOn gt datetimeoffset'2024-01-01'"},
            "Unrecognized 'Edm.String' literal 'datetimeoffset'2024-01-01'' at '13'",
        ),
        (
            "gi/AR-Customers",
            {"filter": "Balance gt 1"},
            "Filter on '{0}' is not allowed because it is a virtual field",
        ),
        ("gi/AR-Customers", {"expand": "X"}, "Query option 'Expand' is not allowed"),
    ],
)
def test_errors_have_the_messages_of_acumatica(
    client: Client, path: str, options: dict[str, str], text: str
) -> None:
    answer = client.get(path, **options)
    assert answer.status_code == (500 if path.startswith("gi") else 400)
    assert text in answer.json()["error"]["message"]


def test_inquiry_without_order_is_unsorted_but_repeatable(client: Client) -> None:
    rows = client.rows("gi/BI-ARInvoices")
    numbers = [row["ReferenceNbr"] for row in rows]
    assert numbers != sorted(numbers)
    assert rows == client.rows("gi/BI-ARInvoices")
    ordered = client.rows("gi/BI-ARInvoices", orderby="ReferenceNbr")
    assert [row["ReferenceNbr"] for row in ordered] == sorted(numbers)


def test_calculated_column_in_filter_or_order_gives_200_and_nothing(client: Client) -> None:
    for options in (
        {"filter": "DaysPastDue gt 3"},
        {"orderby": "DaysPastDue"},
        {"filter": "startswith(Customer,'A') or startswith(Customer,'B')"},
    ):
        answer = client.get("gi/AR-Open Documents", **options)
        assert (answer.status_code, answer.content) == (200, b"")


def test_filter_on_an_appended_key_returns_rows_the_inquiry_lacks(client: Client) -> None:
    whole = {row["Customer"] for row in client.rows("gi/AR-Customers")}
    wrong = {row["Customer"] for row in client.rows("gi/AR-Customers", filter="BAccountID gt 0")}
    assert wrong > whole


def test_keys_of_outer_joined_tables_may_be_null(client: Client) -> None:
    assert any(row["ContactID"] is None for row in client.rows("gi/CR-Customers"))


def test_only_the_function_takes_parameters(client: Client) -> None:
    every = client.rows("gi/DB-StorageDetails")
    main = client.rows("gi/DBStorageDetails_WithParameters(Warehouse='MAIN')", top=5)
    assert {row["Warehouse"].rstrip() for row in main} == {"MAIN"}
    assert {row["Warehouse"].rstrip() for row in every} > {"MAIN"}
    client.http.params = {"@w": "'main'"}
    assert client.rows("gi/DBStorageDetails_WithParameters(Warehouse=@w)", top=5) == main


def test_insert_and_delete_are_visible_immediately(client: Client) -> None:
    client.sandbox.insert("Company", "Customer", AcctCD="NEW       ", AcctName="Ün & Co")
    row = client.rows("dac/Customer", filter="AcctCD eq 'new'")[0]
    assert row["AcctName"] == "Ün & Co"
    client.sandbox.delete("Company", "Customer", {"AcctCD": "NEW"})
    assert client.rows("dac/Customer", filter="AcctCD eq 'new'") == []


def test_touched_rows_have_the_current_time(client: Client) -> None:
    before = client.sandbox.now()
    name, key = client.sandbox.touch_random("Company", 1)[0]
    rows = [r for r in client.sandbox.rows("Company", name) if key.items() <= r.items()]
    stamp = rows[0].get("LastModifiedDateTime")
    assert stamp is None or stamp >= before


def test_the_tables_that_inquiries_are_made_of_are_served_beside_them(client: Client) -> None:
    designs = client.rows("dac/GIDesign", select="Name,DesignID,SelectTop")
    assert {"AR-Customers", "DB-StorageDetails"} <= {row["Name"] for row in designs}
    (number,) = [row["DesignID"] for row in designs if row["Name"] == "AR-Open Documents"]
    results = client.rows("dac/GenericInquiryResult", filter=f"DesignID eq {number}")
    formulas = [row["Caption"] for row in results if row["Field"].startswith("=")]
    assert formulas == ["DaysPastDue"]
    assert len(client.rows("dac/GITable", filter=f"DesignID eq {number}")) == 2
    assert client.rows("dac/GIGroupBy") == []
