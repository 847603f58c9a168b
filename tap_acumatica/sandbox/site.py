"""Routes a URL to a response: what an Acumatica site does before OData is involved."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

from . import changes, errors, legacy, replies
from .exchange import Reply
from .rate_limits import RateLimits, TooManyRequestsError
from .request_log import LoggedRequest, without_secrets
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
    from .exchange import Spoil
    from .habits import Habits
    from .identity import Identity
    from .service import Service
    from .sessions import Sessions
    from .store import Store

BUILD = "26.101.0225"
_OLDER_ADDRESSES = {"odata": ("gi", legacy.VERSION, "odata"), "odatav4": ("dac", "4.0", "odatav4")}
"""Interface, version and path of the two older URLs."""


@dataclass
class Site:
    """A site with its data, its sessions and its request log."""

    store: Store
    sessions: Sessions
    identity: Identity
    service: Service
    habits: Habits
    clock: Clock
    prefix: str = ""
    spoil: Spoil | None = None
    """Called with each request and the right reply, which it may change."""
    log: list[LoggedRequest] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    crashes: list[Exception] = field(default_factory=list)
    _data_requests: int = 0
    _spoiling: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Create the rate limits."""
        self.rate_limits = RateLimits(self.habits, self.stopping.wait)

    def answer(
        self, method: str, target: str, headers: dict[str, str], host: str, body: bytes = b""
    ) -> tuple[Reply, LoggedRequest]:
        """Answer a request and add it to the log."""
        path, _, text = target.partition("?")
        request = LoggedRequest(
            method=method,
            path=unquote(path),
            query=dict(parse_qsl(text, keep_blank_values=True)),
            headers=without_secrets(headers),
            target=target,
            site=self.prefix,
        )
        try:
            reply = self._route(request, path, headers, f"http://{host}{self.prefix}", body)
        except WrongCredentialsError:
            reply = replies.text(401, "Unauthorized")
            reply.headers["WWW-Authenticate"] = 'Basic realm="Acumatica"'
        except SeatsTakenError:
            reply = replies.text(self.habits.seats_status, self.habits.seats_text)
        except TooManyRequestsError:
            reply = replies.text(429, "Too Many Requests")
        except errors.NotFoundError:
            reply = replies.error(404, "Not Found")
        except errors.QueryError as error:
            reply = replies.error(self.habits.dac_error_status, str(error))
        except Exception as error:  # noqa: BLE001 - kept for the test that runs this sandbox
            self.crashes.append(error)
            reply = replies.error(500, f"{type(error).__name__}: {error}")
        self._spoil(request, reply)
        if request.version == legacy.VERSION and reply.message is not None:
            data_format = legacy.format_of(request, by_accept=self.habits.json_by_accept)
            reply = legacy.error(reply, data_format)
        request.status = reply.status
        request.rows = reply.row_count if reply.rows is None else len(reply.rows)
        self.log.append(request)
        return reply, request

    def _spoil(self, request: LoggedRequest, reply: Reply) -> None:
        if self.spoil is None or request.path.lower().startswith("/sandbox/"):
            return
        if request.number:
            reply.take_rows()
        with self._spoiling:
            self.spoil(request, reply)

    def _route(
        self, request: LoggedRequest, path: str, headers: Mapping[str, str], site: str, body: bytes
    ) -> Reply:
        cookies, authorization = headers.get("cookie", ""), headers.get("authorization", "")
        in_site = path.lower().startswith(f"{self.prefix.lower()}/")
        raw = (path[len(self.prefix) :] if in_site else path).strip("/").split("/")
        parts = [unquote(part).lower() for part in raw]
        if parts[0] == "sandbox":
            return self._control(request, parts)
        if in_site and parts == ["entity", "auth", "logout"] and request.method == "POST":
            return self._sign_out(headers, cookies, authorization)
        if in_site and parts == ["entity", "auth", "login"] and request.method == "POST":
            return self._sign_in(request, body)
        if in_site and parts[0] == "identity":
            return self._identity(request, parts[1:], site, body)
        if in_site and parts == ["entity"]:
            session, new = self.sessions.sign_in("", cookies, authorization)
            return _with_session_cookies(self._build(site), request, session, new=new)
        depth = self._parse_root(request, parts) if in_site else 0
        if not depth:
            self.sessions.check(cookies, authorization)
            raise errors.NotFoundError(path)
        request.set = unquote("/".join(raw[depth:]))
        session, new = self.sessions.sign_in(request.tenant, cookies, authorization)
        if self.habits.serves_tenant:
            asked, request.tenant = request.tenant, self.habits.serves_tenant
            request.root = request.root.replace(quote(asked), quote(request.tenant))
        request.session = session.name
        with self.sessions.serving(session):
            reply = self._answer_for(request, headers, site)
        return _with_session_cookies(reply, request, session, new=new)

    def _answer_for(self, request: LoggedRequest, headers: Mapping[str, str], site: str) -> Reply:
        if request.method != "GET":
            return replies.error(405, "The requested resource does not support this method.")
        try:
            with self.rate_limits.request():
                return self._read(request, headers, site)
        except errors.NotFoundError:
            return replies.error(404, "Not Found")
        except errors.QueryError as error:
            return replies.error(self.habits.dac_error_status, str(error))

    def _read(self, request: LoggedRequest, headers: Mapping[str, str], site: str) -> Reply:
        if request.set in {"", "$metadata"}:
            return self.service.root(request, site, headers.get("accept", ""))
        delay = self.habits.delay_seconds
        self.stopping.wait(delay(request) if callable(delay) else delay)
        reply = self.service.data(request, site)
        self._data_requests += 1
        every = self.habits.change_every
        if every and self._data_requests % every == 0:
            changes.change_some(self.store, request.tenant, 4)
        return reply

    def _parse_root(self, request: LoggedRequest, parts: list[str]) -> int:
        """Set the service of the request; return the number of path segments of its root.

        The two older URLs lead to the first tenant if they name none.
        """
        tenants = {name.lower(): name for name in self.store.tenants}
        if parts[0] in _OLDER_ADDRESSES:
            named = len(parts) > 1 and parts[1] in tenants
            request.tenant = tenants[parts[1]] if named else next(iter(tenants.values()))
            request.interface, request.version, address = _OLDER_ADDRESSES[parts[0]]
            request.root = f"{address}/{quote(request.tenant)}" if named else address
            return 2 if named else 1
        fixed = [*parts[:1], *parts[2:4]]
        if fixed != ["t", "api", "odata"] or parts[4:5] not in (["dac"], ["gi"]):
            return 0
        if parts[1] not in tenants:
            return 0
        request.tenant, request.interface = tenants[parts[1]], parts[4]
        request.root = f"t/{quote(request.tenant)}/api/odata/{request.interface}"
        return len(fixed) + 2

    def _identity(self, request: LoggedRequest, parts: list[str], site: str, body: bytes) -> Reply:
        """Answer for the identity server, without logging query and form."""
        if parts == [".well-known", "openid-configuration"] and self.habits.openid_document:
            return self.identity.document(site)
        query, request.query = request.query, {}
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        reply = self.identity.answer(request.method, parts, query, form)
        if reply is None:
            raise errors.NotFoundError(request.path)
        if parts[1:] == ["token"]:
            self.stopping.wait(self.habits.token_delay_seconds)
        return reply

    def _sign_in(self, request: LoggedRequest, body: bytes) -> Reply:
        """Sign in with a user name and a password, as clients of the REST API do."""
        try:
            given = json.loads(body)
            user, password = str(given["name"]), str(given["password"])
            tenant = str(
                given.get("tenant") or given.get("company") or next(iter(self.store.tenants))
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return replies.error(400, "The body must be JSON with 'name' and 'password'.")
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        session, new = self.sessions.sign_in(tenant, "", f"Basic {encoded}")
        return _with_session_cookies(Reply(status=204, content_type=""), request, session, new=new)

    def _sign_out(self, headers: Mapping[str, str], cookies: str, authorization: str) -> Reply:
        if "content-length" not in headers:
            return replies.text(411, "Length Required")
        self.sessions.sign_out(cookies, authorization)
        return Reply(status=204, content_type="")

    def _build(self, site: str) -> Reply:
        endpoint = {"name": "Default", "version": "25.200.001"}
        return replies.json_reply(
            {
                "version": {"acumaticaBuildVersion": BUILD, "databaseVersion": BUILD},
                "endpoints": [{**endpoint, "href": f"{site}/entity/Default/25.200.001/"}],
            }
        )

    def _control(self, request: LoggedRequest, parts: list[str]) -> Reply:
        """Answer the sandbox's own two URLs, which need no sign-in."""
        if parts == ["sandbox", "changes"] and request.method == "POST":
            tenants = list(self.store.tenants)
            tenant = request.query.get("tenant", tenants[0])
            count = request.query.get("rows", "20")
            if tenant not in tenants or not count.isdecimal():
                return replies.error(
                    400, "'rows' must be a whole number, and 'tenant' one of the tenants"
                )
            return replies.json_reply(changes.change_some(self.store, tenant, int(count)))
        if parts == ["sandbox", "statistics"]:
            return replies.json_reply(
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
        raise errors.NotFoundError(request.path)


def _with_session_cookies(
    reply: Reply, request: LoggedRequest, session: Session, *, new: bool
) -> Reply:
    request.session = session.name
    if new:
        cookies = {SESSION_COOKIE: session.name, TICKET_COOKIE: session.ticket}
        reply.cookies = [f"{n}={value}; path=/; HttpOnly" for n, value in cookies.items()]
    return reply
