"""An OData 3.0 service over tables in memory, written from the published protocol alone.

Sources: OData Version 3.0 (Core Protocol, URL Conventions, Atom Format, JSON Format, JSON Verbose
Format, CSDL). It answers in ATOM unless asked for JSON, and does not know headers of OData 4.0:
some services of its time answer 404 to them, and so does this one. Tables, filters and faults are
those of the service for OData 4.0; literals, forms and metadata are its own.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import typing as t
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from typing_extensions import override

from tests.odata_service import (
    NAMESPACE,
    Answer,
    FilterParser,
    ODataService,
    Refused,
    Table,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.odata_service import Column, Part, Request, Row

ADO = "http://schemas.microsoft.com/ado"
DATA = f"{ADO}/2007/08/dataservices"
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  what the clock shows, whatever its zone
_COLLECTION = re.compile(r"Collection\((.*)\)")
_AS_TEXT = frozenset({"Edm.Int64", "Edm.Decimal"})
_V4_HEADERS = ("odata-version", "odata-maxversion")
LITERAL = re.compile(
    r"""\s*(?:
      (?:datetime'(?P<local>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?)')
    | (?:datetimeoffset'(?P<instant>[^']*)')
    | (?:guid'(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})')
    | (?:(?:X|binary)'(?P<binary>(?:[0-9a-fA-F]{2})*)')
    | (?P<string>'(?:[^']|'')*')
    | (?P<long>-?\d+)[Ll](?!\w)
    | (?P<decimal>-?\d+(?:\.\d+)?)[Mm](?!\w)
    | (?P<double>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)[dDfF](?!\w)
    | (?P<number>-?\d+)(?![\w.-])
    | (?P<bracket>[()])
    | (?P<word>[^\W\d]\w*)
    )""",
    re.VERBOSE | re.ASCII,
)


class FilterParser3(FilterParser):
    """Filters with the literals of OData 3.0 (URL Conventions, section 5.1.1.3)."""

    tokens = LITERAL
    literal_types = {  # noqa: RUF012  never changed
        "string": lambda name: name == "Edm.String",
        "guid": lambda name: name == "Edm.Guid",
        "local": lambda name: name == "Edm.DateTime",
        "instant": lambda name: name == "Edm.DateTimeOffset",
        "binary": lambda name: name == "Edm.Binary",
        "long": lambda name: name == "Edm.Int64",
        "decimal": lambda name: name == "Edm.Decimal",
        "double": lambda name: name in {"Edm.Double", "Edm.Single"},
        "number": lambda name: name in {"Edm.Byte", "Edm.Int16", "Edm.Int32", "Edm.Int64"},
        "boolean": lambda name: name == "Edm.Boolean",
    }


@dataclass
class Forms:
    """What answers look like.

    Attributes:
        json: What ``application/json`` means: ``light`` or, as before 3.0, ``verbose``.
        by_option_only: Whether ``Accept`` is not looked at.
        ticks: Whether verbose JSON tells date-times as ``/Date(…)/``.
        typed: Whether ATOM tells types by ``m:type``.
        media: Whether entries describe media, their properties beside the content.
        told_as: Syndication elements by property that the content of an entry does not tell.
        says_version: Whether metadata and headers say the version.
    """

    json: t.Literal["light", "verbose"] = "light"
    by_option_only: bool = False
    ticks: bool = True
    typed: bool = True
    media: bool = False
    told_as: Mapping[str, str] = field(default_factory=dict)
    says_version: bool = True


class OData3Service(ODataService):
    """An OData 3.0 service.

    Attributes:
        forms: What its answers look like.
        complex_types: Types of members by name, by name of the complex type.
        namespace: Namespace of its metadata's schema.
    """

    parser = FilterParser3
    system_options = frozenset(
        {"$filter", "$orderby", "$top", "$skip", "$select", "$count", "$skiptoken", "$format"}
    )

    def __init__(
        self,
        *tables: Table,
        complex_types: Mapping[str, Mapping[str, str]] | None = None,
        forms: Forms | None = None,
        namespace: str = f"{ADO}/2009/11/edm",
    ) -> None:
        super().__init__(*tables)
        self.forms = forms or Forms()
        self.complex_types = complex_types or {}
        self.namespace = namespace

    @override
    def _right(self, request: Request) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        form = self._form(request, headers.get("accept", "*/*"))
        if any(name in headers for name in _V4_HEADERS):
            return self._error(form, 404, "no route matches")
        if request.path == f"{self.path}/$metadata":
            return self._answer(200, self.csdl(), "application/xml;charset=utf-8")
        try:
            name = request.path.removeprefix(f"{self.path}/")
            if name not in self.tables:
                msg = f"Resource not found for the segment '{name}'."
                raise Refused(msg, 404)  # noqa: TRY301  all errors are answered alike
            asked = dict(request.query)
            if "$count" in asked:
                msg = "The query parameter '$count' is not supported."
                raise Refused(msg)  # noqa: TRY301  the same
            asked["$count"] = str(asked.pop("$inlinecount", "none") == "allpages").lower()
            part = self.query(self.tables[name], asked)
        except Refused as error:
            return self._error(form, error.status, str(error))
        body = {"atom": self._feed, "light": self._light, "verbose": self._verbose}[form](
            self.tables[name], part
        )
        return self._answer(200, body, _KINDS[form])

    def _form(self, request: Request, accept: str) -> str:
        wish = request.query.get("$format", "")
        if not wish and not self.forms.by_option_only:
            wish = accept
        if "verbose" in wish:
            return "verbose"
        return self.forms.json if "json" in wish else "atom"

    def _answer(self, status: int, body: str, kind: str) -> Answer:
        headers = {"DataServiceVersion": "3.0;"} if self.forms.says_version else {}
        return Answer(status, body.encode(), kind, {**headers, "OData-Version": ""})

    def _error(self, form: str, status: int, message: str) -> Answer:
        if form == "atom":
            body = (
                f'<?xml version="1.0" encoding="utf-8"?><m:error xmlns:m="{DATA}/metadata">'
                f'<m:code/><m:message xml:lang="en-US">{escape(message)}</m:message></m:error>'
            )
            return self._answer(status, body, "application/xml;charset=utf-8")
        said = {"code": "", "message": {"lang": "en-US", "value": message}}
        name = "odata.error" if form == "light" else "error"
        return self._answer(status, json.dumps({name: said}), _KINDS[form])

    def _link(self, table: Table, behind: Mapping[str, str]) -> str:
        query = "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in behind.items())
        start = "" if self.relative else f"{self.url}/"
        return f"{start}{quote(table.name)}?{query}"

    # JSON

    def _light(self, table: Table, part: Part) -> str:
        rows = ",".join(
            "{" + ",".join(self._members(table, row, verbose=False)) + "}" for row in part.rows
        )
        context = json.dumps(f"{self.url}/$metadata#{table.name}")
        members = [f'"odata.metadata":{context}', f'"value":[{rows}]']
        if part.counted is not None:
            members.insert(1, f'"odata.count":"{part.counted}"')
        if part.behind is not None:
            members.append(f'"odata.nextLink":{json.dumps(self._link(table, part.behind))}')
        return "{" + ",".join(members) + "}"

    def _verbose(self, table: Table, part: Part) -> str:
        about = {"uri": f"{self.url}/x", "type": f"{NAMESPACE}.{table.name}Row", "etag": 'W/"1"'}
        deferred = {"__deferred": {"uri": f"{self.url}/x/Others"}}
        rows = ",".join(
            "{"
            + ",".join(
                [
                    f'"__metadata":{json.dumps(about)}',
                    *self._members(table, row, verbose=True),
                    f'"Others":{json.dumps(deferred)}',
                ]
            )
            + "}"
            for row in part.rows
        )
        members = [f'"results":[{rows}]']
        if part.counted is not None:
            members.append(f'"__count":"{part.counted}"')
        if part.behind is not None:
            members.append(f'"__next":{json.dumps(self._link(table, part.behind))}')
        return '{"d":{' + ",".join(members) + "}}"

    def _members(self, table: Table, row: Row, *, verbose: bool) -> list[str]:
        return [
            f"{json.dumps(name)}:{self._json(value, table.columns[name].type, verbose=verbose)}"
            for name, value in row.items()
        ]

    def _json(self, value: t.Any, type_name: str, *, verbose: bool) -> str:
        if value is None:
            return "null"
        if found := _COLLECTION.fullmatch(type_name):
            items = ",".join(self._json(item, found[1], verbose=verbose) for item in value)
            about = json.dumps({"type": type_name})
            return f'{{"__metadata":{about},"results":[{items}]}}' if verbose else f"[{items}]"
        if type_name.removeprefix(f"{NAMESPACE}.") in self.complex_types:
            types = self.complex_types[type_name.removeprefix(f"{NAMESPACE}.")]
            members = [
                f"{json.dumps(name)}:{self._json(item, types[name], verbose=verbose)}"
                for name, item in value.items()
            ]
            if verbose:
                members.insert(0, f'"__metadata":{json.dumps({"type": type_name})}')
            return "{" + ",".join(members) + "}"
        if verbose and self.forms.ticks and type_name in {"Edm.DateTime", "Edm.DateTimeOffset"}:
            return f'"\\/Date({_ticks(value)})\\/"'
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            text = str(value) if isinstance(value, int) else format(value, "f")
            return f'"{text}"' if type_name in _AS_TEXT else text
        return json.dumps(value, ensure_ascii=False)

    # ATOM

    def _feed(self, table: Table, part: Part) -> str:
        base = quoteattr(f"{self.url}/")
        names = f'xmlns="http://www.w3.org/2005/Atom" xmlns:d="{DATA}" xmlns:m="{DATA}/metadata"'
        parts = [
            f'<?xml version="1.0" encoding="utf-8"?>\n<feed xml:base={base} {names}>',
            f'<title type="text">{escape(table.name)}</title><id>{escape(self.url)}/x</id>',
            "<updated>2024-01-01T00:00:00Z</updated>",
            f'<link rel="self" title={quoteattr(table.name)} href={quoteattr(table.name)}/>',
        ]
        if part.counted is not None:
            parts.append(f"<m:count>{part.counted}</m:count>")
        parts += [self._entry(table, row) for row in part.rows]
        if part.behind is not None:
            parts.append(f'<link rel="next" href={quoteattr(self._link(table, part.behind))}/>')
        return "\n".join([*parts, "</feed>"])

    def _entry(self, table: Table, row: Row) -> str:
        told = {
            name: element
            for name, element in self.forms.told_as.items()
            if row.get(name) is not None
        }
        elements = "".join(
            self._element(f"d:{_xml_name(name)}", value, table.columns[name].type)
            for name, value in row.items()
            if name not in told
        )
        title = next((row[name] for name, place in told.items() if place == "Title"), "")
        summary = "".join(
            f'<summary type="text">{_text(row[name])}</summary>'
            for name, place in told.items()
            if place == "Summary"
        )
        properties = f"<m:properties>{elements}</m:properties>"
        content = f'<content type="application/xml">{properties}</content>'
        if self.forms.media:
            content = f'<content type="image/png" src="x/$value"/>{properties}'
        return (
            f'<entry m:etag="W/&quot;1&quot;"><id>{escape(self.url)}/x</id>'
            f'<category term="{NAMESPACE}.{escape(table.name)}Row" scheme="{DATA}/scheme"/>'
            f'<link rel="edit" title={quoteattr(table.name)} href="x"/>'
            f'<link rel="{DATA}/related/Others" type="application/atom+xml;type=feed"'
            ' title="Others" href="x/Others"/>'
            f'<title type="text">{escape(title)}</title>{summary}'
            f"<updated>2024-01-01T00:00:00Z</updated><author><name/></author>{content}</entry>"
        )

    def _element(self, tag: str, value: t.Any, type_name: str) -> str:
        typed = f' m:type="{type_name}"' if self.forms.typed and type_name != "Edm.String" else ""
        if value is None:
            return f'<{tag}{typed} m:null="true"/>'
        if found := _COLLECTION.fullmatch(type_name):
            items = "".join(self._element("d:element", item, found[1]) for item in value)
            return f"<{tag}{typed}>{items}</{tag}>"
        if type_name.removeprefix(f"{NAMESPACE}.") in self.complex_types:
            types = self.complex_types[type_name.removeprefix(f"{NAMESPACE}.")]
            members = "".join(
                self._element(f"d:{name}", item, types[name]) for name, item in value.items()
            )
            return f"<{tag}{typed}>{members}</{tag}>"
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(value, Decimal):
            text = format(value, "f")
        kept = ' xml:space="preserve"' if text != text.strip() else ""
        return f"<{tag}{typed}{kept}>{_text(text)}</{tag}>"

    # Metadata

    @override
    def csdl(self) -> str:
        """The metadata of the tables, in CSDL 3.0 or older."""
        kinds = "".join(
            f"<ComplexType Name={quoteattr(name)}>"
            + "".join(
                f"<Property Name={quoteattr(member)} Type={quoteattr(type_name)}/>"
                for member, type_name in members.items()
            )
            + "</ComplexType>"
            for name, members in self.complex_types.items()
        )
        types = "".join(self._entity_type(table) for table in self.tables.values())
        sets = "".join(
            f"<EntitySet Name={quoteattr(name)} EntityType={quoteattr(f'{NAMESPACE}.{name}Row')}/>"
            for name in self.tables
        )
        version = ' m:DataServiceVersion="3.0" m:MaxDataServiceVersion="3.0"'
        return (
            f'<edmx:Edmx Version="1.0" xmlns:edmx="{ADO}/2007/06/edmx"><edmx:DataServices'
            f'{version if self.forms.says_version else ""} xmlns:m="{DATA}/metadata">'
            f'<Schema Namespace="{NAMESPACE}" xmlns="{self.namespace}">{kinds}{types}'
            f'<EntityContainer Name="C" m:IsDefaultEntityContainer="true">{sets}</EntityContainer>'
            "</Schema></edmx:DataServices></edmx:Edmx>"
        )

    def _entity_type(self, table: Table) -> str:
        key = "".join(f"<PropertyRef Name={quoteattr(name)}/>" for name in table.key)
        properties = "".join(self._property(name, column) for name, column in table.columns.items())
        return (
            f"<EntityType Name={quoteattr(f'{table.name}Row')}><Key>{key}</Key>{properties}"
            "</EntityType>"
        )

    def _property(self, name: str, column: Column) -> str:
        facets = "" if column.nullable else ' Nullable="false"'
        if column.precision is not None:
            facets += f' Precision="{column.precision}" Scale="{column.scale}"'
        if place := self.forms.told_as.get(name):
            facets += (
                f' m:FC_TargetPath="Syndication{place}" m:FC_ContentKind="text"'
                ' m:FC_KeepInContent="false"'
            )
        return f"<Property Name={quoteattr(name)} Type={quoteattr(column.type)}{facets}/>"


_KINDS = {
    "light": "application/json;odata=minimalmetadata;streaming=true;charset=utf-8",
    "verbose": "application/json;odata=verbose;charset=utf-8",
    "atom": "application/atom+xml;type=feed;charset=utf-8",
}


def _text(text: str) -> str:
    """A text in XML; a carriage return would not be kept otherwise."""
    return escape(text, {"\r": "&#xD;"})


def _xml_name(name: str) -> str:
    """A name as an XML element may have it: other characters as ``_x0020_``."""
    return re.sub(r"[^\w.-]", lambda match: f"_x{ord(match[0]):04X}_", name)


def _ticks(text: str) -> str:
    """Milliseconds that the clock shows since 1970, with the minutes of its offset if any."""
    match = re.fullmatch(r"([^.Z+]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text)
    assert match is not None
    local, fraction, offset = match.groups()
    shown = dt.datetime.fromisoformat(local) - _EPOCH
    milliseconds = shown // dt.timedelta(milliseconds=1) + int((fraction or "0")[:3].ljust(3, "0"))
    if offset is None:
        return str(milliseconds)
    minutes = 0 if offset == "Z" else int(offset[1:3]) * 60 + int(offset[4:])
    return f"{milliseconds}{'-' if offset[0] == '-' else '+'}{minutes:04d}"
