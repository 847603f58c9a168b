"""Secrets are masked in what a service says, in addresses and in headers, however spelled.

They are not masked in the tap's own words: whoever has chosen the password ``wrong`` must still be
able to read that the password is wrong.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
_SHORTEST_BARE = 4
_PLAIN = re.compile(r"[A-Za-z0-9_-]", re.ASCII)


class Redactor:
    """The secrets of one service, shared by all that quote it; more may be added at any time."""

    def __init__(self, *secrets: str | None) -> None:
        """Start with these secrets; None and blank ones are left out."""
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str | None) -> None:
        """Add secrets; None and blank ones are left out."""
        with self._lock:
            # Services trim what they repeat.
            given = [secret for secret in secrets if secret and secret.strip()]
            trimmed = [secret.strip() for secret in given]
            found = self._secrets.union(trimmed, *map(_in_base64, [*given, *trimmed]))
            if found != self._secrets:
                self._secrets = found
                longest_first = sorted(found, key=lambda secret: (-len(secret), secret))
                # Looked for at each place, since one secret may begin within another.
                self._pattern = re.compile(f"(?=({'|'.join(map(_any_spelling, longest_first))}))")

    def add_basic(self, username: str, password: str) -> None:
        """Add a password, alone and as the pair that HTTP Basic authentication sends."""
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        self.add(password, pair, pair.rstrip("="))

    def redact(self, text: str) -> str:
        """A text that came from a service, an address or a header, without the secrets."""
        if self._pattern is None:
            return text
        kept, end = [], 0
        for start, stop in _united(match.span(1) for match in self._pattern.finditer(text)):
            kept += [text[end:start], MASK]
            end = stop
        return "".join([*kept, text[end:]])


def _in_base64(secret: str) -> set[str]:
    """A secret in base64 of both alphabets, and without padding where that is long enough."""
    content = secret.encode("utf-8", "surrogatepass")
    padded = {base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()}
    bare = {text.rstrip("=") for text in padded}
    return padded | {text for text in bare if len(text) >= _SHORTEST_BARE}


def _united(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in the order of their start, those that overlap as one."""
    found: list[tuple[int, int]] = []
    for start, stop in spans:
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


def _any_spelling(secret: str) -> str:
    return "".join(_spellings(character) for character in secret)


def _spellings(character: str) -> str:
    """A pattern for a character as it is, in an address, in a form, in JSON and in HTML."""
    if _PLAIN.fullmatch(character):
        return character
    percent = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    utf_16 = character.encode("utf-16-be", "surrogatepass").hex()
    json_escape = "".join(rf"\u{utf_16[at : at + 4]}" for at in range(0, len(utf_16), 4))
    exact = {json.dumps(character)[1:-1], html.escape(character), f"\\{character}", character}
    exact |= {" ": {"+"}, "'": {"&apos;"}}.get(character, set())
    entity = f"&#0*{ord(character)};|&#x0*{ord(character):x};"
    patterns = [f"(?i:{re.escape(percent)}|{re.escape(json_escape)}|{entity})"]
    patterns += [re.escape(spelling) for spelling in sorted(exact, key=len, reverse=True)]
    return f"(?:{'|'.join(patterns)})"
