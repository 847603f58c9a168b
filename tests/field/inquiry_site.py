"""A site that holds inquiries and, beside them, the classes that say what these are made of.

Names and types are those of the ``$metadata`` of Acumatica ERP 2026 R2.
"""

from __future__ import annotations

import threading
import typing as t
import uuid

from typing_extensions import override

from tests.field.orders import FIRST
from tests.field.service import Reply, Row, Service, Table, shown

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.field.service import Request

GI = "/t/Company/api/odata/gi"
DAC = "/t/Company/api/odata/dac"
USER = {"username": "reader", "password": "none-is-asked-for", "max_retries": 3}
CLASSES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "GIDesign": (
        {
            "DesignID": "Edm.Guid",
            "Name": "Edm.String",
            "SelectTop": "Edm.Int32",
            "PageSize": "Edm.Int32",
            "ExportTop": "Edm.Int32",
            "ExposeViaOData": 'Edm.Boolean Nullable="false"',
            "UseDataWarehouse": 'Edm.Boolean Nullable="false"',
            "ShowDeletedRecords": 'Edm.Boolean Nullable="false"',
            "ShowArchivedRecords": 'Edm.Boolean Nullable="false"',
            "LastModifiedDateTime": "Edm.DateTimeOffset",
            "ODataFunctionName": "Edm.String",
        },
        ("Name",),
    ),
    "GIResult": (
        {
            "DesignID": "Edm.Guid",
            "LineNbr": "Edm.Int32",
            "IsActive": "Edm.Boolean",
            "ObjectName": "Edm.String",
            "Field": "Edm.String",
            "SchemaField": "Edm.String",
            "Caption": "Edm.String",
            "IsVisible": "Edm.Boolean",
            "AggregateFunction": "Edm.String",
            "TotalAggregateFunction": "Edm.String",
        },
        ("DesignID", "LineNbr"),
    ),
    "GITable": (
        {"DesignID": "Edm.Guid", "Alias": "Edm.String", "Name": "Edm.String"},
        ("Alias", "DesignID"),
    ),
    "GIGroupBy": (
        {
            "DesignID": "Edm.Guid",
            "LineNbr": "Edm.Int32",
            "IsActive": "Edm.Boolean",
            "DataFieldName": "Edm.String",
        },
        ("DesignID", "LineNbr"),
    ),
    "GIFilter": (
        {
            "DesignID": "Edm.Guid",
            "LineNbr": "Edm.Int32",
            "IsActive": "Edm.Boolean",
            "Name": "Edm.String",
            "DataType": "Edm.String",
            "DefaultValue": "Edm.String",
            "Required": "Edm.Boolean",
            "Hidden": "Edm.Boolean",
        },
        ("DesignID", "LineNbr"),
    ),
    "GIWhere": (
        {
            "DesignID": "Edm.Guid",
            "LineNbr": "Edm.Int32",
            "IsActive": "Edm.Boolean",
            "DataFieldName": "Edm.String",
            "Condition": "Edm.String",
            "Value1": "Edm.String",
        },
        ("DesignID", "LineNbr"),
    ),
    "GIDataWarehouse": (
        {
            "DesignID": "Edm.Guid",
            "TableName": "Edm.String",
            "UpdateFrequency": "Edm.Int32",
            "UpdateFrequencyInMinutes": "Edm.Int32",
        },
        ("DesignID",),
    ),
}


class InquirySite(Service):
    """Inquiries, and what the site says of them.

    Attributes:
        classes: The service of the classes.
        refuse: Changes each reply of a class.
        held: Classes that do not answer until the site ends.
    """

    def __init__(self, *inquiries: Table) -> None:
        """Offer the inquiries; each is exposed, and has no further definition."""
        super().__init__(*inquiries, path=GI)
        tables = [Table(name, columns, key) for name, (columns, key) in CLASSES.items()]
        self.classes = Service(*tables, path=DAC)
        self.classes.spoil = self._spoil
        self.refuse: t.Callable[[Request, Reply], None] = lambda _request, _reply: None
        self.held: set[str] = set()
        self.ended = threading.Event()
        for inquiry in inquiries:
            self.say(
                "GIDesign",
                inquiry.name,
                Name=inquiry.name,
                ExposeViaOData=True,
                LastModifiedDateTime=shown(FIRST),
            )

    def _spoil(self, request: Request, reply: Reply) -> None:
        self.refuse(request, reply)

    @staticmethod
    def design(inquiry: str) -> str:
        """The number of an inquiry."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, inquiry))

    def say(self, name: str, inquiry: str, **values: t.Any) -> None:
        """Add a row to a class, or change the design that is there."""
        table = self.classes.tables[name]
        given: Row = {"DesignID": self.design(inquiry), **values}
        if name == "GIDesign":
            for row in table.rows:
                if row["Name"] == inquiry:
                    row.update(values)
                    return
        if "LineNbr" in table.columns:
            given["LineNbr"] = len(table.rows) + 1
        if "IsActive" in table.columns:
            given.setdefault("IsActive", True)
        table.rows.append({column: given.get(column) for column in table.columns})

    @override
    def reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        path = target.partition("?")[0]
        if not path.startswith(f"{DAC}/"):
            return super().reply(target, headers)
        if path.rpartition("/")[2] in self.held:
            self.classes.targets.append(target)
            self.ended.wait(60)
        return self.classes.reply(target, headers)

    @property
    def asked_classes(self) -> list[str]:
        """What was asked for beside the inquiries, by name."""
        return [each.partition("?")[0].rpartition("/")[2] for each in self.classes.targets]
