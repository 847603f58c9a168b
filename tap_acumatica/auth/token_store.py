"""Tokens, and the file in which they outlive a run.

Acumatica's refresh tokens rotate: each is good for one use, and whoever loses its successor, or
uses it twice, has lost the consent. So the file is read again under a lock before a refresh, and
the successor is on the disk before anything else is done with the answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import msgspec

from tap_acumatica.errors import TokenFileError

if t.TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

_LOCK_SECONDS = 300.0
_EARLY_SECONDS = 60.0
_EARLY_SHARE = 0.2
_SKEW_SECONDS = 60.0
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700
_RESERVED_BYTES = 16 * 1024
FOLDER = ".tap-acumatica"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens from one token request.

    Attributes:
        access: Opens the service.
        refresh: Good for one refresh, None where there is none.
        issued: Seconds since the epoch, by this machine's clock, when it was asked for.
        seconds: How long ``access`` is good for, None if unknown.
    """

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    issued: float = 0.0
    seconds: float | None = None

    def fresh(self, now: float) -> bool:
        """Whether ``access`` is valid, and some way from its end."""
        early = min(_EARLY_SECONDS, _EARLY_SHARE * (self.seconds or 0))
        return self.valid(now) and self.valid(now + early)

    def valid(self, now: float) -> bool:
        """Whether ``access`` has not expired yet, and is not from the future.

        Only differences of one clock count, so that it does not matter whether it is right.
        """
        if self.seconds is None:
            return True
        return self.issued - _SKEW_SECONDS <= now < self.issued + self.seconds


class _Consent(msgspec.Struct, omit_defaults=True):
    """A consent as the file keeps it: its newest tokens."""

    access_token: str
    refresh_token: str | None = None
    issued: float = 0.0
    seconds: float | None = None

    def tokens(self) -> Tokens:
        return Tokens(self.access_token, self.refresh_token, self.issued, self.seconds)


class _Book(msgspec.Struct):
    """The whole file; ``chains`` by application, then by digest of the configured token."""

    version: int = 1
    consents: dict[str, dict[str, _Consent]] = msgspec.field(default_factory=dict, name="chains")


class StoredConsents:
    """One application's consents in the file, while it is locked."""

    def __init__(
        self, store: TokenStore, book: _Book, application: str, configured_token: str | None
    ) -> None:
        """Open them.

        Args:
            store: Where they are kept.
            book: What is in it.
            application: Which application and site they are of.
            configured_token: The refresh token from the settings. A new one means that somebody
                has signed in again, and starts a chain of its own; None continues the newest chain.
        """
        self._store = store
        self._book = book
        self._application = application
        self._configured_token = configured_token

    def newest(self) -> Tokens | None:
        """The newest tokens of the consent, None where none are kept."""
        if unwritten := self._store.unwritten.get(self._place):
            return unwritten
        held = self._book.consents.get(self._application, {})
        consent = held.get(_digest(self._configured_token))
        if self._configured_token is None:
            consent = max(held.values(), key=lambda one: one.issued, default=None)
        return consent.tokens() if consent else None

    def check_writable(self) -> None:
        """Make sure that the file can be written before a token is used up, and keep room for that.

        Raises:
            TokenFileError: If it cannot. Where the only copy of a token is in memory already, there
                is nothing more to lose.
        """
        if self._place not in self._store.unwritten:
            self._store.reserve(self._book)

    def save(self, tokens: Tokens) -> None:
        """Write tokens to the disk.

        Raises:
            TokenFileError: If they cannot be written.
        """
        held = self._book.consents.setdefault(self._application, {})
        held[_digest(self._configured_token)] = _Consent(
            tokens.access, tokens.refresh, tokens.issued, tokens.seconds
        )
        self._store.write(self._book)
        self._store.unwritten.pop(self._place, None)

    def keep(self, tokens: Tokens) -> None:
        """Keep tokens that could not be written, to be written later; see :meth:`TokenStore.close`.

        Args:
            tokens: The only copy of them.
        """
        self._store.unwritten[self._place] = tokens

    @property
    def _place(self) -> tuple[str, str | None]:
        return self._application, self._configured_token


