"""The SDK's standard tests for taps."""

from __future__ import annotations

import gc
import typing as t

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from tap_acumatica.sandbox import Sandbox
from tap_acumatica.tap import TapAcumatica

# The SDK makes its tests when this module is collected, and discovers streams for it.
SITE = Sandbox(rows=50)
SITE.start()

if t.TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG: dict[str, t.Any] = {
    "url": SITE.url,
    "tenants": ["Company", "Calipso LLC"],
    "username": "admin",
    "password": "secret",
    "entity_sets": ["SOOrder", "GLHistory", "GLSetup", "Contact"],
    "page_size": 20,
}


@pytest.fixture(scope="module", autouse=True)
def _site() -> Iterator[None]:
    """Sign out of the site, which the SDK's tests do not do, and stop it."""
    yield
    for tap in [held for held in gc.get_objects() if isinstance(held, TapAcumatica)]:
        tap.close()
    SITE.stop()


# The tests share one run of the tap.
pytestmark = pytest.mark.xdist_group("standard")

TestTapAcumatica = get_tap_test_class(
    tap_class=TapAcumatica,
    config=CONFIG,
    suite_config=SuiteConfig(ignore_no_records_for_streams=["GLSetup"]),
)
