"""What a site says about its generic inquiries, in data access classes that users may be let read.

An inquiry is itself made of rows: ``GIDesign`` (one per inquiry), ``GIResult`` (its columns),
``GITable``, ``GIGroupBy``, ``GIFilter`` (its parameters), ``GIWhere`` and ``GIDataWarehouse``. They
stand beside the inquiries, at the address of the same tenant's data access classes, and need rights
to the screen Generic Inquiry (SM208000). Source: their ``$metadata``, Acumatica ERP 2026 R2.

Whatever goes wrong here means "cannot tell": each is asked for once, and no failure leaves this
module.
"""

from __future__ import annotations

import logging
import re
import typing as t
from collections import defaultdict
from dataclasses import dataclass, field

from tap_acumatica.errors import RefusedError, TapError, UnreachableError
from tap_acumatica.http.retry import RetryableError
from tap_acumatica.odata.payload import parse_collection, parse_entity
from tap_acumatica.odata.query import QueryOptions, build_url

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tap_acumatica.acumatica.connection import Connection

logger = logging.getLogger(__name__)

_ROWS = 10_000
_REQUESTS = 5  # of one class: 50,000 columns are those of more inquiries than a site has
_DESIGN = (
    *("DesignID", "Name", "SelectTop", "ExportTop", "ShowDeletedRecords"),
    *("ShowArchivedRecords", "UseDataWarehouse", "LastModifiedDateTime"),
)
_LATER = "UseDataWarehouse"  # 2025 R2 does not have it yet
_PARTS = {
    "GIResult": ("DesignID", "IsActive", "Field", "Caption", "AggregateFunction"),
    "GITable": ("DesignID", "Alias"),
    "GIGroupBy": ("DesignID", "IsActive", "DataFieldName"),
    "GIFilter": ("DesignID", "IsActive", "Name", "Required", "DefaultValue"),
    "GIWhere": ("DesignID", "IsActive"),
}
_WAREHOUSE = ("DesignID", "UpdateFrequencyInMinutes")
_NAMED = 5
_REPEATED = re.compile(r"_\d+$")


@dataclass(frozen=True, slots=True)
class InquiryParameter:
    """A parameter of an inquiry."""

    name: str
    required: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class InquiryDefinition:
    """What the site says of one inquiry; what could not be read is as if it were not there.

    Attributes:
        modified: When the definition was changed last, as the site wrote it.
        select_top: The most rows of its result; 0 for all.
        export_top: The most rows of an export; 0 for all.
        shows_deleted: Whether rows that Acumatica keeps as deleted are part of it.
        shows_archived: Whether archived rows are.
        warehouse: Whether it answers from stored results.
        warehouse_minutes: How often these are renewed; None where that is not known.
        tables: How many tables it joins.
        conditions: How many fixed conditions it has.
        grouped_by: The fields that its rows are grouped by.
        formulas: Captions of columns that are formulas.
        aggregates: Captions of columns that are aggregates of a group.
        parameters: Its parameters.
    """

    modified: str | None = None
    select_top: int = 0
    export_top: int = 0
    shows_deleted: bool = False
    shows_archived: bool = False
    warehouse: bool = False
    warehouse_minutes: int | None = None
    tables: int = 0
    conditions: int = 0
    grouped_by: tuple[str, ...] = ()
    formulas: tuple[str, ...] = ()
    aggregates: tuple[str, ...] = ()
    parameters: tuple[InquiryParameter, ...] = ()

    @property
    def limits(self) -> frozenset[int]:
        """Lengths at which an answer may have been cut by the definition."""
        return frozenset({self.select_top, self.export_top}) - {0}

    def calculated(self, names: Iterable[str]) -> frozenset[str]:
        """Those of the properties with these names that cannot be filtered or sorted by.

        A property is named after its caption, without what a name must not hold. Where captions
        are the same, a number follows, and which is which is not known: then all of them count.
        """
        captions = {_folded(caption) for caption in (*self.formulas, *self.aggregates)}
        return frozenset(
            name
            for name in names
            if not captions.isdisjoint({_folded(name), _folded(_REPEATED.sub("", name))})
        )


