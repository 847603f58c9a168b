"""Public bug reports of other tools, rebuilt as small cases: some of them are still open here."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
OPEN = {"test_one_bad_value", "test_what_users_hand_in"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every case of this folder: the open ones are run by themselves, the others are slow."""
    for item in items:
        if HERE in item.path.parents:
            is_open = item.path.stem in OPEN
            item.add_marker(pytest.mark.field if is_open else pytest.mark.slow)
