"""The two generations of the protocol: OData 4.x, and OData 1.0 to 3.0.

Sources: OData 4.01 Part 1, section 8 (headers) and JSON Format 4.01, section 3; OData 3.0 Core,
sections 5 and 10.5, and its Atom, JSON and JSON Verbose formats.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "json"
ATOM = "atom"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How requests are written for one generation of OData.

    Attributes:
        version: The latest version of the generation, for literals and options.
        headers: Headers of each request. A service of one generation may answer 404 to the
            headers of the other.
        media_types: Values of ``Accept`` by data format; unknown formats use the first.
        formats: Values of ``$format`` by data format, for services that ignore ``Accept``.
    """

    version: str
    headers: Mapping[str, str] = field(hash=False)
    media_types: Mapping[str, str] = field(hash=False)
    formats: Mapping[str, str] = field(default_factory=dict, hash=False)

    def speaks(self, version: str) -> bool:
        """Whether this OData version belongs to this generation."""
        return version.startswith("4") == self.version.startswith("4")

    def accept(self, data_format: str) -> str:
        """The value of the ``Accept`` header."""
        return self.media_types.get(data_format) or next(iter(self.media_types.values()))

    @property
    def int64_as_text(self) -> bool:
        """Whether JSON has ``Edm.Int64`` values as strings."""
        return not self.speaks("4.0")

    def options(self, data_format: str) -> dict[str, str]:
        """Query options that each request for rows needs."""
        wanted = self.formats.get(data_format)
        return {"$format": wanted} if wanted else {}

    def is_streamed(self, data_format: str) -> bool:
        """Whether responses in this data format are parsed while they arrive."""
        return data_format == ATOM and ATOM in self.media_types


V4 = Dialect("4.0", {"OData-MaxVersion": "4.0"}, {JSON: "application/json"})
V3 = Dialect(
    "3.0",
    {"MaxDataServiceVersion": "3.0"},
    {JSON: "application/json", ATOM: "application/atom+xml"},
)


def dialect_of(version: str) -> Dialect:
    """The dialect of a service with this OData version."""
    return V4 if V4.speaks(version) else V3
