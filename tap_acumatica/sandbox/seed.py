"""Generates rows from a seed, inside SQLite, so that millions of them take only seconds.

A rule is an SQL expression over `i`, the number of the row. In it, `h(7)` stands for a large
pseudo-random number derived from `i`, the seed and 7, and `n(Batch)` for the number of rows in that
table. Rows are inserted neither in the order of their keys nor of their times.
"""

from __future__ import annotations

import math
import re
import time
import zlib
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .model import Column

IDENTITIES = {
    "BAccount": "BAccountID",
    "Contact": "ContactID",
    "Address": "AddressID",
    "InventoryItem": "InventoryID",
    "Account": "AccountID",
    "Sub": "SubID",
    "Branch": "BranchID",
    "Ledger": "LedgerID",
    "INSite": "SiteID",
    "Contract": "ContractID",
}
_CUSTOMER = "1000 + h(7) % n(BAccount) / 10 * 10 + h(8) % 6"
_VENDOR = "1000 + h(7) % n(BAccount) / 10 * 10 + 6 + h(8) % 4"
_ORDER_TYPE = "CASE {} % 10 WHEN 0 THEN 'QT' WHEN 1 THEN 'RM' ELSE 'SO' END"
_AR_TYPE = "CASE {} % 8 WHEN 0 THEN 'CRM' WHEN 1 THEN 'PMT' WHEN 2 THEN 'DRM' ELSE 'INV' END"
_AP_TYPE = "CASE {} % 8 WHEN 0 THEN 'ADR' WHEN 1 THEN 'CHK' WHEN 2 THEN 'ACR' ELSE 'INV' END"
_MODULE = "CASE {} % 4 WHEN 0 THEN 'GL' WHEN 1 THEN 'AR' WHEN 2 THEN 'AP' ELSE 'IN' END"
_ITEM = (
    "CASE i % 11 WHEN 1 THEN 'bolt_' WHEN 2 THEN 'Bolt-' WHEN 3 THEN 'A/B C' WHEN 4 THEN 'R&D #'"
    " WHEN 5 THEN '50%+TAX' WHEN 6 THEN 'O''NEIL' WHEN 7 THEN 'Ünï-Çödé' WHEN 8 THEN '12\" '"
    " ELSE 'AALEGO' END"
)
_TEXT = (
    "CASE h(31) % 9 WHEN 0 THEN 'Lego 500 piece set' WHEN 1 THEN 'Crème brûlée & café'"
    " WHEN 2 THEN '12\" pipe, 50% off + tax' WHEN 3 THEN 'O''Neil\\Sons' WHEN 4 THEN '日本語の説明'"
    " WHEN 5 THEN 'two' || char(10) || 'lines' WHEN 6 THEN '' WHEN 7 THEN NULL"
    " ELSE 'Consulting service #' || i END"
)
_GUID = "printf('%08x-%04x-4%03x-8%03x-%012x', h({0}1), h({0}2) % 65536, h({0}3) % 4096, {1}, i)"

