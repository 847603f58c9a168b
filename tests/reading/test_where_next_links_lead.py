"""No next link is followed where rows can be found by value; others keep to the address."""

from __future__ import annotations

import datetime as dt
import threading
import typing as t
from operator import eq, ge, gt, le

import pytest

from tap_acumatica.acumatica.addresses import Service
from tap_acumatica.errors import AnswerError
from tap_acumatica.odata.query import QueryOptions
from tap_acumatica.reading.plan import Column, plan_for
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.source import EntitySource, RequestCount
from tap_acumatica.reading.window import Reached, Window
from tap_acumatica.records.codec import Page

ROOT = "https://rows.example/acme/odata"


class Asked:
    """Sessions that note what is asked for."""

    def __init__(self, root: str) -> None:
        self.service = Service(root)
        self.urls: list[str] = []

    def fetch(self, url: str, _parse: t.Any, **_others: t.Any) -> Page:
        self.urls.append(url)
        return Page([])

    def decode(self, body: bytes) -> t.Any:
        """No answer is decoded here."""


def followed(link: str, root: str = ROOT) -> str:
    """The address that is asked for after the first page."""
    asked = Asked(root)
    source = EntitySource(
        t.cast("t.Any", asked),
        "Rows",
        t.cast("t.Any", asked),
        name="Rows",
        count=RequestCount(),
        current=threading.Event(),
    )
    source.get(QueryOptions(top=5))
    source.follow(link)
    return asked.urls[-1]


@pytest.mark.parametrize(
    "link",
    [
        "?$skiptoken=a%20b",
        "Rows?$skiptoken=a%20b",
        "/acme/odata/Rows?$skiptoken=a%20b",
        "//rows.example/acme/odata/Rows?$skiptoken=a%20b",
        "http://rows.example/acme/odata/Rows?$skiptoken=a%20b",
        "http://rows.example:80/acme/odata/Rows?$skiptoken=a%20b",
        "https://ROWS.example:443/acme/odata/Rows?$skiptoken=a%20b",
        "http://rows.example:8080/acme/odata/Rows?$skiptoken=a%20b",
    ],
)
def test_a_link_to_the_same_host_is_followed_as_the_host_was_asked(link: str) -> None:
    assert followed(link) == f"{ROOT}/Rows?$skiptoken=a%20b"


@pytest.mark.parametrize(
    "link",
    ["https://rows.example.org/Rows", "https://user@other.example/x", "http://[::1", "mailto:x@y"],
)
def test_a_link_to_another_host_or_nowhere_is_an_error_of_the_stream(link: str) -> None:
    with pytest.raises(AnswerError, match="next link"):
        followed(link)


class Offsets:
    """A service that cuts pages, and whose tokens are offsets; rows move while they are read."""

    def __init__(self, rows: int, limit: int) -> None:
        self.rows = {number: number for number in range(rows)}
        self.followed = 0
        self._limit = limit
        self._version = rows

    def get(self, options: QueryOptions) -> Page:
        """Answer a query, after the oldest row was changed and so became the newest."""
        oldest = min(self.rows, key=self.rows.__getitem__)
        self._version += 1
        self.rows[oldest] = self._version
        return self._page(options, 0)

    def at_most(self, top: int | None) -> int | None:
        """As many rows as are wanted."""
        return top

    def follow(self, link: str) -> Page:
        """Answer what a next link names: never, since it would pass over rows."""
        self.followed += 1
        return self._page(QueryOptions(orderby=("At",)), int(link))

    def _page(self, options: QueryOptions, offset: int) -> Page:
        column, _, down = options.orderby[0].partition(" ")
        found: list[dict[str, t.Any]] = [
            {"Id": number, "At": _at(version)}
            for number, version in self.rows.items()
            if all(_meets(number, version, term) for term in options.filter)
        ]
        found.sort(key=lambda row: row[column], reverse=bool(down))
        start = offset + (options.skip or 0)
        wanted = found[start : start + options.top if options.top else None]
        end = offset + self._limit
        return Page(wanted[: self._limit], str(end) if len(wanted) > self._limit else None)


def _at(version: int) -> str:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=version)
    return moment.isoformat(timespec="microseconds")


def _meets(number: int, version: int, term: str) -> bool:
    column, operator, value = term.split(" ", 2)
    if value == "null":
        return operator == "ne"
    compare: t.Callable[[t.Any, t.Any], bool] = {"ge": ge, "gt": gt, "le": le, "eq": eq}[operator]
    if column == "Id":
        return compare(number, int(value))
    return compare(_at(version)[:19], value[:19])


@pytest.mark.parametrize("tracking", [None, Column("At", "Edm.DateTimeOffset")])
def test_rows_that_move_are_not_passed_over_where_a_service_cuts_pages(
    tracking: Column | None,
) -> None:
    service = Offsets(rows=60, limit=7)
    there = set(service.rows)
    began = _at(max(service.rows.values()))
    plan = plan_for(keys=[Column("Id", "Edm.Int32")], tracking=tracking, page_size=50, until=began)
    batches = Reader(service, plan, name="Rows").read(Window(Reached(), began))
    read = {row["Id"] for batch in batches for row in batch.rows}
    assert read == there
    assert not service.followed
