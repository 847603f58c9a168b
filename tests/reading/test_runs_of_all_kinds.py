"""Runs of the tap over a table that changes all the time, behind services of all kinds.

Rows are inserted, changed, deleted, committed late and stamped alike between any two requests, the
process is killed anywhere, and the service has one habit or another. No row may be missing at the
target, no STATE may promise too much, and every run must end. What each rule of the reading is for
shows where it is taken away: then a trial goes wrong.
"""

from __future__ import annotations

import logging
import typing as t
from contextlib import contextmanager
from unittest import mock

import pytest

from tap_acumatica.odata import times
from tap_acumatica.reading import by_key, by_time
from tap_acumatica.reading.by_key import KeyReader
from tap_acumatica.reading.by_position import PositionReader
from tap_acumatica.reading.by_time import TimeReader
from tap_acumatica.reading.evidence import Evidence
from tap_acumatica.reading.pages import Answer, Pages
from tap_acumatica.reading.plan import Plan
from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.window import Window
from tests.reading.machine.service import HOUR, MINUTE
from tests.reading.machine.trial import search, told

if t.TYPE_CHECKING:
    from collections.abc import Iterator

FAST, SLOW = 300, 2000
TRACKED: dict[str, t.Any] = {"tracked": True, "odd": ""}
TEXT: dict[str, t.Any] = {"text": True, "tracked": False, "width": 1, "seekable": 9, "odd": ""}


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def refuse_wrong(trials: int, seed: int) -> None:
    count, made = search(trials, {}, seed)
    assert not made, f"trial {count}:\n{told(made, {})}"


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_no_row_is_lost_and_every_run_ends(seed: int) -> None:
    refuse_wrong(FAST // 3, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 14))
def test_no_row_is_lost_and_every_run_ends_2000_times(seed: int) -> None:
    refuse_wrong(SLOW // 4, seed)


# Twins: the same reading without one of its rules


class Twin(t.NamedTuple):
    """A reading without one rule, and where to look for what that costs."""

    patch: t.Callable[[], t.ContextManager[t.Any]]
    focus: dict[str, t.Any]
    trials: int = 4000


def put(where: t.Any, name: str, value: t.Any) -> t.Callable[[], t.ContextManager[t.Any]]:
    return lambda: mock.patch.object(where, name, value)


def _gt_for_ge() -> t.ContextManager[t.Any]:
    exact = Plan._spelled

    def spelled(self: Plan, term: t.Any) -> str:
        greater = term.operator == "ge" and term.value is not None
        return exact(self, term._replace(operator="gt") if greater else term)

    return mock.patch.object(Plan, "_spelled", spelled)


def _by_skip_alone() -> t.ContextManager[t.Any]:
    def read(self: KeyReader, terms: t.Any = (), depth: int = 0) -> t.Any:
        del depth
        pages, position = self._pages, 0
        while rows := pages.ask(terms, pages.plan.keys, skip=position).rows:
            yield rows
            position += len(rows)

    return mock.patch.object(KeyReader, "read", read)


def _no_overlap() -> t.ContextManager[t.Any]:
    return mock.patch.object(
        Window, "usual_start", property(lambda self: self.reached.bookmark or self.start_date)
    )


def _short_is_the_end() -> t.ContextManager[t.Any]:
    return mock.patch.object(Evidence, "is_shorter", return_value=True)


def _as_long_is_the_end() -> t.ContextManager[t.Any]:
    def is_shorter(self: Evidence, inquiry: str | None, length: int) -> bool:
        scope = self.scope(inquiry, length)
        return length == 0 or length <= max(2, self._longest.get(scope, 0))

    return mock.patch.object(Evidence, "is_shorter", is_shorter)


def _links_are_followed() -> t.ContextManager[t.Any]:
    exact = Pages.ask

    def ask(self: Pages, *args: t.Any, **others: t.Any) -> Answer:
        answer = exact(self, *args, **others)
        rows = list(answer.rows)
        while answer.link is not None:
            answer = self.follow(answer)
            rows += answer.rows
        return answer._replace(rows=rows)

    return mock.patch.object(Pages, "ask", ask)


@contextmanager
def _no_bound_by_the_start() -> Iterator[None]:
    exact = TimeReader.__init__

    def init(self: TimeReader, *args: t.Any, stop: str | None, **others: t.Any) -> None:
        del stop
        exact(self, *args, stop=None, **others)

    with mock.patch.object(TimeReader, "__init__", init):
        yield


def _one_look() -> t.ContextManager[t.Any]:
    def read(self: PositionReader, terms: t.Any = ()) -> t.Any:
        for rows in self._look(terms):
            if rows is None:
                break
            yield rows

    return mock.patch.object(PositionReader, "read", read)


def _no_look_back() -> t.ContextManager[t.Any]:
    return mock.patch.object(Window, "is_look_back_due", property(lambda self: self.is_first_load))


def _bookmark_at_the_start() -> t.ContextManager[t.Any]:
    exact = Progress.advance

    def advance(self: Progress, rows: t.Any, batch: t.Any) -> None:
        exact(self, rows, batch)
        stamps = [stamp for stamp in self._stamps(rows) if stamp is not None]
        if batch.ascending and stamps and max(stamps) > self._window.began:
            self._raise_to(self._window.began)

    return mock.patch.object(Progress, "advance", advance)


def _nothing_is_held() -> t.ContextManager[t.Any]:
    exact = Progress.advance
    return mock.patch.object(
        Progress, "advance", lambda self, rows, batch: exact(self, rows, batch._replace(hold=None))
    )


def _only_the_next_stamps() -> t.ContextManager[t.Any]:
    """A stretch of one stamp that fills a page is not read by key."""

    def stretch(_self: TimeReader, bound: str, newest: str) -> t.Any:
        yield from ()
        return max(newest, times.shifted(bound, seconds=0.02))

    return mock.patch.object(TimeReader, "_stretch", stretch)


TWINS: dict[str, Twin] = {
    "gt for ge": Twin(_gt_for_ge, TRACKED),
    "positions instead of values": Twin(_by_skip_alone, {"tracked": False, "odd": ""}),
    "no overlap": Twin(_no_overlap, TRACKED),
    "any short answer is the end": Twin(_short_is_the_end, {"links": False}),
    "an answer as long as another is the end": Twin(_as_long_is_the_end, {"links": False}),
    "order without evidence": Twin(
        put(Evidence, "sorts", lambda *_: True), {"odd": "sorts", "tracked": True}
    ),
    "links are followed": Twin(_links_are_followed, {**TRACKED, "cap": 3, "links": True}),
    "no bound by the start": Twin(_no_bound_by_the_start, {**TRACKED, "writer": "appends"}),
    "no bound by the last key": Twin(
        put(by_key, "_FIRST_LOOK_AHEAD", 10**9),
        {"writer": "appends", "odd": "", "tracked": False, "seekable": 9},
    ),
    "texts from one side": Twin(put(by_key._Level, "_check_other_side", lambda *_: None), TEXT),
    "positions looked at once": Twin(
        _one_look, {"seekable": 0, "width": 1, "tracked": False, "odd": ""}
    ),
    "no margin": Twin(put(by_time, "MARGIN_SECONDS", 0.0), {**TRACKED, "shown": "ticks"}),
    "a stretch is read by its stamps": Twin(_only_the_next_stamps, TRACKED),
    "no look-back": Twin(_no_look_back, {**TRACKED, "late": 22 * HOUR, "offset": 5}),
    "rows without a stamp are not asked for": Twin(
        put(by_time.TimeReader, "_without_stamp", lambda *_: iter(())),
        {**TRACKED, "nullable": True},
    ),
    "the bookmark rises to the start": Twin(
        _bookmark_at_the_start, {**TRACKED, "skew": 10 * MINUTE, "offset": 5}
    ),
    "nothing is held": Twin(_nothing_is_held, {**TRACKED, "skew": 10 * MINUTE, "offset": 0}),
    "nothing behind the start is read again": Twin(
        put(Reader, "behind_the_start", lambda *_: iter(())), TRACKED
    ),
    "limits of an inquiry are not its own": Twin(
        put(Evidence, "scope", lambda *_: ""), {"inquiry": True, "limit": 5, "odd": ""}
    ),
}


# Those that take long to be found out.
_SLOW = {"nothing is held", "no bound by the last key", "the bookmark rises to the start"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in _SLOW else n for n in TWINS],
)
def test_a_reading_without_one_rule_is_found_out(name: str) -> None:
    twin = TWINS[name]
    with twin.patch():
        _, made = search(twin.trials, twin.focus, seed=1)
    assert made, "no trial goes wrong without it"