# Rules by table and column take precedence over those by column, and these over those by type.
_BY_TABLE_AND_COLUMN = {
    "SOOrder.OrderType": _ORDER_TYPE.format("i"),
    "SOOrder.OrderNbr": "printf('SO%06d', i + 1)",
    "SOLine.OrderType": _ORDER_TYPE.format("(i / 2)"),
    "SOLine.OrderNbr": "printf('SO%06d', i / 2 + 1)",
    "SOLine.LineNbr": "1 + i % 2",
    "ARRegister.DocType": _AR_TYPE.format("i"),
    "ARRegister.RefNbr": "printf('AR%06d', i + 1)",
    "ARTran.TranType": _AR_TYPE.format("(i / 2)"),
    "ARTran.RefNbr": "printf('AR%06d', i / 2 + 1)",
    "ARTran.LineNbr": "1 + i % 2",
    "APRegister.DocType": _AP_TYPE.format("i"),
    "APRegister.RefNbr": "printf('AP%06d', i + 1)",
    "APTran.TranType": _AP_TYPE.format("(i / 2)"),
    "APTran.RefNbr": "printf('AP%06d', i / 2 + 1)",
    "APTran.LineNbr": "1 + i % 2",
    "BAccount.AcctCD": "printf('%-10s', printf('C%06d', i + 1))",
    "BAccount.BAccountID": "1000 + i",
    "BAccount.AcctName": "CASE i % 5 WHEN 0 THEN 'Müller & Söhne' WHEN 1 THEN 'O''Neil'"
    " ELSE 'Company' END || ' ' || i",
    "BAccount.Type": "CASE WHEN i % 10 < 6 THEN 'CU' WHEN i % 10 < 9 THEN 'VE' ELSE 'VC' END",
    "BAccount.ParentBAccountID": "CASE WHEN i % 7 = 0 THEN 1000 END",
    "Contact.ContactID": "5000 + i",
    "Address.AddressID": "7000 + i",
    "Address.LastModifiedDateTime": "CASE WHEN i % 40 <> 7 THEN {modified} END",
    "Account.AccountCD": "printf('%-10s', 10000 + i * 100)",
    "Account.AccountID": "1 + i",
    "Sub.SubCD": "printf('%03d000', i)",
    "Sub.SubID": "1 + i",
    "Branch.BranchCD": "printf('%-10s', CASE i WHEN 0 THEN 'MAIN' ELSE 'BRANCH' || i END)",
    "Branch.BranchID": "1 + i",
    "Ledger.LedgerCD": "printf('%-10s', CASE i WHEN 0 THEN 'ACTUAL' ELSE 'LEDGER' || i END)",
    "Ledger.LedgerID": "1 + i",
    "Terms.TermsID": "printf('%-10s', (i + 1) * 5 || 'D')",
    "Batch.Module": _MODULE.format("i"),
    "Batch.BatchNbr": "printf('%08d', i + 1)",
    "GLTran.Module": _MODULE.format("(i / 5)"),
    "GLTran.BatchNbr": "printf('%08d', i / 5 + 1)",
    "GLTran.LineNbr": "1 + i % 5",
    "GLHistory.AccountID": "1 + i % n(Account)",
    "GLHistory.SubID": "1 + i / n(Account) % n(Sub)",
    "GLHistory.LedgerID": "1",
    "GLHistory.BranchID": "1",
    "GLHistory.FinPeriodID": "printf('%04d%02d', 2020 + i / (n(Account) * n(Sub)) / 12,"
    " 1 + i / (n(Account) * n(Sub)) % 12)",
    "GLTran.ProjectID": "1 + h(9) % n(Contract)",
    "SOOrder.Status": "CASE h(5) % 3 WHEN 0 THEN 'N' WHEN 1 THEN 'C' ELSE 'H' END",
    "InventoryItem.InventoryCD": f"printf('%!-20s', {_ITEM} || printf('%05d', i))",
    "InventoryItem.InventoryID": "100 + i",
    "InventoryItem.ItemStatus": "CASE h(5) % 4 WHEN 0 THEN 'IN' WHEN 1 THEN 'NS' ELSE 'AC' END",
    "InventoryItem.StkItem": "i % 8 <> 0",
    "INSite.SiteCD": "printf('%-10s', CASE i WHEN 0 THEN 'MAIN' WHEN 1 THEN 'RETAIL'"
    " ELSE 'WHOLE' || i END)",
    "INSite.SiteID": "1 + i",
    "INSite.Active": "1",
    "POOrder.OrderType": "CASE i % 6 WHEN 0 THEN 'DP' ELSE 'RO' END",
    "POOrder.OrderNbr": "printf('PO%06d', i + 1)",
    "Contract.BaseType": "CASE i % 4 WHEN 0 THEN 'C' ELSE 'P' END",
    "Contract.ContractCD": "printf('%-10s', printf('PR%05d', i))",
    "Contract.ContractID": "1 + i",
    "Contract.Status": "CASE h(5) % 3 WHEN 0 THEN 'D' WHEN 1 THEN 'F' ELSE 'A' END",
    "CurrencyInfo.CuryInfoID": "9007199254740993 + i",
    "CRActivityStatistics.NoteID": _GUID.format(6, "h(64) % 4096"),
}
_DOCUMENT_STATUS = "CASE h(5) % 5 WHEN 0 THEN 'C' WHEN 1 THEN 'H' ELSE 'N' END"
_BY_NAME = {
    "CustomerID": _CUSTOMER,
    "VendorID": _VENDOR,
    "BAccountID": "1000 + i % n(BAccount)",
    "DefContactID": "5000 + i % n(Contact)",
    "DefAddressID": "7000 + i % n(Address)",
    "DefBillContactID": "5000 + i % n(Contact)",
    "DefBillAddressID": "7000 + i % n(Address)",
    "BillAddressID": "7000 + h(9) % n(Address)",
    "ContactID": "5000 + h(9) % n(Contact)",
    "AddressID": "7000 + h(9) % n(Address)",
    "OwnerID": "CASE WHEN h(9) % 3 > 0 THEN 5000 + h(10) % n(Contact) END",
    "InventoryID": "100 + h(11) % n(InventoryItem)",
    "AccountID": "1 + h(12) % n(Account)",
    "SubID": "1 + h(13) % n(Sub)",
    "BranchID": "1 + h(14) % n(Branch)",
    "DefaultBranchID": "1 + h(14) % n(Branch)",
    "LedgerID": "1 + h(15) % n(Ledger)",
    "ProjectID": "CASE WHEN h(16) % 3 > 0 THEN 1 + h(17) % n(Contract) END",
    "CuryInfoID": "9007199254740993 + h(18) % n(CurrencyInfo)",
    "CuryID": "CASE h(19) % 4 WHEN 0 THEN 'EUR' WHEN 1 THEN 'CAD' ELSE 'USD' END",
    "BaseCuryID": "'USD'",
    "UOM": "CASE h(20) % 3 WHEN 0 THEN 'HOUR' ELSE 'EA' END",
    "BaseUnit": "'EA'",
    "FinPeriodID": "printf('%04d%02d', 2021 + h(21) % 5, 1 + h(22) % 12)",
    "TranPeriodID": "printf('%04d%02d', 2021 + h(21) % 5, 1 + h(22) % 12)",
    "Type": "CASE h(5) % 4 WHEN 0 THEN 'A' WHEN 1 THEN 'L' WHEN 2 THEN 'I' ELSE 'E' END",
    "EMail": "'user' || i || '@example.com'",
    "CountryID": "CASE h(23) % 3 WHEN 0 THEN 'DE' ELSE 'US' END",
    "LastModifiedDateTime": "{modified}",
    "CreatedDateTime": "{created}",
    "GotReadyForArchiveAt": "NULL",
    "DeletedDatabaseRecord": "0",
    "tstamp": "rowversion({base} + i)",
    "NoteID": _GUID.format(4, "h(44) % 4096"),
    "CreatedByID": "'b5344897-037e-4d58-b5c3-1bdfd0f47bf9'",
    "LastModifiedByID": "'b5344897-037e-4d58-b5c3-1bdfd0f47bf9'",
    "UsrRegion": "CASE h(24) % 3 WHEN 0 THEN 'EMEA' WHEN 1 THEN NULL ELSE 'Américas' END",
}
_BY_SUFFIX = (("Desc", _TEXT), ("Descr", _TEXT), ("Description", _TEXT))
_STATUSES = {"ARRegister", "APRegister", "POOrder", "Batch"}
_SHARED_STAMPS = {"SOLine", "InventoryItem"}
# The divisor of `rows`, and the minimum.
_PROPORTIONAL = {
    "SOOrder": (1, 1),
    "SOLine": (1, 1),
    "GLTran": (1, 1),
    "ARTran": (1, 1),
    "ARRegister": (2, 8),
    "APRegister": (4, 8),
    "APTran": (2, 8),
    "Batch": (5, 1),
    "GLHistory": (2, 1),
    "CurrencyInfo": (2, 1),
    "POOrder": (4, 1),
    "Contract": (10, 4),
    "BAccount": (5, 20),
    "Contact": (5, 20),
    "Address": (5, 20),
    "InventoryItem": (5, 20),
    "CRActivityStatistics": (5, 5),
}
_FIXED = {"Account": 60, "Sub": 20, "Branch": 4, "Ledger": 3, "INSite": 5, "Terms": 12}


