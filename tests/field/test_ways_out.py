"""By RECORD, by BATCH and by Parquet the same rows leave, as SCHEMA says; the rest is refused."""

from __future__ import annotations

import errno
import gzip
import importlib
import importlib.util
import io
import json
import logging
import sys
import tempfile
import typing as t
from decimal import Decimal
from unittest import mock
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tap_acumatica.errors import IncompleteError
from tap_acumatica.tap import TapAcumatica
from tests.field.orders import (
    FIRST,
    assert_one_error,
    bookmark,
    lines,
    metric,
    missed,
    orders,
    schema,
    service_of,
)
from tests.field.service import Service, Table, shown

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import RunTap

Rows = dict[str, list[dict[str, t.Any]]]
HAS_PARQUET = importlib.util.find_spec("pyarrow") is not None
FORMATS = [
    ("jsonl", "none"),
    ("jsonl", "gzip"),
    *([("parquet", "none"), ("parquet", "gzip")] if HAS_PARQUET else []),
]


def batch(folder: Path, form: str = "jsonl", compression: str | None = "none") -> dict[str, t.Any]:
    encoding = {"format": form, **({"compression": compression} if compression else {})}
    return {"encoding": encoding, "storage": {"root": folder.as_uri(), "prefix": "p-"}}


def emitted(config: dict[str, t.Any]) -> tuple[Rows, dict[str, t.Any]]:
    """Rows by stream, whichever way they left, and the SCHEMA messages by stream."""
    content = io.BytesIO()
    output = io.TextIOWrapper(content, encoding="utf-8")
    tap = TapAcumatica(config=config)
    try:
        with mock.patch.object(sys, "stdout", output):
            tap.sync()
    finally:
        tap.close()
    written = content.getvalue().decode()
    messages = [json.loads(line, parse_float=Decimal) for line in written.splitlines()]
    rows: Rows = {}
    schemas = {m["stream"]: m for m in messages if m["type"] == "SCHEMA"}
    for message in messages:
        if message["type"] == "RECORD":
            rows.setdefault(message["stream"], []).append(message["record"])
        elif message["type"] == "BATCH":
            for url in message["manifest"]:
                rows.setdefault(message["stream"], []).extend(read(url, message["encoding"]))
    return rows, schemas


