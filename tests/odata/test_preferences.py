"""A service that leaves nulls out may say so, in several spellings."""

from __future__ import annotations

import pytest

from tap_acumatica.odata.preferences import omits_nulls


@pytest.mark.parametrize(
    "applied",
    [
        "omit-values=nulls",
        'omit-values="nulls"',
        "Omit-Values = Nulls",
        "omit-values",
        "odata.maxpagesize=50, omit-values=nulls",
        "omit-values=nulls;a=b, return=minimal",
    ],
)
def test_nulls_are_said_to_be_left_out(applied: str) -> None:
    assert omits_nulls(applied)


@pytest.mark.parametrize(
    "applied", ["", "odata.maxpagesize=50", "omit-values=defaults", "omit-values=nullsafe"]
)
def test_nothing_else_says_so(applied: str) -> None:
    assert not omits_nulls(applied)
