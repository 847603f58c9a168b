"""Proxies, filters, gateways and redirects are not the site: they are named, and get no secret."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import typing as t
import zlib

import pytest

from tests.field.orders import (
    assert_asks_as_usual,
    assert_bookmarked,
    assert_complete,
    assert_one_error,
    lines,
    service_of,
)
from tests.field.surroundings import (
    Proxy,
    answering,
    certificate,
    head,
    listening,
    response,
    run_in,
    tls,
)

if t.TYPE_CHECKING:
    import socket
    from pathlib import Path

    from tests.conftest import RunTap, TapRun
    from tests.field.service import Reply, Request

SECRET = "correct-horse"


def configured(folder: Path, url: str, **settings: t.Any) -> tuple[str, str]:
    """The arguments for a configuration with one try and a password."""
    config = {
        "url": url,
        "username": "me",
        "password": SECRET,
        "max_retries": 1,
        "timeout": 10,
        **settings,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return ("--config", "config.json")


def says_nothing_secret(run: TapRun) -> None:
    for secret in (SECRET, "proxy-secret", base64.b64encode(f"me:{SECRET}".encode()).decode()):
        assert secret not in run.errors


# Proxies


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("place", ["127.0.0.1:9", "no-such-proxy.invalid:3128"])
def test_a_dead_proxy_is_blamed_and_not_the_site(tmp_path: Path, variable: str, place: str) -> None:
    arguments = configured(tmp_path, "http://erp.example/odata")
    run = run_in(tmp_path, *arguments, **{variable: f"http://someone:proxy-secret@{place}"})
    assert_one_error(run, f"proxy {place}", "erp.example", "HTTP_PROXY", exit_code=3)
    assert not any("'url'" in line for line in lines(run, "ERROR"))
    says_nothing_secret(run)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_sign_in_says_what_to_set(tmp_path: Path, scheme: str) -> None:
    refusal = response(
        "407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="p"', body="<html>"
    )
    with Proxy(refusal).running() as proxy:
        arguments = configured(tmp_path, f"{scheme}://erp.example/odata", max_retries=4)
        address = f"http://someone:proxy-secret@127.0.0.1:{proxy.port}"
        run = run_in(tmp_path, *arguments, HTTP_PROXY=address, HTTPS_PROXY=address)
    assert_one_error(run, f"127.0.0.1:{proxy.port}", "407", "user:password@", exit_code=2)
    assert len(proxy.asked) == 1
    says_nothing_secret(run)


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [("403 Forbidden", 1), ("502 Bad Gateway", 3), ("503 Service Unavailable", 3)],
)
def test_a_proxy_that_opens_no_tunnel_is_blamed(
    tmp_path: Path, status: str, exit_code: int
) -> None:
    refusal = response(status, "Content-Type: text/html", body="<html>no</html>")
    with Proxy(refusal).running() as proxy:
        arguments = configured(tmp_path, "https://erp.example/odata")
        run = run_in(tmp_path, *arguments, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")
    words = (f"proxy 127.0.0.1:{proxy.port}", status[:3], "erp.example", "NO_PROXY")
    assert_one_error(run, *words, exit_code=exit_code)


@pytest.mark.skipif(bool(importlib.util.find_spec("socks")), reason="PySocks is installed")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_a_socks_proxy_without_its_package_names_the_package(tmp_path: Path, scheme: str) -> None:
    arguments = configured(tmp_path, "https://erp.example/odata")
    run = run_in(tmp_path, *arguments, ALL_PROXY=f"{scheme}://a:proxy-secret@127.0.0.1:9")
    assert_one_error(run, "PySocks", "requests[socks]", "127.0.0.1:9", exit_code=2)
    says_nothing_secret(run)


@pytest.mark.parametrize(
    "proxy", ["ftp://a:proxy-secret@h:1", "http://a:proxy-secret@h:99999", "http://:8080"]
)
def test_the_address_of_a_proxy_that_is_none_is_named(tmp_path: Path, proxy: str) -> None:
    run = run_in(tmp_path, *configured(tmp_path, "http://erp.example/odata"), HTTP_PROXY=proxy)
    assert_one_error(run, "address of the proxy", "HTTP_PROXY", exit_code=2)
    assert not any("'url'" in line for line in lines(run, "ERROR"))
    says_nothing_secret(run)


def test_proxies_of_the_environment_go_on_working(tmp_path: Path) -> None:
    service, table = service_of()
    with service.running(), Proxy().running() as proxy:
        address = f"http://someone:proxy-secret@127.0.0.1:{proxy.port}"
        # The proxy closes each connection, and one may be used again just then.
        arguments = configured(tmp_path, service.url, max_retries=4)
        assert_complete(run_in(tmp_path, *arguments, HTTP_PROXY=address), table)
        assert b"Proxy-Authorization: Basic " in proxy.asked[0]
        asked = len(proxy.asked)
        run = run_in(tmp_path, *arguments, HTTP_PROXY=address, NO_PROXY="127.0.0.1")
        assert_complete(run, table)
        assert len(proxy.asked) == asked


def test_a_proxy_that_closes_on_large_pages_is_asked_for_smaller_ones(tmp_path: Path) -> None:
    service, table = service_of(rows=300)
    with service.running(), Proxy().running() as proxy:
        proxy.most = 200
        arguments = configured(tmp_path, service.url, max_retries=8)
        run = run_in(tmp_path, *arguments, HTTP_PROXY=f"http://127.0.0.1:{proxy.port}")
    assert_complete(run, table)


def test_a_tunnel_and_a_file_of_trusted_certificates_go_on_working(tmp_path: Path) -> None:
    service, table = service_of()
    pem = certificate(tmp_path / "site.pem")
    with service.running(), tls(service.port, pem) as port, Proxy().running() as proxy:
        arguments = configured(tmp_path, f"https://127.0.0.1:{port}/odata")
        run = run_in(
            tmp_path,
            *arguments,
            HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}",
            REQUESTS_CA_BUNDLE=str(tmp_path / "cert.pem"),
        )
        assert_complete(run, table)
        assert proxy.asked[0].startswith(b"CONNECT 127.0.0.1:")
        assert all(b"Basic" not in asked for asked in proxy.asked)
        assert_complete(run_in(tmp_path, *arguments, CURL_CA_BUNDLE=str(pem)), table)


# TLS


def test_a_certificate_that_is_not_trusted_says_how_to_trust_it(tmp_path: Path) -> None:
    service, _ = service_of()
    pem = certificate(tmp_path / "site.pem")
    with service.running(), tls(service.port, pem) as port:
        run = run_in(tmp_path, *configured(tmp_path, f"https://127.0.0.1:{port}/odata"))
    words = ("certificate verification failed", "self-signed", "REQUESTS_CA_BUNDLE", "proxy")
    assert_one_error(run, *words, exit_code=3)
    assert service.targets == []


@pytest.mark.parametrize("by_proxy", [False, True], ids=["directly", "through a proxy"])
def test_authorities_that_are_set_are_trusted_besides_those_of_the_machine(
    tmp_path: Path, *, by_proxy: bool
) -> None:
    service, table = service_of()
    pem = certificate(tmp_path / "site.pem")
    with service.running(), tls(service.port, pem) as port, Proxy().running() as proxy:
        between = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"} if by_proxy else {}
        url = f"https://127.0.0.1:{port}/odata"
        arguments = configured(tmp_path, url, ca_file=str(tmp_path / "cert.pem"))
        assert_complete(run_in(tmp_path, *arguments, **between), table)
        other = certificate(tmp_path / "other.pem")
        del other
        untrusted = run_in(tmp_path, *arguments, **between)
        assert_one_error(untrusted, "certificate verification failed", "'ca_file'", exit_code=3)


@pytest.mark.parametrize("content", [None, "", "nothing of the kind"])
def test_a_file_of_authorities_that_cannot_be_used_is_refused_before_the_first_request(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    arguments = configured(tmp_path, "https://127.0.0.1:9/odata", ca_file=str(path))
    words = ("'ca_file'", "PEM", "cannot be read" if content is None else "holds none")
    assert_one_error(run_in(tmp_path, *arguments), *words, exit_code=2)


def test_a_certificate_of_another_host_and_one_that_has_expired_are_told_apart(
    tmp_path: Path,
) -> None:
    service, _ = service_of()
    for expired, name, words in (
        (False, "DNS:other.example", ("another host name", "'url'")),
        (True, "IP:127.0.0.1", ("expired", "clock")),
    ):
        pem = certificate(tmp_path / "site.pem", expired=expired, name=name)
        with service.running(), tls(service.port, pem) as port:
            arguments = configured(tmp_path, f"https://127.0.0.1:{port}/odata")
            run = run_in(tmp_path, *arguments, REQUESTS_CA_BUNDLE=str(tmp_path / "cert.pem"))
        assert_one_error(run, *words, exit_code=3)


def test_a_missing_file_of_trusted_certificates_names_its_variable(tmp_path: Path) -> None:
    arguments = configured(tmp_path, "https://127.0.0.1:9/odata")
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        run = run_in(tmp_path, *arguments, **{variable: "/no/such/file.pem"})
        assert_one_error(run, variable, "/no/such/file.pem", exit_code=2)


def test_http_and_https_on_the_wrong_port_are_recognized(tmp_path: Path) -> None:
    service, _ = service_of()
    pem = certificate(tmp_path / "site.pem")
    with service.running(), tls(service.port, pem) as port:
        run = run_in(tmp_path, *configured(tmp_path, f"https://127.0.0.1:{service.port}/odata"))
        assert_one_error(run, "http port?", "'url'", exit_code=3)
        run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}/odata"))
        assert_one_error(run, "https port", "https://", exit_code=3)


@pytest.mark.parametrize(
    "body",
    [
        "<html><title>400 The plain HTTP request was sent to HTTPS port</title><center>nginx",
        "Client sent an HTTP request to an HTTPS server.",
    ],
)
def test_a_port_that_says_that_it_wants_https_is_believed(tmp_path: Path, body: str) -> None:
    with answering(response("400 Bad Request", body=body)) as port:
        run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}/odata"))
    assert_one_error(run, "https port", "'url' must start with https://")


def test_a_file_of_trusted_certificates_that_holds_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing", encoding="utf-8")
    service, _ = service_of()
    pem = certificate(tmp_path / "site.pem")
    with service.running(), tls(service.port, pem) as port:
        arguments = configured(tmp_path, f"https://127.0.0.1:{port}/odata")
        run = run_in(tmp_path, *arguments, REQUESTS_CA_BUNDLE=str(tmp_path / "empty.pem"))
    assert_one_error(run, "holds no certificate", "REQUESTS_CA_BUNDLE", exit_code=2)


# What answers in the site's place


def page(title: str, text: str = "") -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{text}</body></html>"


STRANGERS = {
    "Squid": ({"X-Squid-Error": "ERR_ACCESS_DENIED 0"}, page("Access Denied")),
    "Zscaler": ({"Server": "Zscaler/6.2"}, page("Internet Security by Zscaler")),
    "FortiGate": ({}, page("Web Page Blocked", "FortiGuard Intrusion Prevention")),
    "Cloudflare": ({"cf-ray": "8a-FRA"}, page("Attention Required! | Cloudflare")),
    "Akamai": ({"Server": "AkamaiGHost"}, page("Access Denied", "Reference&#32;&#35;18&#46;2d")),
    "Imperva": ({}, page("", '<iframe src="/_Incapsula_Resource?x"></iframe>')),
    "Azure Front Door": ({"X-Azure-Ref": "0a"}, page("Azure Front Door", "blocked")),
    "F5": ({}, page("Request Rejected", "The requested URL was rejected. Please consult")),
    "Staff only": ({}, page("Staff only")),
}


def stranger(reply: Reply, status: int, headers: dict[str, str], body: str) -> None:
    reply.status, reply.body, reply.content_type = status, body, "text/html"
    reply.headers |= {**headers, "Retry-After": "0"}


REFUSED = [(name, 403) for name in STRANGERS]
REFUSED += [
    (name, status)
    for name in ("Zscaler", "Staff only")
    for status in (400, 405, 406, 451, 501, 511)
]


@pytest.mark.parametrize(("name", "status"), REFUSED)
def test_a_refusal_from_between_is_no_matter_of_rights(
    run_tap: RunTap, name: str, status: int
) -> None:
    service, _ = service_of()
    service.spoil = lambda _, reply: stranger(reply, status, *STRANGERS[name])
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "between", name, str(status), "Orders")
    assert "View Only" not in run.errors
    assert len(service.requests) <= 4


def test_a_refusal_in_the_services_own_words_stays_one_of_rights(run_tap: RunTap) -> None:
    for body in (
        json.dumps({"error": {"message": "no"}}),
        json.dumps({"message": "You have insufficient rights to access the X (SM1) form."}),
        "",
    ):
        service, _ = service_of()

        def spoil(_: Request, reply: Reply, body: str = body) -> None:
            reply.status, reply.body = 403, body
            reply.headers |= {"Via": "1.1 proxy", "cf-ray": "8a-FRA"}

        service.spoil = spoil
        with service.running():
            run = run_tap({"url": service.url}, check=False)
        assert_one_error(run, "View Only", "Orders")


@pytest.mark.parametrize("status", [400, 403, 405, 406, 500, 501])
@pytest.mark.parametrize("name", ["Zscaler", "Staff only"])
def test_refusals_from_between_say_nothing_about_the_service(
    run_tap: RunTap, name: str, status: int
) -> None:
    """Every third request is refused by what stands between: nothing is given up for that."""
    service, table = service_of(rows=60, cap=20)
    count = 0

    def spoil(_: Request, reply: Reply) -> None:
        nonlocal count
        count += 1
        if count % 3 == 1:
            stranger(reply, status, *STRANGERS[name])

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "page_size": 20})
    assert_complete(run, table)
    assert_bookmarked(run, table)
    assert_asks_as_usual(service)


def test_a_skipped_stream_is_not_one_that_a_filter_has_blocked(run_tap: RunTap) -> None:
    service, _ = service_of()
    service.spoil = lambda _, reply: stranger(reply, 403, *STRANGERS["Zscaler"])
    with service.running():
        run = run_tap({"url": service.url, "on_stream_error": "skip"}, check=False)
    assert run.exit_code == 1


def test_a_filter_that_answers_for_the_metadata_is_named(tmp_path: Path) -> None:
    body = page("Internet Security by Zscaler")
    with answering(response("403 Forbidden", "Server: Zscaler/6.2", body=body)) as port:
        run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}/odata"))
    assert_one_error(run, "Zscaler", "between", "metadata")
    assert "View Only" not in run.errors


def test_a_filter_does_not_condemn_the_password(tmp_path: Path) -> None:
    body = page("Sign in to the network", "Sophos")
    with answering(response("401 Unauthorized", body=body)) as port:
        run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}/odata"))
    assert_one_error(run, "Sophos", "between")
    assert "password is wrong" not in run.errors


def test_a_page_of_the_sites_own_web_server_is_the_sites(run_tap: RunTap) -> None:
    service, _ = service_of()

    def spoil(_: Request, reply: Reply) -> None:
        text = "<h1>Server Error</h1><h2>403 - Forbidden: Access is denied.</h2>"
        stranger(reply, 403, {"X-Powered-By": "ASP.NET"}, page("403 - Forbidden", text))

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    assert_one_error(run, "View Only", "Orders")


def test_a_portal_that_answers_with_a_page_is_suspected(tmp_path: Path) -> None:
    with answering(response("200 OK", body=page("Hotel Wi-Fi"))) as port:
        run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}/odata"))
    assert_one_error(run, "between", "Hotel Wi-Fi", "metadata")


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_site_keeps_to_the_configured_credentials(
    tmp_path: Path, status: int
) -> None:
    service, table = service_of()
    (tmp_path / ".netrc").write_text("default login any password other\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)

    def spoil(request: Request, reply: Reply) -> None:
        if "$format" not in request.query:
            reply.status, reply.body = status, ""
            sign = "&" if "?" in request.target else "?"
            netloc = f"someone:else@127.0.0.1:{service.port}"
            reply.headers["Location"] = f"http://{netloc}{request.target}{sign}$format=json"

    service.spoil = spoil
    with service.running():
        arguments = configured(tmp_path, service.url)
        run = run_in(tmp_path, *arguments, HOME=str(tmp_path))
    assert_complete(run, table)
    pair = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert {request.headers["Authorization"] for request in service.requests} == {f"Basic {pair}"}


@pytest.mark.parametrize("place", ["http://localhost:{port}", "http://127.0.0.1:{other}"])
def test_a_redirect_to_another_place_is_not_followed(tmp_path: Path, place: str) -> None:
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        asked.append(head(connection))
        connection.sendall(response("200 OK", body="{}"))

    with listening(serve) as other:
        location = f"Location: {place.format(port=other, other=other)}/login?from=erp"
        with answering(response("302 Found", location)) as port:
            run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}/odata"))
    assert_one_error(run, "redirected to another host", str(other), "'url'")
    assert asked == []


def test_a_redirect_from_https_to_http_is_not_followed(tmp_path: Path) -> None:
    pem = certificate(tmp_path / "site.pem")
    reply = bytearray()

    def serve(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(bytes(reply))

    with listening(serve) as plain, tls(plain, pem) as port:
        reply += response("302 Found", f"Location: http://127.0.0.1:{port}/odata/$metadata")
        arguments = configured(tmp_path, f"https://127.0.0.1:{port}/odata")
        run = run_in(tmp_path, *arguments, REQUESTS_CA_BUNDLE=str(tmp_path / "cert.pem"))
    assert_one_error(run, "redirected to another address")


def test_redirects_in_a_circle_are_one_line(tmp_path: Path) -> None:
    with answering(response("302 Found", "Location: /odata/$metadata")) as port:
        run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}/odata"))
    assert_one_error(run, "in a circle", "'url'")


# Bodies that something between has changed

ENCODED: dict[str, tuple[str, t.Callable[[bytes], bytes]]] = {
    "plain, but called gzip": ("gzip", bytes),
    "plain, but called deflate": ("deflate", bytes),
    "plain, but called br": ("br", bytes),
    "plain, but called utf-8": ("utf-8", bytes),
    "gzip, but not called so": ("", gzip.compress),
    "gzip, but called deflate": ("deflate", gzip.compress),
    "gzip twice, called once": ("gzip", lambda body: gzip.compress(gzip.compress(body))),
    "gzip once, called twice": ("gzip, gzip", gzip.compress),
    "gzip twice": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    "gzip in two members": ("x-gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
    "gzip with padding": ("gzip", lambda body: gzip.compress(body) + b"\0" * 20),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", lambda body: zlib.compress(body)[2:-4]),
}


@pytest.mark.parametrize("insists", [True, False])
@pytest.mark.parametrize("kind", ENCODED)
def test_a_body_whose_coding_is_wrong_is_read_by_what_it_is(
    run_tap: RunTap, kind: str, *, insists: bool
) -> None:
    service, table = service_of()
    coding, encode = ENCODED[kind]

    def spoil(request: Request, reply: Reply) -> None:
        if insists or request.headers["Accept-Encoding"] != "identity":
            reply.body = encode(reply.encoded())
            reply.headers |= {"Content-Encoding": coding} if coding else {}

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 1})
    assert_complete(run, table)
    assert_bookmarked(run, table)


SPOILED: dict[str, tuple[str, t.Callable[[bytes], bytes]]] = {
    "brotli": ("br", lambda _: b"\x0b\x02\x80\x00\x01"),
    "zstd": ("zstd", lambda body: b"\x28\xb5\x2f\xfd" + body),
    "cut off gzip": ("gzip", lambda body: gzip.compress(body)[:-9]),
    "garbage": ("gzip", lambda body: bytes(reversed(gzip.compress(body)))),
    "cut off zlib": ("deflate", lambda body: zlib.compress(body)[:-9]),
}


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("insists", [True, False])
def test_a_body_that_cannot_be_unpacked_is_asked_for_as_it_is(
    run_tap: RunTap, kind: str, *, insists: bool
) -> None:
    service, table = service_of()
    coding, encode = SPOILED[kind]

    def spoil(request: Request, reply: Reply) -> None:
        if insists or request.headers["Accept-Encoding"] != "identity":
            reply.body = encode(reply.encoded())
            reply.headers["Content-Encoding"] = coding

    service.spoil = spoil
    with service.running():
        run = run_tap({"url": service.url, "max_retries": 2}, check=not insists)
    if insists:
        assert_one_error(run, "cannot be unpacked", "Orders")
    else:
        assert_complete(run, table)
        asked = [request.headers["Accept-Encoding"] for request in service.requests]
        assert asked.count("gzip, deflate") == 1


@pytest.mark.parametrize("surplus", [1, 5000])
def test_a_whole_body_is_not_called_cut_off_where_its_length_is_wrong(
    tmp_path: Path, surplus: int
) -> None:
    service, table = service_of()

    def serve(connection: socket.socket) -> None:
        target = head(connection).split(b" ")[1].decode()
        reply = service.reply(target, {})
        body = reply.encoded()
        lines = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + surplus}\r\n\r\n"
        connection.sendall(lines.encode() + body)

    with listening(serve) as port:
        service.port = port
        run = run_in(tmp_path, *configured(tmp_path, service.url))
    assert_complete(run, table)


@pytest.mark.parametrize("end", [b"", b"garbage\r\n", b"-1\r\n\r\n"])
def test_a_whole_body_is_not_called_cut_off_where_its_chunks_are_wrong(
    tmp_path: Path, end: bytes
) -> None:
    service, table = service_of()

    def serve(connection: socket.socket) -> None:
        target = head(connection).split(b" ")[1].decode()
        body = service.reply(target, {}).encoded()
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n" + end)

    with listening(serve) as port:
        service.port = port
        run = run_in(tmp_path, *configured(tmp_path, service.url))
    assert_complete(run, table)


def test_a_body_that_is_cut_off_is_called_so(tmp_path: Path) -> None:
    service, _ = service_of()

    def serve(connection: socket.socket) -> None:
        target = head(connection).split(b" ")[1].decode()
        body = service.reply(target, {}).encoded()
        cut = len(body) - ("$metadata" not in target)
        lines = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(lines.encode() + body[:cut])

    with listening(serve) as port:
        service.port = port
        run = run_in(tmp_path, *configured(tmp_path, service.url))
    assert_one_error(run, "cut off", "Orders")


# The tap's own words


@pytest.mark.parametrize("password", ["wrong", "Company", "http", "a", "me", "metadata", '\u00fc"'])
def test_a_password_that_is_a_word_hides_no_word_of_the_tap(tmp_path: Path, password: str) -> None:
    body = json.dumps({"error": {"message": f"you sent {password}!"}})
    with answering(response("401 Unauthorized", body=body)) as port:
        settings = {"tenants": ["Company"], "password": password, "username": "me"}
        run = run_in(tmp_path, *configured(tmp_path, f"http://127.0.0.1:{port}", **settings))
    words = ("the metadata of tenant 'Company' at http://127.0.0.1", "the password is wrong")
    assert_one_error(run, *words, exit_code=4)
    assert f"you sent {password}!" not in run.errors
    assert "*** at" not in run.errors
