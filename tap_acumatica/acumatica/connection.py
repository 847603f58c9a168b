"""One tenant's service, ready to read: its sessions, its model, its clock."""

from __future__ import annotations

import datetime as dt
import logging
import typing as t

from tap_acumatica.errors import AccessError, AddressError, AnswerError
from tap_acumatica.http.request_log import PLANS
from tap_acumatica.odata.csdl import open_metadata
from tap_acumatica.odata.dialect import dialect_of

if t.TYPE_CHECKING:
    from tap_acumatica.acumatica.addresses import Service
    from tap_acumatica.acumatica.pool import SessionPool
    from tap_acumatica.errors import TapError
    from tap_acumatica.http.body import Body
    from tap_acumatica.odata.dialect import Dialect
    from tap_acumatica.odata.model import Model

logger = logging.getLogger(__name__)

_NAMED = 3
_MOST_SECONDS = 300
_VERSION_HEADERS = ("OData-Version", "DataServiceVersion")


class Connection:
    """The sessions with a service, and what is known of it.

    Attributes:
        service: The service.
        sessions: Sessions with it.
        failure: Why nothing more can be had of it in this run, None while all is well.
        zone_checked: Whether its rows were held against its clock.
    """

    def __init__(self, service: Service, sessions: SessionPool, *, verbosity: int = 1) -> None:
        """Prepare; nothing is sent yet."""
        self.service = service
        self.sessions = sessions
        self._verbosity = verbosity
        self.failure: TapError | None = None
        self.zone_checked = False
        self._model: Model | None = None
        self._began = dt.datetime.now(dt.timezone.utc)

    @property
    def tenant(self) -> str | None:
        """Login name of the tenant, None where the address has none."""
        return self.service.tenant

    @property
    def began(self) -> dt.datetime:
        """Start of the run by the service's clock; by this machine's where it tells none."""
        return self.sessions.server_time or self._began

    @property
    def now(self) -> dt.datetime:
        """The time by the service's clock."""
        return dt.datetime.now(dt.timezone.utc) + self.sessions.ahead

    def _tell_clock(self) -> None:
        """Say how the service's clock differs from this machine's."""
        seconds = round(self.sessions.ahead.total_seconds())
        where = "ahead of" if seconds > 0 else "behind"
        text = f"The clock of {self.service.where} is {abs(seconds)} s {where} this machine's"
        if abs(seconds) > _MOST_SECONDS:
            logger.warning("%s; bookmarks follow the service's.", text)
        elif self._verbosity >= PLANS:
            logger.info("%s.", text)

    def model(self) -> Model:
        """The service's model, asked for once a run.

        Raises:
            AddressError: If the address holds no OData service.
            TapError: If it cannot be had.
        """
        if self._model is None:
            self._model = self._fetch_model()
            self._tell_clock()
        return self._model

    def _fetch_model(self) -> Model:
        what = f"the metadata of {self.service.where}"
        try:
            return self._fetch_or_turn(what)
        except (AnswerError, AccessError) as error:
            msg = f"{error}; {self._advice()}"
            raise AddressError(msg) from error

    def settle(self) -> None:
        """Let go of what discovery did not ask of the model, and warn of what it left out."""
        if self._model is None:
            return
        self._model.drop_unread()
        if skipped := self._model.skipped:
            some = "; ".join(f"{item.name}: {item.reason}" for item in skipped[:_NAMED])
            logger.warning(
                "%d things in the metadata of %s cannot be read and are left out: %s",
                len(skipped),
                self.service.where,
                some,
            )

    def _fetch_or_turn(self, what: str) -> Model:
        """The model of what the address means first; where there is none, of the other."""
        try:
            return self._fetched(what)
        except (AnswerError, AccessError):
            first, other = self.service, self.service.otherwise
            if other is None or other.root == first.root:
                raise
            self._turn_to(other)
            try:
                return self._fetched(f"the metadata of {other.where}")
            except (AnswerError, AccessError):
                self._turn_to(first)
            raise

    def _fetched(self, what: str) -> Model:
        interface = self.service.interface
        # Of a generation that is not known yet, the headers of either may be refused.
        headers = {"Accept": "application/xml", **(interface.dialect.headers if interface else {})}
        url = f"{self.service.root}/$metadata"
        return self.sessions.fetch(url, _model_of, what=what, headers=headers, stream=True)

    def _turn_to(self, service: Service) -> None:
        self.service = service
        self.sessions.turn_to(service)

    @property
    def dialect(self) -> Dialect:
        """How to speak to the service: as its interface wants, unless its own answers differ."""
        version = self.model().version
        interface = self.service.interface
        if interface and interface.dialect.speaks(version):
            return interface.dialect
        return dialect_of(version)

    def _advice(self) -> str:
        if self.service.site:
            return "check 'url' and 'tenants' (login names as on the Tenants screen, SM203520)"
        return "check 'url'; if it is an Acumatica site, set 'tenants' to the login names to read"

    def close(self) -> None:
        """Sign out."""
        self.sessions.close()


def _model_of(body: Body) -> Model:
    said = (body.headers.get(name, "") for name in _VERSION_HEADERS)
    versions = [text.partition(";")[0].strip() for text in said if text]
    return open_metadata(body.read(), version=versions[0] if versions else None)
