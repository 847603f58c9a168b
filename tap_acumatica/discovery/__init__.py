"""Which streams there are, and what is known of each before it is read."""

from tap_acumatica.discovery.definitions import StreamDefinition, TenantSource
from tap_acumatica.discovery.discover import Discovery

__all__ = ["Discovery", "StreamDefinition", "TenantSource"]
