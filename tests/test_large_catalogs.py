"""Catalogs with thousands of streams: only what is selected is built, and nothing else changes."""

from __future__ import annotations

import gc
import json
import typing as t

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk import Tap

from tap_acumatica.catalog import (
    catalog_text,
    collector_paused,
    selected_entries,
    with_sources,
)
from tap_acumatica.records.schema import restore_facets
from tap_acumatica.tap import TapAcumatica
from tests.sandbox_site import settings

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSandbox, RunTap


def _as_the_sdk_makes_it(tap: TapAcumatica) -> dict[str, t.Any]:
    catalog: dict[str, t.Any] = Tap.catalog_dict.fget(tap)  # type: ignore[attr-defined]
    for entry in catalog["streams"]:
        restore_facets(entry["schema"], tap.streams[entry["tap_stream_id"]].schema)
    return with_sources(catalog, tap.definitions)


def _plain(catalog: dict[str, t.Any]) -> t.Any:
    return json.loads(json.dumps(catalog))


@pytest.mark.parametrize(
    "others",
    [
        {"interface": "dac"},
        {"interface": "dac", "tracking_type": "none", "tenants": ["Company", "Calipso LLC"]},
        {"interface": "gi"},
        {"interface": "dac", "expand": {"SOOrder": ["SOLineCollection", "BranchByBranchID"]}},
    ],
)
def test_the_catalog_is_the_one_that_the_sdk_makes(
    sandbox: MakeSandbox, others: dict[str, t.Any]
) -> None:
    tap = TapAcumatica(config=settings(sandbox(rows=20), **others), setup_mapper=False)
    try:
        fast = tap.catalog_dict
        assert tap._streams is None
        assert _plain(fast) == _plain(_as_the_sdk_makes_it(tap))
        assert json.loads(catalog_text(fast)) == _plain(fast)
        assert len(fast["streams"]) > 5
    finally:
        tap.close()


SELECTED = st.sampled_from([{}, {"selected": True}, {"selected": False}, {"selected": None}])
METADATA = st.lists(
    st.builds(
        lambda breadcrumb, metadata: {"breadcrumb": breadcrumb, "metadata": metadata},
        st.sampled_from([[], ["properties", "A"]]),
        SELECTED,
    ),
    max_size=3,
)
ENTRIES = st.lists(
    st.builds(
        lambda number, selected, metadata: {
            "tap_stream_id": f"s{number}",
            **selected,
            **({} if metadata is None else {"metadata": metadata}),
        },
        st.integers(0, 5),
        SELECTED,
        st.one_of(st.none(), METADATA),
    ),
    max_size=6,
)


def _deselected(entry: dict[str, t.Any]) -> bool:
    for item in entry.get("metadata") or ():
        if not item.get("breadcrumb"):
            return item.get("metadata", {}).get("selected", entry.get("selected")) is False
    return entry.get("selected") is False


@given(entries=ENTRIES)
def test_of_an_input_catalog_only_what_it_selects_is_kept(entries: list[dict[str, t.Any]]) -> None:
    text = json.dumps({"streams": entries, "other": 1})
    kept = [entry for entry in entries if not _deselected(entry)]
    assert selected_entries(text) == {"streams": kept}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"streams": {}}', '{"streams": [1]}', "nothing"])
def test_what_is_no_catalog_is_said_so(run_tap: RunTap, text: str, tmp_path: Path) -> None:
    with pytest.raises(msgspec.DecodeError):
        selected_entries(text)
    path = tmp_path / "some.json"
    path.write_text(text)
    run = run_tap({"url": "http://127.0.0.1:9"}, "--catalog", str(path), check=False)
    assert run.exit_code == 2
    assert "the catalog file" in run.errors
    assert "Traceback" not in run.errors


@pytest.mark.parametrize(("minutes", "requests"), [(0, 1), (15, 0)])
def test_a_sync_asks_for_the_metadata_once_and_reads_the_types_it_needs(
    sandbox: MakeSandbox, minutes: int, requests: int
) -> None:
    site = sandbox(rows=20)
    config = settings(site, metadata_cache_minutes=minutes)
    whole = TapAcumatica(config=config, setup_mapper=False)
    catalog = _plain(whole.catalog_dict)
    whole.close()
    chosen = [e for e in catalog["streams"] if e["tap_stream_id"] in {"SOOrder", "Customer"}]
    site.reset_log()
    tap = TapAcumatica(config=config, catalog={"streams": chosen})
    try:
        assert list(tap.streams) == ["Customer", "SOOrder"]
        model = tap.run.site.connections["Company"].model()
        names = {name.rpartition(".")[2] for name in model.types}
        assert names == {"SOOrder", "Customer", "BAccount"}
        assert sum("$metadata" in record.path for record in site.requests) == requests
    finally:
        tap.close()


def test_the_collector_is_as_it_was_after_a_pause() -> None:
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
