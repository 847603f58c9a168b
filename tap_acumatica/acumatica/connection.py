"""One tenant's service, ready to read: its sessions, its model, its clock."""

from __future__ import annotations

import datetime as dt
import logging
import typing as t

from tap_acumatica.acumatica.metadata_cache import Metadata
from tap_acumatica.errors import (
    AddressError,
    AnswerError,
    BusyError,
    MetadataError,
    NotFoundError,
    StreamError,
    UnreachableError,
)
from tap_acumatica.http.request_log import PLANS
from tap_acumatica.odata.csdl import open_metadata
from tap_acumatica.odata.dialect import dialect_of
from tap_acumatica.odata.page_limit import PageLimit
from tap_acumatica.odata.payload import names_in_service_document

if t.TYPE_CHECKING:
    from tap_acumatica.acumatica.addresses import Service
    from tap_acumatica.acumatica.metadata_cache import MetadataCache
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
        failure: Why nothing more can be read from it in this run, None while all is well.
        page_limit: The most rows that the service says it gives at once.
        zone_checked: Whether the time zone of its rows was checked against its clock.
    """

    def __init__(
        self,
        service: Service,
        sessions: SessionPool,
        *,
        verbosity: int = 1,
        cache: MetadataCache | None = None,
        user: str = "",
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            service: The service.
            sessions: Sessions with it.
            verbosity: How much is logged.
            cache: Keeps its metadata for the next process; None where that is not wanted.
            user: Who signs in: another user may be shown other metadata.
        """
        self.service = service
        self.sessions = sessions
        self._verbosity = verbosity
        self._cache = cache
        self._cache_key = f"{user} at {service.root}"
        self.failure: TapError | None = None
        self.page_limit = PageLimit()
        self.zone_checked = False
        self._omits_nulls = False
        self._model: Model | None = None
        self._began = dt.datetime.now(dt.timezone.utc)

    @property
    def tenant(self) -> str | None:
        """Login name of the tenant, None where the address has none."""
        return self.service.tenant

    @property
    def began(self) -> dt.datetime:
        """Start of the run by the service's clock, or by this machine's where it sends none."""
        return self.sessions.server_time or self._began

    @property
    def now(self) -> dt.datetime:
        """The time by the service's clock."""
        return dt.datetime.now(dt.timezone.utc) + self.sessions.ahead

    @property
    def omits_nulls(self) -> bool:
        """Whether the service leaves out properties that are null, as far as it has shown."""
        return self._omits_nulls or self.sessions.omits_nulls

    @omits_nulls.setter
    def omits_nulls(self, seen: bool) -> None:
        self._omits_nulls = seen

    def model(self, *, cached: bool = False) -> Model:
        """The service's model; its metadata is asked for once per run.

        Args:
            cached: Whether metadata that an earlier process fetched a short while ago will do.

        Raises:
            AddressError: If the address does not hold a readable OData service.
            TapError: If the service cannot be asked.
        """
        if self._model is None:
            self._model = (self._cached_model() if cached else None) or self._fetch_model()
            self._log_clock()
        return self._model

    def _cached_model(self) -> Model | None:
        """The model that an earlier process fetched; None where there is none to be used.

        Raises:
            TenantError: If the service cannot be asked.
        """
        found = self._cache.find(self._cache_key) if self._cache else None
        if found is None:
            return None
        where = self.service.where
        names = self._names_on_offer()
        try:
            model = open_metadata(found.document, version=found.version)
        except MetadataError as error:
            logger.warning("The cached metadata of %s is not used: %s", where, error)
            return None
        known = model.sets.keys() | model.function_imports.keys()
        if self.sessions.server_time is None or names - known:
            return None
        logger.info("The metadata of %s was fetched by an earlier process", where)
        return model

    def _names_on_offer(self) -> set[str]:
        """Names of the service document (OData 4.01 Protocol, 11.1.1); empty where it has none.

        It is the smallest answer that every service has, and brings the service's clock, which
        bounds what the run reads.

        Raises:
            TenantError: If the service cannot be asked.
        """
        headers = self.service.interface.dialect.headers if self.service.interface else {}
        try:
            return self.sessions.fetch(
                f"{self.service.root}/",
                names_in_service_document,
                what=f"the service document of {self.service.where}",
                headers={"Accept": "application/json", **headers},
            )
        except StreamError as error:
            logger.debug("%s", error)
            return set()

    def release_metadata(self) -> None:
        """Release the parts of the model that were never used; warn of what it leaves out."""
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

    def _fetch_model(self) -> Model:
        service = self.service
        # Before its generation is known, a service may refuse the headers of the other one.
        own = service.interface.dialect.headers if service.interface else {}
        try:
            model, metadata = self.sessions.fetch(
                f"{service.root}/$metadata",
                _model_of,
                what=f"the metadata of {service.where}",
                headers={"Accept": "application/xml", **own},
                stream=True,
            )
        except NotFoundError as error:
            msg = f"there is no {_kind(service)} (HTTP 404); {_advice(service)}"
            raise AddressError(msg) from error
        except BusyError as error:
            raise UnreachableError(str(error)) from error
        except AnswerError as error:
            msg = f"{error}; {_advice(service)}"
            raise AddressError(msg) from error
        except StreamError as error:
            raise AddressError(str(error)) from error
        if self._cache:
            self._cache.keep(self._cache_key, metadata)
        return model

    def _log_clock(self) -> None:
        """Log how the service's clock differs from this machine's."""
        seconds = round(self.sessions.ahead.total_seconds())
        where = "ahead of" if seconds > 0 else "behind"
        text = f"The clock of {self.service.where} is {abs(seconds)} s {where} this machine's"
        if abs(seconds) > _MOST_SECONDS:
            logger.warning("%s; bookmarks follow the service's.", text)
        elif self._verbosity >= PLANS:
            logger.info("%s.", text)

    @property
    def dialect(self) -> Dialect:
        """How to speak to the service: as its interface wants, unless its own answers differ."""
        version = self.model().version
        interface = self.service.interface
        if interface and interface.dialect.speaks(version):
            return interface.dialect
        return dialect_of(version)

    def close(self) -> None:
        """Sign out."""
        self.sessions.close()


