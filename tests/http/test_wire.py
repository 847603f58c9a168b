"""Additions to each request, and the request log."""

from __future__ import annotations

import logging
import threading
import typing as t
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from typing_extensions import override

from tap_acumatica.http.additions import (
    RequestAdditions,
    UnknownLocaleError,
    additions,
    language_tag,
)
from tap_acumatica.http.redaction import Redactor
from tap_acumatica.http.request_log import RequestLog, shown_options, shown_path
from tap_acumatica.http.transport import Transport, mount

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = 'k+y/ ü"1'
ADDED = additions(
    [{"name": "site", "value": "a b", "in": "query"}],
    [
        {"name": "key", "value": SECRET, "in": "query"},
        {"name": "X-Key", "value": "s3cr3t", "in": "header"},
    ],
    locale="de-CH",
)


class Site(t.NamedTuple):
    url: str
    requests: list[tuple[str, dict[str, str]]]
    connections: list[int]


@contextmanager
def a_site(status: int = 200, location: str | None = None) -> Iterator[Site]:
    """A site that answers with the address it was asked at."""
    asked: list[tuple[str, dict[str, str]]] = []
    connections: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        @override
        def setup(self) -> None:
            connections.append(1)
            super().setup()

        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers.items())))
            body = f"you asked for {self.path}".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Set-Cookie", "ticket=hidden-cookie")
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Site(f"http://127.0.0.1:{server.server_port}", asked, connections)
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def a_session(root: str, **options: t.Any) -> Iterator[requests.Session]:
    with requests.Session() as session:
        mount(session, Transport(root, **options))
        yield session


def received(session: requests.Session, url: str, **options: t.Any) -> bytes:
    """The body of an answer, received as the tap's sessions do."""
    answer = session.get(url, stream=True, **options)
    return t.cast("Transport", session.get_adapter(url)).receive(answer)


def test_headers_and_parameters_are_added_once_and_encoded() -> None:
    with a_site() as site, a_session(site.url, additions=ADDED) as session:
        session.get(f"{site.url}/set?$top=1")
        session.get(f"{site.url}/set?key=old&%24top=1&site=other")
    (first, headers), (second, _) = site.requests
    assert first == "/set?$top=1&site=a%20b&key=k%2By%2F%20%C3%BC%221"
    assert second == "/set?%24top=1&site=a%20b&key=k%2By%2F%20%C3%BC%221"
    assert headers["X-Key"] == "s3cr3t"
    assert headers["Accept-Language"] == "de-CH"


def test_another_host_is_given_nothing() -> None:
    with (
        a_site() as other,
        a_site(302, f"{other.url}/there") as site,
        a_session(site.url, additions=ADDED) as session,
    ):
        session.get(f"{site.url}/here")
    ((path, headers),) = other.requests
    assert path == "/there"
    assert not {"X-Key", "Accept-Language"} & set(headers)


def test_a_refusal_that_repeats_the_address_loses_the_secrets() -> None:
    with a_site(400) as site, a_session(site.url, additions=ADDED) as session:
        redactor = t.cast("Transport", session.get_adapter(site.url)).redactor
        body = redactor.redact_body(received(session, f"{site.url}/set"))
    assert body == b"you asked for /set?site=a%20b&key=***"


@pytest.mark.parametrize("verbosity", [1, 2, 3, 4, 5])
def test_more_is_logged_as_verbosity_rises_but_no_secret_and_no_row(
    verbosity: int, caplog: pytest.LogCaptureFixture
) -> None:
    with a_site() as site, a_session(site.url, additions=ADDED, verbosity=verbosity) as session:
        session.auth = ("admin", "pass-word")
        received(
            session,
            f"{site.url}/t/Co/Inq(Where='North')",
            params={"$filter": "Name ge 'O''Neil and Sons' and Id gt 4711", "$top": "2"},
        )
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name == LOGGER)
    for hidden in ("s3cr3t", "k+y", "k%2By", "North", "Neil", "4711", "pass-word", "hidden-cookie"):
        assert hidden not in logged
    assert ("GET /t/Co/Inq(Where='…')" in logged) is (verbosity >= 3)
    assert (" 200 " in logged and " ms " in logged and "bytes" in logged) is (verbosity >= 3)
    assert ("$filter=Name ge … and Id gt …&$top=2&site=…&key=…" in logged) is (verbosity >= 4)
    assert ("sent Accept-Language: de-CH" in logged) is (verbosity >= 5)
    assert ("sent Authorization: …" in logged) is (verbosity >= 5)
    assert ("received Set-Cookie: …" in logged) is (verbosity >= 5)


LOGGER = "tap_acumatica.http.request_log"


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)


def test_a_failed_request_is_logged_as_well(caplog: pytest.LogCaptureFixture) -> None:
    with a_site() as site:
        pass
    with (
        a_session(site.url, verbosity=3) as session,
        pytest.raises(requests.exceptions.ConnectionError),
    ):
        session.get(f"{site.url}/set")
    assert "GET /set no answer" in caplog.text


@pytest.mark.parametrize(
    ("url", "path", "options"),
    [
        ("https://h/a/b%20c", "/a/b c", ""),
        ("https://h/a?$skiptoken=Id-7&$select=A,B", "/a", "$skiptoken=…&$select=A,B"),
        ("https://h/a?$filter=T ge datetime'2024-01-01T00:00:00'", "/a", "$filter=T ge …"),
        ("https://h/a?$filter=(A eq null) and (B lt 5)", "/a", "$filter=(A eq null) and (B lt …)"),
        ("https://h/F(X=@X)?@X='a&b'", "/F(X=@X)", "@X=…&b'=…"),
    ],
)
def test_addresses_are_shown_without_what_rows_are_compared_with(
    url: str, path: str, options: str
) -> None:
    assert shown_path(url) == path
    assert shown_options(url) == options


def test_connections_are_kept_but_for_idle_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    counts = []
    with a_site() as site, a_session(site.url, idle_seconds=60) as session:
        for pause in (0, 59, 61, 1):
            now[0] += pause
            session.get(site.url)
            counts.append(len(site.connections))
    assert counts == [1, 1, 2, 2]


def test_without_pooling_each_request_has_its_own_connection() -> None:
    with a_site() as site, a_session(site.url, keep=False) as session:
        for _ in range(3):
            session.get(site.url)
    assert len(site.connections) == 3
    assert all(headers["Connection"] == "close" for _, headers in site.requests)


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("en-US", "en-US"),
        ("fr", "fr"),
        ("zh-Hans-CN", "zh-Hans-CN"),
        ("German (Switzerland)", "de-CH"),
        ("english (united states)", "en-US"),
        ("English_United States", "en-US"),
        ("German", "de"),
    ],
)
def test_a_region_is_a_tag_or_a_windows_name(name: str, tag: str) -> None:
    assert language_tag(name) == tag


@pytest.mark.parametrize("name", ["Atlantish", "e", "en_US!", "de CH\r\nX: y"])
def test_an_unknown_region_is_refused(name: str) -> None:
    with pytest.raises(UnknownLocaleError):
        language_tag(name)


def test_nothing_is_added_where_nothing_is_set() -> None:
    assert additions() == RequestAdditions()
    assert RequestAdditions().address("https://h/a?b=c+d") == "https://h/a?b=c+d"
    RequestLog(5, Redactor()).write("GET", "https://h/", status=200, seconds=0)
