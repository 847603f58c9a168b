"""A table whose rows change between any two requests, behind a service with habits.

All choices are small numbers from ``Choices``, so that a failing trial can be made smaller.
Times are whole milliseconds since ``EPOCH``. In a trace, ``7@103`` is the row with key 7 and stamp
103; lines that are set in are what people do meanwhile.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
import re
import typing as t
import zlib

from tap_acumatica.errors import RefusedError
from tap_acumatica.odata import times
from tap_acumatica.records.codec import Page

if t.TYPE_CHECKING:
    from tap_acumatica.odata.query import QueryOptions

EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
MARGIN = 10
BEGIN = 400 * HOUR
ALL = 999

Key = tuple[t.Any, ...]
Term = tuple[str, str, t.Any]
COLLATIONS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "ordinal": lambda value: value,
    "culture": lambda value: (value.lower(), value) if isinstance(value, str) else value,
}
_TERM = re.compile(r"(\w+) (eq|ne|ge|gt|le|lt) (.+)", re.DOTALL)


def shown_time(stamp: int) -> str:
    """A stamp in the canonical form."""
    return times.canonical(EPOCH + dt.timedelta(milliseconds=stamp))


def stamp_of(text: str) -> int:
    """The stamp that a canonical time or a literal shows."""
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((moment - EPOCH).total_seconds() * 1000)


class Choices:
    """Where every choice comes from: a generator, or the numbers of an earlier trial."""

    def __init__(self, source: random.Random | list[int]) -> None:
        self.source, self.made = source, list[int]()

    def below(self, n: int) -> int:
        """A number from 0 to n - 1; 0 is the dullest."""
        if isinstance(self.source, random.Random):
            number = self.source.randrange(n)
        elif len(self.made) < len(self.source):
            number = min(self.source[len(self.made)], n - 1)
        else:
            number = 0
        self.made.append(number)
        return number

    def one_in(self, n: int) -> bool:
        return self.below(n) == n - 1

    def of(self, *options: t.Any) -> t.Any:
        return options[self.below(len(options))]


@dataclasses.dataclass
class Stored:
    """A row as it is stored; ``late`` is how old its stamp was when it became visible."""

    stamp: int | None
    version: int
    late: int = 0
    hidden: bool = False  # counted in pages, but not shown to this user
    born: int = 0  # when it was written; seen when that is committed


@dataclasses.dataclass
class Table:
    """One entity set."""

    text: bool = False  # the first key column is a text
    width: int = 1  # key columns
    tracked: bool = True  # it has a stamp
    nullable: bool = False  # the stamp may be null
    seekable: int = 9  # leading key columns that can be compared with
    inquiry: bool = False
    limit: int = ALL  # rows that it gives at most, whatever the others give, and no link
    rows: dict[Key, Stored] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Habits:
    """What this service does that its neighbour does not."""

    cap: int = ALL  # rows in one answer, whatever $top says
    links: bool = True  # a next link (an offset in a token) where an answer was cut
    dead: bool = False  # they lead nowhere
    ragged: bool = False  # pages of any length, with a link
    sorts: bool = True  # heeds $orderby; and likewise:
    filters: bool = True
    null_filter: bool = True
    tops: bool = True
    skips: bool = True
    refuses: str = ""  # an option that it refuses
    sort_by: str = "ordinal"
    compare_by: str = "ordinal"
    clauses: int = 9  # in $orderby
    grain: int = 1  # of stamps
    shown: str = "exact"  # or cut off to "seconds", or rounded to "ticks"
    skew: int = 0  # of the clock in its answers, against the database's


class KilledError(Exception):
    """The process ends here."""


class EndlessError(Exception):
    """More requests than any reading may need."""


class Service:
    """Answers one query at a time, as a source of the tap; before each, people work."""

    def __init__(self, choices: Choices, habits: Habits, table: Table) -> None:
        self.choices, self.habits, self.table = choices, habits, table
        self.true = self.highest = BEGIN
        self.drift = self.version = self.requests = self.late = 0
        self.kill_at, self.most, self.writer = -1, 10**9, "none"
        self.takes = 5  # milliseconds of a request
        self.deeds: tuple[str, ...] = (
            *("nothing", "change", "insert", "delete", "late", "mass", "wait", "null"),
            *("append", "future", "back"),
        )
        self.pending: list[tuple[int, Key, Stored]] = []
        self.moved: set[Key] = set()  # rows deleted, or whose stamp fell or went, during this run
        self.links: list[tuple[QueryOptions, int]] = []
        self.trace: list[str] = []

    @property
    def clock(self) -> int:
        """What the database's clock shows."""
        return self.true + self.drift

    @property
    def date(self) -> int:
        """The service's clock as its answers tell it, in whole seconds."""
        return (self.clock + self.habits.skew) // SECOND * SECOND

    # What people do

    def wait(self, ticks: int) -> None:
        self.true += ticks
        self.highest = max(self.highest, self.clock)
        for entry in sorted((e for e in self.pending if e[0] <= self.true), key=lambda e: e[0]):
            self.pending.remove(entry)
            self.put(entry[1], entry[2], "commit")

    def put(self, key: Key, row: Stored, deed: str) -> None:
        held = self.table.rows.get(key)
        if held and held.version > row.version:
            return
        if held and (held.stamp or 0) > (row.stamp or 0):
            self.moved.add(key)
        row.late = self.lateness(row, self.true)
        row.hidden = bool(held and held.hidden)
        self.table.rows[key] = row
        self.trace.append(f"    t={self.clock} {deed} {'.'.join(map(str, key))}@{row.stamp}")

    def lateness(self, row: Stored, visible: int) -> int:
        """How far a stamp lies behind the newest there can be, once the row is visible."""
        behind = visible - self.true + self.highest - (row.stamp or 0)
        return 0 if row.stamp is None else max(0, behind, visible - row.born)

    def fresh(self, *, ahead: int = 0) -> Stored:
        self.version += 1
        stamp = self.clock // self.habits.grain * self.habits.grain + ahead
        return Stored(stamp if self.table.tracked else None, self.version, born=self.true)

    def new_key(self, *, last: bool = False) -> Key:
        heads = {key[0] for key in self.table.rows}
        if self.table.text:
            head: t.Any = "zz" if last else self.choices.of(*"AbCdEfGhAbCdEf")
            head += f"{self.version:04d}" if last or head in heads else ""
        else:
            head = max(heads, default=0) + 1 if last else self.choices.below(30)
        return (head, *(self.choices.below(4) for _ in range(self.table.width - 1)))

    def work(self) -> None:
        """One step of the people."""
        keys = sorted(self.table.rows)
        if self.writer == "none" or len(keys) > 800:
            return
        if self.writer == "appends":
            for _ in range(2):
                self.put(self.new_key(last=True), self.fresh(), "insert")
        elif self.writer.startswith("hot"):
            for key in keys if self.writer == "hot all" else keys[:1]:
                self.put(key, self.fresh(), "change")
        else:
            self.do(self.choices.of(*self.deeds), keys)

    def do(self, deed: str, keys: list[Key]) -> None:  # noqa: C901  one for each deed
        choices = self.choices
        wanted = keys and deed in {"change", "delete", "late", "null"}
        key = keys[choices.below(len(keys))] if wanted else None
        if deed == "change" and key:
            self.put(key, self.fresh(), deed)
        elif deed in {"insert", "append"}:
            self.put(self.new_key(last=deed == "append"), self.fresh(), deed)
        elif deed == "delete" and key:
            del self.table.rows[key]
            self.moved.add(key)
            self.pending = [entry for entry in self.pending if entry[1] != key]
            self.trace.append(f"    t={self.clock} delete {'.'.join(map(str, key))}")
        elif deed == "late" and self.late:
            key = key if key and choices.one_in(2) else self.new_key()
            row, ticks = self.fresh(), 1 + choices.below(self.late)
            self.pending.append((self.true + ticks, key, row))
            self.trace.append(f"    t={self.clock} begin {key}@{row.stamp}, visible in {ticks}")
        elif deed == "mass":
            for each in keys[choices.below(3) :]:
                self.put(each, self.fresh(), "change")
        elif deed == "wait":
            self.wait(choices.of(0, 3, 700, 2500))
        elif deed == "null" and key and self.table.nullable:
            self.put(key, dataclasses.replace(self.fresh(), stamp=None), deed)
        elif deed == "future" and choices.one_in(3):
            self.put(self.new_key(), self.fresh(ahead=300 * HOUR), deed)
        elif deed == "back" and choices.one_in(4):
            self.drift -= choices.of(100, 4000, 5 * MINUTE)
            self.trace.append(f"    t={self.clock} the clock was set back")

    # What the tap asks

    def at_most(self, top: int | None) -> int | None:
        return top

    def get(self, options: QueryOptions) -> Page:
        return self.answered(options, 0)

    def follow(self, link: str) -> Page:
        options, token = self.links[int(link)]
        if self.habits.dead:
            raise RefusedError("HTTP 404")
        return self.answered(options, token)

    def answered(self, options: QueryOptions, token: int) -> Page:
        self.wait(self.takes)
        self.work()
        self.requests += 1
        if self.requests == self.kill_at:
            self.trace.append("  killed")
            raise KilledError
        if self.requests > self.most:
            raise EndlessError
        self.refuse(options)
        terms = [parsed(term) for term in options.filter]
        skip = (options.skip or 0 if self.habits.skips else 0) + token
        rows, more = self.answer(terms, options.orderby, options.top, skip)
        link = None
        if more is not None:
            left = None if options.top is None else options.top - len(rows)
            self.links.append((dataclasses.replace(options, top=left), more))
            link = str(len(self.links) - 1)
        told = " ".join(f"{'.'.join(map(str, key))}@{row['T']}" for key, row in rows)
        place = f" skip {options.skip}" * bool(options.skip) + f" token {token}" * bool(token)
        query = " and ".join(options.filter) or "all"
        self.trace.append(
            f"  t={self.clock} GET {query} by {','.join(options.orderby)} top {options.top}"
            f"{place}: [{told}]{' +link' * bool(link)}"
        )
        return Page([row for _, row in rows], link)

    def refuse(self, options: QueryOptions) -> None:
        sent = {"$filter": options.filter, "$orderby": options.orderby, "$skip": options.skip}
        if sent.get(self.habits.refuses):
            raise RefusedError(f"The query option '{self.habits.refuses}' is not supported.")
        if len(options.orderby) > self.habits.clauses:
            raise RefusedError(
                "The number of clauses in $orderby query option exceeded the maximum number "
                f"allowed. The maximum number of $orderby clauses allowed is {self.habits.clauses}."
            )

    def answer(
        self, terms: list[Term], order: tuple[str, ...], top: int | None, skip: int
    ) -> tuple[list[tuple[Key, dict[str, t.Any]]], int | None]:
        habits, limit = self.habits, self.table.limit
        found = [
            (key, row)
            for key, row in self.table.rows.items()
            if not habits.filters or all(self.meets(key, row, term) for term in terms)
        ]
        if habits.sorts:
            # Rows that tie are in no order.
            salt = self.requests if len(order) <= self.table.width else 0
            found.sort(key=lambda f: zlib.crc32(repr((f[0], salt)).encode()))
            for item in reversed(order):
                name, _, down = item.partition(" ")
                found.sort(key=lambda f: self.sort_value(f[0], f[1], name), reverse=bool(down))
        found = found[skip:]
        asked = ALL if top is None or not habits.tops else top
        most, linked = min(asked, habits.cap, limit), habits.links and limit == ALL
        if habits.ragged and linked and len(found) > 1:
            most = min(len(found), most)
            most -= self.choices.below(most)
        # A link leads on to what was asked for, not beyond it, but where rows were left out.
        left_out = any(row.hidden for _, row in found[:most])
        more = skip + most if len(found) > most and linked and (most < asked or left_out) else None
        shown = [(key, self.shown(key, row)) for key, row in found[:most] if not row.hidden]
        return shown, more

    def sort_value(self, key: Key, row: Stored, name: str) -> t.Any:
        if name == "T":
            return -1 if row.stamp is None else row.stamp
        return COLLATIONS[self.habits.sort_by](key[int(name[1:])])

    def meets(self, key: Key, row: Stored, term: Term) -> bool:
        name, op, value = term
        held = row.stamp if name == "T" else key[int(name[1:])]
        if value is None:
            return not self.habits.null_filter or (held is None) == (op == "eq")
        if held is None:
            return False
        form = COLLATIONS[self.habits.compare_by]
        held, value = form(held), form(value)
        results = {"ge": held >= value, "gt": held > value, "le": held <= value}
        return bool({**results, "lt": held < value, "eq": held == value}[op])

    def shown(self, key: Key, row: Stored) -> dict[str, t.Any]:
        stamp = row.stamp
        if stamp is not None and self.habits.shown == "seconds":
            stamp = stamp // SECOND * SECOND
        elif stamp is not None and self.habits.shown == "ticks":
            stamp = (stamp + 1) // 3 * 3
        values = {f"K{place}": value for place, value in enumerate(key)}
        return {**values, "T": None if stamp is None else shown_time(stamp), "V": row.version}


def parsed(term: str) -> Term:
    """A comparison as it was sent."""
    match = _TERM.fullmatch(term)
    assert match, term
    name, op, literal = match.groups()
    if literal == "null":
        return name, op, None
    if name == "T":
        return name, op, stamp_of(literal)
    return name, op, literal[1:-1] if literal.startswith("'") else int(literal)
