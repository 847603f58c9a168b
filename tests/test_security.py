"""What SECURITY.md promises, as far as it can be read off the source."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import pytest
import yaml

from tap_acumatica.settings.connections import connect

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
SENDERS = {"_http", "http", "requests"}
# An example in messages, and what names XML namespaces; none of them is ever asked.
NAMED = {
    *("company.acumatica.com", "docs.oasis-open.org", "schemas.microsoft.com"),
    *("www.iana.org", "www.w3.org"),
}


def sources() -> list[Path]:
    """The modules of the tap; the sandbox is a server and sends nothing."""
    package = ROOT / "tap_acumatica"
    return [path for path in sorted(package.rglob("*.py")) if "sandbox" not in path.parts]


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path.relative_to(ROOT).as_posix(), node


def requests_sent() -> set[tuple[str, str]]:
    """The module and HTTP method of each call that makes a request."""
    found = set()
    for path, node in nodes():
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "send_alone":
            found.add((path, ast.literal_eval(node.args[0])))
        if not isinstance(node.func, ast.Attribute):
            continue
        name, sender = node.func.attr, ast.unparse(node.func.value).rpartition(".")[2]
        if name in {"Request", "request"} and sender in SENDERS:
            found.add((path, ast.literal_eval(node.args[0])))
        elif name.upper() in METHODS and sender in SENDERS:
            found.add((path, name.upper()))
    return found


def test_nothing_turns_the_check_of_certificates_off() -> None:
    given = {
        ast.unparse(node.value)
        for _, node in nodes()
        if isinstance(node, ast.keyword) and node.arg == "verify"
    }
    named = {node.attr for _, node in nodes() if isinstance(node, ast.Attribute)}

    assert given <= {"None"}  # what the environment says: REQUESTS_CA_BUNDLE
    assert named & {"verify", "CERT_NONE", "check_hostname", "disable_warnings"} == set()


def test_only_tokens_and_the_sign_out_are_posted() -> None:
    assert requests_sent() == {
        ("tap_acumatica/acumatica/session.py", "GET"),
        ("tap_acumatica/acumatica/sign_out.py", "POST"),
        ("tap_acumatica/auth/identity.py", "GET"),
        ("tap_acumatica/auth/identity.py", "POST"),
    }


def test_no_address_of_a_third_party_stands_in_the_code() -> None:
    hosts = {
        match
        for _, node in nodes()
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for match in re.findall(r"https?://([\w.-]+\.\w+)", node.value)
    }

    assert hosts <= NAMED


def test_meltano_sends_no_usage_statistics() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))

    assert project["send_anonymous_usage_stats"] is False


@pytest.mark.parametrize(
    ("address", "is_warned_of"),
    [
        ("http://site.invalid/odata", True),
        ("http://192.0.2.1:9/odata", True),
        ("https://site.invalid/odata", False),
        ("http://localhost:9/odata", False),
        ("http://127.0.0.2:9/odata", False),
        ("http://[::1]:9/odata", False),
    ],
)
def test_an_address_that_others_can_read_along_is_warned_of_once(
    caplog: pytest.LogCaptureFixture, address: str, *, is_warned_of: bool
) -> None:
    connect({"url": address}, user_agent="")
    assert len([r for r in caplog.records if "begins with http://" in r.message]) == is_warned_of


def test_what_security_md_promises_is_kept_and_tested_where_it_says() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 10
    for promise, kept, tested in rows:
        modules = re.findall(r"`(\w+/\w+\.py)`", kept)
        tests = re.findall(r"`(tests/[\w/]+\.py)`", tested)
        assert tests, promise
        for path in (*(f"tap_acumatica/{module}" for module in modules), *tests):
            assert (ROOT / path).is_file(), path
