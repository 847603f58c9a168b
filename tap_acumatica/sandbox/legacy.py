"""Generic inquiries in OData 3.0: their metadata, literals, JSON, ATOM and errors.

Date-times are in the time zone of the user's profile, without an offset. Source of the formats:
OData 3.0 (Atom, JSON, JSON Verbose and CSDL 3.0). Little is published about how Acumatica uses
them.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

from . import errors
from .exchange import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import Column, Inquiry, Model
    from .request_log import LoggedRequest
    from .source import Source

VERSION = "3.0"
_HEADERS = {"DataServiceVersion": f"{VERSION};"}
_ADO = "http://schemas.microsoft.com/ado"
_DATA = f"{_ADO}/2007/08/dataservices"
_NAMESPACES = f'xmlns="http://www.w3.org/2005/Atom" xmlns:d="{_DATA}" xmlns:m="{_DATA}/metadata"'
_NAMESPACE = "PX.Data"
_MEDIA_TYPES = {
    "light": "application/json;odata=minimalmetadata;streaming=true;charset=utf-8",
    "verbose": "application/json;odata=verbose;charset=utf-8",
    "atom": "application/atom+xml;type=feed;charset=utf-8",
}
_ERROR_MEDIA_TYPES = {**_MEDIA_TYPES, "atom": "application/xml;charset=utf-8"}
_FORMATS = {"json": "light", "verbosejson": "verbose", "atom": "atom"}
_UNQUOTED = frozenset({"Byte", "SByte", "Int16", "Int32", "Double", "Single", "Boolean"})
"""Types whose values have no quotes in JSON; `Decimal` and `Int64` have them."""
_TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*')
    | (?:(?P<column>[^\W\d]\w*)\s+(?P<operator>eq|ne|gt|ge|lt|le)\s+)?datetime'(?P<local>[^']*)'
    | datetimeoffset'(?P<instant>[^']*)'
    | guid'(?P<guid>[^']*)'
    | (?<![\w.])(?P<number>-?\d+(?:\.\d+)?)(?:[LlMmDdFf])(?!\w)
    | (?P<four>\d{4}-\d\d-\d\dT)""",
    re.VERBOSE,
)


# Requests


def format_of(request: LoggedRequest, *, by_accept: bool) -> str:
    """Return the requested format: `light`, `verbose` or, by default, `atom`."""
    wanted = request.query.get("$format", "")
    accept = request.headers.get("accept", "") if by_accept else ""
    wanted = wanted or (accept if "json" in accept else "atom")
    if "verbose" in wanted:
        return "verbose"
    return _FORMATS.get(wanted, "light" if "json" in wanted else "atom")


def odata4_options(
    options: Mapping[str, str], source: Source, zone: str, *, count: bool
) -> dict[str, str]:
    """Convert query options to OData 4.0.

    Raises:
        QueryError: if they are not valid in OData 3.0.
    """
    found = dict(options)
    if "$count" in found:
        raise errors.option_not_allowed("Count")
    if "$inlinecount" in found:
        if not count:
            raise errors.option_not_allowed("InlineCount")
        found["$count"] = str(found.pop("$inlinecount") == "allpages").lower()
    if "$filter" in found:
        found["$filter"] = _filter(found["$filter"], source, zone)
    return found


def inquiry_parameters(request: LoggedRequest, inquiry: Inquiry) -> dict[str, str]:
    """Return the inquiry's parameters, which are query options, quoted or not."""
    if request.version != VERSION:
        return {}
    given = {name: request.query[name] for name in inquiry.parameters if name in request.query}
    return {
        name: _parameter_literal(value, inquiry.parameters[name][0])
        for name, value in given.items()
    }


def _parameter_literal(value: str, edm: str) -> str:
    if edm == "String" and not value.startswith("'"):
        return "'" + value.replace("'", "''") + "'"
    return re.sub(r"^datetime'(.*)'$", r"\1Z", value)


def _filter(text: str, source: Source, zone: str) -> str:
    def converted(match: re.Match[str]) -> str:
        kind, value = match.lastgroup, match[match.lastgroup or 0]
        if kind == "four":
            msg = f"Syntax error at position {match.start()} in '{text}'."
            raise errors.QueryError(msg)
        if kind != "local":
            return value
        name = match["column"]
        is_local = not name or (name in source.columns and is_moment(source.columns[name]))
        instant = to_utc(value, zone) if is_local else f"{value}Z"
        return f"{name} {match['operator']} {instant}" if name else instant

    return _TOKEN.sub(converted, text)


def is_moment(column: Column) -> bool:
    """Return whether a column has instants, not dates, which are the same in all zones."""
    return column.expression.endswith("DateTime")


