"""Parses JSON responses: the collection or entity, the next link, and errors in disguise.

Supported forms (OData JSON Format 4.01 sections 4.5 and 4.6, OData 3.0 JSON Light and Verbose):
``value`` with ``@odata.nextLink``, ``@nextLink`` or ``odata.nextLink``; ``d.results`` with
``__next``; ``d`` alone, from OData 1.0. Errors are also read from XML.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from lxml import etree

from tap_acumatica.errors import EmptyPayloadError, PayloadError
from tap_acumatica.odata.repair import has_nul, read_json

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

Row = dict[str, t.Any]

NESTED_NEXT_LINK = "@odata.nextLink"
"""Follows the name of an expanded property whose collection was cut short."""
_NEXT_LINKS = ("@odata.nextLink", "@nextLink", "odata.nextLink", "__next")
_CONTEXTS = ("@odata.context", "@context", "odata.metadata")
ERROR_MEMBERS = ("error", "odata.error", "@odata.error", "@error")
"""What stands for an error at the top of a response, in all generations."""
_LIST_WRAPPER = frozenset({"results", "__metadata", "__count", "__next"})
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_MAX_ERROR_LENGTH = 200
_DATE = re.compile(r"/Date\((-?\d+)([+-]\d+)?\)/", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  local time in any zone
_ENCODED_CHARACTER = re.compile(r"_x([0-9A-Fa-f]{8}|[0-9A-Fa-f]{4})_")


@dataclass(frozen=True, slots=True)
class Payload:
    """A decoded response.

    Attributes:
        rows: The entities in the order received, including their control information.
        next_link: URL of the next page, as the service wrote it, or None.
        context: Context URL, or None.
        marked: Whether values may hold what :func:`repair.repaired` repairs.
    """

    rows: list[Row]
    next_link: str | None = None
    context: str | None = None
    marked: bool = False


def parse_collection(body: bytes, *, lenient: bool = False) -> Payload:
    """Decode a response that must contain a collection.

    Args:
        body: The body.
        lenient: Whether values that are not JSON are marked, instead of refused.

    Raises:
        PayloadError: If the body is empty, HTML, cut off, an error, or not a collection.
    """
    if body.strip() == b"null":
        msg = "the response has no content, which is not an empty collection of rows"
        raise PayloadError(msg)
    document, marked = _decode(body, lenient=lenient)
    _raise_error(document, ERROR_MEMBERS, body)
    content = _content(document)
    if isinstance(content, list):
        return Payload(_entities(content), marked=marked)
    _raise_error(content, ERROR_MEMBERS, body)
    rows = content.get("value", content.get("results")) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        msg = "the response has no collection of rows ('value' is missing)"
        raise PayloadError(msg)
    return Payload(
        _entities(rows),
        _first_text(content, _NEXT_LINKS),
        _first_text(document, _CONTEXTS),
        marked,
    )


def parse_entity(
    body: bytes, properties: Collection[str] = (), *, lenient: bool = False
) -> Payload:
    """Decode a response that must contain one entity, such as a singleton.

    Args:
        body: The body.
        properties: Names of the entity's properties, one of which may be ``error``.
        lenient: Whether values that are not JSON are marked, instead of refused.

    Returns:
        One row; no row if the body is ``null``.

    Raises:
        PayloadError: As :func:`parse_collection`.
    """
    if body.strip() == b"null":
        return Payload([])
    document, marked = _decode(body, lenient=lenient)
    _raise_error(document, [name for name in ERROR_MEMBERS if name not in properties], body)
    content = _content(document)
    if not isinstance(content, dict):
        msg = "the response has no entity"
        raise PayloadError(msg)
    if set(content) <= {"value", *_CONTEXTS} and isinstance(content.get("value"), list):
        content = content["value"]
    rows = content if isinstance(content, list) else [content]
    return Payload(_entities(rows), context=_first_text(document, _CONTEXTS), marked=marked)


def names_in_service_document(body: bytes) -> set[str]:
    """Names of what a service document lists (OData JSON Format 4.01, section 5).

    Args:
        body: The body.

    Returns:
        Names of entity sets, singletons and functions; empty where the body is something else.
    """
    try:
        document = _DECODER.decode(body.lstrip(b"\xef\xbb\xbf \t\r\n"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return set()
    content = _content(document) if isinstance(document, dict) else document
    listed = content.get("value", content.get("EntitySets")) if isinstance(content, dict) else None
    names = [item.get("name") if isinstance(item, dict) else item for item in listed or ()]
    return {name for name in names if isinstance(name, str)}


def is_control_information(name: str) -> bool:
    """Whether a member of an entity is control information or an annotation, not a property."""
    return "@" in name or name.startswith(("odata.", "__"))


def decode_name(name: str) -> str:
    """Replace escapes such as ``_x0020_`` in a property name with their characters.

    Services escape names that are not valid XML names, some of them everywhere, others only in
    ATOM.
    """
    if "_x" not in name:
        return name
    found = _ENCODED_CHARACTER.sub(lambda match: _character(int(match[1], 16)), name)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(number: int) -> str:
    return chr(number) if number < 0x110000 else "\ufffd"  # noqa: PLR2004  the end of Unicode


def _content(document: dict[str, t.Any]) -> t.Any:
    """The content of a document; JSON Verbose, which has only ``d`` at the top, is unwrapped."""
    return _unwrap_verbose(document["d"]) if set(document) == {"d"} else document


def _unwrap_verbose(value: t.Any, depth: int = 0) -> t.Any:
    """Reduce a JSON Verbose value to its data: no ``results``, deferred links or metadata."""
    if isinstance(value, str):
        return iso_date_time(value) if value.startswith("/Date(") else value
    if isinstance(value, list):
        return [_unwrap_verbose(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if depth and isinstance(value.get("results"), list) and set(value) <= _LIST_WRAPPER:
        return [_unwrap_verbose(item, depth + 1) for item in value["results"]]
    unwrapped = {
        name: item if name in _NEXT_LINKS else _unwrap_verbose(item, depth + 1)
        for name, item in value.items()
        if name != "__metadata" and not (isinstance(item, dict) and "__deferred" in item)
    }
    for name, item in value.items():
        if isinstance(item, dict) and "results" in item and (link := item.get("__next")):
            unwrapped[f"{name}{NESTED_NEXT_LINK}"] = link
    return unwrapped


def iso_date_time(text: str) -> str:
    """Convert ``/Date(milliseconds+minutes)/`` from OData 1.0 and 2.0 to ISO 8601.

    The milliseconds since 1970 count local time, in whatever zone. The minutes are the offset of
    that zone, and only ``Edm.DateTimeOffset`` has them. Microsoft's services write it like this.
    Other texts are returned as they are.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return text
    milliseconds, offset = match.groups()
    try:
        local = _EPOCH + dt.timedelta(milliseconds=int(milliseconds))
    except OverflowError:
        return text
    minutes = abs(int(offset or 0))
    zone = f"{(offset or '+')[0]}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{local.isoformat(timespec='milliseconds')}{zone if offset else ''}"


