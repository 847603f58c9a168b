"""An answer that is only skimmed: what decides the next request comes first, all else later."""

from __future__ import annotations

import gc
import json
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tap_acumatica.errors import PayloadError, ValueMismatchError
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.records.codec import RowCodec, content
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.compiled_row import column_of
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.schema import record_shape
from tap_acumatica.records.skimming import SkimmedRow, SkimmingCodec

MODEL = parse_metadata(
    b'<Edmx Version="4.0"><DataServices><Schema Namespace="S"><EntityType Name="T">'
    b'<Key><PropertyRef Name="Nbr"/></Key><Property Name="Nbr" Type="Edm.String"/>'
    b'<Property Name="raw" Type="Edm.Decimal"/><Property Name="codec" Type="Edm.String"/>'
    b'<Property Name="Changed" Type="Edm.DateTimeOffset"/><Property Name="Id" Type="Edm.Guid"/>'
    b'</EntityType><EntityContainer><EntitySet Name="Ts" EntityType="S.T"/></EntityContainer>'
    b"</Schema></DataServices></Edmx>"
)
SHAPE = record_shape(MODEL, "S.T")
NAMES = list(SHAPE.schema["properties"])
GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
ROW = {"Nbr": "1", "raw": 1.5, "codec": "c", "Changed": "2024-03-01T00:00:00Z", "Id": GUID}


class Codecs(t.NamedTuple):
    whole: CompiledCodec
    skimming: SkimmingCodec
    lacking: list[bool]


def codecs(*, omits_nulls: bool = False) -> Codecs:
    exact = RowCodec(
        MODEL,
        SHAPE.properties,
        key=SHAPE.key,
        certain=["Changed"],
        received=["Changed"],
        omits_nulls=lambda: omits_nulls,
    )
    compiled = CompiledCodec(exact, NAMES, SHAPE.properties, key=SHAPE.key)
    lacking: list[bool] = []
    skimming = SkimmingCodec(
        compiled,
        ["Nbr", "Changed"],
        omits_nulls=lambda: omits_nulls,
        found_lacking=lambda: lacking.append(True),
    )
    return Codecs(compiled, skimming, lacking)


def body_of(*rows: t.Mapping[str, t.Any], **more: t.Any) -> bytes:
    return json.dumps({"@odata.context": "c", "value": rows, **more}, ensure_ascii=False).encode()


def lines(rows: t.Iterable[t.Any]) -> list[dict[str, t.Any]]:
    encoded = RecordLines("T").encode(rows, time_extracted="")
    return [json.loads(line, parse_float=str)["record"] for line in encoded.splitlines()]


def test_what_rows_are_found_by_is_read_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codecs().skimming
    monkeypatch.setattr(codec, "whole", None)
    page = codec.skim(body_of(ROW, {**ROW, "Nbr": "2"}, **{"@odata.nextLink": "next"}))
    assert page.next_link == "next"
    assert page.context == "c"
    assert column_of(page.rows, "Nbr") == ["1", "2"]
    assert page.rows[1]["Changed"] == "2024-03-01T00:00:00.000000+00:00"


def test_reading_another_column_decodes_the_row() -> None:
    (row,) = codecs().skimming.skim(body_of(ROW)).rows
    assert isinstance(row, SkimmedRow)
    assert row["codec"] == "c"
    assert column_of([row], "Id") == [GUID]


def test_the_content_of_a_row_is_the_same_however_it_was_read() -> None:
    whole, skimming, _ = codecs()
    spaced = body_of(ROW).replace(b'"codec"', b' "codec" ')
    assert content(skimming.skim(spaced).rows[0]) == content(whole.decode(body_of(ROW)).rows[0])


def test_rows_that_were_and_were_not_skimmed_are_written_in_their_order() -> None:
    whole, skimming, _ = codecs()
    rows = [{**ROW, "Nbr": str(number), "codec": f"c{number}"} for number in range(6)]
    body = body_of(*rows)
    mixed = [
        (one if number % 2 else other)
        for number, (one, other) in enumerate(
            zip(skimming.skim(body).rows, whole.decode(body).rows, strict=True)
        )
    ]
    assert column_of(mixed, "Nbr") == [row["Nbr"] for row in rows]
    assert column_of(mixed, "codec") == [row["codec"] for row in rows]
    assert lines(skimming.whole(mixed)) == lines(whole.decode(body).rows)


