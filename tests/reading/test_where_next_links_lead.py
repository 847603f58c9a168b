"""Next links are followed at the address that was configured, wherever a proxy made them lead."""

from __future__ import annotations

import threading
import typing as t

import pytest

from tap_acumatica.acumatica.addresses import Service
from tap_acumatica.errors import AnswerError
from tap_acumatica.odata.query import QueryOptions
from tap_acumatica.reading.source import EntitySource, RequestCount
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
