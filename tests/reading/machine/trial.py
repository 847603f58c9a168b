"""Some runs of the tap's own reading, Progress and writer over one table, and what must hold.

``attempt`` makes one trial; ``search`` looks for one that goes wrong, and ``told`` makes it smaller
and tells it, line by line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import time
import typing as t
from unittest import mock

from tap_acumatica.errors import TapError
from tap_acumatica.reading import parallel, spans
from tap_acumatica.reading.batches import RowBatch, blocks
from tap_acumatica.reading.evidence import Evidence
from tap_acumatica.reading.parallel import ParallelReader
from tap_acumatica.reading.plan import Column, plan_for
from tap_acumatica.reading.progress import Progress
from tap_acumatica.reading.reader import Reader
from tap_acumatica.reading.window import Reached, Window
from tap_acumatica.records.lines import RecordLines
from tap_acumatica.records.writers import RecordLineWriter
from tests.reading.machine.service import (
    ALL,
    HOUR,
    MARGIN,
    MINUTE,
    SECOND,
    Choices,
    EndlessError,
    Habits,
    Key,
    KilledError,
    Service,
    Stored,
    Table,
    shown_time,
    stamp_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from tap_acumatica.reading.plan import Plan, Source
    from tap_acumatica.reading.spans import Division

LOOK_BACK_HOURS = 24
_ALWAYS, _OFTEN, _MOSTLY = (True,), (True, False), (True, True, False)
_SOMETIMES, _RARELY = (False, False, True), (False, False, False, True)
_FAR = shown_time(100_000 * HOUR)


class WrongError(Exception):
    """Something that must hold does not."""


class Trial:
    """One table through some runs."""

    def __init__(self, choices: Choices, focus: Mapping[str, t.Any]) -> None:
        def draw(name: str, *options: t.Any) -> t.Any:
            chosen = choices.of(*options)
            return focus.get(name, chosen)

        self.choices = choices
        table = self.table = Table(
            text=draw("text", *_SOMETIMES),
            width=draw("width", 1, 1, 2),
            tracked=draw("tracked", *_MOSTLY),
            inquiry=draw("inquiry", *_SOMETIMES),
        )
        table.nullable = draw("nullable", *_SOMETIMES) and table.tracked
        table.seekable = draw("seekable", 9, 9, 9, table.width - 1)
        table.limit = draw("limit", ALL, ALL, ALL, 5) if table.inquiry else ALL
        self.offset = draw("offset", 5, 0, 300)
        odd = self.odd = draw(
            "odd", "", "", "", "", "filters", "sorts", "skips", "tops", "null_filter", "refuses"
        )
        both = draw(
            "collations",
            ("ordinal",) * 2,
            ("culture",) * 2,
            ("culture", "ordinal"),
            ("ordinal", "culture"),
        )
        self.habits = Habits(
            cap=draw("cap", ALL, ALL, 4, 3, 2),
            links=draw("links", *_OFTEN),
            ragged=draw("ragged", *_RARELY),
            sort_by=both[0],
            compare_by=both[1],
            clauses=draw("clauses", 9, 9, 2, 1),
            grain=draw("grain", 1, SECOND),
            shown=draw("shown", "exact", "exact", "seconds", "ticks"),
            skew=draw("skew", 0, 0, 0, 10 * MINUTE, -10 * MINUTE),
        )
        refused = draw("refused", "$skip", "$orderby", "$filter")
        if odd:  # a service has one oddity; to more of them, nothing is promised
            few = 4 if odd == "sorts" else 0  # a page is then feigned only where all its rows go
            changed: dict[str, t.Any] = {odd: refused if odd == "refuses" else False}
            cap, grain = max(self.habits.cap, few), self.habits.grain
            self.habits = Habits(**changed, cap=cap, grain=grain)
            table.limit = ALL
        habits = self.habits
        habits.links = habits.links or table.seekable == 0  # without, no way to the rest
        habits.ragged = habits.ragged and habits.links
        self.by_looks = bool(odd) or both[0] != both[1] or table.seekable < table.width
        self.by_looks = self.by_looks or habits.ragged
        habits.dead = draw("dead", *_SOMETIMES) and not self.by_looks
        self.late = draw("late", 0, 0, 1000 * self.offset, 40 * MINUTE, 22 * HOUR)
        self.page = draw("page", 4, 3, 2, 5, 1, 10, 50)
        if odd == "sorts":
            self.page = max(self.page, 4)
        self.ranges = 1 if odd else draw("ranges", 1, 1, 1, 2, 4)
        self.block = draw("block", 3, 1, 100)
        self.pause, self.kills = draw("pause", 3), draw("kills", *_ALWAYS)
        self.record = min(choices.of(0, 1, 2, 6), self.page, habits.cap)  # what others have shown
        self.service = Service(choices, habits, table)
        self.service.takes = draw("takes", 5, 5, 300, 3000)
        if habits.skew > 0:  # that much time passes in each run
            self.service.takes = 3000
        self.service.late = self.late
        self.service.deeds = draw("deeds", self.service.deeds)
        self.writer = draw("writer", *("random",) * 3, "none", "hot", "hot all", "appends")
        if self.writer == "appends" and self.by_looks:
            self.writer = "random"  # what is read by position may then have no end
        elif self.writer == "appends":
            habits.cap, self.page = max(habits.cap, 3), max(self.page, 3)
            self.service.takes = 3000
        self.reached, self.load, self.now = Reached(), 0, 0
        self.target: dict[Key, tuple[int, int]] = {}
        self.unsure: list[tuple[Key, int]] = []  # written since the last STATE
        self.rows = 0
        self.least: str | None = None  # to which the bookmark may fall

    def run_all(self) -> None:
        """Rows, runs, quiet, and what must then be true."""
        service, choices, table = self.service, self.choices, self.table
        for _ in range(choices.below(13)):
            service.put(service.new_key(), service.fresh(), "insert")
            if choices.one_in(3):
                service.wait(choices.of(1, 3, 700, 1200))
        hides = not self.by_looks and self.habits.links and self.habits.clauses == 9
        if choices.one_in(4) and hides and table.limit == ALL and not self.habits.dead:
            for row in table.rows.values():
                row.hidden = choices.one_in(2)
            self.writer = "hot" if self.writer == "random" else "none"
        for _ in range(1 + choices.below(5)):
            service.writer = "random"
            for _ in range(choices.below(4)):
                service.work()
                service.wait(choices.of(0, 3, 700))
            if choices.one_in(self.pause):
                service.wait(choices.of(2 * MINUTE, 10 * HOUR, 20 * HOUR, 23 * HOUR))
            self.run(kill=choices.one_in(3) and self.kills, writer=self.writer)
        service.trace.append("quiet from here on")
        service.wait(max(self.late, 1) + 2 * SECOND + max(0, -self.habits.skew))
        if self.run(kill=False, writer="none"):
            self.compare(1000 * self.offset, lookback=False)
        service.wait(21 * HOUR)
        if self.run(kill=False, writer="none"):
            window = LOOK_BACK_HOURS * HOUR - max(0, self.habits.skew)
            self.compare(window, lookback=True)

    def plan(self) -> Plan:
        table, size = self.table, self.table.width
        kinds = ["Edm.String" if table.text and not place else "Edm.Int32" for place in range(size)]
        keys = [Column(f"K{place}", kind) for place, kind in enumerate(kinds)]
        return plan_for(
            keys=keys,
            not_comparable=frozenset(f"K{place}" for place in range(table.seekable, size)),
            tracking=Column("T", "Edm.DateTimeOffset", table.nullable) if table.tracked else None,
            page_size=self.page,
            inquiry="A" if table.inquiry else None,
            until=shown_time(self.now + SECOND),
        )

    def run(self, *, kill: bool, writer: str) -> bool:
        """One process; whether it came to its end."""
        service, table, drift = self.service, self.table, self.service.drift
        self.now = service.date
        service.trace.append(f"run {self.load + 1} at {self.now}, {self.reached}")
        evidence = Evidence()
        evidence.met(None, self.record)
        self.load += 1
        window = Window(
            self.reached,
            shown_time(self.now),
            time_offset=self.offset,
            look_back_hours=LOOK_BACK_HOURS,
        )
        there = {k: dataclasses.replace(r) for k, r in table.rows.items() if not r.hidden}
        service.requests, service.writer, service.moved = 0, writer, set()
        service.kill_at = 1 + self.choices.below(8) if kill else -1
        busy = (
            400 * self.by_looks
            + 250 * (writer == "appends") * (8 if self.habits.skew > 0 else 1)
            + 60 * (self.page == 1)
        )
        ahead = SECOND + max(0, self.habits.skew)  # a run ends when this much time has passed
        service.most = 80 + 20 * len(there) + 3 * ahead // service.takes + busy
        try:
            self.read(window, evidence)
        except KilledError:
            self.flush(keep=self.choices.one_in(2))
            return False
        except TapError as error:
            service.trace.append(f"  told: {error}")
            self.flush()
            if writer == "none" and not self.is_hopeless:
                msg = f"told, though nothing changes: {error}"
                raise WrongError(msg) from None
            return False
        except EndlessError:
            msg = f"it does not end: {service.requests} requests for {len(there)} rows"
            raise WrongError(msg) from None
        self.check_run(window, there, drift)
        return True

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing that the service does leads to all rows."""
        habits, table = self.habits, self.table
        blind = habits.clauses < table.width or table.seekable < table.width
        if habits.refuses in {"$filter", "$orderby"}:
            return True
        return blind or (self.odd == "skips" and table.seekable < table.width)

    def read(self, window: Window, evidence: Evidence) -> None:
        """As the stream does: the tap's reader, its blocks, its Progress and its writer."""
        plan = self.plan()
        progress = Progress(window, stamps=plan.stamps)
        reader: Reader | ParallelReader = Reader(self.service, plan, name="A", evidence=evidence)
        if self.ranges > 1:
            reader = ParallelReader(
                lambda: self.service,
                plan,
                name="A",
                workers=self.ranges,
                may_divide=lambda: True,
                evidence=evidence,
            )
        writer = RecordLineWriter(self.block, RecordLines("A"), self.take)
        for block in blocks(reader.read(window), self.block, fill=False):
            if any(piece.batch.rewind for piece in block):
                self.service.trace.append("  again from the start")
                before = window.reached.bookmark
                self.least = before and min(before, window.began)
            progress.write(block, writer.write)
            if self.table.tracked and self.choices.one_in(2):
                self.emit(progress.reached)
        progress.complete()
        self.flush()
        if self.table.tracked:
            self.emit(progress.reached)
        else:
            self.service.trace.append("  ACTIVATE_VERSION")
            self.target = {k: held for k, held in self.target.items() if held[1] == self.load}

    def take(self, lines: bytes) -> None:
        """RECORD lines as they leave."""
        for line in lines.splitlines():
            record = json.loads(line)["record"]
            key = tuple(record[f"K{place}"] for place in range(self.table.width))
            self.unsure.append((key, record["V"]))
            self.rows += 1

    def flush(self, *, keep: bool = True) -> None:
        written = self.unsure if keep else []
        self.target.update({key: (version, self.load) for key, version in written})
        self.unsure.clear()

    def has(self, key: Key) -> int:
        return self.target.get(key, (-1, 0))[0]

    # What must hold

    def check_run(self, window: Window, there: dict[Key, Stored], drift: int) -> None:
        """A row that was there all the time is out in some version."""
        table, tracked = self.table, self.table.tracked
        must = window.is_look_back_due or not tracked
        reach = LOOK_BACK_HOURS * HOUR - max(0, self.habits.skew)
        allowed = reach if must else 1000 * self.offset
        if self.service.drift != drift:
            return
        for key, row in there.items():
            unread_null = row.stamp is None and tracked and not (must and table.nullable)
            if key in self.service.moved or row.late > allowed or unread_null:
                continue
            same = table.rows[key].version == row.version
            rested = same and (row.stamp or 0) + MARGIN <= self.now
            if (must or rested) and self.has(key) < row.version:
                msg = f"{key} was there all the time in version {row.version}, not {self.has(key)}"
                raise WrongError(msg)

    def emit(self, reached: Reached) -> None:
        """A STATE line: what the next run will not read again must be out."""
        self.flush()
        self.service.trace.append(f"  STATE {tuple(reached)}")
        before = min(self.least or "", shown_time(self.now))
        if (reached.bookmark or "") < before:
            msg = "the bookmark fell"
            raise WrongError(msg)
        self.reached, self.least = reached, reached.bookmark
        next_run = Window(reached, _FAR, time_offset=self.offset, look_back_hours=LOOK_BACK_HOURS)
        if next_run.usual_start is None:
            return
        start, allowed = stamp_of(next_run.usual_start), 1000 * self.offset
        for key, row in self.table.rows.items():
            unread = row.stamp is not None and row.stamp < start and not row.hidden
            if unread and row.late <= allowed and self.has(key) != row.version:
                msg = f"STATE says {reached.bookmark}, {key} of stamp {row.stamp} is not out"
                raise WrongError(msg)
        for until, key, row in self.service.pending:
            late = self.service.lateness(row, until)
            if row.stamp is not None and late <= allowed and row.stamp < start:
                msg = f"STATE says {reached.bookmark}, {key} of {row.stamp} will not be read"
                raise WrongError(msg)

    def compare(self, late: int, *, lookback: bool) -> None:
        """The target holds what the source holds."""
        tracked = self.table.tracked
        shown = {k: r for k, r in self.table.rows.items() if not r.hidden}
        for key, row in shown.items():
            later = tracked and not lookback and (row.stamp is None or row.stamp > self.now)
            if row.late <= late and not later and self.has(key) != row.version:
                msg = f"in the end {key} is {self.has(key)}, and {row.version} at the source"
                raise WrongError(msg)
        if not tracked and self.target.keys() != shown.keys():
            msg = "the target holds rows that are gone"
            raise WrongError(msg)


