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

MASK = "***"
_PLAIN = re.compile(r"[A-Za-z0-9_-]", re.ASCII)


class Redactor:
    """The secrets of one service, shared by all that quote it; more may be added at any time."""

    def __init__(self, *secrets: str | None) -> None:
        """Start with these secrets; None and empty ones are left out."""
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str | None) -> None:
        """Add secrets; None and empty ones are left out."""
        with self._lock:
            found = self._secrets.union(secret for secret in secrets if secret)
            if found != self._secrets:
                self._secrets = found
                longest_first = sorted(found, key=lambda secret: (-len(secret), secret))
                self._pattern = re.compile("|".join(map(_any_spelling, longest_first)))

    def add_basic(self, username: str, password: str) -> None:
        """Add a password, alone and as the pair that HTTP Basic authentication sends."""
        pair = base64.b64encode(f"{username}:{password}".encode()).decode()
        self.add(password, pair, pair.rstrip("="))

    def redact(self, text: str) -> str:
        """A text that came from a service, an address or a header, without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def redact_body(self, body: bytes) -> bytes:
        """The body of an answer, as :meth:`redact`."""
        if self._pattern is None:
            return body
        return self.redact(body.decode("utf-8", "replace")).encode()


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
    if character == " ":
        exact.add("+")
    patterns = [f"(?i:{re.escape(percent)}|{re.escape(json_escape)})"]
    patterns += [re.escape(spelling) for spelling in sorted(exact, key=len, reverse=True)]
    return f"(?:{'|'.join(patterns)})"
