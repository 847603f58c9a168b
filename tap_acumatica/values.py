"""What settings come to: the values that the rooms below take."""

from __future__ import annotations

import typing as t

from tap_acumatica.acumatica.extras import extras, language_tag
from tap_acumatica.acumatica.transport import Transport
from tap_acumatica.odata.clock import Clock, zone_named

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_acumatica.acumatica.interface import Service


def clock_of(config: Mapping[str, t.Any], *, local: bool = False) -> Clock:
    """How date-times are read and in what form they leave.

    Args:
        config: The configuration, checked.
        local: Whether the service is known to speak local time.
    """
    return Clock(
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
        extras=extras(
            config.get("additional_properties") or (),
            config.get("secret_additional_properties") or (),
            locale=language_tag(locale) if locale else None,
        ),
        verbosity=config["verbosity"],
        keep=config["pooling"],
        idle_seconds=config["pool_idle_timeout"],
    )
