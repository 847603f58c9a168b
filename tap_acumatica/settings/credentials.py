"""From settings to what signs in: one authenticator per tenant, checked before anything is sent."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from tap_acumatica.auth.authenticators import (
    AGAIN_AFTER_SECONDS,
    Authenticator,
    BasicAuthenticator,
    OAuthAuthenticator,
)
from tap_acumatica.auth.grants import ConsentGrant, Grant, PasswordGrant
from tap_acumatica.auth.identity import Application, IdentityServer
from tap_acumatica.auth.token_store import TokenStore, default_path
from tap_acumatica.errors import SettingsError

if t.TYPE_CHECKING:
    from tap_acumatica.acumatica.addresses import Service
    from tap_acumatica.settings.typed import Settings


def authenticator(
    settings: Settings, service: Service, store: TokenStore, *, user_agent: str
) -> Authenticator:
    """What signs in to a service.

    Args:
        settings: The settings.
        service: What is to be read.
        store: Where tokens are kept.
        user_agent: Name to give to the identity server.

    Raises:
        SettingsError: If a setting that signing in needs is missing, or belongs to another tenant.
    """
    given = settings.credentials(service.tenant)
    # The last try within the time for seats is due to send the password again.
    again_after = min(AGAIN_AFTER_SECONDS, settings.pool_wait_time * 2 / 3)
    if settings.auth_mode == "basic":
        if given.username is None and given.password is None and not service.site:
            return Authenticator()
        return BasicAuthenticator(
            *_pair(settings, service, "auth_mode 'basic'"),
            origin=_origin(settings, service, "username", "password"),
            again_after=again_after,
        )
    server = IdentityServer(
        application(settings, service),
        user_agent=user_agent,
        source=_origin(settings, service, "username", "password"),
        trust=settings.trust,
    )
    grant: Grant
    if settings.oauth_flow == "password":
        grant = PasswordGrant(server, *_pair(settings, service, "oauth_flow 'password'"))
    else:
        grant = ConsentGrant(server, store, configured_token=given.refresh_token)
    secrets = (given.client_secret, given.refresh_token, given.password)
    own = settings.tenant_credentials.get(service.tenant or "")
    return OAuthAuthenticator(
        grant,
        tries=settings.max_retries,
        secrets=secrets,
        origin=f"in 'tenant_credentials' of tenant '{service.tenant}'" if own else "",
        again_after=again_after,
    )


def application(settings: Settings, service: Service) -> Application:
    """The connected application by which a service is read.

    Raises:
        SettingsError: If it is not given, or belongs to another tenant.
    """
    given = settings.credentials(service.tenant)
    where = _of_tenant(service)
    if given.client_id is None:
        msg = (
            f"'client_id' is missing{where}: auth_mode 'oauth2' needs a connected application per "
            "tenant; set 'client_id' or 'tenant_credentials'"
        )
        raise SettingsError(msg)
    _, marked, tenant = given.client_id.rpartition("@")
    if marked and service.tenant and tenant.casefold() != service.tenant.casefold():
        msg = (
            f"'client_id' is wrong{where}: it belongs to tenant '{tenant}'; set one client_id per "
            "tenant in 'tenant_credentials'"
        )
        raise SettingsError(msg)
    if not (service.site or settings.access_token_url):
        msg = (
            "'access_token_url' is missing: 'url' is not an Acumatica site, so the address cannot "
            "be derived from it"
        )
        raise SettingsError(msg)
    return Application(
        given.client_id,
        service.site,
        given.client_secret,
        settings.scopes,
        settings.authorization_url,
        settings.access_token_url,
    )


def token_store(settings: Settings) -> TokenStore:
    """Where tokens are kept."""
    path = settings.token_file
    try:
        return TokenStore(Path(path) if path else default_path(os.environ))
    except RuntimeError:  # a container's user has no home directory, and may not need the file
        return TokenStore(None)


def _pair(settings: Settings, service: Service, what: str) -> tuple[str, str]:
    """User name and password.

    Raises:
        SettingsError: If one of them is not given.
    """
    given = settings.credentials(service.tenant)
    if given.username is None or given.password is None:
        missing = "username" if given.username is None else "password"
        msg = f"'{missing}' is missing{_of_tenant(service)}: {what} needs username and password"
        raise SettingsError(msg)
    return given.username, given.password


def _origin(settings: Settings, service: Service, *names: str) -> str:
    """The settings that credentials come from, for messages."""
    own = settings.tenant_credentials.get(service.tenant or "")
    found = [name for name in names if own and getattr(own, name) is not None]
    shared = " and ".join(f"'{name}'" for name in names if name not in found)
    if not found:
        return shared
    inner = " and ".join(f"'{name}'" for name in found)
    of_tenant = f"{inner} of tenant '{service.tenant}' in 'tenant_credentials'"
    return f"{shared} and {of_tenant}" if shared else of_tenant


def _of_tenant(service: Service) -> str:
    return f" for tenant '{service.tenant}'" if service.tenant else ""
