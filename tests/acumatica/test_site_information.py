"""Which properties the site calls calculated, and how long an answer may be."""

from __future__ import annotations

import typing as t

import pytest

from tap_acumatica.acumatica.site_information import InquiryDefinition, Row
from tap_acumatica.reading.evidence import Evidence


@pytest.mark.parametrize(
    ("caption", "names"),
    [
        ("Days Past Due", {"DaysPastDue"}),
        ("130 Days", {"_130Days"}),
        ("Qty. (on hand)", {"Qtyonhand", "Qtyonhand_2"}),
        ("Übertrag", {"Übertrag"}),
        ("Nothing", set()),
    ],
)
def test_a_caption_is_found_as_the_property_that_is_named_after_it(
    caption: str, names: set[str]
) -> None:
    declared = ["DaysPastDue", "_130Days", "Qtyonhand", "Qtyonhand_2", "Übertrag", "Days"]
    assert InquiryDefinition(formulas=(caption,)).calculated(declared) == names


@pytest.mark.parametrize(
    ("value", "number", "flag"),
    [
        (5, 5, False),
        (" 6 ", 6, False),
        (0, None, False),
        (-1, None, False),
        (True, None, True),
        ("TRUE ", None, True),
        (1, 1, True),
        (None, None, False),
        ([1], None, False),
        ("12345678901", None, False),
        (1.5, None, False),
    ],
)
def test_a_value_of_another_form_is_as_good_as_none(
    value: t.Any,
    number: int | None,
    flag: bool,  # noqa: FBT001  as the table has it
) -> None:
    row = Row({"SELECTTOP": value})
    assert (row.number("SelectTop"), row.flag("SelectTop")) == (number, flag)


def test_an_answer_as_long_as_its_inquirys_own_limit_is_compared_with_its_own_alone() -> None:
    evidence = Evidence()
    evidence.met(None, 2000)
    assert evidence.is_shorter("Sales", 1234)
    evidence.limits["Sales"] = InquiryDefinition(select_top=1234).limits
    assert not evidence.is_shorter("Sales", 1234)
    assert evidence.is_shorter("Sales", 1233)
    assert evidence.is_shorter("Others", 1234)
