"""Metadata documents that outlive a process: discovery's, for the sync that follows it.

The document of a complete Acumatica has 20 MB and takes a site long, and ``meltano run`` needs it
in two processes, one after the other. A copy is kept per address and user, readable by this user of
the machine alone, and is good for minutes only: what changes on the site is seen soon.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import tempfile
import time
import typing as t
from pathlib import Path

import msgspec

logger = logging.getLogger(__name__)

FOLDER = "tap-acumatica"
_PRIVATE_FOLDER = 0o700
_FORM = 1
_MOST_HEAD = 10_000


class _Head(msgspec.Struct):
    """The first line of a kept document; the document follows it.

    Attributes:
        key: What it is the metadata of.
        fetched: When it was fetched, in seconds since the epoch.
        digest: SHA-256 of the document.
        version: OData version that the answer named, None where it named none.
        form: Version of this form.
    """

    key: str
    fetched: float
    digest: str
    version: str | None = None
    form: int = 0


_HEAD = msgspec.json.Decoder(_Head)


class Metadata(t.NamedTuple):
    """A metadata document as it was received.

    Attributes:
        document: The CSDL document.
        version: OData version that the answer named, None where it named none.
    """

    document: bytes
    version: str | None


class MetadataCache:
    """Keeps metadata documents in a folder, one file per service and user.

    >>> MetadataCache(Path("not/there"), seconds=900).find("any") is None
    True
    """

    def __init__(self, folder: Path, *, seconds: float) -> None:
        """Prepare; nothing is read yet.

        Args:
            folder: Where to keep them; made when the first one is kept.
            seconds: How long one may be used.
        """
        self._folder = folder
        self._seconds = seconds

    def find(self, key: str) -> Metadata | None:
        """The document kept under a key, None where there is none that may be used.

        Args:
            key: Names the service and the user.
        """
        path = self._path(key)
        try:
            if path.exists() and not path.is_file():
                _refuse_file()
            line, _, document = path.read_bytes().partition(b"\n")
            head = _HEAD.decode(line[:_MOST_HEAD])
        except FileNotFoundError:
            return None
        except OSError as error:
            _warn(path, error.strerror or type(error).__name__)
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            _warn(path, "it has another form")
            return None
        age = time.time() - head.fetched
        if head.form != _FORM or head.key != key or not 0 <= age <= self._seconds:
            return None
        if hashlib.sha256(document).hexdigest() != head.digest:
            _warn(path, "it is damaged")
            return None
        return Metadata(document, head.version)

    def keep(self, key: str, metadata: Metadata) -> None:
        """Keep a document that was just fetched; where that fails, the next process fetches it.

        Args:
            key: Names the service and the user.
            metadata: The document.
        """
        digest = hashlib.sha256(metadata.document).hexdigest()
        head = _Head(key, time.time(), digest, metadata.version, _FORM)
        path = self._path(key)
        try:
            self._folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            self._write(path, msgspec.json.encode(head) + b"\n" + metadata.document)
        except OSError as error:
            _warn(path, error.strerror or type(error).__name__)

    def _write(self, path: Path, content: bytes) -> None:
        """Put a whole file in the place of the old one, readable by this user alone."""
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=f".{path.stem}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.metadata"


def _refuse_file() -> t.NoReturn:
    raise OSError(errno.EINVAL, "it is not a file")


def default_folder(environment: t.Mapping[str, str]) -> Path | None:
    """Where documents are kept: the user's folder for caches; None where there is none.

    Args:
        environment: The environment's variables.
    """
    given = environment.get("XDG_CACHE_HOME") or environment.get("LOCALAPPDATA")
    if given and Path(given).is_absolute():
        return Path(given) / FOLDER
    try:
        return Path.home() / ".cache" / FOLDER
    except RuntimeError:  # neither HOME nor an entry for this user
        return None


def _warn(path: Path, why: str) -> None:
    logger.warning("The cached metadata %s is not used: %s.", path, why)
