"""Configurations for the sandbox, and its rows in the form that the tap emits."""

from __future__ import annotations

import datetime as dt
import typing as t
from decimal import Decimal

if t.TYPE_CHECKING:
    from tap_acumatica.sandbox import Sandbox

TENANT = "Company"
OTHER = "Calipso LLC"


def settings(site: Sandbox, **others: t.Any) -> dict[str, t.Any]:
    """A configuration that reads the first tenant, plus ``others``."""
    return {
        "url": site.url,
        "tenants": [TENANT],
        "username": "admin",
        "password": "secret",
        "max_retries": 2,
        **others,
    }


def wire(value: t.Any) -> t.Any:
    """A value as the tests read it from messages: floats and decimals as text."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.timezone.utc).isoformat(timespec="microseconds")
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text if "." in text else int(text)
    return value


def expected(
    site: Sandbox, entity: str, key: tuple[str, ...], tenant: str = TENANT
) -> dict[t.Any, t.Any]:
    """Rows of the source by key, in wire form."""
    return {
        tuple(row[name] for name in key): {name: wire(value) for name, value in row.items()}
        for row in site.rows(tenant, entity)
    }


def upserted(
    records: list[dict[str, t.Any]], key: tuple[str, ...]
) -> dict[t.Any, dict[str, t.Any]]:
    """The rows of a target that upserts the records by key."""
    return {
        tuple(record[name] for name in key): {
            name: instant(value) for name, value in record.items()
        }
        for record in records
    }


def instant(value: t.Any) -> t.Any:
    """A date-time in UTC in the form of :func:`wire`; other values as they are."""
    if isinstance(value, str) and value[10:11] == "T" and value[-1:] == "Z":
        return wire(dt.datetime.fromisoformat(value.replace("Z", "+00:00")))
    return value


def assert_same(
    target: dict[t.Any, dict[str, t.Any]], source: dict[t.Any, dict[str, t.Any]]
) -> None:
    """Assert that every row of the source is at the target, value by value."""
    assert set(target) >= set(source), set(source) - set(target)
    for key, row in source.items():
        held = target[key]
        assert {name: held[name] for name in row if name in held} == {
            name: row[name] for name in row if name in held
        }, key
