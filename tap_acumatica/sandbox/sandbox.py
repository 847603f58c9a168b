"""The sandbox, as tests and the command start it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from . import changes, model
from .clock import Clock
from .habits import Habits
from .identity import Client, Identity
from .server import Server
from .service import Service
from .sessions import Sessions
from .site import Site
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from types import TracebackType

    from typing_extensions import Self

    from .exchange import Spoil
    from .rate_limits import RateLimits
    from .request_log import LoggedRequest
    from .sessions import Session

TENANTS = ("Company", "Calipso LLC")
CLIENT = "9986313F-C5E6-161F-ED75-346CBBCB948F"


class Sandbox:
    """An Acumatica-shaped site, served by a thread of this process.

    Args:
        rows: Number of rows in the first tenant's largest tables; the second tenant has half.
        seed: The same seed creates the same rows on the same day.
        habits: Switches for the site's behavior; can be changed while it runs.
        prefix: Path of the site, such as `/AcumaticaERP`.
        users: Passwords by user, the same in each tenant.
        tenant_users: Users and passwords by tenant, in place of `users`.
        clients: Connected applications; by default a public one per tenant.
        clock_offset: Seconds by which the server's clock is ahead.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free port.
        database: SQLite file for the rows; in memory if None.
        until: Latest modification time of a generated row; by default three days before today.
        change_every: Number of data requests after which a few rows change; 0 for never.
        spoil: Called with each request and the right reply, which it may change; see `faults`.

    Raises:
        OSError: if it cannot listen on the port.
        ValueError: if the database belongs to other tenants.
    """

    def __init__(  # noqa: PLR0913 - each is an independent setting
        self,
        rows: int = 200,
        seed: int = 1,
        habits: Habits | None = None,
        *,
        prefix: str = "",
        users: Mapping[str, str] | None = None,
        tenant_users: Mapping[str, Mapping[str, str]] | None = None,
        clients: Sequence[Client] | None = None,
        clock_offset: timedelta | float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        database: str | None = None,
        until: datetime | None = None,
        change_every: int = 0,
        spoil: Spoil | None = None,
    ) -> None:
        self.habits = habits or Habits()
        self.habits.change_every = change_every or self.habits.change_every
        self.clock = Clock(clock_offset)
        first = model.load()
        tenants = dict(zip(TENANTS, (first, model.second_tenant(first)), strict=True))
        everyone = users if users is not None else {"admin": "secret"}
        accounts = {tenant: (tenant_users or {}).get(tenant, everyone) for tenant in tenants}
        self._callbacks: list[Callable[[LoggedRequest], None]] = []
        self._store = Store(
            tenants, rows=rows, seed=seed, clock=self.clock, database=database, until=until
        )
        self._store.commit_delay = lambda: self.habits.commit_delay
        self._sessions = Sessions(accounts, self.habits)
        if clients is None:
            clients = [Client(f"{CLIENT}@{tenant}") for tenant in tenants]
        by_id = {client.id: client for client in clients}
        self.identity = Identity(by_id, self.habits, self.clock, self._sessions.verify)
        self._sessions.tokens = self.identity
        service = Service(self._store, self.habits, self._call_back)
        self._site = Site(
            self._store,
            self._sessions,
            self.identity,
            service,
            self.habits,
            self.clock,
            prefix="/" + prefix.strip("/") if prefix.strip("/") else "",
            spoil=spoil,
        )
        self._server = Server((host, port), self._site)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None and self._site.crashes:
            raise self._site.crashes[0]

    def start(self) -> None:
        """Start to serve requests."""
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.005},
            name="sandbox",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Close all connections, end all threads and close the database."""
        self._server.stop()
        if self._thread is not None:
            self._thread.join()
        self._store.close()

    @property
    def port(self) -> int:
        """The port that the sandbox listens on."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The site's URL, for the tap's setting `url`."""
        host = self._server.server_address[0]
        return f"http://{host!s}:{self.port}{self._site.prefix}"

    @property
    def tenants(self) -> list[str]:
        """The login names of the tenants."""
        return list(self._store.tenants)

    @property
    def requests(self) -> list[LoggedRequest]:
        """The requests since the start or the last `reset_log`, oldest first."""
        return list(self._site.log)

    @property
    def sessions_opened(self) -> int:
        """Number of license seats taken since the start or the last `reset_log`."""
        return self._sessions.opened

    @property
    def sessions_closed(self) -> int:
        """Number of license seats released since the start or the last `reset_log`."""
        return self._sessions.closed

    @property
    def most_sessions_open(self) -> int:
        """The most sessions that were open at the same time."""
        return self._sessions.most_open

    @property
    def most_concurrent_requests(self) -> int:
        """The most concurrent requests of one session."""
        return self._sessions.most_concurrent

    @property
    def open_sessions(self) -> list[Session]:
        """The open sessions, each of which holds a seat."""
        return self._sessions.open

    @property
    def rate_limits(self) -> RateLimits:
        """The license's limits, with counts of delayed and refused requests."""
        return self._site.rate_limits

    @property
    def spoil(self) -> Spoil | None:
        """The hook that may change replies."""
        return self._site.spoil

    @spoil.setter
    def spoil(self, spoil: Spoil | None) -> None:
        self._site.spoil = spoil

    def end_sessions(self) -> None:
        """End all sessions, like a restart of the site."""
        self._sessions.end_all()

    def reset_log(self) -> None:
        """Clear requests and counts; keep rows and sessions."""
        self._site.log.clear()
        self._site.service.forget_counts()
        self._sessions.opened = self._sessions.closed = 0
        self.identity.token_requests = self.identity.refreshes = self.identity.reused = 0

    def on_request(self, callback: Callable[[LoggedRequest], None]) -> None:
        """Register a function to be called before the rows of each data request are read."""
        self._callbacks.append(callback)

    def now(self) -> datetime:
        """Return the server's time."""
        return self.clock.now()

    def rows(self, tenant: str, entity: str) -> list[dict[str, Any]]:
        """Return all rows of a class, including hidden columns.

        Decimals are `Decimal`, date-times are aware `datetime`; GUIDs and binaries are text.
        """
        return self._store.rows(tenant, self._model(tenant).find(entity))

    def update(self, tenant: str, entity: str, key: Mapping[str, Any], **values: Any) -> None:
        """Change a row, and set `LastModifiedDateTime` to now unless it is given."""
        changes.update(self._store, tenant, self._model(tenant).find(entity), key, **values)

    def insert(self, tenant: str, entity: str, **values: Any) -> None:
        """Add a row; `values` must include the key."""
        changes.insert(self._store, tenant, self._model(tenant).find(entity), **values)

    def delete(self, tenant: str, entity: str, key: Mapping[str, Any]) -> None:
        """Remove a row from its table."""
        changes.delete(self._store, tenant, self._model(tenant).find(entity), key)

    def touch_random(self, tenant: str, n: int) -> list[tuple[str, dict[str, Any]]]:
        """Set the modification time of `n` random rows to now; return entity sets and keys."""
        return changes.touch_random(self._store, tenant, n)

    def change_some(self, tenant: str, n: int) -> dict[str, dict[str, int]]:
        """Change, add and delete `n` random rows; return how many of each by entity set."""
        return changes.change_some(self._store, tenant, n)

    def _model(self, tenant: str) -> model.Model:
        return self._store.tenants[tenant]

    def _call_back(self, request: LoggedRequest) -> None:
        for callback in self._callbacks:
            callback(request)
