"""What a session has been answered so far: it tells a 401 for one address from a 401 for all."""

from __future__ import annotations

import re
import typing as t

from tap_acumatica.errors import AccessError

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.addresses import Service

_TOP = re.compile(r"(?:\$|%24)top=\d+")
_JSON = {"Accept": "application/json"}


class Served:
    """The last address that was answered."""

    def __init__(self, service: Service) -> None:
        """Start with none."""
        self._service = service
        self._last: tuple[str, Mapping[str, str]] | None = None

    def __bool__(self) -> bool:
        """Whether there was one."""
        return self._last is not None

    def add(self, url: str, headers: Mapping[str, str]) -> None:
        """Note that an address was answered, with these headers of the request."""
        self._last = (url, headers)

    def other_than(self, url: str) -> tuple[str, Mapping[str, str]] | None:
        """An address that is answered while the session is open, and its headers.

        Metadata proves nothing, since some services show it to everybody. Where no rows have come
        yet, it is a site's service document, which it shows to those who are signed in.

        Args:
            url: The address in doubt.
        """
        found, headers = self._last or ("", _JSON)
        if not found or found.endswith("/$metadata"):
            if self._service.site is None:
                return None
            found, headers = self._service.root, _JSON
        return None if found == url else (_TOP.sub("$top=1", found), headers)


def refused_alone(what: str) -> AccessError:
    """What a 401 means where other addresses are answered.

    Args:
        what: What was asked for, for messages.
    """
    return AccessError(
        f"{what}: HTTP 401, while other addresses are answered, so the user has no access rights "
        "to it; grant them (SM201025), or leave it out with 'exclude_entity_sets'"
    )
