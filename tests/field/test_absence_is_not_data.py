"""What a service did not send is never taken for a null, and an error never for an empty answer."""

from __future__ import annotations

import typing as t

import pytest

from tests.field.orders import (
    assert_bookmarked,
    assert_complete,
    assert_one_error,
    held,
    latest,
    missed,
    order,
    orders,
    schema,
    service_of,
    value,
    warnings,
)
from tests.field.service import Service, as_json, shown

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request, Row, Table

COLUMNS = ("Id", "Note", "Total", "LastModifiedDateTime")


def without(*names: str) -> Callable[[Request, Reply], None]:
    """Leave columns out of every row."""

    def spoil(_request: Request, reply: Reply) -> None:
        if reply.rows is not None:
            reply.rows = [{k: v for k, v in row.items() if k not in names} for row in reply.rows]

    return spoil


def assert_nothing_made_up(run: TapRun, table: Table) -> None:
    """Each record is a row of the table; what it has of it, it has as it is there."""
    rows = held(table)
    for record in run.records(table.name):
        sent = value(record)
        assert sent.items() <= rows[sent["Id"]].items(), record


def camel(name: str) -> str:
    return name[:1].lower() + name[1:]


# Names


@pytest.mark.parametrize("rename", [camel, str.lower, str.upper])
def test_members_in_another_case_are_matched_or_the_missing_column_is_named(
    run_tap: RunTap, rename: Callable[[str], str]
) -> None:
    service, table = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.rows = [{rename(k): v for k, v in row.items()} for row in reply.rows or ()]

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    if run.exit_code == 0:
        assert_complete(run, table)
        assert_bookmarked(run, table)
    else:
        assert run.records("Orders") == []
        assert run.state.get("bookmarks", {}).get("Orders", {}).get("replication_key_value") is None
        assert_one_error(run, "Orders", "Id")


@pytest.mark.parametrize("name", ["Note", "Total"])
def test_one_member_in_another_case_is_matched_or_named(run_tap: RunTap, name: str) -> None:
    service, table = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        for row in reply.rows or ():
            row[name.lower()] = row.pop(name, None)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_nothing_made_up(run, table)
    if run.exit_code == 0:
        assert_complete(run, table)
    else:
        assert_one_error(run, "Orders", name)


# A column that is not there


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Could not find a property named 'Total' on type 'Field.OrdersRow'."),
        (400, "The query specified in the URI is not valid. Property 'Total' does not exist."),
        (500, "Invalid column name 'Total'."),
        (404, "Resource not found for the segment 'Total'."),
        (400, "The 'Total' field is unavailable."),
    ],
)
def test_a_column_that_is_refused_for_a_while_is_never_emptied_in_the_warehouse(
    run_tap: RunTap, status: int, message: str
) -> None:
    service, table = service_of()

    def spoil(request: Request, reply: Reply) -> None:
        if any("Total" in text for text in request.query.values()):
            reply.refuse(message, status)
            reply.headers["Retry-After"] = "0"
        elif reply.rows is not None:
            for row in reply.rows:
                row.pop("Total", None)

    with service.running():
        config: dict[str, t.Any] = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        first = run_tap(config, catalog=catalog)
        table.row(Id=7)["LastModifiedDateTime"] = shown(service.now)
        service.spoil = spoil
        config["max_retries"] = 2
        second = run_tap(config, catalog=catalog, state=first.state, check=False)
    assert missed(table, first) in ([], [7])
    assert_nothing_made_up(second, table)
    if second.exit_code == 0:
        assert "Total" not in schema(second)["schema"]["properties"]
        assert any("Total" in line for line in warnings(second))
    else:
        assert_one_error(second, "Orders", "Total")


@pytest.mark.parametrize("name", ["Note", "Total", "LastModifiedDateTime", "Id"])
def test_a_column_that_is_missing_from_every_row_fails_the_stream(
    run_tap: RunTap, name: str
) -> None:
    service, _ = service_of()
    service.spoil = without(name)
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert run.records("Orders") == []
    assert_one_error(run, "Orders", name)


def test_a_column_that_goes_while_pages_are_read_fails_the_stream(run_tap: RunTap) -> None:
    """A site is published to while it is read."""
    service, table = service_of(cap=10)

    def spoil(request: Request, reply: Reply) -> None:
        if request.number > 2:
            without("Total")(request, reply)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
        service.spoil = lambda _request, _reply: None
        second = run_tap({"url": service.url}, state=run.state)
    assert_nothing_made_up(run, table)
    assert_one_error(run, "Orders", "Total")
    assert missed(table, run, second) == []


def test_rows_without_anything_in_them_are_no_rows(run_tap: RunTap) -> None:
    service, _ = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.rows = [{} for _ in reply.rows or ()]

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert run.records("Orders") == []
    assert_one_error(run, "Orders")


def test_a_column_missing_from_all_rows_of_one_stream_fails_that_stream_alone(
    run_tap: RunTap,
) -> None:
    table, other = orders(), orders(name="Quiet")
    service = Service(table, other)

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "Orders":
            without("Note")(request, reply)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "Orders", "Note")
    assert missed(other, run) == []


@pytest.mark.parametrize("config", [{}, {"tracking_type": "none"}])
def test_a_row_without_its_key_is_no_row(run_tap: RunTap, config: dict[str, str]) -> None:
    service, _ = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        for row in reply.rows or ():
            if row.get("Id") == 7:
                del row["Id"]

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, **config}, check=False)
    assert all(record["Id"] is not None for record in run.records("Orders"))
    assert_one_error(run, "Orders", "Id")


# And the reverse: nulls that are left out


def nulls_left_out(_request: Request, reply: Reply) -> None:
    """As services do that save bytes."""
    reply.rows = [{k: v for k, v in row.items() if v is not None} for row in (reply.rows or ())]