# Ranges, read without threads in an order that is chosen


@contextlib.contextmanager
def in_chosen_order(pick: Callable[[list[t.Any]], t.Any]) -> Iterator[None]:
    """Workers without threads, who take their steps in an order that is chosen; small ranges.

    Args:
        pick: Chooses which of the workers goes on.
    """

    class Crew:
        def __init__(self, division: Division, source: Callable[[], Source], workers: int) -> None:
            self._workers = [self._work(division, source()) for _ in range(workers)]

        @staticmethod
        def _work(division: Division, source: Source) -> Iterator[RowBatch | None]:
            yield None
            while part := division.take(source):
                yield from part.read(source)
                yield None

        def row_batches(self) -> Generator[RowBatch, None, None]:
            working = list(self._workers)
            while working:
                worker = pick(working)
                try:
                    row_batch = next(worker)
                except StopIteration:
                    working.remove(worker)
                    continue
                if row_batch is not None:
                    yield row_batch

    with (
        mock.patch.object(parallel, "_RangeWorkers", Crew),
        mock.patch.object(parallel, "_HEAD_PAGES", 1),
        mock.patch.object(spans, "PAGES_APART", 2),
        mock.patch.object(spans, "FEWEST_PAGES", 1),
    ):
        yield


# The search


def attempt(source: random.Random | list[int], focus: Mapping[str, t.Any]) -> tuple[str, Trial]:
    """One trial, and what was wrong with it, if anything."""
    trial = Trial(Choices(source), focus)
    with in_chosen_order(lambda working: trial.choices.of(*working)):
        try:
            trial.run_all()
        except WrongError as error:
            return str(error), trial
    return "", trial


