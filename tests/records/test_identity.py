"""Rows of one key: numbered in a full read, refused in an incremental one."""

from __future__ import annotations

import json
import random
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_acumatica.errors import IdentityError
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.records.codec import RowCodec
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.identity import (
    DistinctRows,
    Identity,
    KeyTable,
    NumberedRows,
    identity_of,
    numbered_key,
)
from tap_acumatica.records.record_maker import RecordMaker, hashed_key
from tap_acumatica.records.schema import record_shape
from tests.odata_service import csdl

if t.TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, t.Any]

KEY = ("Branch",)
OLD, OLDER, NEW = "2024-03-01T00:00:00", "2024-02-01T00:00:00", "2024-05-01T00:00:00"
START = "2024-04-01T00:00:00"
MODEL = parse_metadata(
    csdl(
        '<EntityType Name="S"><Key><PropertyRef Name="Branch"/></Key>'
        '<Property Name="Branch" Type="Edm.String"/><Property Name="Item" Type="Edm.String"/>'
        '</EntityType><EntityContainer Name="C"><EntitySet Name="Sales" '
        'EntityType="Plain.Model.S"/></EntityContainer>'
    ).encode()
)
SHAPE = record_shape(MODEL, "Plain.Model.S", hashed_key=True)


def row(branch: str | None, item: str, stamp: str | None = OLD) -> Row:
    return {"Branch": branch, "Item": item, "Stamp": stamp}


def numbered() -> NumberedRows:
    return NumberedRows("Sales", KEY)


def distinct(*, hashed: bool = True, tracked: bool = True) -> DistinctRows:
    def stamps(rows: t.Sequence[Row]) -> list[str | None]:
        return [each["Stamp"] for each in rows]

    return DistinctRows(
        "Sales", KEY, hashed=hashed, stamps=stamps if tracked else None, settled=START
    )


def identities(rows: Iterable[Row]) -> dict[str, str]:
    """The ``_key`` of each row's item, as it is emitted."""
    maker = RecordMaker(["_key", "Item"], key=KEY)
    return {record["Item"]: record["_key"] for record in map(maker.record, rows)}


# Full reads


def test_rows_of_one_key_get_numbers_and_one_that_is_alone_keeps_its_hash() -> None:
    rows = [row("MAIN", "c"), row("MAIN", "a"), row("SOUTH", "b"), row("MAIN", "b2")]
    first = hashed_key(rows[0], KEY)
    assert identities(numbered().checked(rows)) == {
        "a": first,
        "b2": numbered_key(first, 1),
        "c": numbered_key(first, 2),
        "b": hashed_key(rows[2], KEY),
    }


@given(st.permutations([row("MAIN", item) for item in "abcde"]))
def test_the_order_of_an_answer_gives_no_numbers(rows: list[Row]) -> None:
    assert identities(numbered().checked(rows)) == identities(numbered().checked(rows[::-1]))


def test_numbers_go_on_in_later_batches() -> None:
    identity = numbered()
    found = [
        r for n in range(4) for r in identity.checked([row("MAIN", f"{n}"), row("S", f"s{n}")])
    ]
    assert len(set(identities(found).values())) == 8
    assert identity.numbered == 6


def test_identical_rows_are_as_many_as_they_are() -> None:
    identity = numbered()
    maker = RecordMaker(["_key"], key=KEY)
    batches = [[row("MAIN", "a")] * 3, [row("MAIN", "a")]]
    keys = {maker.record(r)["_key"] for batch in batches for r in identity.checked(batch)}
    assert len(keys) == 4


def test_identical_rows_whose_key_is_null_are_as_many_as_they_are() -> None:
    found = numbered().checked([row(None, "a"), row(None, "a"), row(None, "b")])
    maker = RecordMaker(["_key"], key=KEY)
    assert len({maker.record(each)["_key"] for each in found}) == 3


def test_a_result_that_begins_anew_gets_the_same_numbers() -> None:
    identity = numbered()
    rows = [row("MAIN", "b"), row("MAIN", "a")]
    first = identities(identity.checked(rows))
    assert identities(identity.checked(rows, again=True)) == first
    assert identity.numbered == 1


def test_the_rows_that_were_read_are_not_changed() -> None:
    """The reader knows them again by their content."""
    exact = RowCodec(MODEL, SHAPE.properties, key=SHAPE.key)
    columns = list(SHAPE.schema["properties"])
    compiled = CompiledCodec(exact, columns, SHAPE.properties, key=SHAPE.key)
    body = json.dumps({"value": [{"Branch": "M", "Item": i} for i in "ab"]}).encode()
    for codec in (exact, compiled):
        rows = codec.decode(body).rows
        before = [each["Item"] for each in rows]
        plain = rows[0]["_key"] if codec is compiled else None
        found = numbered().checked(rows)
        assert [each["Item"] for each in found] == before
        assert found[1]["_key"] == numbered_key(hashed_key({"Branch": "M"}, KEY), 1)
        if plain:
            assert rows[1]["_key"] == plain
        else:
            assert "_key" not in rows[1]


