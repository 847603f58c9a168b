"""What nobody sent is not null, and rows of another entity set are no rows of this one."""

from __future__ import annotations

import typing as t
from types import SimpleNamespace

import pytest

from tap_acumatica.errors import AnswerError, PayloadError
from tap_acumatica.records.answer_check import AnswerCheck
from tap_acumatica.records.codec import Page

URL = "http://h/odata/Orders"
ROWS: list[t.Any] = [{}]


def page(absent: str = "", lacking: str = "", **more: t.Any) -> Page:
    """A page of which no row has the columns ``absent``, and one lacks ``lacking`` as well."""
    missing = frozenset(absent.split())
    return Page(ROWS, absent=missing, lacking=missing | set(lacking.split()), **more)


def check_of(*, omits_nulls: bool = False, **more: t.Any) -> AnswerCheck:
    habits = SimpleNamespace(omits_nulls=omits_nulls)
    columns = ("Id", "Note", "Total", "Changed")
    given = {"key": ["Id"], "declared": columns, "sets": ["Orders"], **more}
    return AnswerCheck("Orders", habits, **given)


def test_a_complete_answer_passes() -> None:
    answer = page()
    assert check_of()(URL, answer) is answer


def test_a_column_that_no_row_has_is_named_with_what_to_do() -> None:
    with pytest.raises(AnswerError, match=r"^Orders: no row of the answer has Total, .* deselect"):
        check_of()(URL, page("Total"))


def test_a_column_that_some_rows_have_is_null_in_the_others() -> None:
    check_of()(URL, page(lacking="Total"))


def test_nulls_left_out_of_some_rows_explain_a_column_that_is_left_out_of_all() -> None:
    check = check_of()
    check(URL, page(lacking="Total"))
    check(URL, page("Note"))
    check_of()(URL, page("Note", "Total"))
    check_of(omits_nulls=True)(URL, page("Note"))


@pytest.mark.parametrize("omits_nulls", [False, True])
@pytest.mark.parametrize("answer", [page("Id"), page(lacking="Id")])
def test_a_row_without_its_key_is_never_taken(answer: Page, *, omits_nulls: bool) -> None:
    with pytest.raises(AnswerError, match="no Id, which is part of its key"):
        check_of(omits_nulls=omits_nulls)(URL, answer)


def test_rows_sought_because_a_column_is_null_may_lack_it() -> None:
    check = check_of()
    check(f"{URL}?$filter=Changed%20eq%20null%20and%20Id%20gt%203", page("Changed"))
    with pytest.raises(AnswerError, match="has Note, although"):
        check(f"{URL}?$filter=Changed%20eq%20null", page("Changed Note"))
    with pytest.raises(AnswerError, match="Changed"):
        check(f"{URL}?$filter=Changed%20ne%20null", page("Changed"))


def test_columns_that_were_not_asked_for_may_be_missing() -> None:
    check = check_of()
    check(f"{URL}?$select=Changed&$top=100", page("Id Note Total"))
    with pytest.raises(AnswerError, match="Customer"):
        check(f"{URL}?$select=Id&$expand=Customer", page("Note Customer"))


def test_columns_under_a_restriction_may_be_missing_from_whole_rows() -> None:
    check = check_of(restricted=["Note"])
    check(URL, page("Note"))
    with pytest.raises(AnswerError, match="Note"):
        check(f"{URL}?$select=Id,Note", page("Note"))


def test_a_single_row_that_is_looked_at_need_not_have_every_column() -> None:
    check_of()(f"{URL}?$top=1", page("Total"))
    with pytest.raises(AnswerError):
        check_of(smallest_page=1)(f"{URL}?$top=1", page("Total"))


def test_keys_are_looked_for_in_later_parts_as_well() -> None:
    first = page(next_part=lambda: page(next_part=lambda: page(lacking="Id")))
    second = t.cast("t.Any", check_of()(URL, first).next_part)()
    with pytest.raises(PayloadError, match="no Id"):
        second.next_part()


@pytest.mark.parametrize(
    "context",
    [
        None,
        "$metadata",
        "$metadata#Orders",
        "http://h/odata/$metadata#Orders(Id,Note)",
        "http://h/odata/$metadata#orders&$select=Id",
        "http://h/odata/$metadata#Field.Customer",
        "http://h/odata/$metadata#Collection(Field.Customer)",
        "http://h/odata/$metadata#Customers(1)/Orders",
        "http://h/odata/$metadata#Field_Orders",
        "http://h/odata",
    ],
)
def test_a_context_of_the_set_or_of_none_is_accepted(context: str | None) -> None:
    check_of(sets=["Orders", "Field_Orders"])(URL, page(context=context))


def test_a_name_may_be_encoded_in_its_context() -> None:
    check = check_of(sets=["Ship To's"])
    for name in ("Ship To's", "Ship%20To%27s", "Ship_x0020_To_x0027_s"):
        check(URL, page(context=f"http://h/odata/$metadata#{name}(Id)"))


@pytest.mark.parametrize("fragment", ["Customers", "Customers(Id,Note)", "OrderLines"])
def test_rows_of_another_entity_set_are_refused(fragment: str) -> None:
    with pytest.raises(AnswerError, match=r"Orders: the answer holds rows of \w+ instead"):
        check_of()(URL, page(context=f"http://h/odata/$metadata#{fragment}"))
    check_of(sets=())(URL, page(context=f"http://h/odata/$metadata#{fragment}"))
