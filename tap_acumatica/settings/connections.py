"""From a configuration to connections: the one way in, shared by all commands."""

from __future__ import annotations

import logging
import os
import typing as t

from tap_acumatica.acumatica.addresses import services
from tap_acumatica.acumatica.connection import Connection
from tap_acumatica.acumatica.lenient_session import LenientSession
from tap_acumatica.acumatica.limits import Limits
from tap_acumatica.acumatica.metadata_cache import MetadataCache, default_folder
from tap_acumatica.acumatica.pool import SessionPool
from tap_acumatica.http.rate_limit import RateLimiter
from tap_acumatica.http.redirects import is_open_to_others
from tap_acumatica.http.transport import Transport
from tap_acumatica.settings import credentials
from tap_acumatica.settings.typed import Settings
from tap_acumatica.settings.unmatched import warn_of_tenants

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.addresses import Service
    from tap_acumatica.auth.authenticators import Authenticator
    from tap_acumatica.auth.identity import Application

logger = logging.getLogger(__name__)


def connect(config: Mapping[str, t.Any], *, user_agent: str) -> Site:
    """Everything that a configuration reads; nothing is sent, and no file is opened.

    >>> site = connect({"url": "https://company.acumatica.com"}, user_agent="tap-acumatica")
    >>> site.settings.page_size
    2000

    Args:
        config: The configuration as given.
        user_agent: Name to give to the services and to identity servers.

    Raises:
        SettingsError: If a setting is missing or wrong; the message names all of them.
    """
    site = Site(Settings.from_config(config), user_agent=user_agent)
    warn_of_tenants(site.settings, site.services)
    if is_open_to_others(site.settings.url):
        logger.warning(
            "'url' begins with http://, so passwords and rows can be read on the way, even if the "
            "site then redirects to https; write https://"
        )
    return site


class Site:
    """What a configuration reads, and the connections to it.

    Attributes:
        settings: The settings.
        services: The services to read, by tenant; the one under None has no tenant.
        token_store: Where tokens are kept.
        user_agent: Name to give to the services and to identity servers.
    """

    def __init__(self, settings: Settings, *, user_agent: str) -> None:
        """Prepare; nothing is sent yet.

        Args:
            settings: The settings.
            user_agent: Name to give to the services and to identity servers.

        Raises:
            SettingsError: If ``url`` is not an address.
        """
        self.settings = settings
        self.services: Mapping[str | None, Service] = services(
            settings.url, settings.interface, settings.tenants
        )
        self.token_store = credentials.token_store(settings)
        self.user_agent = user_agent
        self._connections: dict[str | None, Connection] | None = None

    @property
    def connections(self) -> Mapping[str | None, Connection]:
        """Connections to all services, by tenant. They share the limit on requests.

        Raises:
            SettingsError: If a setting that signing in needs is missing or wrong.
        """
        if self._connections is None:
            authenticators = {
                tenant: credentials.authenticator(
                    self.settings, service, self.token_store, user_agent=self.user_agent
                )
                for tenant, service in self.services.items()
            }
            rate_limiter = RateLimiter(self.settings.requests_per_minute)
            self._connections = {
                tenant: self._connection(service, authenticators[tenant], rate_limiter)
                for tenant, service in self.services.items()
            }
        return self._connections

    def application(self, service: Service) -> Application:
        """The connected application by which a service is read.

        Raises:
            SettingsError: If it is not given, or belongs to another tenant.
        """
        return credentials.application(self.settings, service)

    def configured_token(self, service: Service) -> str | None:
        """The refresh token that is configured for a service, None where there is none."""
        return self.settings.credentials(service.tenant).refresh_token

    def close(self) -> None:
        """Sign out of all services; never raises, may be called twice."""
        for connection in (self._connections or {}).values():
            connection.close()
        self.token_store.close()

    def _connection(
        self, service: Service, auth: Authenticator, rate_limiter: RateLimiter
    ) -> Connection:
        """A connection whose sessions share what signs in, and the limit on requests."""
        settings = self.settings
        limits = Limits(timeout=settings.timeout, tries=settings.max_retries, stay=settings.pooling)

        def session() -> LenientSession:
            return LenientSession(
                service,
                auth=auth,
                limits=limits,
                rate_limiter=rate_limiter,
                user_agent=self.user_agent,
                transport=self._transport(service, auth),
            )

        pool = SessionPool(
            service, session, size=settings.max_pool_size, wait=settings.pool_wait_time
        )
        given = settings.credentials(service.tenant)
        return Connection(
            service,
            pool,
            verbosity=settings.verbosity,
            cache=self._metadata_cache,
            user=f"{given.client_id or ''} {given.username or ''} {settings.locale or ''}",
        )

    @property
    def _metadata_cache(self) -> MetadataCache | None:
        folder, minutes = default_folder(os.environ), self.settings.metadata_cache_minutes
        return MetadataCache(folder, seconds=minutes * 60) if folder and minutes else None

    def _transport(self, service: Service, auth: Authenticator) -> Transport:
        settings = self.settings
        return Transport(
            service.root,
            additions=settings.request_additions,
            redactor=auth.redactor,
            verbosity=settings.verbosity,
            keep=settings.pooling,
            idle_seconds=settings.pool_idle_timeout,
            trust=settings.trust,
        )