def read(url: str, encoding: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The rows of a file, read as its BATCH message says."""
    path = unquote(urlsplit(url).path)
    if encoding["format"] == "parquet":
        return t.cast("list[dict[str, t.Any]]", table_of(path).to_pylist())
    with open(path, "rb") as file:  # noqa: PTH123
        content = file.read()
    if encoding["compression"] == "gzip":
        content = gzip.decompress(content)
    return [json.loads(line, parse_float=Decimal) for line in content.decode().splitlines()]


def table_of(path: t.Any) -> t.Any:
    return importlib.import_module("pyarrow.parquet").read_table(path)


def comparable(rows: Rows) -> Rows:
    """Rows as they are compared: numbers by value, a column that is absent is null."""
    return {
        stream: [
            {n: Decimal(str(v)) if type(v) in {int, float} else v for n, v in row.items()}
            for row in found
        ]
        for stream, found in rows.items()
    }


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    first, second = orders(12), orders(5, name="Quiet")
    first.row(Id=7)["Note"] = None
    first.row(Id=8)["Total"] = None
    service = Service(first, second)
    with service.running():
        yield service


EXPRESSIONS = [
    "__NULL__",
    "md5(Note) if Note else None",
    "Total * 1.19 if Total is not None else None",
    "Total",
    "Id * 2",
    "Id > 5",
    "str(Total)",
    "round(Total or 0, 2)",
    "'fixed'",
    "record['Note']",
    "__stream_name__ + '!'",
    "datetime.date.fromisoformat(LastModifiedDateTime[:10])",
    "[Id, Total]",
    "LastModifiedDateTime if Id > 3 else None",
]
COLUMNS = st.dictionaries(
    st.sampled_from(["Note", "Total", "LastModifiedDateTime", "Gross", "Mark"]),
    st.sampled_from(EXPRESSIONS),
    max_size=4,
)
STREAM = st.builds(
    lambda columns, *more: {**columns, **{k: v for each in more for k, v in each.items()}},
    COLUMNS,
    st.sampled_from([{}, {"__filter__": "Id > 4"}, {"__filter__": "Total and Total < 6.125"}]),
    st.sampled_from([{}, {"__alias__": "Renamed"}]),
    st.sampled_from([{}, {"__else__": "__NULL__"}]),
    st.sampled_from([{}, {"__key_properties__": ["Id"]}]),
)
MAPS = st.fixed_dictionaries(
    {},
    optional={
        "Orders": st.one_of(STREAM, st.just("__NULL__")),
        "Copy": STREAM.map(lambda m: {n: v for n, v in m.items() if n != "__alias__"}).map(
            lambda m: {**m, "__source__": "Orders"}
        ),
        "Q*": STREAM.map(lambda m: {n: v for n, v in m.items() if n != "__alias__"}),
        "__else__": st.just("__NULL__"),
    },
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(maps=MAPS, way=st.sampled_from(FORMATS), size=st.sampled_from([1, 5, 2000]))
def test_whatever_the_maps_every_way_out_brings_the_same_rows(
    service: Service,
    tmp_path_factory: pytest.TempPathFactory,
    maps: dict[str, t.Any],
    way: tuple[str, str],
    size: int,
) -> None:
    config = {"url": service.url, "stream_maps": maps, "batch_size": size}
    files = batch(tmp_path_factory.mktemp("batch"), *way)
    rows, schemas = emitted(config)
    in_files, same_schemas = emitted({**config, "batch_config": files})
    assert same_schemas == schemas
    assert comparable(in_files) == comparable(rows)
    for stream, found in rows.items():
        said = schemas[stream]
        columns = said["schema"]["properties"]
        assert set(said["key_properties"]) <= set(columns)
        assert set(said.get("bookmark_properties") or ()) <= set(columns)
        for row in found:
            assert set(row) <= set(columns)
            Draft202012Validator(said["schema"]).validate(
                {n: float(v) if isinstance(v, Decimal) else v for n, v in row.items()}
            )


def test_every_file_is_packed_as_its_message_says(service: Service, tmp_path: Path) -> None:
    for number, compression in enumerate(["none", "gzip", None]):
        folder = tmp_path / str(number)
        rows, _ = emitted({"url": service.url, "batch_config": batch(folder, "jsonl", compression)})
        assert len(rows["Orders"]) == 12


def test_a_file_is_named_safely_whatever_a_stream_is_called(
    service: Service, tmp_path: Path
) -> None:
    maps = {"Orders": {"__alias__": "a/../b c"}}
    files = batch(tmp_path)
    rows, _ = emitted({"url": service.url, "stream_maps": maps, "batch_config": files})
    assert len(rows["a/../b c"]) == 12
    assert len(list(tmp_path.iterdir())) == 2


# What cannot be done is refused before anything is read


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"emit_activate_version_messages": True}, ["emit_activate_version_messages"]),
        ({"batch_config": {"encoding": {"format": "jsonl"}}}, ["storage"]),
        ({"batch_config": {"storage": {"root": "out"}}}, ["encoding"]),
        (
            {"batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "nix://a"}}},
            ["nix"],
        ),
        (
            {"batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "a"}, "x": 1}},
            ["x"],
        ),
    ],
)
def test_what_batch_files_cannot_do_is_refused_before_anything_is_read(
    run_tap: RunTap, tmp_path: Path, change: dict[str, t.Any], words: list[str]
) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url, "batch_config": batch(tmp_path), **change}
        run = run_tap(config, check=False)
    assert_one_error(run, "batch_config", *words, exit_code=2)
    assert service.requests == []


@pytest.mark.skipif(HAS_PARQUET, reason="pyarrow is installed")
def test_parquet_without_its_package_is_refused_before_anything_is_read(
    run_tap: RunTap, tmp_path: Path
) -> None:
    service, _ = service_of()
    with service.running():
        config = {"url": service.url, "batch_config": batch(tmp_path, "parquet")}
        run = run_tap(config, check=False)
    assert_one_error(run, "batch_config", "pyarrow", "pip install", exit_code=2)
    assert service.requests == []


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_s3_without_its_package_is_refused_before_anything_is_read(run_tap: RunTap) -> None:
    service, _ = service_of()
    files = {"encoding": {"format": "jsonl"}, "storage": {"root": "s3://bucket/x"}}
    with service.running():
        run = run_tap({"url": service.url, "batch_config": files}, check=False)
    assert_one_error(run, "batch_config", "s3", "pip install", exit_code=2)
    assert service.requests == []


def test_flattening_without_a_depth_is_refused_before_anything_is_read(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url, "flattening_enabled": True}, check=False)
    assert_one_error(run, "flattening_enabled", "flattening_max_depth", exit_code=2)
    assert service.requests == []


def test_a_folder_that_cannot_be_written_is_named_and_costs_no_row(
    run_tap: RunTap, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    service, table = service_of()
    with service.running():
        config = {"url": service.url, "batch_config": batch(tmp_path / "file" / "below")}
        run = run_tap(config, check=False)
        assert_one_error(run, "Orders", "batch_config")
        later = run_tap({"url": service.url}, state=run.state)
    assert missed(table, later) == []


def test_a_full_disk_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    service, _ = service_of()
    spare = tmp_path / "spare"
    spare.mkdir()
    errors: list[str] = []

    def full(*_: object) -> t.NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    logger = logging.getLogger("tap_acumatica.run")
    config = {"batch_config": batch(tmp_path / "files")}
    with (
        service.running(),
        mock.patch("shutil.move", full),
        mock.patch.object(tempfile, "tempdir", str(spare)),
        mock.patch.object(logger, "error", lambda _, error: errors.append(str(error))),
        pytest.raises(IncompleteError),
    ):
        emitted({"url": service.url, **config})
    (line,) = errors
    assert line.startswith("Orders: a BATCH file cannot be written")
    assert "No space left on device" in line
    assert [*(tmp_path / "files").iterdir(), *spare.iterdir()] == []


# Streams and columns that maps leave out


@pytest.mark.parametrize("by_batch", [False, True])
def test_a_stream_that_is_left_out_writes_no_schema_and_asks_for_no_rows(
    run_tap: RunTap, tmp_path: Path, *, by_batch: bool
) -> None:
    service = Service(orders(), orders(5, name="Quiet"))
    maps = {"Orders": "__NULL__"}
    with service.running():
        config = {"url": service.url, "stream_maps": maps}
        run = run_tap({**config, **({"batch_config": batch(tmp_path)} if by_batch else {})})
    assert {m["stream"] for m in run.messages if m["type"] == "SCHEMA"} == {"Quiet"}
    assert service.asked("Orders") == []
    assert "Orders" not in run.state["bookmarks"]


def test_a_stream_that_only_leaves_as_a_copy_is_read(run_tap: RunTap) -> None:
    service, table = service_of()
    maps = {"Orders": "__NULL__", "Copy": {"__source__": "Orders"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps})
    assert run.records("Orders") == []
    assert len(run.records("Copy")) == len(table.rows)


def test_a_filter_that_lets_nothing_through_still_moves_the_bookmark(run_tap: RunTap) -> None:
    service, _ = service_of()
    maps = {"Orders": {"__filter__": "Id > 1000"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps})
    assert run.records("Orders") == []
    assert bookmark(run)


def test_a_map_may_leave_out_the_replication_key(run_tap: RunTap) -> None:
    service, table = service_of()
    maps = {"Orders": {"LastModifiedDateTime": "__NULL__"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps})
    assert len(run.records("Orders")) == len(table.rows)
    assert not schema(run).get("bookmark_properties")
    assert bookmark(run)


def test_a_map_that_leaves_out_a_key_column_is_refused_unless_it_says_the_key(
    run_tap: RunTap,
) -> None:
    service, table = service_of()
    with service.running():
        refused = run_tap(
            {"url": service.url, "stream_maps": {"Orders": {"Id": "__NULL__"}}}, check=False
        )
        maps = {"Orders": {"Id": "__NULL__", "Code": "str(Id)", "__key_properties__": ["Code"]}}
        run = run_tap({"url": service.url, "stream_maps": maps})
    assert_one_error(refused, "Orders", "Id", "__key_properties__")
    assert schema(run)["key_properties"] == ["Code"]
    assert {r["Code"] for r in run.records("Orders")} == {str(row["Id"]) for row in table.rows}


def test_key_columns_stay_where_all_others_are_left_out(run_tap: RunTap) -> None:
    service, _ = service_of(3)
    maps = {"Orders": {"__else__": "__NULL__", "Short": "Note[:5]"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps})
    assert list(schema(run)["schema"]["properties"]) == ["Short", "Id"]
    assert run.records("Orders")[0] == {"Id": 1, "Short": "Order"}


@pytest.mark.parametrize("name", ["Noet", "Address__City"])
def test_leaving_out_what_is_not_there_is_warned_of(run_tap: RunTap, name: str) -> None:
    service = Service(orders(2), orders(2, name="Quiet"))
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": {"Orders": {name: "__NULL__"}}})
        by_pattern = run_tap({"url": service.url, "stream_maps": {"*": {name: "__NULL__"}}})
    (warning,) = [line for line in lines(run, "WARNING") if name in line]
    assert "Orders" in warning
    assert not [line for line in lines(by_pattern, "WARNING") if name in line]


# Faults of maps end their stream


FAULTS = [
    ({"Copy": "md5(Note)"}, ["Copy", "md5(Note)", "Id=7", "null"]),
    ({"__filter__": "len(Note) > 2"}, ["__filter__", "len(Note) > 2", "Id=7"]),
    ({"__filter__": "Nope > 2"}, ["__filter__", "Nope > 2"]),
    ({"X": "Nope + 1"}, ["X", "Nope + 1"]),
    ({"X": "frobnicate(Id)"}, ["X", "frobnicate"]),
    ({"X": "Id +"}, ["X", "Id +"]),
    ({"X": "Total / 0"}, ["X", "Total / 0"]),
    ({"X": "[i for i in range(9)]"}, ["X", "range"]),
    ({"X": "record['Nope']"}, ["X", "record['Nope']"]),
    ({"X": "Note.nope"}, ["X", "Note.nope"]),
    ({"__key_properties__": ["Nope"]}, ["Nope"]),
    ({"__alias__": "Quiet"}, ["Quiet", "name"]),
    ({"__alias__": "__stream_name__ + 1"}, ["__alias__"]),
]


@pytest.mark.parametrize(("maps", "words"), FAULTS, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("by_batch", [False, True])
def test_a_fault_of_a_map_ends_its_stream_alone(
    run_tap: RunTap, tmp_path: Path, maps: dict[str, t.Any], words: list[str], *, by_batch: bool
) -> None:
    table, quiet = orders(), orders(5, name="Quiet")
    table.row(Id=7)["Note"] = None
    service = Service(table, quiet)
    files = {"batch_config": batch(tmp_path)} if by_batch else {}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": {"Orders": maps}, **files}, check=False)
        later = run_tap({"url": service.url}, state=run.state)
    assert_one_error(run, "Orders", "stream_maps", *words)
    assert metric(run, "sync_duration")["tags"]["status"] == "failed"
    assert metric(run, "sync_duration", "Quiet")["tags"]["status"] == "succeeded"
    if not by_batch:
        assert missed(quiet, run) == []
    assert missed(table, later) == [], "the bookmark passed rows that were not written"


def test_two_streams_of_one_name_both_say_so(run_tap: RunTap) -> None:
    service = Service(orders(2, name="A"), orders(2, name="B"), orders(2, name="C"))
    maps = {"A": {"__alias__": "all"}, "B": {"__alias__": "all"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps}, check=False)
    assert run.exit_code == 1
    found = lines(run, "ERROR")
    assert any("A: " in line and "B" in line for line in found)
    assert any("B: " in line and "A" in line for line in found)
    assert len(run.records("C")) == 2
    assert run.records("all") == []


def test_a_name_is_free_where_its_stream_is_left_out(run_tap: RunTap) -> None:
    service = Service(orders(3), orders(2, name="Quiet"))
    maps = {"Quiet": "__NULL__", "Orders": {"__alias__": "Quiet"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps})
    assert len(run.records("Quiet")) == 3


@pytest.mark.skipif(importlib.util.find_spec("faker") is not None, reason="faker is installed")
def test_fake_values_without_their_package_say_what_to_install(run_tap: RunTap) -> None:
    service = Service(orders(3), orders(2, name="Quiet"))
    maps = {"Orders": {"Note": "fake.name()"}}
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": maps}, check=False)
    assert_one_error(run, "Orders", "Note", "faker", "pip install")
    assert len(run.records("Quiet")) == 2


# Types


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("Total * 1.19", "number"),
        ("-Total", "number"),
        ("abs(Total)", "number"),
        ("round(Total, 2)", "number"),
        ("max(Total, 3)", "number"),
        ("sum([Total, 0.5])", "number"),
        ("Total % 3", "number"),
        ("Total ** 2", "number"),
        ("float(Total)", "number"),
        ("Total if Id > 1 else 0", "number"),
        ("Total or 0", "number"),
        ("int(Total)", "integer"),
        ("Id + 1", "integer"),
        ("Id / 2", "number"),
        ("round(Total)", "integer"),
        ("str(Total)", "string"),
        ("Note + '!'", "string"),
        ("Total > 10.5", "boolean"),
        ("not Note", "boolean"),
        ("Total if Id > 1 else 'none'", "string"),
        ("json.loads('[1]')", "string"),
    ],
)
@pytest.mark.parametrize("column", ["Gross", "Total"])
def test_schema_declares_the_type_of_what_is_computed(
    expression: str, kind: str, column: str
) -> None:
    if (expression, column) == ("json.loads('[1]')", "Total"):
        pytest.skip("a column that is there keeps its type where no other can be told")
    table = orders(4)
    service = Service(table)
    with service.running():
        config = {"url": service.url, "stream_maps": {"Orders": {column: expression}}}
        rows, schemas = emitted(config)
    declared = schemas["Orders"]["schema"]["properties"][column]
    assert [each for each in declared["type"] if each != "null"] == [kind]
    assert ("scale" in declared) is (column == expression)
    wanted: dict[str, list[type]] = {
        "string": [str],
        "boolean": [bool],
        "integer": [int],
        "number": [int, Decimal],
    }
    assert {type(row[column]) for row in rows["Orders"]} <= set(wanted[kind])


def test_a_renamed_column_keeps_its_type_in_whatever_order_it_is_renamed() -> None:
    service, _ = service_of(2)
    with service.running():
        for maps in ({"T": "Total", "Total": "__NULL__"}, {"Total": "__NULL__", "T": "Total"}):
            rows, schemas = emitted({"url": service.url, "stream_maps": {"Orders": maps}})
            declared = schemas["Orders"]["schema"]["properties"]
            assert declared["T"] == {"type": ["number", "null"], "precision": 19, "scale": 4}
            assert "Total" not in declared
            assert rows["Orders"][0]["T"] == Decimal("1.125")


# Parquet


def wide_table() -> Table:
    columns = {
        "Id": 'Edm.Int64 Nullable="false"',
        "Amount": 'Edm.Decimal Precision="28" Scale="6"',
        "Free": "Edm.Decimal",
        "Rate": "Edm.Double",
        "Day": "Edm.Date",
        "Changed": "Edm.DateTimeOffset",
        "Flag": "Edm.Boolean",
        "Empty": "Edm.String",
        "EmptyAmount": "Edm.Decimal",
    }
    rows = [
        {
            "Id": 9_000_000_000_000_000_000 + number,
            "Amount": Decimal("1234567890123456789012.123456") if number else None,
            "Free": [Decimal("0.1"), Decimal("12345678901234567890.123456789"), None][number],
            "Rate": [Decimal("1e-9"), Decimal("1e300"), Decimal("2.5")][number],
            "Day": "2024-02-29",
            "Changed": shown(FIRST),
            "Flag": [True, False, None][number],
            "Empty": None,
            "EmptyAmount": None,
        }
        for number in range(3)
    ]
    return Table("Wide", columns, ["Id"], rows)


@pytest.mark.skipif(not HAS_PARQUET, reason="needs pyarrow")
def test_values_of_every_kind_arrive_in_parquet(tmp_path: Path) -> None:
    service = Service(wide_table())
    with service.running():
        rows, _ = emitted({"url": service.url})
        in_files, _ = emitted({"url": service.url, "batch_config": batch(tmp_path, "parquet")})
    assert comparable(in_files) == comparable(rows)
    (file,) = tmp_path.iterdir()
    found = {field.name: str(field.type) for field in table_of(file).schema}
    assert found["Amount"] == "decimal128(38, 6)"
    assert found["Empty"] == "string"
    assert found["EmptyAmount"].startswith("decimal128")
    assert found["Id"] == "int64"


# The last STATE


@pytest.mark.parametrize("emit", [False, True])
def test_the_last_line_of_every_run_is_the_state(run_tap: RunTap, *, emit: bool) -> None:
    full = {"forced-replication-method": "FULL_TABLE"}
    service = Service(orders(), orders(3, name="Broken"), orders(3, name="Zebra"))
    maps = {"Broken": {"X": "md5(None)"}}
    with service.running():
        config = {"url": service.url, "emit_activate_version_messages": emit}
        catalog = run_tap(config, "--discover").document
        for item in catalog["streams"][-1]["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"] |= full
        first = run_tap(config, catalog=catalog)
        unchanged = run_tap(config, catalog=catalog, state=first.state)
        failed = run_tap(
            {**config, "stream_maps": maps}, catalog=catalog, state=first.state, check=False
        )
    assert failed.exit_code == 1
    for run in (first, unchanged, failed):
        last = run.messages[-1]
        assert last["type"] == "STATE"
        assert last["value"]["bookmarks"]["Orders"]["replication_key_value"] == bookmark(first)


def test_a_run_without_any_state_writes_none(run_tap: RunTap) -> None:
    service, _ = service_of()
    with service.running():
        run = run_tap({"url": service.url, "stream_maps": {"__else__": "__NULL__"}})
    assert run.messages == []