def inquiry_definitions(
    connection: Connection,
    titles: Collection[str],
    remembered: Mapping[str, InquiryDefinition] | None = None,
) -> dict[str, InquiryDefinition]:
    """What the site says of inquiries.

    Args:
        connection: The service that holds the inquiries.
        titles: Names of their entity sets.
        remembered: What it said before, by title. Where it has changed none of these since, one
            request is all.

    Returns:
        The definitions by title, of those that were found.
    """
    tables = SiteTables(connection)
    design = tables.rows("GIDesign", _DESIGN, later=_LATER)
    if design is None:
        tables.log_unread()
        return dict(remembered or {})
    found = _by_title(design, titles)
    known = remembered or {}
    if found and all(
        title in known and known[title].modified == row.text("LastModifiedDateTime")
        for title, row in found.items()
    ):
        return {title: known[title] for title in found}
    parts: dict[str, dict[str, list[Row]]] = {}
    if found:
        parts = {name: tables.by_design(name, columns) for name, columns in _PARTS.items()}
        if any(row.flag("UseDataWarehouse") for row in found.values()):
            parts["GIDataWarehouse"] = tables.by_design("GIDataWarehouse", _WAREHOUSE)
    tables.log_unread()
    return {
        title: _definition(
            row,
            {name: rows.get(_folded(row.text("DesignID")), []) for name, rows in parts.items()},
        )
        for title, row in found.items()
    }


def log_deletion_tracking(connection: Connection) -> None:
    """Say for which tables the site keeps what is deleted for good, and for how long."""
    tables = SiteTables(connection)
    preferences = tables.entity("ODataPreferences")
    days = preferences.number("DaysRetentionHistoryDeletedRecords") if preferences else None
    tracked = tables.rows("SMDeletedRecordsTrackingTables", ("TableName", "CreatedDateTime"))
    if tracked:
        names = [name for row in tracked if (name := row.text("TableName"))]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        logger.info(
            "%s keeps the deletions of rows of %s%s%s; 'deleted_records' does not read them: rows "
            "that are deleted for good stay at the target.",
            connection.service.where,
            ", ".join(names[:_NAMED]),
            more,
            f" for {days} days" if days else "",
        )
    tables.log_unread()


def _by_title(design: Iterable[Row], titles: Iterable[str]) -> dict[str, Row]:
    """The rows of inquiries; names that differ only in marks count where they are unique."""
    exact: dict[str, Row] = {}
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in design:
        if name := row.text("Name"):
            exact[name.strip()] = row
            alike[_folded(name)].append(row)
    found: dict[str, Row] = {}
    for title in titles:
        near = alike.get(_folded(title), [])
        if title in exact:
            found[title] = exact[title]
        elif len(near) == 1:
            found[title] = near[0]
    return found


def _definition(design: Row, parts: Mapping[str, list[Row]]) -> InquiryDefinition:
    active = {
        name: [row for row in rows if row.flag("IsActive", default=True)]
        for name, rows in parts.items()
    }
    results = active.get("GIResult", [])
    minutes = [row.number("UpdateFrequencyInMinutes") for row in active.get("GIDataWarehouse", [])]
    return InquiryDefinition(
        modified=design.text("LastModifiedDateTime"),
        select_top=design.number("SelectTop") or 0,
        export_top=design.number("ExportTop") or 0,
        shows_deleted=design.flag("ShowDeletedRecords"),
        shows_archived=design.flag("ShowArchivedRecords"),
        warehouse=design.flag("UseDataWarehouse"),
        warehouse_minutes=max((each for each in minutes if each), default=None),
        tables=len(active.get("GITable", [])),
        conditions=len(active.get("GIWhere", [])),
        grouped_by=tuple(row.text("DataFieldName") or "?" for row in active.get("GIGroupBy", [])),
        formulas=_captions(row for row in results if row.is_formula),
        aggregates=_captions(row for row in results if row.text("AggregateFunction")),
        parameters=tuple(
            InquiryParameter(
                row.text("Name") or "?", row.flag("Required"), row.text("DefaultValue") or None
            )
            for row in active.get("GIFilter", [])
        ),
    )


def _captions(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(caption for row in rows if (caption := row.text("Caption"))))


