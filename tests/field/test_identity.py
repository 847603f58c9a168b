"""A name that is declared or derived is no identity until the rows bear it out."""

from __future__ import annotations

import copy
import typing as t
from decimal import Decimal

import jsonschema
import pytest

from tests.field.orders import (
    assert_one_error,
    order,
    orders,
    schema,
    stamp,
)
from tests.field.service import Service, Table, shown

if t.TYPE_CHECKING:
    from tests.conftest import RunTap, TapRun
    from tests.field.service import Row

INQUIRIES = "/t/Company/api/odata/gi"
USER = {"username": "reader", "password": "none-is-asked-for"}


def sales(rows: int = 60, *, tracked: bool = False) -> Table:
    """An inquiry whose declared key names one of the tables that it joins, not its rows."""
    columns = {"Branch": "Edm.String", "Item": "Edm.String", "Qty": "Edm.Decimal"}
    if tracked:
        columns["LastModifiedDateTime"] = "Edm.DateTimeOffset"
    table = Table("Sales", columns, ["Branch"])
    for number in range(rows):
        row: Row = {"Branch": "MAIN", "Item": f"I{number:03d}", "Qty": Decimal(number)}
        table.rows.append(row | ({"LastModifiedDateTime": stamp(number)} if tracked else {}))
    return table


def inquiries(*tables: Table) -> Service:
    return Service(*tables, path=INQUIRIES)


def warehouse(*runs: TapRun, stream: str) -> dict[tuple[t.Any, ...], Row]:
    """What a loader keeps that merges by the key of SCHEMA; a key that is null is refused."""
    found = {}
    for run in runs:
        message = schema(run, stream)
        validator = jsonschema.Draft7Validator(message["schema"])
        for record in run.records(stream):
            numbers = {name: float(v) for name, v in record.items() if name in {"Qty", "Total"}}
            validator.validate({**record, **numbers})
            key = tuple(record[name] for name in message["key_properties"])
            assert key
            assert None not in key, record
            found[key] = record
    return found


def contents(rows: t.Iterable[Row], *names: str) -> list[tuple[str, ...]]:
    """Rows as the values of some columns, to be compared as a whole."""
    return sorted(tuple(str(row[name]) for name in names) for row in rows)


# Keys that are not unique


@pytest.mark.parametrize("page_size", [2000, 7])
def test_all_rows_of_an_inquiry_reach_the_warehouse_though_its_key_is_not_unique(
    run_tap: RunTap, page_size: int
) -> None:
    table = sales()
    service = inquiries(table)
    with service.running():
        run = run_tap({"url": service.url, "page_size": page_size, **USER})
    kept = warehouse(run, stream="Sales")
    assert contents(kept.values(), "Item", "Qty") == contents(table.rows, "Item", "Qty")


def test_rows_of_one_key_keep_their_identity_whatever_their_order(run_tap: RunTap) -> None:
    """Ties come in any order: the same rows must not be added a second time."""
    table = sales()
    service = inquiries(table)
    with service.running():
        first = run_tap({"url": service.url, **USER})
        table.rows.reverse()
        second = run_tap({"url": service.url, **USER})
    kept = warehouse(first, second, stream="Sales")
    assert contents(kept.values(), "Item", "Qty") == contents(table.rows, "Item", "Qty")


def test_equal_keys_are_noticed_on_pages_apart(run_tap: RunTap) -> None:
    table = sales(20)
    for number, row in enumerate(table.rows):
        row["Branch"] = f"B{number:02d}"
    table.rows[19]["Branch"] = table.rows[18]["Branch"]
    table.rows[10]["Branch"] = table.rows[9]["Branch"]
    service = inquiries(table)
    with service.running():
        run = run_tap({"url": service.url, "page_size": 5, **USER})
    kept = warehouse(run, stream="Sales")
    assert contents(kept.values(), "Item", "Qty") == contents(table.rows, "Item", "Qty")


def test_equal_keys_in_an_incremental_read_fail_the_stream_and_name_the_setting(
    run_tap: RunTap,
) -> None:
    service = inquiries(sales(tracked=True))
    with service.running():
        run = run_tap({"url": service.url, **USER}, check=False)
    assert_one_error(run, "Sales", "'keys'")


def test_a_key_given_by_the_user_is_the_one_that_counts(run_tap: RunTap) -> None:
    table = sales(tracked=True)
    service = inquiries(table)
    with service.running():
        config = {"url": service.url, "keys": {"Sales": ["Branch", "Item"]}, **USER}
        first = run_tap(config)
        table.rows[5] |= {"Qty": Decimal(99), "LastModifiedDateTime": shown(service.now)}
        second = run_tap(config, state=first.state)
    kept = warehouse(first, second, stream="Sales")
    assert contents(kept.values(), "Item", "Qty") == contents(table.rows, "Item", "Qty")