# Incremental reads


@pytest.mark.parametrize("hashed", [True, False])
def test_two_rows_of_one_key_in_one_batch_are_refused_with_the_ways_out(*, hashed: bool) -> None:
    with pytest.raises(IdentityError, match=r"Sales.*Branch = 'MAIN'.*'keys'") as caught:
        distinct(hashed=hashed).checked([row("MAIN", "a"), row("MAIN", "b", OLDER)])
    assert ("FULL_TABLE" in str(caught.value)) == hashed
    assert "\n" not in str(caught.value)


def test_two_rows_of_one_key_and_stamp_are_refused_across_batches() -> None:
    identity = distinct()
    identity.checked([row("MAIN", "a")])
    with pytest.raises(IdentityError):
        identity.checked([row("MAIN", "b")])


def test_a_row_that_comes_twice_is_no_second_row() -> None:
    identity = distinct()
    for _ in range(3):
        identity.checked([row("MAIN", "a"), row("SOUTH", "a")])
        identity.checked([row("WEST", "a")])
    assert identity.doubtful == 0


def test_a_newer_version_of_a_row_is_no_second_row() -> None:
    identity = distinct()
    identity.checked([row("MAIN", "a")])
    identity.checked([row("MAIN", "b", NEW)])
    identity.checked([row("MAIN", "b", NEW), row("MAIN", "c", NEW)])
    assert identity.doubtful == 0


def test_a_key_of_two_rows_that_nobody_changed_meanwhile_is_counted() -> None:
    identity = distinct()
    for number in range(1, 5):
        identity.checked([row("MAIN", f"{number}", f"2024-01-0{number}T00:00:00")])
        identity.checked([row(f"B{number}", "x", f"2024-01-0{number}T00:00:00")])
    assert identity.doubtful == 3
    identity.checked([], again=True)
    assert identity.doubtful == 0


def test_without_a_hash_rows_of_one_key_are_refused_in_full_reads_as_well() -> None:
    identity = distinct(hashed=False, tracked=False)
    identity.checked([row("MAIN", "a")])
    identity.checked([row("MAIN", "b")])  # a page apart it may be the same row, changed
    with pytest.raises(IdentityError, match=r"none \(\[\]\)"):
        identity.checked([row("SOUTH", "a"), row("SOUTH", "b")])


# Nulls


def test_a_null_in_a_key_that_is_not_hashed_is_refused_by_name() -> None:
    identity = Identity("Sales", ("Branch", "Item"), hashed=False)
    identity.checked([row("MAIN", "a")])
    with pytest.raises(IdentityError, match="Sales: the key column Branch holds a null"):
        identity.checked([row("MAIN", "a"), row(None, "a")])
    assert Identity("Sales", KEY, hashed=True).checked([row(None, "a")])


# Which of them


@pytest.mark.parametrize(
    ("hashed", "proved", "tracked", "kind"),
    [
        (True, True, False, Identity),
        (False, True, True, Identity),
        (True, False, False, NumberedRows),
        (True, False, True, DistinctRows),
        (False, False, False, DistinctRows),
    ],
)
def test_only_keys_that_nobody_vouches_for_are_watched(
    *, hashed: bool, proved: bool, tracked: bool, kind: type[Identity]
) -> None:
    found = identity_of(
        "Sales",
        record_shape(MODEL, "Plain.Model.S", hashed_key=hashed),
        proved=proved,
        stamps=(lambda rows: [each["Stamp"] for each in rows]) if tracked else None,
        settled=START,
    )
    assert type(found) is kind


# The table of keys


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 9)), max_size=2000))
def test_a_table_of_keys_counts_like_a_dictionary(entries: list[tuple[int, int]]) -> None:
    table, held = KeyTable(), dict[str, int]()
    for number, amount in entries:
        key = f"k{number}"
        assert table.add(key, amount) == held.get(key, 0)
        held[key] = held.get(key, 0) + amount
    assert len(table) == len(held)
    assert all(table.add(key, 0) == value for key, value in held.items())


def test_a_table_of_keys_grows_with_them() -> None:
    table = KeyTable()
    keys = [f"{number}" for number in range(20_000)]
    random.Random(1).shuffle(keys)  # noqa: S311  no secret
    assert not any(table.add(key, 1) for key in keys)
    assert [table.add(key, 1) for key in keys] == [1] * len(keys)
