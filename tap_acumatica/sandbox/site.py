"""An address to an answer: what an Acumatica site does before OData begins."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

from . import changes, errors, legacy, replies
from .brakes import Brakes, DeclinedError
from .records import Record, without_secrets
from .sessions import (
    SESSION_COOKIE,
    TICKET_COOKIE,
    SeatsTakenError,
    Session,
    WrongCredentialsError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .clock import Clock
    from .habits import Habits
    from .identity import Identity
    from .replies import Reply
    from .service import Service
    from .sessions import Sessions
    from .store import Store

BUILD = "26.101.0225"
_OLDER = {"odata": ("gi", legacy.VERSION, "odata"), "odatav4": ("dac", "4.0", "odatav4")}
"""Interface, version and address of the two older addresses."""


@dataclass
class Site:
    """A site: one store, its sessions and its log."""

    store: Store
    sessions: Sessions
    identity: Identity
    service: Service
    habits: Habits
    clock: Clock
    prefix: str = ""
    change_every: int = 0
    log: list[Record] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    crashes: list[Exception] = field(default_factory=list)
    _data_requests: int = 0

    def __post_init__(self) -> None:
        """Put the brakes on."""
        self.brakes = Brakes(self.habits, self.stopping.wait)

    def answer(
        self, method: str, target: str, headers: dict[str, str], host: str, body: bytes = b""
    ) -> tuple[Reply, Record]:
        """Answer a request and enter it in the log."""
        path, _, text = target.partition("?")
        record = Record(
            method,
            unquote(path),
            dict(parse_qsl(text, keep_blank_values=True)),
            without_secrets(headers),
        )
        try:
            reply = self._route(record, path, headers, f"http://{host}{self.prefix}", body)
        except WrongCredentialsError:
            reply = replies.text(401, "Unauthorized")
            reply.headers["WWW-Authenticate"] = 'Basic realm="Acumatica"'
        except SeatsTakenError:
            reply = replies.text(self.habits.seats_status, self.habits.seats_text)
        except DeclinedError:
            reply = replies.text(429, "Too Many Requests")
        except errors.NotThereError:
            reply = replies.failure(404, "Not Found")
        except errors.QueryError as error:
            reply = replies.failure(self.habits.dac_error_status, str(error))
        except Exception as error:  # noqa: BLE001 - kept for the test that runs this sandbox
            self.crashes.append(error)
            reply = replies.failure(500, f"{type(error).__name__}: {error}")
        if record.version == legacy.VERSION and reply.message is not None:
            form = legacy.form_of(record, by_accept=self.habits.json_by_accept)
            reply = legacy.failure(reply, form)
        record.status, record.rows = reply.status, reply.rows
        self.log.append(record)
        return reply, record

    def _route(
        self, record: Record, path: str, headers: Mapping[str, str], site: str, body: bytes
    ) -> Reply:
        cookies, authorization = headers.get("cookie", ""), headers.get("authorization", "")
        inside = path.lower().startswith(f"{self.prefix.lower()}/")
        raw = (path[len(self.prefix) :] if inside else path).strip("/").split("/")
        parts = [unquote(part).lower() for part in raw]
        if parts[0] == "sandbox":
            return self._control(record, parts)
        if inside and parts == ["entity", "auth", "logout"] and record.method == "POST":
            return self._sign_out(headers, cookies, authorization)
        if inside and parts[0] == "identity":
            return self._identify(record, parts[1:], site, body)
        if inside and parts == ["entity"]:
            session, new = self.sessions.enter("", cookies, authorization)
            return _seated(self._version(site), record, session, new=new)
        depth = self._service(record, parts) if inside else 0
        if not depth:
            self.sessions.check(cookies, authorization)
            raise errors.NotThereError(path)
        record.set = unquote("/".join(raw[depth:]))
        session, new = self.sessions.enter(record.tenant, cookies, authorization)
        if self.habits.serves_tenant:
            asked, record.tenant = record.tenant, self.habits.serves_tenant
            record.root = record.root.replace(quote(asked), quote(record.tenant))
        record.session = session.name
        with self.sessions.serving(session):
            reply = self._answer_for(record, headers, site)
        return _seated(reply, record, session, new=new)

    def _answer_for(self, record: Record, headers: Mapping[str, str], site: str) -> Reply:
        if record.method != "GET":
            return replies.failure(405, "The requested resource does not support this method.")
        try:
            with self.brakes.request():
                return self._read(record, headers, site)
        except errors.NotThereError:
            return replies.failure(404, "Not Found")
        except errors.QueryError as error:
            return replies.failure(self.habits.dac_error_status, str(error))

    def _read(self, record: Record, headers: Mapping[str, str], site: str) -> Reply:
        if record.set in {"", "$metadata"}:
            return self.service.root(record, site, headers.get("accept", ""))
        delay = self.habits.delay_seconds
        self.stopping.wait(delay(record) if callable(delay) else delay)
        reply = self.service.data(record, site)
        self._data_requests += 1
        if self.change_every and self._data_requests % self.change_every == 0:
            changes.change_some(self.store, record.tenant, 4)
        return reply

    def _service(self, record: Record, parts: list[str]) -> int:
        """Enter in the record which service is asked; return how many segments its root has.

        The two older addresses lead to the first tenant where they name none.
        """
        tenants = {name.lower(): name for name in self.store.tenants}
        if parts[0] in _OLDER:
            named = len(parts) > 1 and parts[1] in tenants
            record.tenant = tenants[parts[1]] if named else next(iter(tenants.values()))
            record.interface, record.version, address = _OLDER[parts[0]]
            record.root = f"{address}/{quote(record.tenant)}" if named else address
            return 2 if named else 1
        fixed = [*parts[:1], *parts[2:4]]
        if fixed != ["t", "api", "odata"] or parts[4:5] not in (["dac"], ["gi"]):
            return 0
        if parts[1] not in tenants:
            return 0
        record.tenant, record.interface = tenants[parts[1]], parts[4]
        record.root = f"t/{quote(record.tenant)}/api/odata/{record.interface}"
        return len(fixed) + 2

    def _identify(self, record: Record, parts: list[str], site: str, body: bytes) -> Reply:
        """The identity server; what its requests carry is not logged."""
        if parts == [".well-known", "openid-configuration"] and self.habits.openid_document:
            return self.identity.document(site)
        query, record.query = record.query, {}
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        reply = self.identity.answer(record.method, parts, query, form)
        if reply is None:
            raise errors.NotThereError(record.path)
        if parts[1:] == ["token"]:
            self.stopping.wait(self.habits.token_delay_seconds)
        return reply

    def _sign_out(self, headers: Mapping[str, str], cookies: str, authorization: str) -> Reply:
        if "content-length" not in headers:
            return replies.text(411, "Length Required")
        self.sessions.leave(cookies, authorization)
        return replies.Reply(204)

    def _version(self, site: str) -> Reply:
        endpoint = {"name": "Default", "version": "25.200.001"}
        return replies.plain_json(
            {
                "version": {"acumaticaBuildVersion": BUILD, "databaseVersion": BUILD},
                "endpoints": [{**endpoint, "href": f"{site}/entity/Default/25.200.001/"}],
            }
        )

    def _control(self, record: Record, parts: list[str]) -> Reply:
        """The sandbox's own two addresses; they need no sign-in."""
        if parts == ["sandbox", "changes"] and record.method == "POST":
            tenants = list(self.store.tenants)
            tenant = record.query.get("tenant", tenants[0])
            count = record.query.get("rows", "20")
            if tenant not in tenants or not count.isdecimal():
                return replies.failure(400, "rows takes a number, tenant one of the tenants")
            return replies.plain_json(changes.change_some(self.store, tenant, int(count)))
        if parts == ["sandbox", "statistics"]:
            return replies.plain_json(
                {
                    "requests": len(self.log),
                    "data_requests": self._data_requests,
                    "rows": sum(entry.rows for entry in self.log),
                    "sessions_opened": self.sessions.opened,
                    "sessions_closed": self.sessions.closed,
                    "sessions_open": len(self.sessions.open),
                    "token_requests": self.identity.token_requests,
                    "refreshes": self.identity.refreshes,
                }
            )
        raise errors.NotThereError(record.path)


def _seated(reply: Reply, record: Record, session: Session, *, new: bool) -> Reply:
    record.session = session.name
    if new:
        cookies = {SESSION_COOKIE: session.name, TICKET_COOKIE: session.ticket}
        reply.cookies = [f"{n}={value}; path=/; HttpOnly" for n, value in cookies.items()]
    return reply