@pytest.mark.parametrize(
    "body",
    [
        body_of(ROW)[:-3],
        body_of(ROW) + b"}",
        body_of(ROW, error={"message": "no"}),
        b"",
        b"<html>",
        b'{"value": [1]}',
        b'{"value": [{"Nbr": "1"}, 2]}',
    ],
)
def test_what_is_no_answer_shows_at_once(body: bytes) -> None:
    with pytest.raises((PayloadError, ValueMismatchError)):
        codecs().skimming.skim(body)


def test_a_value_that_is_none_shows_when_the_row_is_written() -> None:
    codec = codecs().skimming
    page = codec.skim(body_of(ROW, {**ROW, "Nbr": "2", "raw": "much"}))
    with pytest.raises(ValueMismatchError, match="row Nbr=2: the value of raw"):
        codec.whole(page.rows)


@pytest.mark.parametrize("name", ["raw", "Changed"])
def test_a_column_that_no_row_has_shows_at_once(name: str) -> None:
    without = {column: value for column, value in ROW.items() if column != name}
    assert codecs().skimming.skim(body_of(without, without)).absent == {name}


def test_a_column_that_some_rows_lack_tells_that_nulls_are_left_out() -> None:
    codec = codecs()
    page = codec.skimming.skim(body_of(ROW, {"Nbr": "2", "Changed": None}))
    written = lines(codec.skimming.whole(page.rows))
    assert written[1] == {**dict.fromkeys(NAMES), "Nbr": "2"}
    assert codec.lacking or page.lacking


def test_where_nulls_are_left_out_answers_are_decoded_at_once() -> None:
    codec = codecs(omits_nulls=True).skimming
    (row,) = codec.skim(body_of({"Nbr": "1", "RAW": 2.5})).rows
    assert row.raw is None
    assert lines(codec.whole([row]))[0]["raw"] == "2.5"


def test_bytes_that_are_not_utf8_are_repaired_as_without_skimming() -> None:
    whole, skimming, _ = codecs()
    body = body_of(ROW, {**ROW, "codec": "?"}).replace(b'"?"', b'"\xff"')
    written = lines(skimming.whole(skimming.skim(body).rows))
    assert written == lines(whole.decode(body).rows)
    assert written[1]["codec"] == "\ufffd"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "Nbr": st.text("aA\u00e9 1", max_size=3),
                "raw": st.none() | st.decimals(allow_nan=False, allow_infinity=False).map(float),
                "codec": st.none() | st.text(max_size=5),
                "Changed": st.sampled_from(
                    [None, "2024-03-01T00:00:00Z", "2024-03-01T00:00:00.1234567+05:45"]
                ),
                "Id": st.sampled_from([None, GUID, GUID.upper()]),
            }
        ),
        max_size=4,
    )
)
def test_both_ways_write_the_same_records(rows: list[dict[str, t.Any]]) -> None:
    whole, skimming, _ = codecs()
    body = body_of(*rows)
    assert lines(skimming.whole(skimming.skim(body).rows)) == lines(whole.decode(body).rows)


def test_rows_that_wait_tell_that_nulls_are_left_out_before_a_column_is_missed() -> None:
    codec = codecs()
    first = codec.skimming.skim(body_of(ROW, {"Nbr": "2", "Changed": None, "raw": None}))
    assert not codec.lacking
    codec.skimming.skim(body_of({"Nbr": "3", "Changed": None}))
    assert codec.lacking
    assert len(codec.skimming.whole(first.rows)) == 2


def test_answers_that_nobody_holds_are_not_kept() -> None:
    codec = codecs()
    page = codec.skimming.skim(body_of(ROW))
    codec.skimming.whole(page.rows)
    del page
    gc.collect()
    codec.skimming.skim(body_of({"Nbr": "3", "Changed": None}))
    assert not codec.lacking
