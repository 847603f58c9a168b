"""The interfaces of a site, and the service that an address names.

Address forms: AcumaticaRESTAPIClientForCSharp ``ApiClientExtensions.ConfigurePath``; Acumatica User
Guide, "DAC-Based OData: General Information" and "Access to Exposed Inquiry Through OData: General
Information".
"""

from __future__ import annotations

import logging
import re
import typing as t
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urljoin, urlsplit

from tap_acumatica.errors import AddressError, SettingsError
from tap_acumatica.odata.dialect import JSON, V3, V4

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_acumatica.odata.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Interface:
    """One of the interfaces of an Acumatica site.

    Attributes:
        name: Value of the setting ``interface``.
        path: Address below the site, with ``{tenant}``.
        inquiries: Whether its entity sets are generic inquiries (else data access classes).
        dialect: How to speak to it, unless its own answers show another generation.
        shared: Address below the site where no tenant is named, None where one must be.
        common: Whether other services have such addresses too, so that an address is this
            interface's only where the setting or the host says so.
    """

    name: str
    path: str
    inquiries: bool
    dialect: Dialect
    shared: str | None = None
    common: bool = False

    def root(self, site: str, tenant: str) -> str:
        """Address of the service root of a tenant (its login name, not encoded)."""
        return f"{site}/{self.path.format(tenant=quote(tenant, safe=''))}"

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches its service roots, with and without tenant."""
        paths = [self.path.format(tenant="(?P<tenant>[^/]+)"), self.shared]
        choices = "|".join(path for path in paths if path)
        return re.compile(rf"(?P<site>https?://[^/]+(?:/.*?)??)/(?:{choices})", re.IGNORECASE)


# JSON is documented for "$format=json" only.
_V3_BY_OPTION = replace(V3, formats={JSON: "json"})

DAC = Interface("dac", "t/{tenant}/api/odata/dac", inquiries=False, dialect=V4)
GI = Interface("gi", "t/{tenant}/api/odata/gi", inquiries=True, dialect=V4)
DAC_LEGACY = Interface(
    "dac-legacy", "odatav4/{tenant}", inquiries=False, dialect=V4, shared="odatav4"
)
GI_LEGACY = Interface(
    "gi-legacy",
    "odata/{tenant}",
    inquiries=True,
    dialect=_V3_BY_OPTION,
    shared="odata",
    common=True,
)

logger = logging.getLogger(__name__)

_PAGE = re.compile(
    r"(?P<site>https?://[^/]+(?:/.*?)??)/(?:"
    r"entity/(?:[^/]+/\d+\.\d+\.\d+|auth)(?:/.*)?|identity/connect(?:/.*)?"
    r"|(?:\(w\(\d+\)\)/)?(?:frames|pages/[a-z]{2})/[^/]+\.aspx"
    r"|t/[^/]+/api/odata/(?:dac|gi)/[^/]+"
    r"|(?:\(w\(\d+\)\)/)?main(?:\.aspx)?(?P<main>))",
    re.IGNORECASE,
)
"""Addresses of the site that are not its own, as people copy them from a browser or a REST client;
``/Main`` by itself may be the site's own path."""
_OF_MAIN = re.compile(r"(?:^|&)(?:screenid|companyid)=", re.IGNORECASE)
_TENANT = re.compile(r"/t/([^/]+)/")
_SURPLUS = re.compile(
    r"/(?:main|frames|pages|entity|identity|api|odata|odatav4|t)(?:\.aspx)?(?:/.*)?$", re.IGNORECASE
)

_HOSTED = re.compile(r"https?://[^/]+\.acumatica\.com(:\d+)?/", re.IGNORECASE)

INTERFACES = {interface.name: interface for interface in (DAC, GI, DAC_LEGACY, GI_LEGACY)}
_ROOTS = tuple((interface.pattern, interface) for interface in INTERFACES.values())


@dataclass(frozen=True, slots=True)
class Service:
    """One OData service to read: a tenant's interface, or any other service.

    Attributes:
        root: Address of the service, without a slash at its end.
        site: Address of the Acumatica site, None for any other service.
        tenant: Login name of the tenant, None where the address has none.
        interface: The Acumatica interface, None for any other service.
        likely_site: For any other service, the Acumatica site that it would belong to: what to sign
            out of, if it opens a session as Acumatica does.
    """

    root: str
    site: str | None = None
    tenant: str | None = None
    interface: Interface | None = None
    likely_site: str | None = None

    @property
    def surplus(self) -> str | None:
        """What probably stands too much at the end of the site's address, None for nothing."""
        found = _SURPLUS.search(urlsplit(self.site or "").path)
        return found and found[0]

    @property
    def where(self) -> str:
        """How to name the service to people."""
        return f"tenant '{self.tenant}' at {self.site}" if self.site and self.tenant else self.root

    @property
    def tables(self) -> str | None:
        """Root of the data access classes of the same tenant; None where that is not known."""
        if self.site is None or self.interface is None:
            return None
        chosen = DAC_LEGACY if self.interface in {DAC_LEGACY, GI_LEGACY} else DAC
        if self.tenant is not None:
            return chosen.root(self.site, self.tenant)
        return f"{self.site}/{chosen.shared}" if chosen.shared else None

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
        if self.tenant is None or self.interface is None or context is None:
            return
        try:
            root = urljoin(url, context).partition("/$metadata")[0]
        except ValueError:
            return
        reached = _recognise(root, self.interface)
        if (
            reached
            and reached.tenant
            and self.tenant.casefold() not in _spellings(root, reached, self.interface)
        ):
            msg = (
                f"{self.where}: the answer comes from tenant '{reached.tenant}'; check "
                "'url', 'tenants' (login names, Tenants screen SM203520) and the credentials"
            )
            raise AddressError(msg)

    def check_redirect(self, target: str) -> None:
        """Make sure that a redirect leads to this tenant.

        Args:
            target: Where it leads.

        Raises:
            AddressError: If it is another tenant's address.
        """
        found = _TENANT.search(urlsplit(target).path)
        if self.tenant is None or found is None:
            return
        names = unquote(found[1]), unquote_plus(found[1])
        if self.tenant.casefold() not in {name.casefold() for name in names}:
            msg = (
                f"{self.where}: the request was redirected to tenant '{names[0]}'; check 'url', "
                "'tenants' (login names, Tenants screen SM203520) and the credentials"
            )
            raise AddressError(msg)


