"""Amounts are computed with as people read them: digit for digit, floats by their shortest text."""

from __future__ import annotations

import operator
import typing as t
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.singer.amounts import Amount, as_amounts, as_decimals

TEN: t.Any = Amount("10.10")


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        (TEN * 1.19, "12.0190"),
        (1.19 * TEN, "12.0190"),
        (TEN - 0.1, "10.00"),
        (0.1 - TEN, "-10.00"),
        (TEN + 1, "11.10"),
        (TEN / 4, "2.525"),
        (TEN // 3, "3"),
        (TEN % 3, "1.10"),
        (TEN**2, "102.0100"),
        (-TEN, "-10.10"),
        (abs(-TEN), "10.10"),
        (round(TEN * 1.005, 2), "10.15"),
        (TEN + Decimal("0.05"), "10.15"),
        (Decimal("0.05") + TEN, "10.15"),
        (sum([TEN, 0.1, 1]), "11.20"),
        (max(TEN, 3), "10.10"),
        (TEN * 1.1 * 1.1 - 0.5, "11.7210"),
        (divmod(TEN, 3)[1], "1.10"),
    ],
)
def test_arithmetic_is_right_to_the_last_digit(computed: t.Any, expected: str) -> None:
    assert isinstance(computed, Amount)
    assert Decimal(computed) == Decimal(expected)


@pytest.mark.parametrize("compare", [operator.eq, operator.le, operator.ge])
def test_an_amount_equals_the_float_that_is_written_alike(compare: t.Any) -> None:
    assert compare(TEN, 10.1)
    assert compare(10.1, TEN)


def test_comparisons_are_by_value() -> None:
    assert TEN > 10.09
    assert TEN < 10.11
    assert TEN != 10.11
    assert Decimal("10.1") == TEN
    assert TEN in [10.1, None]
    assert round(TEN) == 10
    assert int(TEN) == 10
    assert float(TEN) == 10.1
    assert str(TEN) == "10.10"


@given(st.decimals(-(10**12), 10**12, places=4), st.integers(-(10**6), 10**6))
def test_a_float_counts_as_its_text(amount: Decimal, hundredths: int) -> None:
    number = hundredths / 100
    exact: t.Any = Amount(amount)
    assert exact * number == amount * Decimal(repr(number))
    assert (exact < number) == (amount < Decimal(repr(number)))


def test_nested_values_are_replaced_there_and_back() -> None:
    row = {"A": Decimal("1.0"), "B": [{"C": Decimal(2)}], "D": None, "E": "x"}
    there = as_amounts(row)
    assert isinstance(there["B"][0]["C"], Amount)
    back = as_decimals(there)
    assert back == row
    assert type(back["B"][0]["C"]) is Decimal