def to_utc(text: str, zone: str) -> str:
    """Convert a local time to a literal in UTC.

    An hour that occurs twice is read as the second occurrence, as .NET does.

    Raises:
        QueryError: if the text is not a date-time.
    """
    try:
        local = datetime.fromisoformat(text.ljust(26, "0") if "." in text else text)
    except ValueError as error:
        msg = f"Unrecognized 'Edm.String' literal 'datetime'{text}''."
        raise errors.QueryError(msg) from error
    moment = local.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"


def to_local(text: str, zone: str) -> str:
    """Convert a date-time in UTC to local time, without an offset."""
    head, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(f"{head}+00:00").astimezone(ZoneInfo(zone))
    return f"{moment:%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}"


# Responses


def text_rows(texts: Iterable[str], source: Source, zone: str) -> list[dict[str, str | None]]:
    """Return rows with all values as text, except null."""
    found = []
    for text in texts:
        row: dict[str, Any] = json.loads(text, parse_float=str, parse_int=str)
        for name, value in row.items():
            column = source.columns[name]
            if isinstance(value, bool):
                row[name] = str(value).lower()
            if column.edm == "DateTimeOffset" and value is not None:
                row[name] = to_local(value, zone) if is_moment(column) else value.removesuffix("Z")
        found.append(row)
    return found


def collection(  # noqa: PLR0913 - a response needs all of them
    data_format: str,
    rows: list[dict[str, str | None]],
    source: Source,
    root: str,
    *,
    count: int | None,
    link: str | None,
) -> Reply:
    """Return rows in one of the three formats."""
    if data_format == "atom":
        body = _atom_feed(rows, source, root, count, link)
    else:
        texts = [_json_row(row, source, root, verbose=data_format == "verbose") for row in rows]
        body = (_json_verbose if data_format == "verbose" else _json_light)(
            texts, source, root, count, link
        )
    return _reply(body, _MEDIA_TYPES[data_format], row_count=len(rows))


def _reply(body: str, kind: str, *, row_count: int = 0) -> Reply:
    return Reply(body=body, content_type=kind, headers=dict(_HEADERS), row_count=row_count)


def _json_light(
    rows: list[str], source: Source, root: str, count: int | None, link: str | None
) -> str:
    context = f"{root}/$metadata#{quote(source.set_name)}"
    members = [f'"odata.metadata":{json.dumps(context)}']
    if count is not None:
        members.append(f'"odata.count":"{count}"')
    members.append(f'"value":[{",".join(rows)}]')
    if link:
        members.append(f'"odata.nextLink":{json.dumps(link)}')
    return "{" + ",".join(members) + "}"


def _json_verbose(
    rows: list[str],
    source: Source,  # noqa: ARG001 - same signature as `_json_light`
    root: str,  # noqa: ARG001 - same signature as `_json_light`
    count: int | None,
    link: str | None,
) -> str:
    members = [f'"results":[{",".join(rows)}]']
    if count is not None:
        members.append(f'"__count":"{count}"')
    if link:
        members.append(f'"__next":{json.dumps(link)}')
    return '{"d":{' + ",".join(members) + "}}"


def _json_row(row: Mapping[str, str | None], source: Source, root: str, *, verbose: bool) -> str:
    members = [
        f"{json.dumps(name)}:{_json_value(value, source.columns[name].edm)}"
        for name, value in row.items()
    ]
    if verbose:
        about = {"uri": _entity_url(row, source, root), "type": f"{_NAMESPACE}.{source.set_name}"}
        members.insert(0, f'"__metadata":{json.dumps(about)}')
    return "{" + ",".join(members) + "}"


def _json_value(value: str | None, edm: str) -> str:
    return value if value is not None and edm in _UNQUOTED else json.dumps(value)


def _entity_url(row: Mapping[str, str | None], source: Source, root: str) -> str:
    key = ",".join(f"{name}='{quote(str(row[name]))}'" for name in source.key if name in row)
    return f"{root}/{quote(source.set_name)}({key})"


def _atom_feed(
    rows: list[dict[str, str | None]],
    source: Source,
    root: str,
    count: int | None,
    link: str | None,
) -> str:
    address = f"{root}/{quote(source.set_name)}"
    head = (
        f'<?xml version="1.0" encoding="utf-8"?><feed xml:base={quoteattr(root + "/")}'
        f' {_NAMESPACES}><id>{escape(address)}</id><title type="text">'
        f"{escape(source.set_name)}</title><updated>2024-01-01T00:00:00Z</updated>"
        f'<link rel="self" title={quoteattr(source.set_name)}'
        f" href={quoteattr(quote(source.set_name))} />"
    )
    parts = [head]
    if count is not None:
        parts.append(f"<m:count>{count}</m:count>")
    parts += [_atom_entry(row, source, root) for row in rows]
    if link:
        parts.append(f'<link rel="next" href={quoteattr(link)} />')
    return "".join([*parts, "</feed>"])