def services(url: str, interface: str, tenants: Iterable[str] = ()) -> dict[str | None, Service]:
    """The services to read, by tenant.

    >>> services("https://h", "gi", ["Company"])["Company"].root
    'https://h/t/Company/api/odata/gi'

    Args:
        url: A site, or the root of an OData service.
        interface: Name of the interface to read of a site.
        tenants: Login names; spaces may be given as ``%20``.

    Returns:
        One service per tenant; or, where no tenants are given, the one that ``url`` names, under
        None.

    Raises:
        SettingsError: If ``url`` is not an http address.
    """
    checked = _checked(url)
    wanted = INTERFACES[interface]
    recognised = _recognise(checked, wanted)
    names = list(dict.fromkeys(unquote(tenant) for tenant in tenants))
    if not names:
        return {None: recognised or _without_tenant(checked, wanted)}
    _warn_of_names(names, recognised.tenant if recognised else None)
    chosen = (recognised and recognised.interface) or wanted
    site = (recognised and recognised.site) or checked
    return {name: Service(chosen.root(site, name), site, name, chosen) for name in names}


def _warn_of_names(names: list[str], of_url: str | None) -> None:
    """Warn of tenants that are perhaps not those that were meant."""
    if of_url and of_url.casefold() not in {name.casefold() for name in names}:
        logger.warning(
            "'url' names the tenant '%s', which is not in 'tenants'; only those of 'tenants' are "
            "read",
            of_url,
        )
    folded: dict[str, str] = {}
    for name in names:
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            logger.warning(
                "'tenants' holds '%s' and '%s', which a site may take for one; then each row comes "
                "twice",
                other,
                name,
            )


def url_fault(url: str) -> str | None:
    """What is wrong with the setting ``url``, as a predicate; None where nothing is."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return "must be an address such as https://company.acumatica.com"
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        return "must begin with https:// or http:// and name a host: https://company.acumatica.com"
    if "@" in parts.netloc:
        return "must not hold a user name; use 'username' and 'password'"
    return None


def _recognise(url: str, wanted: Interface) -> Service | None:
    """The service whose root an address is, None where it is not one of Acumatica's."""
    for pattern, interface in _ROOTS:
        match = pattern.fullmatch(url)
        if match and (interface == wanted or not interface.common or _HOSTED.match(url)):
            tenant = unquote(match["tenant"]) if match["tenant"] else None
            return Service(url, match["site"], tenant, interface)
    return None


def _spellings(root: str, reached: Service, wanted: Interface) -> set[str]:
    """What the tenant in an address may be: spaces are written as ``%20`` or as ``+``."""
    plus = _recognise(unquote_plus(root), wanted)
    return {name.casefold() for one in (reached, plus) if one and (name := one.tenant)}


def _without_tenant(url: str, wanted: Interface) -> Service:
    """The service of an address without a tenant: a site's only one, or a root taken as given."""
    if wanted.shared is None:
        older = GI_LEGACY.pattern.fullmatch(url)
        return Service(url, likely_site=older["site"] if older else url)
    return Service(f"{url}/{wanted.shared}", url, None, wanted)


def _checked(url: str) -> str:
    """The address with what must be encoded encoded once, and nothing after its path."""
    if fault := url_fault(url):
        msg = f"'url' {fault}"
        raise SettingsError(msg)
    parts = urlsplit(url.strip())
    path = quote(parts.path, safe="/%!$&'()*+,;=:@~").rstrip("/").removesuffix("/$metadata")
    address = f"{parts.scheme.lower()}://{parts.netloc}{path.rstrip('/')}"
    page = _PAGE.fullmatch(address)
    if page is None or (page["main"] is not None and not _OF_MAIN.search(parts.query)):
        if parts.query:
            names = ", ".join(dict(parse_qsl(parts.query, keep_blank_values=True))) or "it"
            logger.warning(
                "'url' has a query (%s), which is not sent; set 'additional_properties' or, for "
                "secrets, 'secret_additional_properties' with in: query",
                names,
            )
        return address
    kept = _api_root(address) or page["site"]
    logger.warning("'url' is not the address of a site but of a page in it; %s is used", kept)
    return kept


def _api_root(address: str) -> str | None:
    """The service root that an address of an entity set begins with."""
    root = address.rpartition("/")[0]
    return root if any(one.pattern.fullmatch(root) for one in (DAC, GI)) else None
