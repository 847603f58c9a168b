"""What the tap needs of the Singer SDK beyond its public names, and the writer of all messages.

This is the only room that imports, calls or overrides private names of the SDK, which
``pyproject.toml`` pins to one minor version. Everything else works with the two base classes here.
"""

from __future__ import annotations

from singer_sdk.helpers._batch import BatchConfig, BatchFileFormat
from singer_sdk.plugin_base import _ConfigInput as ConfigInput

from tap_acumatica.singer.messages import MessageWriter, Terminated
from tap_acumatica.singer.metrics import log_requests
from tap_acumatica.singer.stream import Output, SingerStream
from tap_acumatica.singer.tap import UNFINISHED, SingerTap

__all__ = [
    "UNFINISHED",
    "BatchConfig",
    "BatchFileFormat",
    "ConfigInput",
    "MessageWriter",
    "Output",
    "SingerStream",
    "SingerTap",
    "Terminated",
    "log_requests",
]
