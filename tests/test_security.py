"""What SECURITY.md promises, as far as it can be read off the source."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import yaml

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
WRITING = {"put", "patch", "delete"}
SENDERS = {"_http", "requests"}
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
    """The module and method of each call that sends a request."""
    return {
        (path, node.func.attr)
        for path, node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"get", "post", "request", "head", "options", *WRITING}
        and ast.unparse(node.func.value).rpartition(".")[2] in SENDERS
    }


def test_nothing_turns_the_check_of_certificates_off() -> None:
    assert {
        path for path, node in nodes() if isinstance(node, ast.keyword) and node.arg == "verify"
    } == set()
    assert {
        path
        for path, node in nodes()
        if isinstance(node, ast.Attribute)
        and node.attr in {"verify", "CERT_NONE", "check_hostname"}
    } == set()


def test_only_tokens_and_the_sign_out_are_posted() -> None:
    assert requests_sent() == {
        ("tap_acumatica/acumatica/session.py", "get"),
        ("tap_acumatica/acumatica/session.py", "post"),
        ("tap_acumatica/auth/identity.py", "get"),
        ("tap_acumatica/auth/identity.py", "post"),
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
