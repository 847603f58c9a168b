"""Headers and query parameters that are added to each request."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OWN_OPTIONS = frozenset(
    {"$select", "$filter", "$orderby", "$top", "$skip", "$expand", "$skiptoken", "$format"}
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UnknownLocaleError(ValueError):
    """No region has this name."""


@dataclass(frozen=True, slots=True)
class RequestAdditions:
    """Additions to each request.

    Attributes:
        headers: Headers by name.
        parameters: Query parameters by name.
        secrets: Values among them that must never be shown.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()

    def address(self, url: str) -> str:
        """An address with the parameters, each of them once: next links may hold them already."""
        if not self.parameters:
            return url
        parts = urlsplit(url)
        kept = [
            pair
            for pair in parts.query.split("&")
            if pair and unquote_plus(pair.partition("=")[0]) not in self.parameters
        ]
        added = [
            f"{quote(name, safe='')}={quote(value, safe='')}"
            for name, value in self.parameters.items()
        ]
        return urlunsplit(parts._replace(query="&".join([*kept, *added])))


def additions(
    visible: Iterable[Mapping[str, str]] = (),
    secret: Iterable[Mapping[str, str]] = (),
    *,
    locale: str | None = None,
    deleted: bool = False,
    archived: bool = False,
) -> RequestAdditions:
    """Put additions together.

    Args:
        visible: ``{name, value, in}`` of properties that may be shown.
        secret: The same of those that may not.
        locale: Language tag of the answers.
        deleted: Whether to ask for rows that Acumatica keeps as deleted.
        archived: Whether to ask for rows that it keeps in its archive.
    """
    headers = {"Accept-Language": locale} if locale else {}
    headers |= {"PX-ApiDeleted": "SHOW"} if deleted else {}
    headers |= {"PX-ApiArchive": "SHOW"} if archived else {}
    parameters: dict[str, str] = {}
    hidden = [entry["value"] for entry in secret if entry["value"]]
    for entry in (*visible, *secret):
        place = headers if entry["in"] == "header" else parameters
        place[entry["name"]] = entry["value"]
    return RequestAdditions(headers, parameters, frozenset(hidden))


def property_fault(entry: Mapping[str, str]) -> str | None:
    """What is wrong with an additional property, None if nothing is."""
    name, value = entry["name"], entry["value"]
    if entry["in"] == "query":
        return f"{name} is set by the tap itself" if name in _OWN_OPTIONS else None
    if not _HEADER_NAME.fullmatch(name):
        return "its name is not a valid header name"
    if _CONTROL.search(value) or not value.isascii():
        return f"the value of {name} cannot be sent in a header"
    return None


def language_tag(name: str) -> str:
    """The BCP 47 tag of a region: the tag itself, or its name on Windows.

    Windows names are English ones (``German (Switzerland)``), or those of its C library
    (``German_Switzerland``); the Unicode CLDR has them.

    Raises:
        UnknownLocaleError: If there is none.
    """
    if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", name):
        return name
    from babel import Locale  # noqa: PLC0415  only for names on Windows
    from babel.localedata import locale_identifiers  # noqa: PLC0415

    wanted = name.casefold()
    for identifier in sorted(locale_identifiers(), key=len):
        found = Locale.parse(identifier)
        names = {found.get_display_name("en"), f"{_language(found)}_{_territory(found)}"}
        if wanted in {known.casefold() for known in names if known}:
            return identifier.replace("_", "-")
    raise UnknownLocaleError(name)


def _language(locale: t.Any) -> str | None:
    return locale.get_language_name("en")  # type: ignore[no-any-return]  # Babel is untyped


def _territory(locale: t.Any) -> str | None:
    return locale.get_territory_name("en")  # type: ignore[no-any-return]  # Babel is untyped
