"""Whether a zone is right shows in the newest rows; a single wrong one is not believed."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from typing_extensions import override

from tap_acumatica.errors import RefusedError
from tap_acumatica.odata.time_zone import UTC, ServiceTimeZone, zone_named
from tap_acumatica.reading.plan import Column, Plan, plan_for
from tap_acumatica.reading.zone_check import zone_fault
from tap_acumatica.records.codec import Page

if t.TYPE_CHECKING:
    from tap_acumatica.odata.query import QueryOptions

NOW = dt.datetime(2024, 7, 1, 12, tzinfo=UTC)


class Newest:
    """Answers with the newest rows, and remembers what it was asked."""

    def __init__(self, *local: str | None, time_zone: ServiceTimeZone) -> None:
        self._rows = [{"T": text and time_zone.to_output(text)} for text in local]
        self.asked: list[QueryOptions] = []

    def get(self, options: QueryOptions) -> Page:
        self.asked.append(options)
        return Page(self._rows)

    def at_most(self, top: int | None) -> int | None:
        return top

    def follow(self, link: str) -> Page:
        raise AssertionError(link)


def plan(time_zone: ServiceTimeZone, **others: t.Any) -> Plan:
    tracking = Column("T", "Edm.DateTime")
    keys = [Column("Id", "Edm.Int32")]
    return plan_for(keys=keys, tracking=tracking, time_zone=time_zone, version="3.0", **others)


def fault(*local: str | None, zone: str = "UTC", **others: t.Any) -> str | None:
    time_zone = ServiceTimeZone(zone_named(zone), local=True)
    return zone_fault(Newest(*local, time_zone=time_zone), plan(time_zone, **others), NOW)


@pytest.mark.parametrize(
    ("zone", "newest", "fits"),
    [
        ("UTC", "2024-07-01T13:58:00", "+02:00 would fit"),
        ("UTC", "2024-07-01T17:29:59", "+05:30 would fit"),
        ("America/New_York", "2024-07-01T13:40:00", "+02:00 would fit"),
        ("America/New_York", "2024-07-01T08:58:00", "-03:00 would fit"),
    ],
)
def test_rows_of_the_future_name_a_zone_that_fits(zone: str, newest: str, fits: str) -> None:
    assert fits in (fault(newest, newest, newest, zone=zone) or "")


@pytest.mark.parametrize(
    "newest",
    [
        ("2024-07-01T11:59:00", "2024-07-01T11:00:00"),
        ("2024-07-01T12:10:00", "2024-07-01T12:09:00"),
        ("2025-01-01T00:00:00", "2024-07-01T11:00:00", "2024-06-01T00:00:00"),
    ],
)
def test_rows_of_the_past_and_a_single_one_of_the_future_say_nothing(
    newest: tuple[str, ...],
) -> None:
    assert fault(*newest) == ""


def test_without_rows_or_an_order_nothing_can_be_told() -> None:
    assert fault() is None
    assert fault(None, None) is None
    assert fault("2025-01-01T00:00:00", order=False) is None
    assert fault("2025-01-01T00:00:00", time_order=False) is None


def test_a_service_that_refuses_the_question_is_not_blamed() -> None:
    class Refusing(Newest):
        @override
        def get(self, options: QueryOptions) -> Page:
            raise RefusedError(str(options))

    time_zone = ServiceTimeZone()
    assert zone_fault(Refusing(time_zone=time_zone), plan(time_zone), NOW) is None


def test_no_zone_reaches_rows_that_are_too_far_ahead() -> None:
    assert "its clock or its rows are wrong" in (fault("2024-07-03T12:00:00") or "")


def test_one_small_request_is_made() -> None:
    time_zone = ServiceTimeZone()
    source = Newest("2024-07-01T11:00:00", time_zone=time_zone)
    zone_fault(source, plan(time_zone, select=("Id", "T", "Note")), NOW)
    (asked,) = source.asked
    assert (asked.top, asked.orderby, asked.select) == (3, ("T desc",), ("T",))