def test_one_row_that_is_met_twice_is_no_second_row(run_tap: RunTap) -> None:
    """The row between two pages, and rows that are read again, have equal keys by right."""
    table = sales(30, tracked=True)
    for number, row in enumerate(table.rows):
        row["Branch"] = f"B{number:02d}"
    table.cap = 7
    service = inquiries(table)
    with service.running():
        first = run_tap({"url": service.url, **USER})
        table.rows[3] |= {"Qty": Decimal(99), "LastModifiedDateTime": shown(service.now)}
        second = run_tap({"url": service.url, **USER}, state=first.state)
    kept = warehouse(first, second, stream="Sales")
    assert contents(kept.values(), "Item", "Qty") == contents(table.rows, "Item", "Qty")


def test_a_row_that_changes_while_it_is_read_twice_is_no_second_row(run_tap: RunTap) -> None:
    """Equal keys with different content, and yet one row: its stamp has moved on."""
    table = sales(30, tracked=True)
    for number, row in enumerate(table.rows):
        row["Branch"] = f"B{number:02d}"
    table.cap = 7
    service = inquiries(table)

    def write(request: t.Any) -> None:
        row = table.rows[request.number % 30]
        row |= {"Qty": row["Qty"] + 1, "LastModifiedDateTime": shown(service.now)}

    service.before = write
    with service.running():
        first = run_tap({"url": service.url, **USER})
        service.before = lambda _request: None
        second = run_tap({"url": service.url, **USER}, state=first.state)
    kept = warehouse(first, second, stream="Sales")
    assert contents(kept.values(), "Item", "Qty") == contents(table.rows, "Item", "Qty")


@pytest.mark.parametrize("tracked", [False, True])
def test_any_service_may_declare_a_key_that_is_none(run_tap: RunTap, *, tracked: bool) -> None:
    """Views and query objects do: all rows arrive, or the stream fails and names the setting."""
    table = sales(tracked=tracked)
    service = Service(table)
    with service.running():
        run = run_tap({"url": service.url, **USER}, check=False)
    if run.exit_code == 0:
        kept = warehouse(run, stream="Sales")
        assert contents(kept.values(), "Item") == contents(table.rows, "Item")
    else:
        assert_one_error(run, "Sales", "'keys'")


ALIKE: dict[str, list[tuple[str | None, str]]] = {
    "Bounds": [("a", "bc"), ("ab", "c")],
    "Bars": [("a|b", "c"), ("a", "b|c")],
    "Commas": [("a,b", "c"), ("a", "b,c")],
    "Quotes": [('a","b', "c"), ("a", 'b","c')],
    "Case": [("A", "1"), ("a", "1")],
    "Blanks": [("A", "1"), ("A ", "1"), (" A", "1")],
    "Empty": [("", "1"), (None, "1")],
    "Nothing": [("None", "1"), ("null", "1"), (None, "1")],
    "Letters": [("Straße", "1"), ("Strasse", "1")],
    "Accents": [("\u00e9", "1"), ("e\u0301", "1")],
    "Numbers": [("01", "1"), ("1", "1"), ("1.0", "1")],
}


def test_keys_that_differ_stay_different(run_tap: RunTap) -> None:
    columns = {"Site": "Edm.String", "Lot": "Edm.String", "Item": "Edm.String"}
    tables = {
        name: Table(
            name,
            columns,
            ["Site", "Lot"],
            [{"Site": site, "Lot": lot, "Item": f"I{n}"} for n, (site, lot) in enumerate(keys)],
        )
        for name, keys in ALIKE.items()
    }
    service = inquiries(*tables.values())
    with service.running():
        run = run_tap({"url": service.url, **USER})
    for name, table in tables.items():
        kept = warehouse(run, stream=name).values()
        assert contents(kept, "Item") == contents(table.rows, "Item"), name


# Keys that are null


def visits(nullable: str) -> Table:
    rows = [
        {"Day": f"2024-03-{day:02d}", "Medium": None if day % 5 == 0 else "web", "Total": day}
        for day in range(1, 11)
    ]
    return Table(
        "Visits",
        {
            "Day": 'Edm.Date Nullable="false"',
            "Medium": f"Edm.String {nullable}",
            "Total": "Edm.Int32",
        },
        ["Day", "Medium"],
        rows,
    )


@pytest.mark.parametrize("nullable", ["", 'Nullable="true"'])
@pytest.mark.parametrize("path", ["/odata", INQUIRIES])
def test_rows_whose_key_is_partly_null_reach_the_warehouse(
    run_tap: RunTap, path: str, nullable: str
) -> None:
    table = visits(nullable)
    service = Service(table, path=path)
    with service.running():
        run = run_tap({"url": service.url, **USER})
    kept = warehouse(run, stream="Visits")
    assert contents(kept.values(), "Day", "Medium") == contents(table.rows, "Day", "Medium")


