"""Any OData 3.0 service is read, by JSON and by ATOM alike: every row once, then only changes."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
import threading
import typing as t
import uuid
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typing_extensions import override

from tests.odata3_service import ADO, Forms, OData3Service
from tests.odata_service import (
    NAMESPACE,
    Column,
    Fault,
    ODataService,
    Request,
    Table,
    broken_off,
    cut_off,
    parse_target,
)

if t.TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RunTap
    from tests.odata_service import Row

ADDRESS = {"Street": "Edm.String", "Floor": "Edm.Int16", "Since": "Edm.DateTime"}


def local(second: float) -> str:
    """A local time, so many seconds after the first one; three digits."""
    moment = dt.datetime(2024, 2, 28, 12) + dt.timedelta(seconds=second)  # noqa: DTZ001
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}"


def ledger(rows: int = 60) -> Table:
    """A table with a composite key and every type that is easily spoilt."""
    return Table(
        "DB-Ledger",
        {
            "Company": "Edm.String",
            "Entry": "Edm.Int64",
            "Owner": "Edm.Guid",
            "Amount": Column("Edm.Decimal", precision=28, scale=10),
            "Rate": "Edm.Double",
            "Lines": "Edm.Int16",
            "Closed": "Edm.DateTime",
            "Paid": "Edm.DateTimeOffset",
            "Lasted": "Edm.Time",
            "Stamp": "Edm.Binary",
            "Note": "Edm.String",
            "Ship To": "Edm.String",
            "Open": "Edm.Boolean",
            "Address": f"{NAMESPACE}.Address",
            "Tags": "Collection(Edm.String)",
            "LastModified": "Edm.DateTime",
        },
        ["Company", "Entry"],
        [
            {
                "Company": ("O'Neil & Söhne", "A+B 100%/#1", " <plain> ")[number % 3],
                "Entry": 2**53 + 1 + number * 2,
                "Owner": str(uuid.UUID(int=number * 10**30)),
                "Amount": Decimal(
                    f"{'-' if number % 2 else ''}1234567890.{number:02d}90000000"
                    if number % 7
                    else "12345678901234567890"
                ),
                "Rate": Decimal("1.25") if number % 2 else None,
                "Lines": number if number % 5 else None,
                "Closed": None if number % 4 else "2024-02-29T00:00:00",
                "Paid": None if number % 3 else "2024-03-01T00:00:00.123+02:00",
                "Lasted": "PT2H30M" if number % 2 else None,
                "Stamp": "AAECAw+/" if number % 3 else None,
                "Note": 'Zeile\r\n"2" \\ 💶 ]]> &amp;'
                if number % 5
                else ("" if number % 2 else None),
                "Ship To": f"/Dock({number})/",
                "Open": number % 2 == 0,
                "Address": {"Street": "Main & 1st", "Floor": number, "Since": None}
                if number % 2
                else None,
                "Tags": [f"t{number}", "<b>"][: number % 3],
                "LastModified": local(number * 37 % 60),
            }
            for number in range(rows)
        ],
    )


def service(**forms: t.Any) -> OData3Service:
    return OData3Service(ledger(), complex_types={"Address": ADDRESS}, forms=Forms(**forms))


def expected(row: Row) -> Row:
    """The record of a row of the ledger, floats as text."""
    record = dict(row)
    amount = format(row["Amount"], "f")
    record["Amount"] = amount if "." in amount else int(amount)
    record["Rate"] = row["Rate"] and str(row["Rate"])
    record["LastModified"] = f"{row['LastModified']}000+00:00"
    record["Closed"] = row["Closed"] and "2024-02-29T00:00:00.000000+00:00"
    record["Paid"] = row["Paid"] and "2024-02-29T22:00:00.123000+00:00"
    return record


def by_key(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["Company"], row["Entry"]))


@dataclass(frozen=True)
class Case:
    """What a service does, and how it is read."""

    forms: dict[str, t.Any]
    data_format: str = "json"
    tracking_type: str = "date"
    links: t.Literal["token", "skip", "none"] = "token"
    relative: bool = True
    page_size: int = 50


CASES = {
    "light": Case({}),
    "light-by-key": Case({}, tracking_type="none", links="skip", relative=False, page_size=3),
    "verbose": Case({"json": "verbose"}, links="none", relative=False),
    "verbose-by-key": Case({"json": "verbose", "ticks": False}, tracking_type="none"),
    "atom-though-json-was-asked-for": Case({"by_option_only": True}, page_size=25),
    "no-version": Case({"says_version": False}, links="skip"),
    "atom": Case({}, "atom", page_size=3),
    "atom-by-key": Case({}, "atom", tracking_type="none", links="skip", relative=False),
    "atom-without-types": Case({"typed": False}, "atom", relative=False),
    "atom-media": Case({"media": True}, "atom", tracking_type="none", page_size=25),
    "atom-mapped": Case({"told_as": {"Note": "Summary", "Company": "Title"}}, "atom"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_row_arrives_once_and_digit_for_digit(run_tap: RunTap, case: Case) -> None:
    site = service(**case.forms)
    site.page_limit, site.links, site.relative = 7, case.links, case.relative
    config = {
        "page_size": case.page_size,
        "tracking_type": case.tracking_type,
        "data_format": case.data_format,
    }
    with site.running():
        result = run_tap({"url": site.url, **config})
    records = result.records("DB_Ledger")
    rows = site.tables["DB-Ledger"].contents()
    assert by_key(records) == by_key([expected(row) for row in rows])


@pytest.mark.parametrize("data_format", ["json", "atom"])
def test_a_second_run_reads_only_what_changed(run_tap: RunTap, data_format: str) -> None:
    site = service()
    table = site.tables["DB-Ledger"]
    site.page_limit, site.relative = 7, True
    config: dict[str, t.Any] = {"page_size": 20, "time_offset": 0, "data_format": data_format}
    with site.running():
        config["url"] = site.url
        catalog = run_tap(config, "--discover").document
        first = run_tap(config, catalog=catalog)
        bookmark = first.state["bookmarks"]["DB_Ledger"]["replication_key_value"]
        assert bookmark == f"{local(59)}000+00:00"
        boundary = [row for row in table.contents() if row["LastModified"] == local(59)]
        changed = []
        for number in (3, 31, 58):
            table.update(number, LastModified=local(100 + number), Note="changed")
            changed.append(dict(table.rows[number]))
        second = run_tap(config, catalog=catalog, state=first.state)
    filters = [request.query.get("$filter", "") for request in site.requests("DB-Ledger")]
    assert any("datetime'2024-02-28T12:00:58.990'" in text for text in filters)
    assert by_key(second.records("DB_Ledger")) == by_key(
        [expected(row) for row in changed + boundary]
    )


@pytest.mark.parametrize("forms", [{}, {"json": "verbose"}])
def test_json_is_asked_for_by_header_and_headers_of_version_4_are_not_sent(
    run_tap: RunTap, forms: dict[str, t.Any]
) -> None:
    site = service(**forms)
    with site.running():
        run_tap({"url": site.url})
    asked = site.requests("DB-Ledger")
    assert {request.headers["MaxDataServiceVersion"] for request in asked} == {"3.0"}
    assert {request.headers["Accept"] for request in asked} == {"application/json"}
    assert not any("$format" in request.query for request in asked)


@pytest.mark.parametrize("data_format", ["json", "atom"])
@pytest.mark.parametrize(
    "years", ["2006/04", "2007/05", "2008/01", "2008/09", "2009/08", "2009/11"]
)
def test_metadata_of_each_year_leads_to_the_same_rows(
    run_tap: RunTap, years: str, data_format: str
) -> None:
    table = Table("Rows", {"Id": "Edm.Int32", "At": "Edm.DateTime"}, ["Id"])
    table.insert({"Id": 1, "At": "2024-01-01T00:00:00"})
    site = OData3Service(table, namespace=f"{ADO}/{years}/edm", forms=Forms(says_version=False))
    with site.running():
        result = run_tap({"url": site.url, "data_format": data_format, "tracking_fields": ["At"]})
    assert result.records("Rows") == [{"Id": 1, "At": "2024-01-01T00:00:00.000000+00:00"}]


def asks_for_all(request: Request) -> bool:
    """Whether a request asks for rows as many as there are, from the first on."""
    bounded = any(name in request.query for name in ("$top", "$skip"))
    bounded = bounded or " desc" in str(request.query)
    return request.entity_set == "Rows" and not bounded and " eq null" not in str(request.query)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_off(0.8), "Going on behind the rows that came"),
        (broken_off(0.8), "Trying again"),
    ],
)
def test_a_feed_without_pages_that_breaks_off_loses_nothing(
    run_tap: RunTap, spoil: t.Any, said: str
) -> None:
    rows = [
        {"Id": number, "Text": "x" * 200, "LastModified": local(number)} for number in range(3500)
    ]
    columns = {"Id": "Edm.Int32", "Text": "Edm.String", "LastModified": "Edm.DateTime"}
    site = OData3Service(Table("Rows", columns, ["Id"], rows))
    site.faults.append(Fault(asks_for_all, spoil, times=1))
    with site.running():
        config = {"url": site.url, "data_format": "atom", "client_side_paging": False}
        result = run_tap(config)
    assert [row["Id"] for row in result.records("Rows")] == list(range(3500))
    assert said in result.errors


def test_an_error_amid_a_feed_is_no_end(run_tap: RunTap) -> None:
    site = service()
    error = (
        b'<m:error xmlns:m="'
        + f"{ADO}/2007/08/dataservices/metadata".encode()
        + (b'"><m:code/><m:message>Out of memory</m:message></m:error>')
    )

    def spoil(right: t.Any) -> t.Any:
        if b"<entry" in right.body:
            right.body = right.body[: right.body.rindex(b"<entry")] + error + b"</feed>"
        return right

    site.fail("DB-Ledger", spoil)
    with site.running():
        config = {"url": site.url, "data_format": "atom", "max_retries": 1}
        result = run_tap(config, check=False)
    assert result.exit_code == 1
    assert "Out of memory" in result.errors
    assert "Traceback" not in result.errors


def test_json_and_atom_of_a_service_of_version_4_are_the_same(run_tap: RunTap) -> None:
    """ATOM is a form of OData 3.0: of a service of 4.0, JSON is asked for all the same."""
    table = Table("Rows", {"Id": "Edm.Int32"}, ["Id"], [{"Id": 1}])
    site = ODataService(table)
    with site.running():
        result = run_tap({"url": site.url, "data_format": "atom"})
    assert result.records("Rows") == [{"Id": 1}]
    (asked,) = {request.headers["Accept"] for request in site.requests()}
    assert asked == "application/json"
    assert not any("MaxDataServiceVersion" in request.headers for request in site.log)


class Feed(BaseHTTPRequestHandler):
    """One feed of many rows in the order of their key, made while it is sent."""

    rows = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        if self.path.endswith("$metadata"):
            self.wfile.write(OData3Service(self.table([])).csdl().encode())
            return
        head, entry, tail = self.pieces()
        self.wfile.write(head)
        _, query = parse_target(self.path)
        behind = query.get("$filter", "").rpartition("Id gt ")[2]
        first = int(behind) + 1 if behind else int(query.get("$skip", "0"))
        for start in range(first, self.rows, 1000):
            count = min(1000, self.rows - start)
            block = b"".join(
                entry.replace(b">0<", b">%d<" % number) for number in range(start, start + count)
            )
            self.wfile.write(block)
        self.wfile.write(tail)

    @staticmethod
    def table(rows: list[Row]) -> Table:
        columns = {f"C{number}": "Edm.String" for number in range(20)}
        return Table("Rows", {"Id": "Edm.Int32", **columns}, ["Id"], rows)

    @classmethod
    def pieces(cls) -> tuple[bytes, bytes, bytes]:
        row = {"Id": 0, **{f"C{number}": "some text of a column" for number in range(20)}}
        site = OData3Service(cls.table([row]))
        request = Request(f"{site.path}/Rows", {})
        sent = site.respond(request)
        assert sent is not None
        start, end = sent.body.index(b"<entry"), sent.body.index(b"</entry>") + len("</entry>")
        return sent.body[:start], sent.body[start:end], sent.body[end:]

    @override
    def log_message(self, format: str, *args: t.Any) -> None:
        """Say nothing."""


def peak_of_a_run(url: str, folder: Path) -> tuple[int, int]:
    """Rows that a run of the tap writes, and the most memory it takes, in KiB."""
    (folder / "config.json").write_text(
        json.dumps({"url": url, "data_format": "atom", "client_side_paging": False}),
        encoding="utf-8",
    )
    program = (
        "import resource, subprocess, sys; p = subprocess.Popen([sys.executable, '-m',"
        " 'tap_acumatica', '--config', 'config.json'], stdout=subprocess.PIPE,"
        " stderr=subprocess.DEVNULL); n = sum(b'RECORD' in line for line in p.stdout);"
        " p.wait(); print(n, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, check=True, timeout=240
    )
    rows, peak = done.stdout.split()
    return int(rows), int(peak)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux counts it")
def test_memory_does_not_grow_with_the_feed(tmp_path: Path) -> None:
    peaks = []
    for rows in (3_000, 24_000):
        handler = type("Sized", (Feed,), {"rows": rows})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_address[1]}/some/odata"
            written, peak = peak_of_a_run(url, tmp_path)
            server.shutdown()
        assert written == rows
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.1


def test_a_local_time_is_only_ever_sent_as_one_without_an_offset(run_tap: RunTap) -> None:
    site = service()
    with site.running():
        config = {
            "url": site.url,
            "page_size": 7,
            "start_date": "2024-02-28",
            "time_zone": "Asia/Tokyo",
        }
        first = run_tap(config)
        run_tap(config, state=first.state)
    filters = [request.query.get("$filter", "") for request in site.requests("DB-Ledger")]
    times = [word for text in filters for word in re.findall(r"LastModified \w+ ([^ )]+)", text)]
    assert times
    for word in times:
        assert re.fullmatch(r"null|datetime'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,7}'", word), word
