"""The data access classes that say what the inquiries are made of.

Names, keys, types and entity sets are those of Acumatica ERP 2026 R2; of the columns, those that
say something of an inquiry. They are served, but left out of the metadata and the service document,
which keep to the tables of a business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_GI = "PX.Data.Maintenance.GI"
_TRACKING = "PX.Data.DeletedRecordsTracking.DAC"
_LINE = {"DesignID": "Guid", "LineNbr": "Int32", "IsActive": "Boolean"}
TABLES: dict[str, tuple[str, str, tuple[str, ...], Mapping[str, str]]] = {
    "GIDesign": (
        _GI,
        "GenericInquiry",
        ("Name",),
        {
            "DesignID": "Guid",
            "Name": "String",
            **dict.fromkeys(("SelectTop", "FilterColCount", "PageSize", "ExportTop"), "Int32"),
            **dict.fromkeys(("ExposeViaOData", "ExposeViaMobile", "UseDataWarehouse"), "Boolean"),
            **dict.fromkeys(("ShowDeletedRecords", "ShowArchivedRecords"), "Boolean"),
            "DisableCountsAndTotals": "Boolean",
            "LastModifiedDateTime": "DateTimeOffset",
            "ODataFunctionName": "String",
        },
    ),
    "GIResult": (
        _GI,
        "GenericInquiryResult",
        ("DesignID", "LineNbr"),
        {
            **_LINE,
            **dict.fromkeys(("ObjectName", "Field", "SchemaField", "Caption"), "String"),
            "IsVisible": "Boolean",
            **dict.fromkeys(("AggregateFunction", "TotalAggregateFunction"), "String"),
        },
    ),
    "GITable": (
        _GI,
        "GenericInquiryTable",
        ("Alias", "DesignID"),
        {"DesignID": "Guid", "Alias": "String", "Name": "String", "Type": "Int32"},
    ),
    "GIGroupBy": (
        _GI,
        "GenericInquiryGrouping",
        ("DesignID", "LineNbr"),
        {**_LINE, "DataFieldName": "String"},
    ),
    "GIFilter": (
        _GI,
        "GenericInquiryFilter",
        ("DesignID", "LineNbr"),
        {
            **_LINE,
            **dict.fromkeys(("Name", "DataType", "DisplayName", "DefaultValue"), "String"),
            **dict.fromkeys(("Required", "Hidden"), "Boolean"),
        },
    ),
    "GIWhere": (
        _GI,
        "GenericInquiryWhereStatement",
        ("DesignID", "LineNbr"),
        {**_LINE, **dict.fromkeys(("DataFieldName", "Condition", "Value1", "Value2"), "String")},
    ),
    "GISort": (
        _GI,
        "GenericInquirySorting",
        ("DesignID", "LineNbr"),
        {**_LINE, "DataFieldName": "String", "SortOrder": "String"},
    ),
    "GIDataWarehouse": (
        "PX.Data.GenericInquiry.DAC",
        "GenericInquiryDataWarehouse",
        ("DesignID",),
        {"DesignID": "Guid", "TableName": "String"}
        | dict.fromkeys(("UpdateFrequency", "UpdateFrequencyInMinutes"), "Int32"),
    ),
    "SMDeletedRecordsTrackingTables": (
        _TRACKING,
        "TablestoTrackDeletedRecords",
        ("TableID",),
        {"TableID": "Guid", "TableName": "String", "CreatedDateTime": "DateTimeOffset"},
    ),
    "ODataPreferences": (
        _TRACKING,
        "ODataPreferences",
        (),
        {"DaysRetentionHistoryDeletedRecords": "Int32"},
    ),
}
"""Namespace, friendly entity set, key and columns of each class."""
SINGLETONS = frozenset({"ODataPreferences"})