def _folded(text: str | None) -> str:
    """A name without what is left out of it, spelled in one way."""
    return re.sub(r"[\W_]", "", text or "").casefold()


class Row:
    """A row of such a class, read leniently: a value of another form is as good as none."""

    def __init__(self, members: Mapping[str, t.Any]) -> None:
        """Take the members, whose names may be in any case."""
        self._members = {name.casefold(): value for name, value in members.items()}

    def text(self, name: str) -> str | None:
        """A text, without blanks around it; None where it is empty."""
        value = self._members.get(name.casefold())
        return (value.strip() or None) if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """A number above 0; None where there is none."""
        value = self._members.get(name.casefold())
        text = "" if isinstance(value, bool) else str(value).strip()
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) and int(text) else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean."""
        value = self._members.get(name.casefold())
        if value is None:
            return default
        return str(value).strip().casefold() in {"true", "1"}

    def has(self, names: Iterable[str]) -> bool:
        """Whether it has members of all these names, whatever their values."""
        return all(name.casefold() in self._members for name in names)

    @property
    def is_formula(self) -> bool:
        """Whether it is a column of an inquiry that is calculated by a formula."""
        return (self.text("Field") or "").startswith("=")


@dataclass(slots=True)
class SiteTables:
    """Data access classes of a tenant, each asked for once.

    Attributes:
        connection: A service of the tenant.
        unread: What was refused or not understood, and why.
    """

    connection: Connection
    unread: dict[str, str] = field(default_factory=dict)
    _ended: bool = False

    def rows(
        self, name: str, columns: Collection[str] = (), *, later: str | None = None
    ) -> list[Row] | None:
        """The rows of a class; None where they cannot be had.

        Args:
            name: Name of the entity set.
            columns: Columns to ask for.
            later: One of them that older releases lack: where it is refused, it is left out.
        """
        found: list[Row] = []
        for _ in range(_REQUESTS):
            options = QueryOptions(select=tuple(columns), top=_ROWS, skip=len(found) or None)
            try:
                page = self._ask(name, options)
            except RefusedError as error:
                if later and later in str(error) and later in columns:
                    return self.rows(name, [each for each in columns if each != later])
                self._cannot_tell(name, error)
                return None
            except TapError as error:
                self._cannot_tell(name, error)
                return None
            if page is None:
                return None
            rows, more = page
            found += rows
            if not rows or not (more or len(rows) >= _ROWS):
                return found
        return found

    def by_design(self, name: str, columns: Collection[str]) -> dict[str, list[Row]]:
        """The rows of a class by the inquiry they belong to; none where they cannot be had."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows(name, columns) or ():
            found[_folded(row.text("DesignID"))].append(row)
        return found

    def entity(self, name: str) -> Row | None:
        """The only row of a singleton; None where it cannot be had."""
        try:
            page = self._ask(name, QueryOptions(), single=True)
        except TapError as error:
            self._cannot_tell(name, error)
            return None
        return page[0][0] if page and page[0] else None

    def log_unread(self) -> None:
        """Say in one line what could not be read, if anything."""
        if self.unread:
            logger.info(
                "Cannot tell what %s says about itself in %s: %s. Nothing else depends on it; a "
                "user who may view Generic Inquiry (SM208000) and OData Preferences can read it, "
                "and with 'read_site_information' set to false it is not asked for.",
                self.connection.service.where,
                ", ".join(self.unread),
                next(iter(self.unread.values())),
            )

    def _ask(
        self, name: str, options: QueryOptions, *, single: bool = False
    ) -> tuple[list[Row], bool] | None:
        root = self.connection.service.tables
        if root is None or self._ended:
            return None

        def parse(body: bytes) -> tuple[list[Row], bool]:
            answer = (parse_entity if single else parse_collection)(body)
            rows = [Row(row) for row in answer.rows]
            return rows, answer.next_link is not None

        return self.connection.sessions.try_once(build_url(root, name, options), parse, what=name)

    def _cannot_tell(self, name: str, error: TapError) -> None:
        self.unread[name] = str(error).partition("; ")[0]
        no_answer = isinstance(error, RetryableError) and (error.status is None or error.busy)
        self._ended = isinstance(error, UnreachableError) or no_answer
