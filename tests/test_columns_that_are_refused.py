"""A column that the service no longer gives is left out; it is never null by mistake."""

from __future__ import annotations

import typing as t

import pytest

from tests.field.orders import assert_one_error, orders, service_of, value, warnings
from tests.field.service import Service

if t.TYPE_CHECKING:
    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request


def refusing(*names: str) -> t.Callable[[Request, Reply], None]:
    """Refuse columns by name, one in each answer, and leave them out of whole rows."""

    def spoil(request: Request, reply: Reply) -> None:
        asked = [name for name in names if any(name in text for text in request.query.values())]
        if asked:
            reply.refuse(f"Could not find a property named '{asked[0]}' on type 'Field.Row'.")
        for row in reply.rows or ():
            for name in names:
                row.pop(name, None)

    return spoil


def columns_of_schemas(run: TapRun) -> list[set[str]]:
    return [set(m["schema"]["properties"]) for m in run.messages if m["type"] == "SCHEMA"]


@pytest.mark.parametrize(
    "config", [{}, {"max_pool_size": 3}, {"stream_maps": {"Orders": {"X": "Id"}}}]
)
@pytest.mark.parametrize("gone", [["Total"], ["Note", "Total"]])
def test_columns_that_are_refused_by_name_are_left_out_of_schema_and_records(
    run_tap: RunTap, config: dict[str, t.Any], gone: list[str]
) -> None:
    service, table = service_of()
    with service.running():
        catalog = run_tap({"url": service.url}, "--discover").document
        service.spoil = refusing(*gone)
        run = run_tap({"url": service.url, **config}, catalog=catalog)
    assert not columns_of_schemas(run)[-1] & set(gone)
    types = [message["type"] for message in run.messages]
    assert "SCHEMA" not in types[types.index("RECORD") :]
    records = run.records("Orders")
    assert sorted(record["Id"] for record in records) == [row["Id"] for row in table.rows]
    assert not any(set(gone) & set(record) for record in records)
    said = [line for line in warnings(run) if "run discovery again or deselect" in line]
    assert len(said) == len(gone)
    assert all(any(name in line for line in said) for name in gone)


@pytest.mark.parametrize("name", ["Id", "LastModifiedDateTime"])
def test_a_stream_without_its_key_or_its_tracking_column_fails(run_tap: RunTap, name: str) -> None:
    service, _ = service_of()
    service.spoil = refusing(name)
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert run.records("Orders") == []
    assert_one_error(run, "Orders", name)


def test_a_column_that_is_refused_after_rows_were_written_fails_the_stream(run_tap: RunTap) -> None:
    table, other = orders(), orders(5, name="Quiet")
    table.cap = 5
    service = Service(table, other)

    def spoil(request: Request, reply: Reply) -> None:
        if request.entity_set == "Orders" and request.number > 3:
            refusing("Total")(request, reply)

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "Orders", "Total")
    assert all(value(record)["Total"] is not None for record in run.records("Orders"))
    assert len(run.records("Quiet")) == 5
