"""Local times: how they are read, emitted and used in filters."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tzlocal.windows_tz import win_tz

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.odata import times
from tap_acumatica.odata.time_zone import UTC, ServiceTimeZone, UnknownZoneError, zone_named
from tap_acumatica.odata.types import literal

NAMES = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour of summer time
    "America/Santiago",  # changes at midnight
    "America/St_Johns",
    "Asia/Kolkata",
    "Pacific/Apia",  # left out a whole day
    "UTC",
)
zones = st.sampled_from(NAMES)
walls = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2037, 12, 31))  # noqa: DTZ001
moments = walls.map(lambda moment: moment.replace(tzinfo=UTC))


def time_zone(name: str, *, convert_to_utc: bool = True, local: bool = True) -> ServiceTimeZone:
    return ServiceTimeZone(zone_named(name), convert_to_utc=convert_to_utc, local=local)


def readings(wall: dt.datetime, name: str) -> list[dt.datetime]:
    """Both moments that a local time may mean, by the standard library."""
    zone = zoneinfo.ZoneInfo(name)
    return [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("Europe/Berlin", "2024-01-15T12:00:00", "2024-01-15T11:00:00"),
        ("W. Europe Standard Time", "2024-07-15T12:00:00.5", "2024-07-15T10:00:00.5"),
        ("Eastern Standard Time", "2024-07-15T12:00", "2024-07-15T16:00:00"),
        ("India Standard Time", "2024-07-15T12:00:00", "2024-07-15T06:30:00"),
        ("America/New_York", "2024-11-03T01:30:00", "2024-11-03T05:30:00"),
        ("America/New_York", "2024-03-10T02:30:00", "2024-03-10T07:30:00"),
        ("America/New_York", "2024-07-15T12:00:00Z", "2024-07-15T12:00:00"),
        ("America/New_York", "2024-07-15T12:00:00+02:00", "2024-07-15T10:00:00"),
    ],
)
def test_a_time_without_offset_is_read_in_the_zone(name: str, text: str, expected: str) -> None:
    assert time_zone(name).to_utc(text) == times.to_canonical(f"{expected}Z")


@pytest.mark.parametrize("name", ["", "Nowhere/Else", "Eastern", "../etc", "America", "+02:00"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownZoneError):
        zone_named(name)


def test_every_windows_name_is_a_zone() -> None:
    assert len(win_tz) > 130
    for windows in win_tz:
        assert zone_named(windows).utcoffset(dt.datetime(2024, 1, 1)) is not None  # noqa: DTZ001
        assert zone_named(windows.lower()) is zone_named(windows)


@given(moments, zones)
def test_a_moment_is_emitted_in_the_zone_unchanged(moment: dt.datetime, name: str) -> None:
    text = moment.isoformat()
    own = time_zone(name, convert_to_utc=False, local=False)
    left = own.to_comparable(text)
    assert dt.datetime.fromisoformat(left) == moment
    offset = moment.astimezone(zoneinfo.ZoneInfo(name)).utcoffset()
    assert dt.datetime.fromisoformat(left).utcoffset() == offset
    assert own.sort_value(left) == times.canonical(moment)
    assert time_zone(name).to_comparable(text) == times.canonical(moment)
    assert dt.datetime.fromisoformat(time_zone(name).to_output(text)) == moment


@pytest.mark.parametrize(
    ("sent", "emitted"),
    [
        ("2024-03-01T10:11:12Z", "2024-03-01T10:11:12Z"),
        ("2024-03-01T10:11:12.5Z", "2024-03-01T10:11:12.5Z"),
        ("2024-03-01T10:11:12.123456+00:00", "2024-03-01T10:11:12.123456+00:00"),
        ("2024-03-01T10:11:12.1234567Z", "2024-03-01T10:11:12.123456+00:00"),
        ("2024-03-01T10:11:12+02:00", "2024-03-01T08:11:12.000000+00:00"),
        ("2024-03-01T10:11Z", "2024-03-01T10:11:00.000000+00:00"),
        ("2024-03-01t10:11:12z", None),
        ("2024-03-01T10:11:12-00:00", "2024-03-01T10:11:12.000000+00:00"),
    ],
)
@pytest.mark.parametrize("name", ["UTC", "America/New_York"])
def test_an_instant_in_utc_leaves_as_it_came(sent: str, emitted: str | None, name: str) -> None:
    own = ServiceTimeZone(zone_named(name))
    if emitted is None:
        with pytest.raises(ValueMismatchError):
            own.to_output(sent)
        return
    assert own.to_output(sent) == emitted
    assert list(own.emitted.column([sent, None, sent])) == [emitted, None, emitted]


def test_many_instants_leave_as_they_came_if_all_of_them_can() -> None:
    sent = [f"2024-03-01T10:{number:02d}:12.5Z" for number in range(60)]
    emitted = ServiceTimeZone().emitted
    assert list(emitted.column(sent)) == sent
    assert (
        emitted.column([*sent, "2024-03-01T10:11:12+02:00"])[-1]
        == "2024-03-01T08:11:12.000000+00:00"
    )
    with pytest.raises(ValueMismatchError):
        emitted.column([*sent, "2024-02-30T10:11:12Z"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1850-01-01T00:00:00Z", "1849-12-31T19:03:00.000000-04:57"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+00:00"),
        ("2024-11-03T05:30:00Z", "2024-11-03T01:30:00.000000-04:00"),
        ("2024-11-03T06:30:00Z", "2024-11-03T01:30:00.000000-05:00"),
        ("2024-11-03T01:30:00", "2024-11-03T01:30:00.000000-04:00"),
        ("2024-07-01T10:00:00.1234567", "2024-07-01T10:00:00.123456-04:00"),
    ],
)
def test_times_are_emitted_with_offsets_valid_in_rfc_3339(text: str, expected: str) -> None:
    assert time_zone("America/New_York", convert_to_utc=False).to_output(text) == expected


@given(walls, zones)
def test_a_local_time_is_never_sorted_after_a_moment_it_may_mean(
    wall: dt.datetime, name: str
) -> None:
    own = time_zone(name)
    placed = times.parse(own.sort_value(own.to_output(wall.isoformat())))
    assert placed <= min(readings(wall, name))


@given(walls, walls, zones)
def test_local_times_are_sorted_in_their_order(
    one: dt.datetime, other: dt.datetime, name: str
) -> None:
    own = time_zone(name)
    early, late = sorted((one, other))
    assert own.sort_value(own.to_output(early.isoformat())) <= own.sort_value(
        own.to_output(late.isoformat())
    )


@given(moments, st.integers(0, 10 * 3600), zones)
def test_local_times_are_sorted_in_the_order_of_their_moments(
    moment: dt.datetime, later: int, name: str
) -> None:
    own = time_zone(name)
    pair = (moment, moment + dt.timedelta(seconds=later))
    early, late = (
        own.sort_value(own.to_output(own.to_local(times.canonical(one)))) for one in pair
    )
    assert early <= late


@given(moments, moments, zones)
def test_a_bound_is_unambiguous_and_excludes_nothing(
    bound: dt.datetime, moment: dt.datetime, name: str
) -> None:
    check_bound(bound, moment, name)


@given(st.data(), st.integers(-3 * 3600, 3 * 3600), st.integers(-3 * 3600, 3 * 3600))
def test_a_bound_near_a_change_of_the_clock_excludes_nothing(
    data: st.DataObject, far: int, between: int
) -> None:
    name, change = data.draw(st.sampled_from(CHANGES))
    bound = change + dt.timedelta(seconds=far)
    check_bound(bound, bound + dt.timedelta(seconds=between), name)


def check_bound(bound: dt.datetime, moment: dt.datetime, name: str) -> None:
    """However the service stores, sorts and compares: rows at or after the bound are included."""
    own = time_zone(name)
    lower = own.safe_floor(times.canonical(bound))
    upper = own.safe_ceiling(times.canonical(bound))
    for text in (lower, upper):
        wall = dt.datetime.fromisoformat(own.to_local(text))
        assert len(set(readings(wall, name))) == 1, "a service may read it in two ways"
    assert lower <= times.canonical(bound) <= upper
    shown = own.to_local(times.canonical(moment))
    if moment >= bound:
        assert shown >= own.to_local(lower)
    else:
        assert shown <= own.to_local(upper)


def changes_of(name: str, year: int) -> list[dt.datetime]:
    """The full hours at which a clock changes, by the standard library."""
    zone = zoneinfo.ZoneInfo(name)
    start = dt.datetime(year, 1, 1, tzinfo=UTC)
    hours = [start + dt.timedelta(hours=number) for number in range(366 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [
        hour
        for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False)
        if before != after
    ]


CHANGES = [
    (name, change) for name in NAMES for year in (2011, 2024) for change in changes_of(name, year)
]


def test_without_a_zone_or_local_times_nothing_is_moved() -> None:
    text = "2024-11-03T05:30:00.000000+00:00"
    for own in (time_zone("UTC"), time_zone("America/New_York", local=False)):
        assert own.is_utc
        assert own.sort_value(text) == own.safe_floor(text) == own.safe_ceiling(text) == text


def test_the_first_local_time_shows_that_a_service_uses_local_time() -> None:
    own = time_zone("America/New_York", local=False)
    found = []
    for text in ("2024-11-03T05:30:00Z", "2024-11-03T01:30:00"):
        own.to_output(text)
        found.append(own.is_utc)
    assert found == [True, False]
    assert own.sort_value("2024-11-03T05:30:00.000000+00:00") == "2024-11-03T05:00:00.000000+00:00"


def test_a_filter_is_written_in_the_zone_of_the_service() -> None:
    moment = "2024-07-01T16:00:00.120000+00:00"
    own = time_zone("America/New_York")
    spelled = literal("Edm.DateTime", moment, version="3.0", time_zone=own)
    assert spelled == "datetime'2024-07-01T12:00:00.120'"
    spelled = literal("Edm.DateTimeOffset", moment, version="3.0", time_zone=own)
    assert spelled == "datetimeoffset'2024-07-01T16:00:00.120Z'"
    assert literal("Edm.DateTimeOffset", moment, time_zone=own) == "2024-07-01T16:00:00.120Z"


def test_no_filter_is_earlier_than_sql_server_supports() -> None:
    own = time_zone("America/New_York")
    spelled = literal(
        "Edm.DateTime", "1753-01-01T00:00:00.000000+00:00", version="3.0", time_zone=own
    )
    assert spelled == "datetime'1753-01-01T00:00:00.000'"


@pytest.mark.parametrize("text", ["2024-13-01T00:00:00", "2024-02-30T00:00:00Z", "today", ""])
def test_a_date_part_needs_a_date_time(text: str) -> None:
    with pytest.raises(ValueMismatchError):
        times.date_part(text)


@pytest.mark.parametrize("end", ["", "Z", "+13:00", "-12:00"])
def test_a_date_part_ignores_the_offset(end: str) -> None:
    assert times.date_part(f"2024-02-29T00:00:00{end}") == "2024-02-29"
    assert times.date_part(f"2024-02-29T23:59:59.999{end}") == "2024-02-29"
