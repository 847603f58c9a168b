"""One tenant's service, ready to read: its session, its model, its clock."""

from __future__ import annotations

import datetime as dt
import logging
import typing as t

from tap_acumatica.acumatica.errors import AccessError, AddressError, AnswerError
from tap_acumatica.odata.csdl import open_metadata

if t.TYPE_CHECKING:
    from tap_acumatica.acumatica.errors import ServiceError
    from tap_acumatica.acumatica.interface import Service
    from tap_acumatica.acumatica.session import Session
    from tap_acumatica.odata.model import Model

logger = logging.getLogger(__name__)

_NAMED = 3


class Connection:
    """A session and what is known of the service behind it.

    Attributes:
        failure: Why nothing more can be had of it in this run, None while all is well.
    """

    def __init__(self, service: Service, session: Session) -> None:
        """Prepare; nothing is sent yet."""
        self.service = service
        self.session = session
        self.failure: ServiceError | None = None
        self._model: Model | None = None
        self._began = dt.datetime.now(dt.timezone.utc)

    @property
    def tenant(self) -> str | None:
        """Login name of the tenant, None where the address has none."""
        return self.service.tenant

    @property
    def began(self) -> dt.datetime:
        """Start of the run by the service's clock; by this machine's where it tells none."""
        return self.session.server_time or self._began

    def model(self) -> Model:
        """The service's model, asked for once a run.

        Raises:
            AddressError: If the address holds no OData service.
            ServiceError: If it cannot be had.
        """
        if self._model is None:
            self._model = self._fetch_model()
        return self._model

    def _fetch_model(self) -> Model:
        what = f"the metadata of {self.service.where}"
        url = f"{self.service.root}/$metadata"
        try:
            return self.session.fetch(url, open_metadata, what=what, accept="application/xml")
        except AnswerError as error:
            msg = f"{error}; {self._advice()}"
            raise AddressError(msg) from error
        except AccessError as error:
            msg = f"{error}; {self._advice()}"
            raise AddressError(msg) from error

    def settle(self) -> None:
        """Let go of what discovery did not ask of the model, and warn of what it left out."""
        if self._model is None:
            return
        self._model.forget_unread()
        if skipped := self._model.skipped:
            some = "; ".join(f"{item.name}: {item.reason}" for item in skipped[:_NAMED])
            logger.warning(
                "%d things in the metadata of %s cannot be read and are left out: %s",
                len(skipped),
                self.service.where,
                some,
            )

    def _advice(self) -> str:
        if self.service.site:
            return "check 'url' and 'tenants' (login names as on the Tenants screen, SM203520)"
        return "check 'url'; if it is an Acumatica site, set 'tenants' to the login names to read"

    def close(self) -> None:
        """Sign out."""
        self.session.close()
