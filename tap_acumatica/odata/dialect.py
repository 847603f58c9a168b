"""The two generations of the protocol, 4.x and 1.0 to 3.0, as values of one small type.

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
    """How a service is spoken to.

    Attributes:
        version: The latest version of the generation, for literals and options.
        headers: Headers of each request. Those of one generation make some services of the other
            say that there is nothing.
        media_types: What to accept, by data format; the first is for formats it has not.
        formats: Values of ``$format`` by data format, for services that do not look at ``Accept``.
    """

    version: str
    headers: Mapping[str, str] = field(hash=False)
    media_types: Mapping[str, str] = field(hash=False)
    formats: Mapping[str, str] = field(default_factory=dict, hash=False)

    def speaks(self, version: str) -> bool:
        """Whether a service of that version is of this generation."""
        return version.startswith("4") == self.version.startswith("4")

    def accept(self, data_format: str) -> str:
        """The media type to ask for."""
        return self.media_types.get(data_format) or next(iter(self.media_types.values()))

    @property
    def int64_as_text(self) -> bool:
        """Whether ``Edm.Int64`` comes as text in JSON."""
        return not self.speaks("4.0")

    def options(self, data_format: str) -> dict[str, str]:
        """Query options of each request for rows."""
        wanted = self.formats.get(data_format)
        return {"$format": wanted} if wanted else {}

    def is_streamed(self, data_format: str) -> bool:
        """Whether answers in the data format are read as they arrive."""
        return data_format == ATOM and ATOM in self.media_types


V4 = Dialect("4.0", {"OData-MaxVersion": "4.0"}, {JSON: "application/json"})
V3 = Dialect(
    "3.0",
    {"MaxDataServiceVersion": "3.0"},
    {JSON: "application/json", ATOM: "application/atom+xml"},
)


def dialect_of(version: str) -> Dialect:
    """The dialect of a service that says it is of this version."""
    return V4 if V4.speaks(version) else V3
