"""Where BATCH files go, and what would keep them from being written."""

from __future__ import annotations

import importlib
import importlib.util
import typing as t
from contextlib import contextmanager
from dataclasses import replace

from singer_sdk.helpers._batch import BatchConfig, BatchFileFormat, StorageTarget
from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MORE_PACKAGES = {"s3": "pip install 'tap-acumatica[s3]'", "s3a": "pip install 'tap-acumatica[s3]'"}


class BatchStorage(StorageTarget):
    """The SDK's storage, but a file that cannot be written leaves nothing behind."""

    @contextmanager
    @override
    def _fs(self) -> Iterator[t.Any]:
        root = self._root_path
        root.mkdir(parents=True, exist_ok=True)
        with root.fs.transaction:
            yield root.fs


def batch_config(given: Mapping[str, t.Any]) -> BatchConfig:
    """How BATCH files are written.

    Args:
        given: The setting ``batch_config``.

    Raises:
        TypeError: If it lacks something, or has something unknown.
    """
    found = BatchConfig.from_dict(dict(given))
    storage = found.storage
    encoding = found.encoding
    if encoding.format == BatchFileFormat.JSONL and encoding.compression is None:
        encoding = replace(encoding, compression="gzip")  # loaders take no word for "none"
    return replace(
        found,
        encoding=encoding,
        storage=BatchStorage(storage.root, storage.prefix, storage.params),
    )


def batch_fault(given: t.Any) -> str | None:
    """What is wrong with the setting ``batch_config``, as the predicate of a sentence."""
    if not isinstance(given, dict):
        return "must be an object with 'encoding' and 'storage'"
    for name, member in (("encoding", "format"), ("storage", "root")):
        part = given.get(name)
        if not isinstance(part, dict) or not isinstance(part.get(member), str) or not part[member]:
            return f"must have '{member}' in '{name}'"
    size = given.get("batch_size")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        return f"must have a whole number from 1 on as 'batch_size', not {size!r}"
    try:
        config = batch_config(given)
    except TypeError as error:
        return f"has a wrong form ({error})"
    if config.encoding.format == BatchFileFormat.PARQUET and not _is_installed("pyarrow"):
        return (
            "asks for the format parquet, which needs the package 'pyarrow': "
            "pip install 'tap-acumatica[parquet]', or set the format jsonl"
        )
    return _storage_fault(config.storage.root)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _storage_fault(root: str) -> str | None:
    protocol, separator, _ = root.partition("://")
    if not separator:
        return None
    fsspec: t.Any = importlib.import_module("fsspec")  # the SDK's own, without types
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        remedy = _MORE_PACKAGES.get(protocol, str(error))
        return f"names a storage root of kind '{protocol}', which needs another package: {remedy}"
    except ValueError:
        return f"names a storage root of the unknown kind '{protocol}'"
    return None