def _model_of(body: Body) -> tuple[Model, Metadata]:
    said = (body.headers.get(name, "") for name in _VERSION_HEADERS)
    versions = [text.partition(";")[0].strip() for text in said if text]
    metadata = Metadata(body.read(), versions[0] if versions else None)
    return open_metadata(metadata.document, version=metadata.version), metadata


def _kind(service: Service) -> str:
    """What a service should have been, and where."""
    if service.site and service.tenant:
        return f"Acumatica tenant '{service.tenant}' at {service.site}"
    return f"OData service at {service.root}"


def _advice(service: Service) -> str:
    """What to set where an address holds something else than its service."""
    if service.interface is None:
        return (
            "for an Acumatica site, set 'tenants' to the login names to read (Tenants screen, "
            "SM203520): without them, 'url' was taken as the root of an OData service. 'interface' "
            "decides what an address means: for /odata/Tenant, set gi-legacy"
        )
    if service.tenant is None:
        return (
            "check 'url' (only the site, no page address) and 'interface', which decides what an "
            f"address means: with {service.interface.name}, this one is {service.root}"
            f"{_surplus(service)}"
        )
    return (
        "check 'url' (only the site, no page address) and 'tenants' (login names as on the Tenants "
        f"screen, SM203520){_surplus(service)}"
    )


def _surplus(service: Service) -> str:
    """What to leave out at the end of ``url``, if it looks like more than a site."""
    surplus = service.surplus
    return f"; leave '{surplus}' out of 'url' if that is not the site's own path" if surplus else ""
