"""Builds records from rows: what the tap emits from what it has read."""

from __future__ import annotations

import hashlib
import typing as t

import msgspec

from tap_acumatica.errors import ValueMismatchError
from tap_acumatica.records.codec import as_received
from tap_acumatica.records.schema import KEY_COLUMN, ROW_KEY, TENANT_COLUMN
from tap_acumatica.records.second_reading import json_type

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tap_acumatica.records.conversions import Convert

Row = dict[str, t.Any]


class RecordMaker:
    """Builds records from rows: selected columns, added columns, the catalog's types."""

    def __init__(  # noqa: PLR0913  all of them decide what a record is
        self,
        columns: Iterable[str],
        *,
        key: Sequence[str] = (),
        tenant: str | None = None,
        trim: bool = False,
        overrides: Mapping[str, Convert] | None = None,
        origins: Mapping[str, str] | None = None,
        received: Collection[str] = (),
    ) -> None:
        """Configure the records.

        Args:
            columns: Names of the columns to emit, with ``_tenant`` and ``_key`` if selected.
            key: Entity key, hashed into ``_key``.
            tenant: Login name for ``_tenant``.
            trim: Whether to remove trailing spaces from strings.
            overrides: Conversions to the types in the catalog; see ``catalog_types.py``.
            origins: What a column is called in rows, where that differs from its name or the
                service has a property with a name of the tap's own.
            received: What rows call those that are emitted as they came; see ``codec.py``.
        """
        wanted, origins = dict.fromkeys(columns), origins or {}
        own = {TENANT_COLUMN, KEY_COLUMN} - origins.keys()
        self._tenant = tenant if TENANT_COLUMN in own & wanted.keys() else None
        self._hash = KEY_COLUMN in own & wanted.keys()
        self._row_key = ROW_KEY if KEY_COLUMN in origins.values() else KEY_COLUMN
        self._key = tuple(key)
        named = {name: as_received(name) for name in received}
        rows_call = {name: origins.get(name, name) for name in wanted if name not in own}
        self._columns = tuple((name, named.get(o, o)) for name, o in rows_call.items())
        self._trim = trim
        self._overrides = dict(overrides or {})

    def record(self, row: Row) -> Row:
        """Build the record of a row, without changing the row.

        Raises:
            ValueMismatchError: If a value cannot be converted to its type in the catalog.
        """
        record: Row = {}
        if self._tenant is not None:
            record[TENANT_COLUMN] = self._tenant
        if self._hash:
            record[KEY_COLUMN] = row.get(self._row_key) or hashed_key(row, self._key)
        for name, origin in self._columns:
            if origin in row:
                record[name] = row[origin]
        if self._trim:
            for name, value in record.items():
                if isinstance(value, str):
                    record[name] = value.rstrip(" ")
        for name, convert in self._overrides.items():
            if record.get(name) is not None:
                record[name] = _convert_to_catalog_type(name, record[name], convert)
        return record


def _convert_to_catalog_type(name: str, value: t.Any, convert: Convert) -> t.Any:
    try:
        return convert(value)
    except ValueMismatchError as error:
        msg = f"the value of {name} (a {json_type(value)}) {error}, as the catalog says"
        raise ValueMismatchError(msg) from error


def hashed_key(row: t.Any, key: Sequence[str]) -> str:
    """Hash the key values of a row: 128 bits in hexadecimal.

    In grouped or outer-joined inquiries, all key values may be null; then all values are hashed.
    """
    values = [row[name] for name in key]
    if any(value is not None for value in values):
        hashed: t.Any = values
    else:
        hashed = sorted(item for item in row.items() if not item[0].startswith("@"))
    return hashlib.blake2b(msgspec.json.encode(hashed), digest_size=16).hexdigest()
