"""Certificate authorities to trust beside those that the machine trusts.

The latter are what ``requests`` uses: its own list, or ``REQUESTS_CA_BUNDLE``.
"""

from __future__ import annotations

import ssl
import typing as t
from pathlib import Path

from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3.util.ssl_ import create_urllib3_context

_PEM = "a file of certificates in PEM format"


class TrustingAdapter(HTTPAdapter):
    """Sends requests to sites whose certificates these authorities, or the machine's, vouch for."""

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        """Prepare.

        Args:
            trust: Holds the further authorities; None for none.
        """
        self._tls: dict[str, t.Any] = {"ssl_context": trust} if trust else {}
        super().__init__()

    @override
    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: t.Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, **options, **self._tls)

    @override
    def proxy_manager_for(self, proxy: str, **options: t.Any) -> t.Any:
        return super().proxy_manager_for(proxy, **options, **self._tls)


def trust_in(ca_file: str) -> ssl.SSLContext:
    """Certificate authorities of a file; requests adds those of the machine to them.

    Raises:
        OSError: If the file cannot be read, or holds no certificates.
    """
    context = create_urllib3_context()
    context.load_verify_locations(Path(ca_file).expanduser())
    return context


def trust_fault(ca_file: str) -> str | None:
    """What is wrong with a file of certificate authorities; None if nothing is."""
    try:
        trust_in(ca_file)
    except ssl.SSLError:
        return f"must name {_PEM}; '{ca_file}' holds none"
    except OSError as error:
        return f"must name {_PEM}; '{ca_file}' cannot be read ({error.strerror or error})"
    return None
