"""Addresses stay within what web servers take: IIS refuses a query of 2048 characters with 404."""

from __future__ import annotations

import typing as t
from urllib.parse import urlencode

from tests.odata_service import ODataService, Table

if t.TYPE_CHECKING:
    from tests.conftest import RunTap

MOST = 2048


def test_a_set_of_very_many_columns_is_read_in_whole_rows(run_tap: RunTap) -> None:
    names = [f"SomeRatherLongColumnName{number}" for number in range(200)]
    columns = {"Id": "Edm.Int32", **dict.fromkeys(names, "Edm.String")}
    service = ODataService(Table("Rows", columns, ["Id"], [{"Id": n} for n in range(3)]))
    with service.running():
        catalog = run_tap({"url": service.url}, "--discover").document
        result = run_tap({"url": service.url}, catalog=catalog)
        for item in catalog["streams"][0]["metadata"]:
            if item["breadcrumb"] and item["breadcrumb"][1] not in {"Id", names[7]}:
                item["metadata"]["selected"] = False
        few = run_tap({"url": service.url}, catalog=catalog)
    assert len(result.records("Rows")) == 3
    assert few.records("Rows") == [{"Id": n, names[7]: None} for n in range(3)]
    asked = service.requests("Rows")
    assert max(len(urlencode(request.query)) for request in asked) < MOST
    assert asked[-1].query["$select"] == f"Id,{names[7]}"
