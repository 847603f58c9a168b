"""Pages of one entity set, each of which proves itself; ``evidence.py`` says what is believed."""

from __future__ import annotations

import logging
import typing as t
import unicodedata

from tap_acumatica.errors import AnswerError, BrokenOffError
from tap_acumatica.odata import times
from tap_acumatica.reading.evidence import FilterIgnoredError, OrderIgnoredError
from tap_acumatica.reading.plan import LOCAL_TYPES
from tap_acumatica.records.codec import content

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_acumatica.odata.query import QueryOptions
    from tap_acumatica.reading.evidence import Evidence
    from tap_acumatica.reading.plan import Column, Page, Plan, Row, Source, Term

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 0.01
"""SQL Server keeps ticks of 3.33 ms and shows three digits, so a stored value may lie a little
below or above the one shown."""
SECOND = 1.0
_MOST_LOOKS = 9
_CONFIRMED = 3


class Answer(t.NamedTuple):
    """The answer to one query.

    Attributes:
        rows: Its rows.
        link: Its next link, if it has one.
        more: Whether rows surely follow: there is a link, or the answer broke off.
        asked: How many rows were asked for, None where the service decides.
    """

    rows: list[Row]
    link: str | None
    more: bool
    asked: int | None

    @property
    def is_full(self) -> bool:
        """Whether it has all the rows that were asked for, or even more."""
        return self.asked is not None and len(self.rows) >= self.asked


