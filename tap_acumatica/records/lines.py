"""Encodes Singer messages, a page at a time."""

from __future__ import annotations

import typing as t

import msgspec

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable


TOGETHER = 250
"""Rows of one call into C: while it runs, no other thread can send the next request."""


class RecordLines:
    """Encodes the records of one stream, a page at a time."""

    def __init__(self, stream: str, *, version: int | None = None) -> None:
        """Compile the message type.

        Args:
            stream: Name of the stream.
            version: Table version, for streams that end with an ACTIVATE_VERSION message.
        """
        fields: list[tuple[str, t.Any] | tuple[str, t.Any, t.Any]] = [
            ("record", t.Any),
            ("time_extracted", str),
            ("stream", str, stream),
        ]
        if version is not None:
            fields.append(("version", int, version))
        self._message: Callable[[t.Any, str], t.Any] = msgspec.defstruct(
            "RecordMessage", fields, tag_field="type", tag="RECORD", gc=False
        )
        # What a stream map may give beside JSON, such as a timedelta, becomes text.
        self._encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)

    def encode(self, rows: Iterable[t.Any], *, time_extracted: str) -> bytes:
        """Encode RECORD messages, one line each.

        Args:
            rows: The records: compiled rows or dicts.
            time_extracted: When they were read, in ISO 8601.
        """
        message = self._message
        return self._encode([message(row, time_extracted) for row in rows])

    def json_lines(self, rows: Iterable[t.Any]) -> bytes:
        """Encode only the records, one line each, as in BATCH files."""
        return self._encode(list(rows))

    def _encode(self, items: list[t.Any]) -> bytes:
        starts = range(0, len(items), TOGETHER)
        encode = self._encoder.encode_lines
        return b"".join(encode(items[start : start + TOGETHER]) for start in starts)
