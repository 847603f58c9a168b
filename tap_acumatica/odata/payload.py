"""JSON answers: the collection or entity inside, the next link, and what is no answer at all.

Spellings covered (OData JSON Format 4.01 sections 4.5 and 4.6, OData 3.0 JSON Light and Verbose):
``value`` with ``@odata.nextLink`` or ``@nextLink``, ``odata.nextLink``, ``d.results`` with
``__next``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from tap_acumatica.odata.errors import EmptyPayloadError, PayloadError

Row = dict[str, t.Any]

_NEXT_LINKS = ("@odata.nextLink", "@nextLink", "odata.nextLink", "__next")
_CONTEXTS = ("@odata.context", "@context", "odata.metadata")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Payload:
    """One decoded answer.

    Attributes:
        rows: The entities in the order received, control information still inside.
        next_link: Address of the following part as the service spelled it, or None.
        context: Context address, or None.
    """

    rows: list[Row]
    next_link: str | None = None
    context: str | None = None


def parse_collection(body: bytes) -> Payload:
    """Decode an answer that must hold a collection.

    Raises:
        PayloadError: If it is empty, HTML, cut off, an error in disguise, or no collection.
    """
    document = _decode(body)
    inner = document.get("d", document)
    if isinstance(inner, list):
        return Payload(_entities(inner))
    rows = inner.get("value", inner.get("results")) if isinstance(inner, dict) else None
    if not isinstance(rows, list):
        msg = "the answer holds no collection of rows ('value' is missing)"
        raise PayloadError(msg)
    return Payload(_entities(rows), _first(inner, _NEXT_LINKS), _first(document, _CONTEXTS))


def parse_entity(body: bytes) -> Payload:
    """Decode an answer that must hold one entity, such as a singleton's; ``null`` is none.

    Raises:
        PayloadError: As :func:`parse_collection`.
    """
    if body.strip() == b"null":
        return Payload([])
    document = _decode(body)
    inner = document.get("d", document)
    if not isinstance(inner, dict):
        msg = "the answer holds no entity"
        raise PayloadError(msg)
    if set(inner) <= {"value", *_CONTEXTS} and isinstance(inner.get("value"), list):
        return Payload(_entities(inner["value"]), context=_first(document, _CONTEXTS))
    return Payload([inner], context=_first(document, _CONTEXTS))


def is_control_information(name: str) -> bool:
    """Whether a member of an entity is control information or an annotation, no property."""
    return "@" in name or name.startswith(("odata.", "__"))


def _decode(body: bytes) -> dict[str, t.Any]:
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        msg = "the answer is empty"
        raise EmptyPayloadError(msg)
    if text[:1] == b"<":
        kind = "an HTML page" if b"<html" in text[:2000].lower() else "XML"
        msg = f"the answer is {kind} instead of JSON"
        raise PayloadError(msg)
    try:
        document = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"the answer is cut off or no JSON ({error})"
        raise PayloadError(msg) from error
    if not isinstance(document, dict):
        msg = "the answer is no JSON object"
        raise PayloadError(msg)
    for name in ("error", "@odata.error", "odata.error"):
        if isinstance(document.get(name), dict):
            msg = f"the answer is an error although its status is success: {error_text(body)}"
            raise PayloadError(msg)
    return document


def _entities(rows: list[t.Any]) -> list[Row]:
    if not all(isinstance(row, dict) for row in rows):
        msg = "the answer's collection holds something that is no entity"
        raise PayloadError(msg)
    return rows


def _first(members: dict[str, t.Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = members.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def error_text(body: bytes) -> str:
    """The readable part of an error answer: OData's ``error.message``, .NET's texts, or plain text.

    Args:
        body: The body as received, in whatever form.

    Returns:
        One line of at most 200 characters; empty where the body is empty or a page of HTML.
    """
    try:
        document = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body[:2000].decode("utf-8", "replace")
        return "" if text.lstrip().startswith("<") else _one_line(text)
    return _one_line(_deepest_message(document))


def _deepest_message(document: t.Any) -> str:
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        return ""
    for name in (
        "innererror",
        "error",
        "odata.error",
        "exceptionMessage",
        "message",
        "value",
        "Message",
    ):
        if name in document and (text := _deepest_message(document[name])):
            return text
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
