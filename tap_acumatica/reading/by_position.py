"""Reading by position, for rows that nothing can be sought by.

Positions shift when rows before them come or go. So each page begins with the last row of the page
before; where it does not, the rows are looked at from the start again. Since rows can also go and
come without moving that one, only two looks that agree are complete; a result that arrived in one
answer needs no second look.
"""

from __future__ import annotations

import typing as t

import msgspec

from tap_acumatica.errors import AnswerError
from tap_acumatica.reading.pages import refuse_circle
from tap_acumatica.records.codec import content
from tap_acumatica.records.identity import KeyTable

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_acumatica.reading.pages import Answer, Pages
    from tap_acumatica.reading.plan import Row, Term

_MOST_LOOKS = 8
_MOST_SHIFTS_BY_LINK = 3
_STUCK = 2
_FAULTS = 2
_REMEMBERED = 100_000
_MASK = (1 << 64) - 1


class _Look:
    """Which rows one look has met, in little memory however many they are."""

    def __init__(self, *, unique: bool) -> None:
        self.pages = 0
        self._unique = unique
        self._count = self._sum = 0
        self._seen: set[int] = set()

    def add(self, identities: Iterable[t.Any]) -> bool:
        """Take note of a page; whether its rows are new, as far as that is known."""
        found = [hash(msgspec.json.encode(identity)) for identity in identities]
        self.pages += 1
        self._count += len(found)
        self._sum = (self._sum + sum(found)) & _MASK
        new = not self._unique or self._seen.isdisjoint(found)
        if len(self._seen) < _REMEMBERED:
            self._seen.update(found)
        return new

    @property
    def sum(self) -> tuple[int, int]:
        """How many rows it has met, and which: the same for two looks at the same rows."""
        return self._count, self._sum


class PositionReader:
    """Reads all rows that meet some terms by their positions, or by next links."""

    def __init__(self, pages: Pages, *, once: bool = False) -> None:
        """Prepare.

        Args:
            pages: Pages of the entity set.
            once: Whether a row is passed on once only, however often it is looked at. That is
                for rows without a key, which a target cannot recognize.
        """
        self._pages = pages
        self._evidence = pages.evidence
        self._passed_on = KeyTable() if once else None

    def read(self, terms: Sequence[Term] = ()) -> Iterator[list[Row]]:
        """All rows that meet ``terms``; some of them more than once.

        Raises:
            AnswerError: If rows keep shifting, or the remaining rows cannot be reached.
        """
        before: _Look | None = None
        shifts = 0
        for _ in range(_MOST_LOOKS):
            met = KeyTable()
            look = _Look(unique=self._pages.plan.distinct)
            for rows in self._look(terms):
                if rows is None or not look.add(map(self._pages.plan.identity, rows)):
                    shifts, before = shifts + 1, None
                    self._forget_positions(shifts)
                    break
                yield rows if self._passed_on is None else self._new(rows, met, self._passed_on)
            else:
                if look.pages <= 1 or (before is not None and look.sum == before.sum):
                    return
                before = look
        msg = (
            "rows keep shifting while they are read by position, so it cannot be known whether "
            "these are all; read it in quieter hours"
        )
        raise AnswerError(msg)

    @staticmethod
    def _new(rows: list[Row], met: KeyTable, passed_on: KeyTable) -> list[Row]:
        """The rows of which this look has met more than were passed on."""
        found = []
        for row in rows:
            held = content(row)
            if met.add(held, 1) >= passed_on.add(held, 0):
                passed_on.add(held, 1)
                found.append(row)
        return found

    def _forget_positions(self, shifts: int) -> None:
        if shifts == _MOST_SHIFTS_BY_LINK and self._evidence.links:
            self._evidence.skips = False

    def _look(self, terms: Sequence[Term]) -> Iterator[list[Row] | None]:
        """All rows once, each page beginning with the last row of the one before; None: a shift."""
        pages, order = self._pages, self._pages.plan.keys
        size = pages.plan.page_size
        # One row is to overlap by; next links lead no further than $top.
        top = size and max(2, size) if self._skips else 0
        longest = self._evidence.longest
        answer = pages.ask(terms, order, top=top)
        position = overlap = stuck = 0
        visited: set[int] = set()
        while True:
            yield answer.rows[overlap:]
            position += len(answer.rows) - overlap
            nothing = overlap == len(answer.rows)
            if pages.is_end(answer) or (nothing and not answer.more):
                return
            if not overlap and pages.settle_end(terms, order, answer):
                return
            if not self._skips:
                if answer.link is None:
                    self._refuse_a_part(answer, longest)
                    return
                refuse_circle(answer.link, visited)
                answer, overlap = pages.follow(answer), 0
                continue
            stuck = stuck + 1 if nothing else 0
            if stuck > _STUCK:  # only the link leads on
                self._evidence.skips = False
                yield None
                return
            last, overlap = answer.rows[-1:], min(position, 1)
            answer = pages.ask(terms, order, top=top, skip=position - overlap)
            if overlap and not self._is_same(answer.rows[:1], last):
                self._notice_skip_without_effect(terms, answer)
                yield None
                return

    @property
    def _skips(self) -> bool:
        return self._evidence.skips and self._pages.plan.skip

    def _is_same(self, some: list[Row], others: list[Row]) -> bool:
        identity = self._pages.plan.identity
        return [identity(row) for row in some] == [identity(row) for row in others]

    def _notice_skip_without_effect(self, terms: Sequence[Term], answer: Answer) -> None:
        """Twice the first page shows that positions have no effect."""
        again = self._pages.ask(terms, self._pages.plan.keys, top=answer.asked)
        if answer.rows and self._is_same(answer.rows, again.rows):
            self._evidence.skip_faults += 1
            self._evidence.skips = self._evidence.skip_faults < _FAULTS

    def _refuse_a_part(self, answer: Answer, longest: int) -> None:
        """Raise if the answer is full and the rows behind it cannot be reached.

        Without ``$top``, as many rows as in another answer may be what the service gives at most.

        Raises:
            AnswerError: If the answer may be a part only.
        """
        cut = answer.is_full or (answer.asked is None and len(answer.rows) == longest)
        if cut and not self._evidence.links:
            msg = (
                "the service gives only a part of the rows, with no next link, and neither a "
                "filter nor a position leads to the others; have it sort and filter by the key"
            )
            raise AnswerError(msg)