def test_nulls_may_be_left_out_of_some_rows(run_tap: RunTap) -> None:
    service, table = service_of()
    for row in table.rows[::2]:
        row["Note"] = None
    for row in table.rows[1::3]:
        row["Total"] = None
    service.spoil = nulls_left_out
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert_bookmarked(run, table)


@pytest.mark.parametrize(
    "applied", ["omit-values=nulls", "odata.maxpagesize=50, omit-values=nulls"]
)
def test_nulls_may_be_left_out_of_all_rows_by_a_service_that_says_so(
    run_tap: RunTap, applied: str
) -> None:
    service, table = service_of()
    for row in table.rows:
        row["Note"] = None

    def spoil(request: Request, reply: Reply) -> None:
        nulls_left_out(request, reply)
        reply.headers["Preference-Applied"] = applied

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)


def test_nulls_may_be_left_out_of_a_last_page_where_they_were_left_out_before(
    run_tap: RunTap,
) -> None:
    """The pages before show that it leaves nulls out."""
    service, table = service_of(cap=8)
    for row in table.rows:
        row["Note"] = None if row["Id"] % 3 == 0 or row["Id"] > 16 else row["Note"]
    service.spoil = nulls_left_out
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)


def test_rows_asked_for_because_a_column_is_null_may_come_without_it(run_tap: RunTap) -> None:
    service, table = service_of()
    for row in table.rows[::4]:
        row["LastModifiedDateTime"] = None
    service.spoil = nulls_left_out
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)


def test_a_table_that_is_empty_misses_nothing(run_tap: RunTap) -> None:
    service, table = service_of(0)
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
    assert warnings(run) == []


# Errors with status 200


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"code":"500","message":"timeout expired"}}',
        '{"error":{"code":"","message":"timeout expired"},"value":[]}',
        '{"value":[],"error":{"message":"timeout expired"}}',
        '{"error":"timeout expired","value":[]}',
        '{"@odata.context":"x","value":null}',
        '{"@odata.context":"x"}',
        '{"odata.error":{"code":"","message":{"lang":"en","value":"timeout expired"}}}',
        '{"message":"An error has occurred.","exceptionMessage":"timeout expired"}',
        '{"value":{}}',
        '"timeout expired"',
        "[]",
        "null",
    ],
)
def test_an_error_with_status_200_is_an_error(run_tap: RunTap, body: str) -> None:
    service, _ = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.body = body
        reply.headers["Retry-After"] = "0"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1}, check=False)
    assert run.records("Orders") == []
    assert_one_error(run, "Orders")


def test_an_error_behind_the_first_rows_is_an_error(run_tap: RunTap) -> None:
    """A query that runs out of time while its rows are on their way."""
    service, table = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        if reply.rows and len(reply.rows) > 3:
            reply.rows = reply.rows[:3]
            reply.members["error"] = {"code": "500", "message": "timeout expired"}
            # The error comes last, where it was met.
            rows = ",".join(map(as_json, reply.rows))
            error = as_json(reply.members["error"])
            reply.body = f'{{"@odata.context":"x","value":[{rows}],"error":{error}}}'

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1}, check=False)
        service.spoil = lambda _request, _reply: None
        second = run_tap({"url": service.url}, state=run.state)
    assert_one_error(run, "Orders")
    assert missed(table, run, second) == []


def test_an_error_member_that_is_null_is_none(run_tap: RunTap) -> None:
    service, table = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.members["error"] = None

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)


@pytest.mark.parametrize("name", ["error", "Error", "value", "odata.error"])
def test_a_column_may_be_called_as_the_standard_calls_something_else(
    run_tap: RunTap, name: str
) -> None:
    table = orders()
    if "." not in name:
        table.columns[name], table.attributes[name] = "Edm.String", ""
    for row in table.rows:
        row[name] = "none of yours"
    service = Service(table)
    with service.running():
        run = run_tap({"url": service.url})
    assert missed_but_for(table, run, name) == []


def missed_but_for(table: Table, run: TapRun, name: str) -> list[t.Any]:
    """Rows that did not come, where a member that is no column need not come."""
    rows: dict[t.Any, Row] = held(table)
    if name not in table.columns:
        rows = {key: {k: v for k, v in row.items() if k != name} for key, row in rows.items()}
    found = latest(run)
    return [key for key, row in rows.items() if found.get(key) != row]


@pytest.mark.parametrize("status", [204, 202])
def test_a_status_that_brings_no_rows_is_no_empty_table(run_tap: RunTap, status: int) -> None:
    service, _ = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.status, reply.body = status, ""
        reply.headers["Retry-After"] = "0"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1}, check=False)
    assert run.exit_code != 0
    assert_one_error(run, "Orders", exit_code=run.exit_code)


def test_rows_of_another_entity_set_are_no_rows_of_this_one(run_tap: RunTap) -> None:
    """A cache that mixes addresses up."""
    service, _ = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        reply.rows = [{"CustomerId": f"C{n}", "City": "Oslo"} for n in range(9)]
        reply.members["@odata.context"] = f"{service.url}/$metadata#Customers"

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert run.records("Orders") == []
    assert_one_error(run, "Orders")


def test_a_service_that_gives_whole_rows_gives_more_than_was_asked_for(run_tap: RunTap) -> None:
    """``$select`` without effect is no fault."""
    service, table = service_of()

    def spoil(_request: Request, reply: Reply) -> None:
        for row in reply.rows or ():
            row.update({"Extra": 1, "@odata.etag": 'W/"1"', "Note@odata.type": "#String"})

    service.spoil = spoil
    table.rows.append(order(26))
    with service.running():
        run = run_tap({"url": service.url})
    assert_complete(run, table)
