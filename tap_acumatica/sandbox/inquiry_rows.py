"""The rows that say what the sandbox's inquiries are made of."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from .inquiry_tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .model import Inquiry

Row = dict[str, object]

_CHANGED = "2024-11-05T09:30:00.000"
_TABLE = re.compile(r"\{(\w+)\} (\w+)")


def rows(name: str, inquiries: Sequence[Inquiry]) -> list[Row] | None:
    """The rows of one of these classes; None for any other."""
    if name not in TABLES:
        return None
    return [row for kind, row in _rows(inquiries) if kind == name]


def _rows(inquiries: Sequence[Inquiry]) -> Iterator[tuple[str, Row]]:
    yield "ODataPreferences", {"DaysRetentionHistoryDeletedRecords": 10}
    for table in ("PX.Objects.SO.SOOrder", "PX.Objects.SO.SOLine"):
        number = str(uuid.uuid5(uuid.NAMESPACE_OID, table))
        yield (
            "SMDeletedRecordsTrackingTables",
            {"TableID": number, "TableName": table, "CreatedDateTime": _CHANGED},
        )
    for inquiry in inquiries:
        design = {"DesignID": str(uuid.uuid5(uuid.NAMESPACE_OID, inquiry.title))}
        yield "GIDesign", {**design, **_design(inquiry)}
        for alias in _TABLE.finditer(inquiry.tables):
            yield "GITable", {**design, "Alias": alias[2], "Name": alias[1], "Type": 0}
        line = {**design, "IsActive": True}
        results = [column for column in inquiry.columns.values() if not column.appended]
        for place, column in enumerate(results, 1):
            table, _, field = column.expression.rpartition(".")
            yield (
                "GIResult",
                {
                    **line,
                    "LineNbr": place,
                    "ObjectName": table or None,
                    "Field": f"={column.expression}" if column.formula else field,
                    "Caption": column.name,
                    "IsVisible": True,
                },
            )
        for place, (name, (edm, _)) in enumerate(inquiry.parameters.items(), 1):
            parameter = {"Name": name, "DataType": edm, "Required": True, "Hidden": False}
            yield "GIFilter", {**line, "LineNbr": place, **parameter}
        if inquiry.condition:
            yield "GIWhere", {**line, "LineNbr": 1, "DataFieldName": inquiry.condition}


def _design(inquiry: Inquiry) -> Row:
    return {
        "Name": inquiry.title,
        "FilterColCount": 3,
        "PageSize": 0,
        "ExportTop": 0,
        "ExposeViaOData": True,
        "ExposeViaMobile": False,
        "UseDataWarehouse": False,
        "ShowDeletedRecords": False,
        "ShowArchivedRecords": False,
        "DisableCountsAndTotals": False,
        "LastModifiedDateTime": _CHANGED,
        "ODataFunctionName": inquiry.function_import if inquiry.parameters else None,
    }
