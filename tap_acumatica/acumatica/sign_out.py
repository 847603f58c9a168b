"""Signing out: gives the license seat of a session back."""

from __future__ import annotations

import logging
import typing as t

import requests

from tap_acumatica.acumatica.answers import is_unauthorized
from tap_acumatica.http.connection_errors import NO_ANSWER
from tap_acumatica.http.content_coding import ContentCodingError
from tap_acumatica.http.retry import reason
from tap_acumatica.http.transport import Transport, unsigned

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.addresses import Service

logger = logging.getLogger(__name__)

_SECONDS = 30
_ELSEWHERE = frozenset({404, 405})
_TICKET = ".ASPXAUTH"
"""The cookie of a user who is signed in (ASP.NET forms authentication)."""


def sign_out(
    http: requests.Session,
    transport: Transport,
    service: Service,
    headers: Mapping[str, str],
    *,
    served: bool,
) -> None:
    """End a session on the site; its token, if it has one, stays good. Never raises.

    A service that is not known to be Acumatica's, but signs in as Acumatica does, is signed out of
    as well; what it answers is not looked at.

    Args:
        http: The session's cookies and connections; the cookies are cleared.
        transport: What receives the answer.
        service: The service.
        headers: What signs the request.
        served: Whether anything was read in the session.
    """
    site = service.site
    if site is None and http.cookies.get_dict().get(_TICKET):
        site = service.likely_site
    if not site:
        return
    status: int = requests.codes.not_found
    try:
        for address in _addresses(site, service, served=served):
            if status not in _ELSEWHERE:
                break
            # A body-less POST carries Content-Length: 0, without which IIS answers 411.
            response = http.post(
                f"{address}/entity/auth/logout",
                headers=headers,
                auth=unsigned,
                timeout=_SECONDS,
                allow_redirects=False,
                stream=True,
            )
            transport.receive(response)
            status = response.status_code
    except (*NO_ANSWER, ContentCodingError) as error:
        logger.warning("Signing out of %s failed: %s", service.where, reason(error))
        return
    finally:
        http.cookies.clear()
    is_elsewhere = service.site is None or (status in _ELSEWHERE and not served)
    if not (response.ok or is_unauthorized(response) or is_elsewhere):
        logger.warning("Signing out of %s failed: HTTP %d", service.where, status)


def _addresses(site: str, service: Service, *, served: bool) -> list[str]:
    """Where to sign out: a site that answered nothing may begin at a shorter address."""
    if served or not service.surplus:
        return [site]
    return [site, site.removesuffix(service.surplus)]
