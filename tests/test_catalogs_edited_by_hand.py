"""Catalogs as people write them: by hand, by Meltano, by older tools."""

from __future__ import annotations

import typing as t

import pytest

from tests.odata_service import ODataService
from tests.test_any_odata_service import simple, stamp

if t.TYPE_CHECKING:
    from tests.conftest import RunTap

Entry = dict[str, t.Any]


def root_of(entry: Entry) -> dict[str, t.Any]:
    """The stream's own metadata."""
    found: dict[str, t.Any] = next(
        item["metadata"] for item in entry["metadata"] if not item["breadcrumb"]
    )
    return found


def in_the_entry(entry: Entry) -> None:
    entry["replication_method"] = "FULL_TABLE"


def in_the_metadata(entry: Entry) -> None:
    root_of(entry)["replication-method"] = "FULL_TABLE"


@pytest.mark.parametrize("edit", [in_the_entry, in_the_metadata])
def test_full_table_reads_all_whatever_the_state_says(
    run_tap: RunTap, edit: t.Callable[[Entry], None]
) -> None:
    service = ODataService(simple("Rows", 10))
    with service.running():
        config = {"url": service.url, "emit_activate_version_messages": True, "time_offset": 0}
        catalog = run_tap(config, "--discover").document
        state = run_tap(config, catalog=catalog).state
        edit(catalog["streams"][0])
        run = run_tap(config, catalog=catalog, state=state)
    assert len(run.records("Rows")) == 10
    types = [message["type"] for message in run.messages]
    assert types[-2:] == ["ACTIVATE_VERSION", "STATE"]


def test_a_method_that_the_tap_does_not_have_is_warned_of_and_the_bookmark_still_moves(
    run_tap: RunTap,
) -> None:
    service = ODataService(simple("Rows", 10))
    with service.running():
        config = {"url": service.url, "time_offset": 0}
        catalog = run_tap(config, "--discover").document
        catalog["streams"][0]["replication_method"] = "LOG_BASED"
        run = run_tap(config, catalog=catalog)
    assert "LOG_BASED" in next(line for line in run.errors.splitlines() if "WARNING" in line)
    assert run.state["bookmarks"]["Rows"]["replication_key_value"][:19] == stamp(9)[:19]


def test_what_a_catalog_leaves_unsaid_is_as_discovered(run_tap: RunTap) -> None:
    service = ODataService(simple("Rows", 10), simple("Others", 3))
    with service.running():
        config = {"url": service.url}
        discovered = run_tap(config)
        bare = {"streams": [{"stream": "Rows"}, {"tap_stream_id": "Others", "selected": False}]}
        run = run_tap(config, catalog=bare)
    schema = next(m for m in discovered.messages if m.get("stream") == "Rows")
    assert [m for m in run.messages if m["type"] == "SCHEMA"] == [schema]
    assert len(run.records("Rows")) == 10
    assert "replication_key_value" in run.state["bookmarks"]["Rows"]


def test_the_key_may_be_given_in_the_metadata_alone(run_tap: RunTap) -> None:
    service = ODataService(simple("Rows", 2))
    with service.running():
        config = {"url": service.url}
        catalog = run_tap(config, "--discover").document
        del catalog["streams"][0]["key_properties"]
        root_of(catalog["streams"][0])["table-key-properties"] = ["LastModified"]
        run = run_tap(config, catalog=catalog)
    schema = next(message for message in run.messages if message["type"] == "SCHEMA")
    assert schema["key_properties"] == ["LastModified"]


@pytest.mark.parametrize(
    "state", [{"bookmarks": None}, {"bookmarks": {"Rows": "2024-01-31"}}, {"bookmarks": []}]
)
def test_a_state_that_is_none_is_refused_in_one_line(run_tap: RunTap, state: t.Any) -> None:
    service = ODataService(simple("Rows", 2))
    with service.running():
        run = run_tap({"url": service.url}, state=state, check=False)
    assert run.exit_code == 2
    assert not run.messages
    assert "Traceback" not in run.errors
    assert "the state file" in run.errors
