"""What is wrong with a text that is not JSON, as people get there."""

from __future__ import annotations

import json
import re

PADDING = " \t\r\n\f\v\0\x1a\u00a0\u200b\ufeff"
"""What may stand around a document: blanks, byte order marks, and what fills up a file."""

_EXAMPLE = '{"url": "https://company.acumatica.com"}'
_LANGUAGES = (
    (r"<", "it looks like XML or HTML"),
    (
        r"(export\s+)?TAP_ACUMATICA_\w+\s*=",
        "it looks like a file of variables: name it .env and use --config=ENV",
    ),
    (r"---|-\s|[\w.-]+\s*:(\s|$)", f"it looks like YAML; write JSON, such as {_EXAMPLE}"),
    (r"\[\w+\]\s*$|[\w.-]+\s*=", f"it looks like TOML or INI; write JSON, such as {_EXAMPLE}"),
)
"""What the first line of another language looks like."""

_HERE = (
    (r"//|/\*|#", "JSON has no comments; take them out"),
    (
        r"[\u201c-\u201f\u2018-\u201b\u00ab\u00bb]",
        'it has typographic quotation marks; write straight ones (")',
    ),
    (r"'", 'it has single quotation marks; write double ones (")'),
    (r",\s*[}\]]", "there is a comma after the last entry; take it out"),
    (r"(True|False|None|yes|no)\b", "write true, false or null"),
)
"""What stands where the decoder stops."""

_SAID = (
    ("Unterminated string", "it ends in the middle, or a closing quotation mark is missing"),
    ("Extra data", "it holds more than one JSON value; leave one"),
    ("Expecting ',' delimiter", "a comma is missing before this place"),
    ("Expecting ':' delimiter", "a colon is missing before this place"),
    ("Expecting property name", 'a name must stand in double quotation marks (")'),
    ("Invalid \\", "a backslash in a text is written as two (C:\\\\folder)"),
    ("Invalid control", "a text must not go over the end of a line"),
    ("", 'a text must stand in double quotation marks (")'),
)
"""What the decoder says."""


def syntax_fault(text: str) -> tuple[int, int, str]:
    """Line, column and likely cause, without any content.

    Args:
        text: What is not JSON. Zeros and nothing are returned where the standard library reads it.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        place = error.pos
        if text[place : place + 1] in {"}", "]"} and text[:place].rstrip().endswith(","):
            place = text.rindex(",", 0, place)
        line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
        return line, column, _cause(text, place, error.msg)
    except (ValueError, RecursionError):
        pass
    return 0, 0, ""


def _cause(text: str, place: int, said: str) -> str:
    if text.lstrip(PADDING)[:1] != "{":
        lines = (line.strip() for line in text.lstrip(PADDING).splitlines())
        first = next((line for line in lines if line and not line.startswith("#")), "")
        for pattern, cause in _LANGUAGES:
            if re.match(pattern, first):
                return cause
    if place >= len(text):
        return "it ends in the middle"
    for pattern, cause in _HERE:
        if re.match(pattern, text[place:]):
            return cause
    return next(cause for words, cause in _SAID if said.startswith(words))