class Pages:
    """Asks for the pages of one entity set."""

    def __init__(self, source: Source, plan: Plan, evidence: Evidence) -> None:
        """Prepare.

        Args:
            source: The entity set.
            plan: How it is read.
            evidence: What is known of the service.
        """
        self.plan = plan
        self.evidence = evidence
        self.coarse = True  # all stamps so far were whole seconds
        self._source = source

    # Asking

    def ask(
        self,
        terms: Sequence[Term],
        order: Sequence[Column],
        *,
        top: int | None = None,
        skip: int = 0,
        reverse: bool = False,
    ) -> Answer:
        """Answer one query.

        Args:
            terms: Comparisons that the rows meet.
            order: Columns to sort by.
            top: Rows to ask for instead of a page.
            skip: Rows to pass over.
            reverse: Whether to sort from the last to the first.

        Raises:
            FilterIgnoredError: If rows come, twice, that do not meet the terms.
        """
        options = self.plan.options(terms, order, top=top, skip=skip, reverse=reverse)
        answer = self._answer(options)
        if self._outside(terms, answer.rows) is not None:
            answer = self._answer(options)
            if (column := self._outside(terms, answer.rows)) is not None:
                raise FilterIgnoredError(column.name)
        return answer

    def _answer(self, options: QueryOptions) -> Answer:
        answer = self._joined(self._source.get(options), options.top)
        self.evidence.links = self.evidence.links or answer.link is not None
        return answer

    def _joined(self, page: Page, top: int | None) -> Answer:
        """An answer of one or more parts; one that breaks off is as good as a shorter one."""
        rows = page.rows
        while page.next_part is not None:
            try:
                page = page.next_part()
            except BrokenOffError as error:
                logger.info("Going on behind the rows that came: %s", error)
                return Answer(rows, None, more=True, asked=self._source.at_most(top))
            rows = [*rows, *page.rows]
        link = page.next_link
        return Answer(rows, link, more=link is not None, asked=self._source.at_most(top))

    def follow(self, answer: Answer) -> Answer:
        """What the next link of an answer leads to."""
        return self._joined(self._source.follow(answer.link or ""), answer.asked)

    def seek(
        self,
        terms: Sequence[Term],
        order: Sequence[Column],
        brings: Callable[[list[Row]], bool],
        *,
        top: int | None = None,
        reverse: bool = False,
    ) -> Answer:
        """A page; where it brings nothing to go on from, but a link, there is only the link.

        A link counts rows that may go meanwhile, and then passes over others. So it is followed
        again until the same rows came twice.

        Args:
            terms: Comparisons that the rows meet.
            order: Columns to sort by.
            brings: Whether rows are enough to go on from.
            top: Rows to ask for instead of a page.
            reverse: Whether to sort from the last to the first.

        Raises:
            AnswerError: If links lead elsewhere each time, or in a circle.
        """
        met: list[t.Any] | None = None
        for _ in range(_MOST_LOOKS):
            answer = self.ask(terms, order, top=top, reverse=reverse)
            visited = set[int]()
            while answer.link is not None and not brings(answer.rows):
                refuse_circle(answer.link, visited)
                more = self.follow(answer)
                answer = more._replace(rows=[*answer.rows, *more.rows])
            found = [self.plan.identity(row) for row in answer.rows] if visited else None
            if found is None or found == met:
                return answer
            met = found
        msg = "next links lead to other rows each time; report it to the owner of the service"
        raise AnswerError(msg)

    def first_row(
        self, terms: Sequence[Term], order: Sequence[Column], *, reverse: bool = False
    ) -> Row | None:
        """The first row of a result: one small request; None where it cannot be asked for."""
        if reverse and not self.plan.reversible:
            return None
        answer = self.seek(terms, order, bool, top=1, reverse=reverse)
        return answer.rows[0] if answer.rows else None

    # The end

    def is_end(self, answer: Answer) -> bool:
        """Whether nothing follows: a shorter answer than another one, and no link."""
        length, inquiry = len(answer.rows), self.plan.inquiry
        self.evidence.met(inquiry, length)
        if answer.more or answer.is_full:
            return False
        return self.evidence.is_shorter(inquiry, length)

    def settle_end(self, terms: Sequence[Term], order: Sequence[Column], answer: Answer) -> bool:
        """Whether a short answer, with no longer one known, is the end: one small request.

        Where only the newest rows were asked for, all are asked for: that settles it for later
        streams, too. Else the last row and the one behind it are asked for.

        Raises:
            AnswerError: If the service gives one row per answer.
        """
        length, inquiry = len(answer.rows), self.plan.inquiry
        if answer.more or answer.is_full or not length or self.evidence.was_cut(inquiry, length):
            return False
        if self._is_newest_only(terms):
            longer = len(self.ask((), self.plan.keys).rows)
            self.evidence.met(inquiry, longer)
            if longer > length:
                return True
        if inquiry:
            return self._is_last(terms, order, answer)
        if not self._uses_positions(order):
            return False  # a position says nothing where rows tie; the next page tells
        return self._is_last_by_position(terms, order, answer)

    def _is_newest_only(self, terms: Sequence[Term]) -> bool:
        return len(terms) == 1 and terms[0].column == self.plan.tracking

    def _uses_positions(self, order: Sequence[Column]) -> bool:
        return self.plan.skip and self.evidence.skips and self._is_total(order)

    def _is_total(self, order: Sequence[Column]) -> bool:
        """Whether the whole order can be sent, so that no rows tie."""
        clauses = self.plan.clauses
        return bool(order) and self.plan.order and (clauses is None or len(order) <= clauses)

    def _is_last_by_position(
        self, terms: Sequence[Term], order: Sequence[Column], answer: Answer
    ) -> bool:
        rows, length, identity = answer.rows, len(answer.rows), self.plan.identity
        wanted = 2 if length > 1 else 1
        behind = self.ask(terms, order, top=wanted, skip=max(1, length - 1)).rows[:wanted]
        if length == 1:
            if behind and identity(behind[0]) != identity(rows[0]):
                self.refuse_single_rows(
                    terms, order, lambda: self.ask(terms, order, top=1, skip=1).rows
                )
            return not behind
        if not behind or identity(behind[0]) != identity(rows[-1]):
            return False  # something changed; the next page tells
        if len(behind) > 1:
            self.evidence.cut(self.plan.inquiry, length)
        return len(behind) == 1

    def refuse_single_rows(
        self,
        terms: Sequence[Term],
        order: Sequence[Column],
        behind: Callable[[], list[Row]],
    ) -> None:
        """Make sure that a single row is the whole result, if no longer answer was seen.

        Args:
            terms: Comparisons of the query that brought one row.
            order: Its order.
            behind: Asks for the rows behind it.

        Raises:
            AnswerError: If the service gives one row per answer, though there are more.
        """
        size = self.plan.page_size
        for _ in range(_CONFIRMED):  # rows may come and go between the requests
            if self.evidence.is_shorter(None, 1) or not behind():
                return
            again = self.ask(terms, order, top=size and max(2, size))
            if len(again.rows) != 1 or again.more:
                return
        refuse_one_row()

    def _is_last(self, terms: Sequence[Term], order: Sequence[Column], answer: Answer) -> bool:
        """Whether the last row of an inquiry's answer comes first in reverse.

        A limit of its own cuts whatever ``$skip`` passes over as well.
        """
        if not (self._is_total(order) and self.plan.reversible):
            return False
        found = self.ask(terms, order, top=1, reverse=True).rows
        last = bool(found) and content(found[0]) == content(answer.rows[-1])
        if found and not last:
            self.evidence.cut(self.plan.inquiry, len(answer.rows))
        return last

    # The order

    @property
    def is_proved(self) -> bool:
        """Whether rows are known to come in the order asked for."""
        return self.evidence.sorts(self.plan.inquiry)

    def refuse_unproved(self, order: Sequence[Column], *, several: bool) -> None:
        """Where a second page followed, the order must have been proved in the end.

        Raises:
            OrderIgnoredError: If it was not.
        """
        if several and not self.is_proved and self._is_total(order):
            raise OrderIgnoredError

    # The filter

    def _outside(self, terms: Sequence[Term], rows: list[Row]) -> Column | None:
        """The column whose term a row does not meet, as far as that can be told from here."""
        for term in terms:
            name = term.column.name
            tracked = self.plan.tracking is not None and name == self.plan.tracking.name
            if tracked and term.value is None:
                continue  # whoever asks for rows without a stamp leaves out the others
            values = self.plan.stamps(rows) if tracked else [row[name] for row in rows]
            if tracked:
                self._look_at_grain(values)
            if not self._all_meet(term, values, exact=tracked or self.plan.time_zone.is_utc):
                return term.column
        return None

    def _look_at_grain(self, stamps: Sequence[str | None]) -> None:
        if self.coarse:
            self.coarse = all(stamp is None or stamp[19:26] == ".000000" for stamp in stamps)

    def _all_meet(self, term: Term, values: Sequence[t.Any], *, exact: bool) -> bool:
        column, operator, bound = term
        if bound is None:
            return all((value is None) == (operator == "eq") for value in values)
        if any(value is None for value in values):
            return False
        if not values:
            return True
        if column.is_text:  # how texts compare is not known here
            return operator != "eq" or {_folded(bound)} == {_folded(value) for value in values}
        least = most = bound
        if column.type in LOCAL_TYPES:
            if not exact:
                return True
            ease = SECOND if self.coarse else MARGIN_SECONDS
            least, most = times.shifted(bound, seconds=-ease), times.shifted(bound, seconds=ease)
        return (operator not in {"ge", "gt", "eq"} or bool(min(values) >= least)) and (
            operator not in {"le", "lt", "eq"} or bool(max(values) <= most)
        )


def refuse_one_row() -> t.NoReturn:
    """Refuse a service whose answers hold one row each.

    Raises:
        AnswerError: Always.
    """
    msg = (
        "the service gives one row per answer and no next link; that is too few to read by. "
        "Have its page limit raised"
    )
    raise AnswerError(msg)


def refuse_circle(link: str, visited: set[int]) -> None:
    """Take note of a next link that is followed.

    Args:
        link: The link.
        visited: Hashes of those that were followed before it.

    Raises:
        AnswerError: If it was followed before.
    """
    if hash(link) in visited:
        msg = "the next link leads in a circle; report it to the owner of the service"
        raise AnswerError(msg)
    visited.add(hash(link))


def _folded(text: t.Any) -> t.Any:
    """A text as services take it that know neither case, accents nor blanks at the end."""
    if not isinstance(text, str):
        return text
    letters = unicodedata.normalize("NFKD", text)
    return "".join(c for c in letters if not unicodedata.combining(c)).rstrip(" ").casefold()
