"""Services that tell no zone: their times are read in `time_zone`, and asked for in it again."""

from __future__ import annotations

import datetime as dt
import typing as t
import zoneinfo

import pytest

from tests.sandbox_site import TENANT, settings

if t.TYPE_CHECKING:
    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox, RunTap, TapRun

INQUIRY, STREAM = "BI-ARInvoices", "BI_ARInvoices"
DATES = ["BI_ARInvoices.*Date"]
UTC = dt.timezone.utc


def profile(zone: str) -> t.Any:
    """Habits of a site whose users live in a zone."""
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    return Habits(profile_zone=zone)


def legacy(site: Sandbox, **others: t.Any) -> dict[str, t.Any]:
    return settings(
        site,
        **{
            "interface": "gi-legacy",
            "entity_sets": [INQUIRY],
            "date_fields": DATES,
            "time_offset": 0,
            "page_size": 50,
            "read_site_information": False,  # that the inquiry joins tables is said elsewhere
            **others,
        },
    )


def by_number(run: TapRun) -> dict[str, dict[str, t.Any]]:
    rows = {f"{row['Type']} {row['ReferenceNbr']}": dict(row) for row in run.records(STREAM)}
    for row in rows.values():
        row.pop("_key")
    return rows


def instants(rows: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """The rows with date-times for what they mean, whatever their form."""
    return {
        number: {
            name: dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
            if isinstance(value, str) and value[10:11] == "T"
            else value
            for name, value in row.items()
        }
        for number, row in rows.items()
    }


def bookmark_of(run: TapRun) -> str:
    """The bookmark of the stream in the last STATE."""
    found: str = run.state["bookmarks"][STREAM]["partitions"][0]["replication_key_value"]
    return found


@pytest.mark.parametrize("zone", ["America/New_York", "Eastern Standard Time"])
@pytest.mark.parametrize("data_format", ["json", "atom"])
def test_local_times_mean_the_same_moments_as_those_of_odata_4(
    sandbox: MakeSandbox, run_tap: RunTap, zone: str, data_format: str
) -> None:
    site = sandbox(rows=120, habits=profile("America/New_York"))
    old = run_tap(legacy(site, time_zone=zone, data_format=data_format))
    new = run_tap(legacy(site, interface="gi"))
    assert instants(by_number(old)) == instants(by_number(new)) != {}
    assert bookmark_of(old) == bookmark_of(new)


def test_dates_are_dates_and_never_shifted(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=120, habits=profile("Pacific/Auckland"))
    catalog = run_tap(legacy(site, time_zone="New Zealand Standard Time"), "--discover").document
    columns = catalog["streams"][0]["schema"]["properties"]
    assert {columns[name]["format"] for name in ("Date", "DueDate")} == {"date"}
    assert columns["LastModifiedOn"]["format"] == "date-time"
    odd = legacy(site, date_fields=[*DATES, "*.NoSuchDate", "BI_ARInvoices.Amount"])
    warned = run_tap(odd, "--discover").errors
    assert warned.count("which is not a timestamp of any stream") == 2
    run = run_tap(legacy(site, time_zone="New Zealand Standard Time"), catalog=catalog)
    due = {
        row["RefNbr"]: row["DueDate"] and row["DueDate"].date().isoformat()
        for row in site.rows(TENANT, "ARRegister")
    }
    found = {row["ReferenceNbr"]: row["DueDate"] for row in run.records(STREAM)}
    assert found == {number: due[number] for number in found}
    assert any(found.values())


def test_a_date_is_no_replication_key(sandbox: MakeSandbox, run_tap: RunTap) -> None:
    site = sandbox(rows=20)
    config = settings(site, entity_sets=["SOOrder"])
    catalog = run_tap(config, "--discover").document
    (entry,) = catalog["streams"]
    assert entry["replication_key"] == "LastModifiedDateTime"
    dated = {**config, "date_fields": ["*.LastModifiedDateTime", "SOOrder.OrderDate"]}
    (plain,) = run_tap(dated, "--discover").document["streams"]
    assert plain["replication_method"] == "FULL_TABLE"
    run = run_tap(dated, catalog=catalog)
    assert "LastModifiedDateTime is not a timestamp" in run.errors
    schema = next(m["schema"] for m in run.messages if m["type"] == "SCHEMA")
    assert schema["properties"]["OrderDate"]["format"] == "date"
    assert all(len(row["OrderDate"]) == 10 for row in run.records("SOOrder") if row["OrderDate"])
    assert "replication_key_value" not in str(run.state)


@pytest.mark.parametrize("interface", ["gi", "gi-legacy"])
def test_times_may_leave_in_the_zone_with_its_offset(
    sandbox: MakeSandbox, run_tap: RunTap, interface: str
) -> None:
    site = sandbox(rows=120, habits=profile("America/New_York"))
    config = legacy(site, interface=interface, time_zone="America/New_York")
    in_utc = run_tap(config)
    in_zone = run_tap({**config, "convert_to_utc": False})
    for one, other in zip(by_number(in_utc).values(), by_number(in_zone).values(), strict=True):
        moment = dt.datetime.fromisoformat(one["LastModifiedOn"])
        local = moment.astimezone(zoneinfo.ZoneInfo("America/New_York"))
        assert other["LastModifiedOn"] == local.isoformat(timespec="microseconds")
    assert bookmark_of(in_zone) == bookmark_of(in_utc)
    second = run_tap({**config, "convert_to_utc": False}, state=in_zone.state)
    assert 0 < len(second.records(STREAM)) < 5


@pytest.mark.parametrize("data_format", ["json", "atom"])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("America/New_York", dt.datetime(2026, 11, 1, 6, tzinfo=UTC)),
        ("Europe/Berlin", dt.datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ],
    ids=["back", "forward"],
)
def test_runs_across_a_change_of_the_clock_miss_no_row(
    sandbox: MakeSandbox, run_tap: RunTap, zone: str, change: dt.datetime, data_format: str
) -> None:
    start = change - dt.timedelta(hours=2)
    site = sandbox(
        rows=60,
        habits=profile(zone),
        until=start.replace(tzinfo=None) - dt.timedelta(days=1),
        clock_offset=start - dt.datetime.now(UTC),
    )
    config = legacy(site, time_zone=zone, data_format=data_format, page_size=10)
    numbers = [(row["DocType"], row["RefNbr"]) for row in site.rows(TENANT, "ARRegister")]
    run = run_tap(config)
    shown = {row["ReferenceNbr"] for row in run.records(STREAM)}
    numbers = [number for number in numbers if number[1] in shown]
    held = by_number(run)
    moment = start
    for step in range(4):
        for place in range(3):
            kind, number = numbers[(step * 3 + place) % len(numbers)]
            moment += dt.timedelta(minutes=19, seconds=17)
            key = {"DocType": kind, "RefNbr": number}
            site.update(TENANT, "ARRegister", key, LastModifiedDateTime=moment)
        site.clock.offset = moment - dt.datetime.now(UTC)
        run = run_tap(config, state=run.state)
        held |= by_number(run)
        warnings = [line for line in run.errors.splitlines() if "WARNING" in line]
        assert [line for line in warnings if "behind this machine's" not in line] == []
        expected = {
            row["RefNbr"]: row["LastModifiedDateTime"] for row in site.rows(TENANT, "ARRegister")
        }
        for row in held.values():
            found = dt.datetime.fromisoformat(row["LastModifiedOn"])
            true = expected[row["ReferenceNbr"]]
            # The first of two moments that a local time may mean.
            assert found in {true, true - dt.timedelta(hours=1)}, (step, row)
            assert found == true or change <= true < change + dt.timedelta(hours=1)


def test_a_zone_that_the_newest_rows_contradict_is_warned_of_with_one_that_fits(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=60, habits=profile("Asia/Kolkata"))
    rows = [row for row in site.rows(TENANT, "ARRegister") if row["DocType"] == "INV"][:20]
    for row in rows:
        site.update(TENANT, "ARRegister", {"DocType": "INV", "RefNbr": row["RefNbr"]})
    wrong = run_tap(legacy(site))
    (warning,) = [line for line in wrong.errors.splitlines() if "time_zone" in line]
    assert "stamped 5.5 hours after" in warning
    assert "+05:30 would fit (Asia/" in warning
    right = run_tap(legacy(site, time_zone="India Standard Time"))
    west = run_tap(legacy(site, time_zone="Asia/Kathmandu"))
    assert "time_zone" not in right.errors + west.errors


def test_the_clock_of_the_service_is_told_where_it_is_wrong(
    sandbox: MakeSandbox, run_tap: RunTap
) -> None:
    site = sandbox(rows=20, clock_offset=1000)
    run = run_tap(settings(site, entity_sets=["Ledger"]))
    (warning,) = [line for line in run.errors.splitlines() if "WARNING" in line]
    assert "s ahead of this machine's; bookmarks follow the service's" in warning
