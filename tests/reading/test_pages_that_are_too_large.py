"""A page that is too large is made smaller; what was found is kept, and nothing else is blamed."""

from __future__ import annotations

import logging
import threading
import typing as t
from urllib.parse import parse_qs, urlsplit

import pytest
from typing_extensions import override

from tap_acumatica.acumatica.addresses import Service
from tap_acumatica.errors import PageSizeError, RefusedError, SlowAnswerError
from tap_acumatica.odata.page_limit import PageLimit
from tap_acumatica.odata.query import QueryOptions
from tap_acumatica.reading.source import EntitySource, RequestCount
from tap_acumatica.records.codec import Page

ROWS = 3000


class Sessions:
    """Sessions with a service that gives no more than some rows at once."""

    def __init__(self, most: int, **failure: t.Any) -> None:
        self.service = Service("https://rows.example/odata")
        self.most = most
        self.failure = failure
        self.asked: list[int] = []
        self.small: set[str | None] = set()

    def fetch(
        self, url: str, parse: t.Any, *, smaller: str | None = None, **_others: t.Any
    ) -> Page:
        del parse
        query = parse_qs(urlsplit(url).query)
        top, skip = int(query["$top"][0]), int(query.get("$skip", ["0"])[0])
        self.asked.append(top)
        self.small.add(smaller)
        if top > self.most:
            if smaller is None:
                raise RefusedError("too large")
            raise PageSizeError("too large", RefusedError("too large"), **self.failure)
        return Page([{"Id": number} for number in range(skip, min(skip + top, ROWS))])

    def decode(self, body: bytes) -> t.Any:
        """No answer is decoded here."""


def source_of(sessions: Sessions, limit: PageLimit | None = None) -> EntitySource:
    return EntitySource(
        t.cast("t.Any", sessions),
        "Rows",
        t.cast("t.Any", sessions),
        name="Rows",
        count=RequestCount(limit),
        current=threading.Event(),
    )


def test_halves_are_asked_for_and_what_worked_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions(300)
    source = source_of(sessions)
    for _ in range(2):
        source.get(QueryOptions(top=2000))
    assert sessions.asked == [2000, 1000, 500, 250, 250]
    assert [record.getMessage() for record in caplog.records] == [
        "too large; from now on 250 rows are asked for"
    ]


def test_what_one_stream_found_is_not_the_others() -> None:
    sessions, limit = Sessions(300), PageLimit()
    source_of(sessions, limit).get(QueryOptions(top=2000))
    sessions.most = 5000
    source_of(sessions, limit).get(QueryOptions(top=2000))
    assert sessions.asked[-1] == 2000


def test_a_limit_that_the_service_names_is_that_of_all_streams(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sessions, limit = Sessions(100, limits=(100, 2000)), PageLimit()
    for _ in range(3):
        source_of(sessions, limit).get(QueryOptions(top=2000))
    assert sessions.asked == [2000, 100, 100, 100]
    assert len(caplog.records) == 1
    assert "no stream is asked for more than 100 rows" in caplog.text


def test_a_named_limit_that_is_not_taken_is_no_limit(caplog: pytest.LogCaptureFixture) -> None:
    sessions, limit = Sessions(50, limits=(500,)), PageLimit()
    source_of(sessions, limit).get(QueryOptions(top=1000))
    assert sessions.asked == [1000, 500, 2, 250, 125, 62, 31]
    assert limit.at_most(1000) == 1000
    assert "from now on 31 rows are asked for" in caplog.text


@pytest.mark.parametrize("failure", [{}, {"limits": (500,)}])
def test_where_the_smallest_page_fails_as_well_the_size_is_what_it_was(
    failure: dict[str, t.Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sessions = Sessions(1, **failure)
    source = source_of(sessions)
    with pytest.raises(RefusedError, match="too large"):
        source.get(QueryOptions(top=1000))
    sessions.most = 1000
    source.get(QueryOptions(top=1000))
    assert sessions.asked[-1] == 1000
    assert not caplog.records


def test_small_requests_are_never_suspected() -> None:
    sessions = Sessions(1)
    with pytest.raises(RefusedError):
        source_of(sessions).get(QueryOptions(top=10))
    assert sessions.asked == [10]


def test_the_page_is_never_larger_than_what_is_wanted() -> None:
    sessions, limit = Sessions(5000), PageLimit()
    limit.lower(4000)
    source_of(sessions, limit).get(QueryOptions(top=20))
    assert sessions.asked == [20]
    assert not limit.lower(4500)


def test_a_page_that_was_made_smaller_is_known_as_such() -> None:
    source = source_of(Sessions(700))
    page = source.get(QueryOptions(top=2000))
    assert len(page.rows) == source.at_most(2000) == 500
    assert source.at_most(100) == 100


def test_answers_that_do_not_come_in_time_are_asked_for_by_halves() -> None:
    class Slow(Sessions):
        @override
        def fetch(self, url: str, parse: t.Any, **others: t.Any) -> Page:
            try:
                return super().fetch(url, parse, **others)
            except PageSizeError as error:
                raise SlowAnswerError(str(error)) from error

    sessions = Slow(300)
    source_of(sessions).get(QueryOptions(top=2000))
    assert sessions.asked == [2000, 1000, 500, 250]