class TokenStore:
    """The token file, shared by all tenants, threads and processes.

    Attributes:
        unwritten: Tokens that are in memory only, by application and configured token.
    """

    def __init__(self, path: Path | None) -> None:
        """Name the file; nothing is opened yet.

        Args:
            path: Where it is; None where there is no place for it, which only matters to those who
                need the file.

        Raises:
            RuntimeError: If it begins with a home directory that cannot be determined.
        """
        self._path = path.expanduser().resolve() if path else None
        self._reserved = False
        self.unwritten: dict[tuple[str, str | None], Tokens] = {}

    @property
    def path(self) -> Path:
        """Where the file is.

        Raises:
            TokenFileError: If there is no place for it.
        """
        if self._path is None:
            msg = (
                "there is no home directory to keep the tokens in; set 'token_file' to a path that "
                "this user can write to"
            )
            raise TokenFileError(msg)
        return self._path

    def close(self) -> None:
        """Write what could not be written before; never raises.

        What cannot be written now either is lost with the process, and that is said.
        """
        for place in list(self.unwritten):
            self._write_late(place)

    def _write_late(self, place: tuple[str, str | None]) -> None:
        tokens = self.unwritten[place]
        try:
            with self.locked(*place) as consents:
                consents.save(tokens)
        except TokenFileError as error:
            del self.unwritten[place]
            logger.error(  # noqa: TRY400  the traceback would say nothing more
                "The refresh token of %s could not be written and is lost (%s). The next run needs "
                "a new sign-in with tap-acumatica-login.",
                place[0].partition(" ")[0],
                error,
            )

    @contextlib.contextmanager
    def locked(self, application: str, configured_token: str | None) -> Iterator[StoredConsents]:
        """Lock the file against all other threads and processes.

        Args:
            application: See :class:`StoredConsents`.
            configured_token: See :class:`StoredConsents`.

        Raises:
            TokenFileError: If it cannot be read or locked.
        """
        lock = filelock.FileLock(
            self.path.with_name(f"{self.path.name}.lock"),
            timeout=_LOCK_SECONDS,
            mode=_PRIVATE_FILE,
        )
        try:
            self._make_folder()
            lock.acquire()
        except filelock.Timeout:
            msg = (
                f"{self._name} is locked by another run; stop that run, or set another 'token_file'"
            )
            raise TokenFileError(msg) from None
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield StoredConsents(self, self._read(), application, configured_token)
        finally:
            if self._reserved:
                self._reserved = False
                self._draft.unlink(missing_ok=True)
            lock.release()

    def _read(self) -> _Book:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return _Book()
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            return msgspec.json.decode(text, type=_Book)
        except (msgspec.DecodeError, UnicodeDecodeError):
            msg = (
                f"{self._name} is damaged; delete it and sign in again with tap-acumatica-login, "
                "or set another 'token_file'"
            )
            raise TokenFileError(msg) from None

    def write(self, book: _Book) -> None:
        """Replace the file, at once and for good; only its owner may read it.

        Raises:
            TokenFileError: If it cannot be written.
        """
        content = msgspec.json.format(msgspec.json.encode(book)) + b"\n"
        try:
            self._write_draft(content)
            self._draft.replace(self.path)
            self._reserved = False
            self._sync_folder()
        except OSError as error:
            raise self._unwritable(error) from error

    def reserve(self, book: _Book) -> None:
        """Take the room that the next :meth:`write` needs: the disk may be full by then.

        Args:
            book: What is in the file now.

        Raises:
            TokenFileError: If there is not so much room.
        """
        try:
            self._write_draft(b" " * (len(msgspec.json.encode(book)) * 2 + _RESERVED_BYTES))
        except OSError as error:
            raise self._unwritable(error) from error
        self._reserved = True

    @property
    def _draft(self) -> Path:
        return self.path.with_name(f"{self.path.name}.{os.getpid()}.new")

    def _write_draft(self, content: bytes) -> None:
        if not self._reserved:
            self._draft.unlink(missing_ok=True)
        new = 0 if self._reserved else os.O_CREAT | os.O_EXCL
        handle = os.open(self._draft, os.O_WRONLY | new, _PRIVATE_FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

    def _make_folder(self) -> None:
        folder = self.path.parent
        if folder.name == FOLDER and not folder.exists():
            folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)

    def _sync_folder(self) -> None:
        """Make the renaming durable; Windows cannot, and need not."""
        if os.name != "posix":
            return
        handle = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    @property
    def _name(self) -> str:
        return f"the token file {self.path}"

    def _unwritable(self, error: OSError) -> TokenFileError:
        what = f"{self._name} cannot be read or written ({error.strerror})"
        return TokenFileError(f"{what}; set 'token_file' to a path that this user can write to")


def default_path(environment: t.Mapping[str, str]) -> Path:
    """Where tokens are kept if no setting says so: beside the Meltano project, else at home.

    Args:
        environment: The environment's variables.

    Raises:
        RuntimeError: If there is no home directory.
    """
    project = environment.get("MELTANO_PROJECT_ROOT")
    return (Path(project) if project else Path.home()) / FOLDER / "tokens.json"


def _digest(configured_token: str | None) -> str:
    return hashlib.sha256(configured_token.encode()).hexdigest() if configured_token else ""
