"""From settings to what signs in: one authenticator a tenant, each setting checked beforehand."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from tap_acumatica.auth.authenticators import (
    Authenticator,
    BasicAuthenticator,
    OAuthAuthenticator,
)
from tap_acumatica.auth.grants import ConsentGrant, Grant, PasswordGrant
from tap_acumatica.auth.identity import Application, IdentityServer
from tap_acumatica.auth.token_store import TokenStore, default_path
from tap_acumatica.errors import SettingsError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.addresses import Service

_OF_APPLICATION = ("client_id", "client_secret", "refresh_token")


def authenticators(
    config: Mapping[str, t.Any], services: Mapping[str | None, Service], *, user_agent: str
) -> dict[str | None, Authenticator]:
    """What signs in to each service, by tenant.

    Args:
        config: Settings.
        services: What is to be read, by tenant.
        user_agent: Name to give to identity servers.

    Raises:
        SettingsError: If a setting that signing in needs is missing, or is another tenant's.
    """
    sign_in = _oauth if config["auth_mode"] == "oauth2" else _basic
    return {name: sign_in(config, service, user_agent) for name, service in services.items()}


def application(config: Mapping[str, t.Any], service: Service) -> Application:
    """The connected application by which a service is read.

    Raises:
        SettingsError: If it is not given, or is another tenant's.
    """
    given = _credentials(config, service)
    client_id = given.get("client_id")
    where = f" for tenant '{service.tenant}'" if service.tenant else ""
    if not client_id:
        msg = (
            f"setting 'client_id' is missing{where}: auth_mode 'oauth2' needs one a tenant, in "
            "'client_id' or 'tenant_credentials'"
        )
        raise SettingsError(msg)
    _, _, tenant = client_id.rpartition("@")
    if "@" in client_id and service.tenant and tenant.casefold() != service.tenant.casefold():
        msg = (
            f"setting 'client_id' is wrong{where}: it is of tenant '{tenant}'; where there are "
            "several tenants, give each its own in 'tenant_credentials'"
        )
        raise SettingsError(msg)
    if not (service.site or config.get("access_token_url")):
        msg = "setting 'access_token_url' is missing: 'url' is no Acumatica site to derive it from"
        raise SettingsError(msg)
    return Application(
        client_id,
        service.site,
        given.get("client_secret"),
        " ".join(config["scope"].replace(",", " ").split()),
        config.get("authorization_url"),
        config.get("access_token_url"),
    )


def meant(config: Mapping[str, t.Any], service: Service) -> Service:
    """What an address means that both an Acumatica and others may have.

    No Acumatica is read without signing in.
    """
    anonymous = config["auth_mode"] == "basic" and "username" not in _credentials(config, service)
    return service.otherwise if service.otherwise and anonymous else service


def configured_token(config: Mapping[str, t.Any], service: Service) -> str | None:
    """The refresh token that is configured for a service, None where there is none."""
    return _credentials(config, service).get("refresh_token")


def token_store(config: Mapping[str, t.Any]) -> TokenStore:
    """Where tokens are kept."""
    path = config.get("token_file")
    return TokenStore(Path(path) if path else default_path(os.environ))


def _basic(config: Mapping[str, t.Any], service: Service, user_agent: str) -> Authenticator:
    del user_agent
    given = _credentials(config, service)
    username, password = given.get("username"), given.get("password")
    if username is None and password is None and not service.site:
        return Authenticator()
    return BasicAuthenticator(*_pair(username, password, "auth_mode 'basic'"))


def _oauth(config: Mapping[str, t.Any], service: Service, user_agent: str) -> Authenticator:
    own = application(config, service)
    given = _credentials(config, service)
    server = IdentityServer(own, user_agent=user_agent)
    grant: Grant
    if config["oauth_flow"] == "password":
        pair = _pair(given.get("username"), given.get("password"), "oauth_flow 'password'")
        grant = PasswordGrant(server, *pair)
    else:
        grant = ConsentGrant(
            server, token_store(config), configured_token=given.get("refresh_token")
        )
    secrets = (given.get(name) for name in ("client_secret", "refresh_token", "password"))
    return OAuthAuthenticator(grant, tries=config["max_retries"], secrets=secrets)


def _pair(username: str | None, password: str | None, what: str) -> tuple[str, str]:
    for name, value in (("username", username), ("password", password)):
        if value is None:
            msg = f"setting '{name}' is missing: {what} needs username and password"
            raise SettingsError(msg)
    return username or "", password or ""


def _credentials(config: Mapping[str, t.Any], service: Service) -> dict[str, str]:
    """A tenant's own credentials, and those of all tenants where it has none.

    A tenant with an application of its own takes nothing of another application.
    """
    own = (config.get("tenant_credentials") or {}).get(service.tenant or "", {})
    shared = ("username", "password", *(() if own.get("client_id") else _OF_APPLICATION))
    found = {name: config[name] for name in shared if config.get(name) is not None}
    return found | {name: value for name, value in own.items() if value}
