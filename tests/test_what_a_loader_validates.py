"""A loader's own validation accepts everything that the tap emits, so it may be turned off.

The loader here is the SDK's: its target and its sink, with the validator that they use unless
``validate_records`` is false, and once more with the formats of texts, which they do not check.
"""

from __future__ import annotations

import io
import json
import typing as t

import pytest
from singer_sdk import Target
from singer_sdk.exceptions import InvalidRecord, MissingKeyPropertiesError
from singer_sdk.sinks import BatchSink
from singer_sdk.testing import target_sync_test
from typing_extensions import override

from benchmarks.metadata import full_metadata
from tap_acumatica.odata.csdl import parse_metadata
from tap_acumatica.records.codec import RowCodec
from tap_acumatica.records.compiled import CompiledCodec
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.schema import record_shape
from tests.every_type import NAME, VALUES, rows, service
from tests.sandbox_site import OTHER, TENANT, settings

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_acumatica.odata.model import Model, Property
    from tests.conftest import MakeSandbox, RunTap

ROWS = 3


class Sink(BatchSink):
    """Keeps nothing."""

    @override
    def process_batch(self, context: dict[str, t.Any]) -> None:
        """Load nothing."""


class StrictSink(Sink):
    """As ``Sink``, and checks the formats of texts."""

    validate_field_string_format = True


class Loader(Target):
    """Validates as it does by default."""

    name = "loader"
    config_jsonschema: t.ClassVar[dict[str, t.Any]] = {"properties": {}}
    default_sink_class = Sink


class StrictLoader(Loader):
    """Validates formats as well."""

    default_sink_class = StrictSink


def assert_accepted(output: str, *loaders: type[Loader]) -> None:
    """Nothing in the output of a tap is refused."""
    for loader in loaders or (Loader, StrictLoader):
        target_sync_test(loader(config={"add_record_metadata": True}), io.StringIO(output))


def records(output: str) -> int:
    return sum('"type":"RECORD"' in line[:40] for line in output.splitlines())


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"convert_to_utc": False, "time_zone": "Asia/Kathmandu"},
        {"trim_strings": True, "use_select": False},
        {"page_size": 7, "batch_size": 5, "on_value_error": "null"},
        {"flattening_enabled": True, "flattening_max_depth": 3},
        {"stream_maps": {NAME: {"Text": "str(Edm_Decimal)", "Edm_Int32": "__NULL__"}}},
        {"keys": {NAME: ["Edm_Guid", "Edm_Date", "Id"]}},
        {"emit_activate_version_messages": True, "tracking_type": "none"},
    ],
    ids=lambda config: ",".join(config) or "defaults",
)
def test_values_of_every_type_are_accepted(run_tap: RunTap, config: dict[str, t.Any]) -> None:
    offered = service()
    with offered.running():
        run = run_tap({"url": offered.url, **config})

    assert records(run.output) == len(rows())
    assert_accepted(run.output)


@pytest.mark.parametrize("interface", ["dac", "gi", "dac-legacy", "gi-legacy"])
def test_the_whole_sandbox_is_accepted(
    sandbox: MakeSandbox, run_tap: RunTap, interface: str
) -> None:
    site = sandbox(rows=30)
    tenants = [TENANT, OTHER]
    config = settings(site, interface=interface, tenants=tenants, deleted_records="soft")
    run = run_tap({**config, "archived_records": True})

    assert records(run.output) > 100
    assert_accepted(run.output)


@pytest.mark.slow
def test_rows_of_all_data_access_classes_are_accepted() -> None:
    model = parse_metadata(full_metadata()[0])
    names = dict.fromkeys(entity_set.type for entity_set in model.sets.values())
    assert len(names) > 1500
    lines = [line for name in names for line in messages_of(model, name)]
    assert len(lines) >= (1 + ROWS) * len(names)
    assert_accepted("".join(lines), StrictLoader)


def messages_of(model: Model, name: str) -> Iterator[str]:
    """SCHEMA and RECORD messages of an entity type, whose columns hold values at limits."""
    shape = record_shape(model, name)
    exact = RowCodec(model, shape.properties, key=shape.key)
    codec = CompiledCodec(exact, list(shape.schema["properties"]), shape.properties, key=shape.key)
    schema = {"type": "SCHEMA", "stream": name, "schema": shape.schema}
    yield f"{json.dumps({**schema, 'key_properties': shape.key_properties})}\n"
    sent = [
        ",".join(
            f"{json.dumps(n)}:{raw(model, prop, number, in_key=n in shape.key)}"
            for n, prop in shape.properties.items()
        )
        for number in range(ROWS)
    ]
    page = codec.decode(f'{{"value":[{",".join(f"{{{row}}}" for row in sent)}]}}'.encode())
    encoded = RecordLines(name).encode(page.rows, time_extracted="2026-01-01T00:00:00Z")
    yield from encoded.decode().splitlines(keepends=True)


def raw(model: Model, prop: Property, number: int, *, in_key: bool) -> str:
    """What a service sends for a property: another limit in each row; null in the last one."""
    if number == ROWS - 1 and not in_key:
        return "null"
    kind = "Field.Colour" if model.is_enum(prop.type) else prop.type
    values = VALUES["Edm.String"][4:9] if kind == "Edm.String" else VALUES[kind]
    value = values[number % len(values)] if number else values[-1 if in_key else 0]
    return f"[{value}]" if prop.collection else value


def test_the_validation_is_a_real_one() -> None:
    schema = {"properties": {"A": {"type": ["integer"], "maximum": 5}, "K": {"type": ["string"]}}}
    head = {"type": "SCHEMA", "stream": "S", "schema": schema, "key_properties": ["K"]}

    def output(record: dict[str, t.Any]) -> str:
        message = {"type": "RECORD", "stream": "S", "record": record}
        return f"{json.dumps(head)}\n{json.dumps(message)}\n"

    assert_accepted(output({"A": 5, "K": "k"}))
    for record in ({"A": 6, "K": "k"}, {"A": "5", "K": "k"}, {"A": None, "K": "k"}):
        with pytest.raises(InvalidRecord):
            assert_accepted(output(record))
    with pytest.raises(MissingKeyPropertiesError):
        assert_accepted(output({"A": 5}))
