"""The interfaces of a site as values of one small type, and the service root an address means.

Address forms: AcumaticaRESTAPIClientForCSharp ``ApiClientExtensions.ConfigurePath``; Acumatica User
Guide, "DAC-Based OData: General Information" and "Access to Exposed Inquiry Through OData: General
Information".
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus, urljoin, urlsplit

from tap_acumatica.acumatica.errors import AddressError

if t.TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Interface:
    """One of the interfaces of an Acumatica site.

    Attributes:
        name: Value of the setting ``interface``.
        path: Address below the site, with ``{tenant}``.
        inquiries: Whether its entity sets are generic inquiries (else data access classes).
    """

    name: str
    path: str
    inquiries: bool

    def root(self, site: str, tenant: str) -> str:
        """Address of the service root of a tenant (its login name, not encoded)."""
        return f"{site}/{self.path.format(tenant=quote(tenant, safe=''))}"


DAC = Interface("dac", "t/{tenant}/api/odata/dac", inquiries=False)
GI = Interface("gi", "t/{tenant}/api/odata/gi", inquiries=True)
_DAC_LEGACY = Interface("dac-legacy", "odatav4/{tenant}", inquiries=False)

INTERFACES = {interface.name: interface for interface in (DAC, GI)}

_ROOTS = tuple(
    (
        re.compile(
            rf"(?P<site>https?://.*?)/{interface.path.format(tenant='(?P<tenant>[^/]+)')}",
            re.IGNORECASE,
        ),
        interface,
    )
    for interface in (DAC, GI, _DAC_LEGACY)
)


@dataclass(frozen=True, slots=True)
class Service:
    """One OData service to read: a tenant's interface, or any service root taken as given.

    Attributes:
        root: Address of the service, without a slash at its end.
        site: Address of the Acumatica site, None for a service that is none.
        tenant: Login name of the tenant, None where the address has none.
        interface: The Acumatica interface, None for a service that is none.
    """

    root: str
    site: str | None = None
    tenant: str | None = None
    interface: Interface | None = None

    @property
    def where(self) -> str:
        """How to name the service to people."""
        return f"tenant '{self.tenant}' at {self.site}" if self.site else self.root

    def check_answer(self, url: str, context: str | None) -> None:
        """Make sure that an answer is this tenant's: a site may serve another one silently.

        A context without a tenant in it says nothing; neither do its scheme, its host and what a
        proxy has put before the path.

        Args:
            url: What was asked for.
            context: Context address of the answer (``@odata.context``).

        Raises:
            AddressError: If it is another tenant's.
        """
        if self.tenant is None or context is None:
            return
        try:
            root = urljoin(url, context).partition("/$metadata")[0]
        except ValueError:
            return
        reached = _recognise(root)
        if reached and self.tenant.casefold() not in _spellings(root, reached):
            msg = (
                f"{self.where}: the answer comes from tenant '{reached.tenant}'; check "
                "'url', 'tenants' (login names, Tenants screen SM203520) and the credentials"
            )
            raise AddressError(msg)


def services(url: str, interface: str, tenants: Iterable[str] = ()) -> dict[str | None, Service]:
    """The services to read, by tenant.

    Args:
        url: A site, or a whole service root.
        interface: Name of the interface to read of a site.
        tenants: Login names; blanks may be given as ``%20``.

    Returns:
        One service a tenant; or, where no tenants are given, the one that ``url`` names, under
        None.

    Raises:
        AddressError: If ``url`` is no http address.
    """
    checked = _checked(url)
    recognised = _recognise(checked)
    names = list(dict.fromkeys(unquote(tenant) for tenant in tenants))
    if not names:
        return {None: recognised or Service(checked)}
    chosen = (recognised and recognised.interface) or INTERFACES[interface]
    site = (recognised and recognised.site) or checked
    return {name: Service(chosen.root(site, name), site, name, chosen) for name in names}


def _recognise(url: str) -> Service | None:
    for pattern, interface in _ROOTS:
        if match := pattern.fullmatch(url):
            return Service(url, match["site"], unquote(match["tenant"]), interface)
    return None


def _spellings(root: str, reached: Service) -> set[str]:
    """What the tenant in an address may be, blanks being written as ``%20`` or as ``+``."""
    plus = _recognise(unquote_plus(root))
    return {name.casefold() for one in (reached, plus) if one and (name := one.tenant)}


def _checked(url: str) -> str:
    """The address with what must be encoded encoded once, and nothing after its path."""
    parts = urlsplit(url.strip())
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        msg = "setting 'url' is wrong: it must begin with https:// or http:// and name a host"
        raise AddressError(msg)
    if "@" in parts.netloc:
        msg = "setting 'url' is wrong: it holds a user name; use 'username' and 'password' instead"
        raise AddressError(msg)
    path = quote(parts.path, safe="/%!$&'()*+,;=:@~").rstrip("/").removesuffix("/$metadata")
    return f"{parts.scheme.lower()}://{parts.netloc}{path.rstrip('/')}"
