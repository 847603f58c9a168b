"""The nearest name: what somebody meant who wrote one that is not there."""

from __future__ import annotations

import re
import typing as t
from difflib import get_close_matches

if t.TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like another: the same but for case and signs, or a typo."""
    by_letters: dict[str, str] = {}
    for each in known:
        by_letters.setdefault(_letters(each), each)
    letters = _letters(name)
    if letters in by_letters:
        return by_letters[letters]
    close = get_close_matches(letters, by_letters, n=1)
    return by_letters[close[0]] if close else None


def _letters(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.casefold()) or name