def _decode(body: bytes, *, lenient: bool) -> tuple[dict[str, t.Any], bool]:
    """The document, and whether its values may hold what is to be repaired."""
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        msg = "the response is empty"
        raise EmptyPayloadError(msg)
    if text[:1] == b"<":
        kind = "an HTML page" if b"<html" in text[:2000].lower() else "XML"
        msg = f"the response is {kind} instead of JSON"
        raise PayloadError(msg)
    try:
        document, marked = _DECODER.decode(text), has_nul(text)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, RecursionError) as error:
        document, marked = read_json(text), True
        if not lenient:
            msg = f"the response is not valid JSON ({error})"
            raise PayloadError(msg) from error
    if not isinstance(document, dict):
        msg = "the response is not a JSON object"
        raise PayloadError(msg)
    return document, marked


def _raise_error(members: t.Any, names: Iterable[str], body: bytes) -> None:
    """Raise if a response holds an error; it may stand behind rows that were sent before it."""
    if isinstance(members, dict) and any(members.get(name) is not None for name in names):
        msg = f"the response has a success status but contains an error: {error_text(body)}"
        raise PayloadError(msg)


def _entities(rows: list[t.Any]) -> list[Row]:
    if not all(isinstance(row, dict) for row in rows):
        msg = "the collection in the response contains something that is not an entity"
        raise PayloadError(msg)
    return rows


def _first_text(members: dict[str, t.Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = members.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def error_text(body: bytes, redact: Callable[[str], str] = str) -> str:
    """Extract the readable part of an error response: OData's message, .NET's, or plain text.

    Args:
        body: The body as received, in any format.
        redact: Masks secrets; it is given the decoded text, before that is shortened.

    Returns:
        One line of at most 200 characters; empty if the body is empty or HTML.
    """
    try:
        document = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace")
        is_markup = text.lstrip("\ufeff \t\r\n").startswith("<")
        return _one_line(redact(_xml_message(body) if is_markup else text))
    return _one_line(redact(_deepest_message(document)))


def _xml_message(body: bytes) -> str:
    """The innermost message of an ``m:error`` in XML; empty for HTML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return ""
    if root.tag.rpartition("}")[2] != "error":
        return ""
    messages = [text for found in root.iter("{*}message") if (text := found.text)]
    return messages[-1] if messages else ""


def _deepest_message(document: t.Any) -> str:
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        return ""
    for name in (
        "innererror",
        *ERROR_MEMBERS,
        "exceptionMessage",
        "message",
        "value",
        "Message",
    ):
        if name in document and (text := _deepest_message(document[name])):
            return text
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_ERROR_LENGTH]