def _atom_entry(row: Mapping[str, str | None], source: Source, root: str) -> str:
    properties = "".join(
        _atom_property(name, value, source.columns[name].edm) for name, value in row.items()
    )
    return (
        f"<entry><id>{escape(_entity_url(row, source, root))}</id>"
        f"<category term={quoteattr(f'{_NAMESPACE}.{source.set_name}')} scheme='{_DATA}/scheme' />"
        "<title /><updated>2024-01-01T00:00:00Z</updated><author><name /></author>"
        f'<content type="application/xml"><m:properties>{properties}</m:properties></content>'
        "</entry>"
    )


def _atom_property(name: str, value: str | None, edm: str) -> str:
    kind = "" if edm == "String" else f' m:type="Edm.{_edm_name(edm)}"'
    if value is None:
        return f'<d:{name}{kind} m:null="true" />'
    # Some readers would drop white space at the ends, and line feeds.
    space = ' xml:space="preserve"' if value != value.strip() else ""
    return f"<d:{name}{kind}{space}>{escape(value, {chr(13): '&#xD;'})}</d:{name}>"


def _edm_name(name: str) -> str:
    return "DateTime" if name == "DateTimeOffset" else name


def error(reply: Reply, data_format: str) -> Reply:
    """Return an error in the format of the rows."""
    message = reply.message or ""
    details = {"code": "", "message": {"lang": "en-US", "value": message}}
    if data_format == "atom":
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><m:error xmlns:m="{_DATA}/metadata">'
            f'<m:code /><m:message xml:lang="en-US">{escape(message)}</m:message></m:error>'
        )
    else:
        body = json.dumps({"odata.error" if data_format == "light" else "error": details})
    kind = _ERROR_MEDIA_TYPES[data_format]
    return replace(reply, body=body, content_type=kind, headers=reply.headers | _HEADERS)


# Documents at the root


def metadata(model: Model) -> str:
    """Return the metadata of the generic inquiries in CSDL 3.0."""
    titles = sorted(model.inquiries)
    types = "".join(_entity_type(model.inquiries[title]) for title in titles)
    sets = "".join(
        f"<EntitySet Name={quoteattr(title)} EntityType={quoteattr(f'{_NAMESPACE}.{title}')} />"
        for title in titles
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<edmx:Edmx Version="1.0" xmlns:edmx="{_ADO}/2007/06/edmx">'
        f'<edmx:DataServices m:DataServiceVersion="{VERSION}" m:MaxDataServiceVersion="{VERSION}"'
        f' xmlns:m="{_DATA}/metadata"><Schema Namespace="{_NAMESPACE}" xmlns="{_ADO}/2009/11/edm">'
        f'{types}<EntityContainer Name="Default" m:IsDefaultEntityContainer="true">{sets}'
        "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"
    )


def _entity_type(inquiry: Inquiry) -> str:
    key = "".join(f"<PropertyRef Name={quoteattr(name)} />" for name in inquiry.key)
    properties = "".join(
        f'<Property Name={quoteattr(column.name)} Type="Edm.{_edm_name(column.edm)}"'
        f"{' Nullable=' + quoteattr('false') if column.name in inquiry.key else ''} />"
        for column in inquiry.columns.values()
    )
    return f"<EntityType Name={quoteattr(inquiry.title)}><Key>{key}</Key>{properties}</EntityType>"


def service_document(model: Model, root: str, data_format: str) -> Reply:
    """Return the list of inquiries."""
    titles = list(model.inquiries)
    if data_format == "verbose":
        body, kind = json.dumps({"d": {"EntitySets": titles}}), _MEDIA_TYPES[data_format]
    elif data_format == "light":
        listed = [{"name": title, "url": title} for title in titles]
        body = json.dumps({"odata.metadata": f"{root}/$metadata", "value": listed})
        kind = _MEDIA_TYPES[data_format]
    else:
        members = "".join(
            f"<collection href={quoteattr(quote(title))}><atom:title>{escape(title)}</atom:title>"
            "</collection>"
            for title in titles
        )
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><service xml:base={quoteattr(root + "/")}'
            ' xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom">'
            f"<workspace><atom:title>Default</atom:title>{members}</workspace></service>"
        )
        kind = "application/atomsvc+xml;charset=utf-8"
    return _reply(body, kind)
