"""When the size of a page is blamed for a failure, and which limits refusals name."""

from __future__ import annotations

import pytest

from tap_acumatica.acumatica.error_patterns import PAGE_SIZE, diagnose, named_limits
from tap_acumatica.acumatica.page_size import SizeDoubt
from tap_acumatica.errors import (
    AnswerError,
    PageSizeError,
    RefusedError,
    SlowAnswerError,
    TapError,
)
from tap_acumatica.http.retry import RetryableError


class Few:
    """The same page with few rows."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if not self.answers:
            raise RetryableError("no")


def doubt(few: Few | None, *, suspected: bool = False, tries: int = 8) -> SizeDoubt:
    return SizeDoubt(few, suspected=suspected, tries=tries)


TOP_QUERY = (
    "The limit of '100' for Top query has been exceeded. "
    "The value from the incoming request is '2000'."
)
DENIED = (
    "Denial Code 513. The system was unable to gather the data needed to complete the operation "
    "due to data size limits."
)
REFUSED = RefusedError("no")
GATEWAY = RetryableError("bad gateway", status=502, busy=True)
CLOSED = RetryableError("closed")
INTERNAL = RetryableError("internal error", status=500)


@pytest.mark.parametrize("error", [GATEWAY, CLOSED, INTERNAL])
def test_the_second_failure_of_a_page_is_looked_into_and_no_other(error: RetryableError) -> None:
    few = Few(answers=False)
    page = doubt(few)
    asked = []
    for tries in range(1, 8):
        assert not page.failed(error, tries)
        asked.append(few.asked)
    assert asked == [0, 1, 1, 1, 1, 1, 1]
    assert page.given_up(error, REFUSED) is REFUSED


def test_a_failure_of_the_page_alone_is_one_of_its_size() -> None:
    page = doubt(Few(answers=True))
    assert not page.failed(GATEWAY, 1)
    assert page.failed(GATEWAY, 2)
    found = page.given_up(GATEWAY, REFUSED)
    assert isinstance(found, PageSizeError)
    assert found.error is REFUSED


def test_an_outage_that_hit_the_small_page_as_well_is_looked_into_at_the_last_try() -> None:
    few = Few(answers=False)
    page = doubt(few, tries=4)
    assert not any(page.failed(GATEWAY, tries) for tries in (1, 2, 3))
    few.answers = True
    assert page.failed(GATEWAY, 4)


@pytest.mark.parametrize(
    "error",
    [
        RetryableError("too many requests", status=429, busy=True),
        RetryableError("nobody there", busy=True),
    ],
)
def test_what_has_nothing_to_do_with_size_is_not_looked_into(error: RetryableError) -> None:
    few = Few(answers=True)
    page = doubt(few, suspected=True, tries=2)
    assert not any(page.failed(error, tries) for tries in (1, 2))
    assert not few.asked


def test_a_page_that_does_not_come_in_time_is_not_tried_again() -> None:
    late, few = RetryableError("late", slow=True, busy=True), Few(answers=True)
    page = doubt(few)
    assert page.failed(late, 1)
    assert isinstance(page.given_up(late, REFUSED), SlowAnswerError)
    assert not few.asked


def test_a_page_that_cannot_be_smaller_is_never_suspected() -> None:
    page = doubt(None)
    assert not page.failed(GATEWAY, 2)
    assert page.refused(REFUSED, (100,)) is REFUSED
    assert page.given_up(GATEWAY, REFUSED) is REFUSED


def test_a_refusal_is_repeated_before_it_is_blamed_on_the_size() -> None:
    few = Few(answers=True)
    page = doubt(few)
    again = page.refused(REFUSED, ())
    assert isinstance(again, RetryableError)
    assert again.wait == 0
    assert not page.failed(again, 1)
    assert isinstance(page.refused(REFUSED, ()), PageSizeError)
    assert few.asked == 1


def test_a_refusal_that_cannot_be_repeated_is_blamed_at_once() -> None:
    page = doubt(Few(answers=True), tries=1)
    again = page.refused(REFUSED, ())
    assert isinstance(again, RetryableError)
    found = page.given_up(again, AnswerError("no"))
    assert isinstance(found, PageSizeError)
    assert found.error is REFUSED


def test_a_refusal_of_few_rows_as_well_stays_what_it_is() -> None:
    few = Few(answers=False)
    assert doubt(few).refused(REFUSED, ()) is REFUSED
    assert few.asked == 1


def test_a_limit_that_is_named_needs_no_small_page() -> None:
    few = Few(answers=True)
    found: TapError = doubt(few).refused(REFUSED, (100,))
    assert isinstance(found, PageSizeError)
    assert found.limits == (100,)
    assert not few.asked


@pytest.mark.parametrize(
    "text",
    [
        TOP_QUERY,
        "Requested page size is greater than the maximum of 100",
        "Das Limit von '100' für die Top-Abfrage wurde überschritten.",
        "top must be less than or equal to 100",
        "page size 2000 exceeds limit 100",
        "$top must be between 1 and 100",
        "Page size must not exceed 100 records",
        "You may request at most 100 rows",
        "The maximum number of records per request is 100.",
    ],
)
def test_the_limit_that_a_refusal_names_is_found(text: str) -> None:
    assert max(number for number in named_limits(text) if number < 2000) == 100


def test_a_limit_may_be_written_with_separators() -> None:
    assert named_limits("The maximum page size is 1,000 rows") == (1000,)


@pytest.mark.parametrize(
    "text",
    [
        DENIED,
        "Could not find a property named 'Limit100' on type 'Rows'.",
        "The node count limit of '100' has been exceeded.",
        "Too many rows requested",
        "HTTP 500",
    ],
)
def test_other_numbers_are_not_taken_for_limits(text: str) -> None:
    assert not named_limits(text)


@pytest.mark.parametrize(
    ("text", "is_size"),
    [
        ("Too many rows requested", True),
        ("Page size not supported", True),
        ("Request Entity Too Large", True),
        ("You have no rights to this form", False),
        ("Could not find a property named 'Top'", False),
        ("Maximum number of allowed logins reached", False),
    ],
)
def test_refusals_that_speak_of_size_are_known(text: str, *, is_size: bool) -> None:
    assert (diagnose(403, text) is PAGE_SIZE) is is_size
