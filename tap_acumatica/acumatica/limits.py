"""How long and how often to ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often to ask.

    Attributes:
        timeout: Seconds to wait for an answer.
        tries: Tries of one request.
        stay: Whether to stay signed in between requests.
    """

    timeout: float = 600
    tries: int = 8
    stay: bool = True
