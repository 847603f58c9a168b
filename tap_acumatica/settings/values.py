"""What settings come to: the values that the rooms below take."""

from __future__ import annotations

import typing as t

from tap_acumatica.http.additions import additions, language_tag
from tap_acumatica.http.transport import Transport
from tap_acumatica.odata.time_zone import ServiceTimeZone, zone_named

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.addresses import Service


def time_zone_of(config: Mapping[str, t.Any], *, local: bool = False) -> ServiceTimeZone:
    """How date-times are read and in what form they leave.

    Args:
        config: The configuration, checked.
        local: Whether the service is known to speak local time.
    """
    return ServiceTimeZone(
        zone_named(config["time_zone"]), convert_to_utc=config["convert_to_utc"], local=local
    )


def transport_of(config: Mapping[str, t.Any], service: Service) -> Transport:
    """How the requests of a session are carried.

    Args:
        config: The configuration, checked.
        service: What the session reads.
    """
    locale = config.get("locale")
    return Transport(
        service.root,
        additions=additions(
            config.get("additional_properties") or (),
            config.get("secret_additional_properties") or (),
            locale=language_tag(locale) if locale else None,
            deleted=config["deleted_records"] == "soft",
            archived=config["archived_records"],
        ),
        verbosity=config["verbosity"],
        keep=config["pooling"],
        idle_seconds=config["pool_idle_timeout"],
    )
