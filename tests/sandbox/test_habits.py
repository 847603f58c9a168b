"""Each switch in the habits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_acumatica.sandbox import Habits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.sandbox.request_log import LoggedRequest
    from tests.sandbox.conftest import Client

    Start = Callable[..., Client]


@pytest.mark.parametrize("kind", ["absolute", "relative", "skiptoken"])
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("dac/SOLine", ""),
        ("dac/SOLine", "$orderby=CuryLineAmt desc,LineNbr&$filter=OrderNbr gt 'A'"),
        ("dac/SOLine", "$top=130"),
        ("gi/AR-Open Documents", "$orderby=Date"),
    ],
)
def test_next_links_lead_to_all_rows(start: Start, kind: str, path: str, query: str) -> None:
    client = start()
    root = f"{client.sandbox.url}/t/Company/api/odata/{path.partition('/')[0]}/"
    whole = client.http.get(f"{root}{path.partition('/')[2]}?{query}", timeout=10).json()["value"]
    client.sandbox.habits.max_page, client.sandbox.habits.next_link = 30, kind
    rows: list[dict[str, Any]] = []
    link: str | None = f"{path.partition('/')[2]}?{query}"
    while link:
        answer = client.http.get(requests.compat.urljoin(root, link), timeout=10).json()
        rows += answer["value"]
        link = answer.get("@odata.nextLink")
    assert len(whole) > 30
    assert rows == whole


def test_page_cap_may_come_without_a_link(start: Start) -> None:
    client = start(Habits(max_page=30))
    answer = client.get("dac/SOOrder", top=100).json()
    assert len(answer["value"]) == 30
    assert "@odata.nextLink" not in answer


def test_count_can_be_enabled(start: Start) -> None:
    assert start(Habits(count=True)).get("dac/SOOrder", count="true", top=1).json()[
        "@odata.count"
    ] == 200  # fmt: skip


def test_hidden_columns_come_with_whole_rows_only(start: Start) -> None:
    client = start(Habits(hidden_columns=True))
    assert "BranchID" in client.rows("dac/SOOrder", top=1)[0]
    assert not client.get("dac/SOOrder", select="BranchID").ok


def test_inquiries_may_write_decimals_as_strings(start: Start) -> None:
    client = start(Habits(decimals_as_strings=True))
    assert isinstance(client.rows("gi/AR-Open Documents", top=1)[0]["Balance"], str)


def test_ties_may_come_in_another_order_each_time(start: Start) -> None:
    client = start(Habits(unstable_order=True))
    one, other = (client.rows("gi/AR-Open Documents", orderby="Currency") for _ in range(2))
    assert one != other
    assert sorted(map(json.dumps, one)) == sorted(map(json.dumps, other))


def test_order_may_disagree_with_comparison(start: Start) -> None:
    client = start(Habits(collation_disagrees=True))
    keys = [row["InventoryCD"] for row in client.rows("dac/InventoryItem")]
    assert keys == sorted(keys)
    assert keys != sorted(keys, key=str.lower)


def test_late_commit_shows_an_old_stamp_later(start: Start) -> None:
    client = start(Habits(commit_delay=2))
    key = {"OrderType": "QT", "OrderNbr": "SO000001"}
    client.sandbox.update("Company", "SOOrder", key, OrderDesc="late")
    seen = [client.rows("dac/SOOrder", top=1)[0]["OrderDesc"] for _ in range(3)]
    assert [text == "late" for text in seen] == [False, False, True]


def test_delay_is_asked_for_each_request(start: Start) -> None:
    asked: list[str] = []

    def delay(request: LoggedRequest) -> float:
        asked.append(request.set)
        return 0.0

    client = start(Habits(delay_seconds=delay))
    client.get("dac/SOOrder", top=1)
    assert asked == ["SOOrder"]


def test_forbidden_and_missing_sets_are_listed_yet_refused(start: Start) -> None:
    client = start(Habits(forbidden_sets={"SOOrder"}, missing_sets={"AR-Customers"}))
    assert client.get("dac/SalesOrder").status_code == 403
    assert client.get("gi/AR-Customers").status_code == 404
    assert "SOOrder" in {item["name"] for item in client.get("dac").json()["value"]}


@pytest.mark.parametrize("kind", [400, 500, 501, "empty"])
@pytest.mark.parametrize(
    ("habit", "options"),
    [
        ("refuse_filter", {"filter": "OrderNbr gt 'A'"}),
        ("refuse_orderby", {"orderby": "OrderNbr"}),
        ("refuse_select", {"select": "OrderNbr"}),
        ("refuse_not_null", {"filter": "OrderDesc ne null"}),
    ],
)
def test_options_may_be_refused(
    client: Client, habit: str, options: dict[str, str], kind: int | str
) -> None:
    setattr(client.sandbox.habits, habit, {"SOOrder": kind})
    answer = client.get("dac/SOOrder", **options)
    assert answer.status_code == (200 if kind == "empty" else kind)
    assert bool(answer.content) == (kind != "empty")
    assert client.get("dac/SOLine", top=1).ok


def test_orderby_may_be_ignored_silently(start: Start) -> None:
    client = start(Habits(ignore_orderby={"SOOrder"}))
    assert client.rows("dac/SOOrder", orderby="OrderNbr desc") == client.rows("dac/SOOrder")


def test_status_may_come_instead_of_rows_with_retry_after(start: Start) -> None:
    client = start(Habits(status_on={("SOOrder", 1): 503, ("*", 3): 500}, retry_after="7"))
    answer = client.get("dac/SOOrder")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert client.get("dac/SOOrder").ok
    assert client.get("dac/SOLine").status_code == 500


def test_answer_may_be_empty_html_or_cut_off(start: Start) -> None:
    client = start(
        Habits(
            empty_body_on=[("SOOrder", 1)],
            html_on=lambda record: record.set == "SOLine",
            truncate_on=[("*", 3)],
        )
    )
    assert client.get("dac/SOOrder").content == b""
    answer = client.get("dac/SOLine")
    assert (answer.status_code, "<html>" in answer.text) == (200, True)
    with pytest.raises(requests.JSONDecodeError):
        client.get("dac/ARTran").json()


def test_connection_may_drop_in_the_middle(start: Start) -> None:
    client = start(Habits(drop_connection_on=[("SOOrder", 1)]))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.get("dac/SOOrder")
    assert client.get("dac/SOOrder").ok


def test_page_may_repeat(start: Start) -> None:
    client = start(Habits(repeat_page_on=[("SOOrder", 2)]))
    first = client.rows("dac/SOOrder", top=5)
    assert client.rows("dac/SOOrder", top=5, skip=5) == first
    assert client.rows("dac/SOOrder", top=5, skip=5) != first


def test_next_link_may_lead_in_a_circle_or_away(start: Start) -> None:
    client = start(Habits(circular_next_link=[("SOOrder", 1)], foreign_next_link=[("SOOrder", 2)]))
    circle = client.get("dac/SOOrder", top=5).json()["@odata.nextLink"]
    assert circle.endswith("/dac/SOOrder?$top=5")
    assert client.get("dac/SOOrder", top=5).json()["@odata.nextLink"].startswith(
        "http://odata.invalid/"
    )  # fmt: skip