def search(trials: int, focus: Mapping[str, t.Any], seed: int = 0) -> tuple[int, list[int]]:
    """Trials until one goes wrong: how many, and the choices of that one."""
    for number in range(trials):
        wrong, trial = attempt(random.Random(f"{seed}.{number}"), focus)  # noqa: S311
        if wrong:
            return number + 1, trial.choices.made
    return trials, []


def told(made: list[int], focus: Mapping[str, t.Any], seconds: float = 10) -> str:
    """The same fault with fewer and smaller choices, and its trace."""
    end, kind, better = time.monotonic() + seconds, attempt(made, focus)[0][:9], True
    while better and time.monotonic() < end:
        better = False
        for width in (16, 8, 4, 2, 1):
            place = 0
            while place < len(made) and time.monotonic() < end:
                smaller = _smaller(made, place, width, kind, focus)
                if smaller is None:
                    place += width
                else:
                    made, better = smaller, True
    wrong, trial = attempt(made, focus)
    odd = {**vars(trial.habits), **vars(trial.table)}
    plain = {**vars(Habits()), **vars(Table())}
    odd = {name: value for name, value in odd.items() if value != plain[name] and name != "rows"}
    names = ("page", "offset", "ranges", "record", "block", "writer", "late")
    settings = ", ".join(f"{name} {getattr(trial, name)}" for name in names)
    return "\n".join([wrong, f"{odd}, {settings}", *trial.service.trace])


def _smaller(
    made: list[int], place: int, width: int, kind: str, focus: Mapping[str, t.Any]
) -> list[int] | None:
    rest = made[place + width :]
    less = [max(0, made[place] - 1), *made[place + 1 :]]
    for candidate in (
        made[:place] + rest,
        made[:place] + [0] * width + rest,
        made[:place] + less,
    ):
        wrong, trial = attempt(candidate, focus)
        again = trial.choices.made
        if wrong[:9] == kind and (len(again), sum(again)) < (len(made), sum(made)):
            return again
    return None
