"""An error ends what it concerns and nothing else, with one line and the right exit code."""

from __future__ import annotations

import errno
import io
import signal
import socket
import sys
import typing as t

import pytest
from singer_sdk.singerlib.messages import (
    ActivateVersionMessage,
    RecordMessage,
    SchemaMessage,
    StateMessage,
)
from typing_extensions import override

from tap_acumatica.errors import ExitCode, OutputError
from tap_acumatica.singer import MessageWriter, Terminated
from tap_acumatica.streams import EntitySetStream
from tap_acumatica.tap import TapAcumatica
from tests.odata_service import ODataService, Table, answer

if t.TYPE_CHECKING:
    from tests.conftest import RunTap

COLUMNS = {"Id": "Edm.Int32", "Note": "Edm.String", "LastModified": "Edm.DateTimeOffset"}


def table(name: str, *notes: str | None) -> Table:
    rows = [
        {"Id": number, "Note": note, "LastModified": f"2024-02-28T00:00:{number:02d}Z"}
        for number, note in enumerate(notes)
    ]
    return Table(name, COLUMNS, ["Id"], rows)


def errors_of(log: str) -> list[str]:
    return [line.rpartition(" | ")[2] for line in log.splitlines() if "| ERROR" in line]


@pytest.mark.parametrize(
    ("maps", "cause"),
    [
        ({"hash": "md5(Note)"}, "NoneType"),
        ({"twice": "Note * unknown"}, "unknown"),
        ({"broken": "md5(("}, "md5(("),
    ],
)
def test_a_map_that_fails_ends_its_stream_only(
    run_tap: RunTap, maps: dict[str, str], cause: str
) -> None:
    service = ODataService(table("Odd", "a", None, "c"), table("Rows", "a", "b", "c"))
    with service.running():
        config = {"url": service.url, "stream_maps": {"Odd": maps}}
        run = run_tap(config, check=False)
    assert run.exit_code == ExitCode.FAILED
    assert "Traceback" not in run.errors
    first, last = errors_of(run.errors)
    assert first.startswith("Odd: ")
    assert cause in first
    assert last.startswith("not read completely: Odd; everything else is complete")
    assert len(run.records("Rows")) == 3
    bookmark = run.state["bookmarks"].get("Odd", {}).get("replication_key_value")
    assert bookmark is None, "rows that a map could not write were taken for written"


def test_maps_that_are_wrong_as_a_whole_are_a_wrong_setting(run_tap: RunTap) -> None:
    service = ODataService(table("Rows", "a"))
    with service.running():
        config = {"url": service.url, "stream_maps": {"__else__": "everything"}}
        run = run_tap(config, check=False)
    assert run.exit_code == ExitCode.SETTINGS
    assert "'stream_maps'" in errors_of(run.errors)[-1]
    assert not run.output


def test_two_kinds_of_failure_end_with_1_and_one_kind_with_its_own_code(run_tap: RunTap) -> None:
    service = ODataService(table("Busy", "a"), table("Gone", "a"), table("Rows", "a"))
    service.fail("Busy", answer(503, "later"))
    service.fail("Gone", answer(404, "gone"))
    with service.running():
        config = {"url": service.url, "max_retries": 1}
        both = run_tap(config, check=False)
        busy = run_tap({**config, "exclude_entity_sets": ["Gone"]}, check=False)
    assert both.exit_code == ExitCode.FAILED
    assert busy.exit_code == ExitCode.TEMPORARY
    assert len(both.records("Rows")) == len(busy.records("Rows")) == 1


def test_the_metric_of_a_failed_stream_says_so(run_tap: RunTap) -> None:
    service = ODataService(table("Gone", "a"), table("Rows", "a"))
    service.fail("Gone", answer(404, "gone"))
    with service.running():
        run = run_tap({"url": service.url}, check=False)
    timers = [line for line in run.errors.splitlines() if '"sync_duration"' in line]
    statuses = {
        name: ('"failed"' in line, '"succeeded"' in line)
        for line in timers
        for name in ("Gone", "Rows")
        if f'"{name}"' in line
    }
    assert statuses == {"Gone": (True, False), "Rows": (False, True)}


def test_the_constructor_talks_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> t.NoReturn:
        msg = "the network was used"
        raise AssertionError(msg)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    config = {"url": "http://site.invalid", "username": "u", "password": "p", "tenants": ["A"]}
    tap = TapAcumatica(config=config, catalog={"streams": []}, state={})
    try:
        assert list(tap.run.site.connections) == ["A"]
    finally:
        tap.close()


def test_a_plan_can_be_made_without_reading() -> None:
    service = ODataService(table("Rows", "a", "b"))
    with service.running():
        tap = TapAcumatica(config={"url": service.url})
        try:
            (stream,) = tap.streams.values()
            assert isinstance(stream, EntitySetStream)
            asked = len(service.log)
            (opener,) = stream.extractions().values()
            assert opener().plan.described == (
                "what changed by LastModified, else sorted by Id, by value, 2000 rows per page"
            )
            assert len(service.log) == asked
        finally:
            tap.close()


class _Pipe(io.BytesIO):
    """Standard output that a signal hits in the middle of a write."""

    def __init__(self, writer: MessageWriter) -> None:
        super().__init__()
        self._writer = writer

    @override
    def write(self, data: t.Any, /) -> int:
        half = len(data) // 2
        super().write(data[:half])
        self._writer.stop(signal.SIGTERM)
        return half + super().write(data[half:])


MESSAGES = [
    SchemaMessage(stream="Rows", schema={"properties": {}}, key_properties=["Id"]),
    RecordMessage(stream="Rows", record={"Id": 1}),
    StateMessage(value={"bookmarks": {}}),
    ActivateVersionMessage(stream="Rows", version=1),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_signal_cuts_no_line_of_any_kind(monkeypatch: pytest.MonkeyPatch, message: t.Any) -> None:
    writer = MessageWriter()
    pipe = _Pipe(writer)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe))
    with pytest.raises(Terminated) as ended:
        writer.write_message(message)
    assert ended.value.code == 128 + signal.SIGTERM
    assert pipe.getvalue() == f"{writer.format_message(message)}\n".encode()


def test_a_second_signal_ends_in_the_middle_of_a_line() -> None:
    writer = MessageWriter()
    with pytest.raises(Terminated):
        writer.stop(signal.SIGINT)


class _FullDisk(io.BytesIO):
    @override
    def write(self, data: t.Any, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(_FullDisk()))
    with pytest.raises(OutputError, match="the disk is full"):
        MessageWriter().write_lines(b"{}\n")
