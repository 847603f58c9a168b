"""A member is matched with its column in any case, where only one can be meant."""

from __future__ import annotations

from tap_acumatica.records.members import Members


def members_of(*names: str) -> Members:
    return Members({name: name for name in names})


def test_a_name_in_another_case_is_the_same() -> None:
    members = members_of("Id", "Note")
    row = members.named({"id": 1, "NOTE": None})
    assert (row["Id"], row["Note"]) == (1, None)
    assert members.absent == members.lacking == frozenset()


def test_the_exact_name_comes_first() -> None:
    assert members_of("Note").named({"note": "other", "Note": "own"})["Note"] == "own"


def test_two_members_or_two_columns_that_differ_in_case_only_are_not_confused() -> None:
    members = members_of("Note")
    assert "Note" not in members.named({"note": 1, "NOTE": 2})
    assert members.absent == {"Note"}
    members = members_of("Note", "note")
    assert "note" not in members.named({"Note": 1})
    assert "Note" not in members.named({"NOTE": 1})


def test_columns_that_no_row_has_are_told_from_those_that_some_lack() -> None:
    members = Members({"Ship_x0020_To": "Ship To", "Id": "Id", "Note": "Note"})
    assert members.absent == frozenset()
    members.named({"Id": 1, "Note": None})
    members.named({"Id": 2})
    assert members.absent == {"Ship_x0020_To"}
    assert members.lacking == {"Ship_x0020_To", "Note"}


def test_control_information_is_no_column() -> None:
    members = members_of("Note")
    members.named({"Note@odata.type": "#String", "@odata.etag": "x"})
    assert members.absent == {"Note"}