def test_a_null_in_a_key_that_cannot_be_null_is_never_sent_against_the_schema(
    run_tap: RunTap,
) -> None:
    table = visits('Nullable="false"')
    service = Service(table)
    with service.running():
        run = run_tap({"url": service.url, **USER}, check=False)
    kept = warehouse(run, stream="Visits")
    if run.exit_code == 0:
        assert contents(kept.values(), "Day", "Medium") == contents(table.rows, "Day", "Medium")
    else:
        assert_one_error(run, "Visits", "Medium")


# Names of streams


def named(name: str, note: str) -> Table:
    table = orders(5, name=name)
    for row in table.rows:
        row["Note"] = note
    return table


@pytest.mark.parametrize(
    ("old", "new", "stays"),
    [
        ("A-B", "A B", True),
        ("A B", "A-B", True),
        ("A-B", "A_B", True),
        ("Sales (old)", "Sales  old ", True),
        ("A-B", "A B", False),
        ("A.B", "A_B", False),
    ],
)
def test_a_stream_never_reads_another_entity_set_than_before(
    run_tap: RunTap, old: str, new: str, *, stays: bool
) -> None:
    """Somebody adds an inquiry whose name looks the same as a stream's."""
    service = inquiries(named(old, "old"))
    with service.running():
        config = {"url": service.url, **USER}
        catalog = run_tap(config, "--discover").document
        stream = catalog["streams"][0]["tap_stream_id"]
        first = run_tap(config, catalog=copy.deepcopy(catalog))
        tables = [named(new, "new"), *([named(old, "old")] if stays else [])]
        for table in tables:
            table.rows.append({**order(6), "Note": table.rows[0]["Note"]})
            table.rows[-1]["LastModifiedDateTime"] = shown(service.now)
        service.tables = {table.name: table for table in tables}
        second = run_tap(config, catalog=catalog, state=first.state, check=False)
    assert {record["Note"] for record in first.records(stream)} == {"old"}
    assert {record["Note"] for record in second.records(stream)} <= {"old"}
    if second.exit_code == 0:
        assert 6 in {record["Id"] for record in second.records(stream)}
    else:
        assert_one_error(second, old, exit_code=second.exit_code)


def test_the_order_of_the_metadata_names_no_streams(run_tap: RunTap) -> None:
    """Two sets of which one stream name would do: which is which does not change over night."""
    service = inquiries(named("A-B", "first"), named("A B", "second"))
    with service.running():
        config = {"url": service.url, **USER}
        first = run_tap(config)
        service.tables = dict(reversed(service.tables.items()))
        second = run_tap(config)
    streams = {m["stream"] for m in first.messages if m["type"] == "SCHEMA"}
    assert len(streams) == 2
    for stream in streams:
        notes = {record["Note"] for run in (first, second) for record in run.records(stream)}
        assert len(notes) == 1


@pytest.mark.parametrize("tracking", ["date", "none"])
def test_keys_that_do_not_identify_a_row_lose_none_unseen(run_tap: RunTap, tracking: str) -> None:
    rows = [
        {"Branch": f"B{n % 5}", "Amount": Decimal(n) + Decimal("0.5"), "At": stamp(0)}
        for n in range(40)
    ]
    columns = {"Branch": "Edm.String", "Amount": "Edm.Decimal", "At": "Edm.DateTimeOffset"}
    service = Service(Table("Sales", columns, [], rows))
    with service.running():
        config = {"url": service.url, "keys": {"Sales": ["Branch"]}, "page_size": 7}
        run = run_tap({**config, "tracking_type": tracking}, check=False)
    found = run.records("Sales")
    if run.exit_code == 0:
        assert len({record["Amount"] for record in found}) == len(rows)
        assert len({record["_key"] for record in found}) == len(rows)
    else:
        assert "several rows have the key Branch" in run.errors


@pytest.mark.parametrize("page_size", [2, 7, 2000])
def test_rows_without_a_key_may_hold_decimals(run_tap: RunTap, page_size: int) -> None:
    rows = [{"Branch": f"B{n}", "Amount": Decimal(n) / 4, "At": stamp(n)} for n in range(30)]
    columns = {"Branch": "Edm.String", "Amount": "Edm.Decimal", "At": "Edm.DateTimeOffset"}
    service = Service(Table("Sales", columns, [], rows))
    with service.running():
        run = run_tap({"url": service.url, "page_size": page_size}, check=False)
    assert run.exit_code == 0, run.errors
    assert {record["Branch"] for record in run.records("Sales")} == {r["Branch"] for r in rows}