@dataclass(frozen=True)
class Plan:
    """The seed, the number of rows by table, and the latest modification time."""

    seed: int
    counts: Mapping[str, int]
    until: datetime


def counts(rows: int) -> dict[str, int]:
    """Return the number of rows for each table if the largest ones have `rows`."""
    found = dict(_FIXED, GLSetup=1, ADLAccount=1)
    for table, (part, least) in _PROPORTIONAL.items():
        found[table] = max(rows // part, least if rows else 0)
    # The last digit of the row's number makes it a customer or a vendor.
    found["BAccount"] = max(found["BAccount"] // 10 * 10, 20)
    return found


def insert_statement(table: str, target: str, columns: list[Column], plan: Plan) -> str:
    """Return the statement that fills a table."""
    total = plan.counts[table]
    step = _coprime(total)
    names = ", ".join(f'"{column.name}"' for column in columns)
    values = ", ".join(_expression(table, column, plan) for column in columns)
    return (
        f"INSERT INTO {target} ({names}) WITH RECURSIVE n(j) AS"  # noqa: S608 - rules of ours
        f" (SELECT 0 WHERE {total} > 0 UNION ALL SELECT j + 1 FROM n WHERE j + 1 < {total}),"
        f" r(i) AS (SELECT (j * {step} + {plan.seed}) % {total} FROM n) SELECT {values} FROM r"
    )


def _coprime(total: int) -> int:
    step = max(int(total * 0.618), 1)
    while math.gcd(step, total) != 1:
        step += 1
    return step


def _expression(table: str, column: Column, plan: Plan) -> str:
    rule = _BY_TABLE_AND_COLUMN.get(f"{table}.{column.name}") or _BY_NAME.get(column.name)
    if rule is None and column.name == "Status":
        rule = _DOCUMENT_STATUS if table in _STATUSES else "substr('AAAAHI', 1 + h(5) % 6, 1)"
    if rule is None:
        rule = next((text for end, text in _BY_SUFFIX if column.name.endswith(end)), None)
    if rule is None:
        rule = _by_type(column)
    until = int(plan.until.replace(tzinfo=timezone.utc).timestamp())
    span = int(timedelta(days=4 * 365).total_seconds())
    modified = _stamp(f"{until} - h(71) % {span}")
    if table in _SHARED_STAMPS:
        shared = _stamp_literal(until - span // 3, 127)
        modified = f"CASE WHEN i % 5 = 0 THEN '{shared}' ELSE {modified} END"
    rule = rule.replace("{modified}", modified)
    rule = rule.replace("{created}", _stamp(f"{until - span} - h(72) % {span // 4}"))
    rule = rule.replace("{until}", str(until)).replace("{base}", str(_salt(table, 0) * 1000))
    rule = re.sub(r"\bn\((\w+)\)", lambda m: str(plan.counts.get(m[1]) or 1), rule)
    salted = f"{table}.{column.name}"
    return re.sub(r"\bh\((\d+)\)", lambda m: _random(salted, plan.seed, int(m[1])), rule)


def _by_type(column: Column) -> str:
    whole = {
        "Decimal": "CASE WHEN h(51) % 50 = 0 THEN '1234567890123456789.123456' WHEN h(51) % 7 = 0"
        " THEN printf('-%d.%04d', h(52) % 900, h(53) % 10000)"
        " ELSE printf('%d.%06d', h(52) % 100000, h(53) % 100 * 10000) END",
        "Boolean": "h(54) % 2",
        "DateTimeOffset": "strftime('%Y-%m-%dT00:00:00.000', {until} - h(55) % 1500 * 86400,"
        " 'unixepoch')",
        "Int16": "h(56) % 100",
        "Int32": "h(57) % 1000",
        "Int64": "9007199254740993 + h(58)",
        "Guid": _GUID.format(8, "h(84) % 4096"),
        "String": f"'{column.name[:3].upper()}' || printf('%02d', h(59) % 40)",
        "Binary": "rowversion(i)",
    }[column.edm]
    if column.nullable and column.edm not in {"Guid", "Binary"}:
        return f"CASE WHEN h(60) % 9 > 0 THEN {whole} END"
    return whole


def _stamp(seconds: str) -> str:
    milliseconds = "printf('.%03d', (h(73) % 300 * 20 + 3) / 6)"
    return f"strftime('%Y-%m-%dT%H:%M:%S', {seconds}, 'unixepoch') || {milliseconds}"


def _stamp_literal(seconds: int, milliseconds: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}"


def _salt(name: str, seed: int) -> int:
    return zlib.crc32(f"{name}/{seed}".encode()) % 65521


def _random(name: str, seed: int, number: int) -> str:
    salt = _salt(f"{name}/{number}", seed)
    # Two rounds, as the low digits of one multiplication repeat with the row's number.
    first = f"((i + {salt}) * 2654435761 % 4294967291)"
    return f"({first} / 7 * 40503 % 2147483647)"
