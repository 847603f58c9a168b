"""What is believed of a service, and why that is enough.

Most of what a safe reading has to know is a property of the service, not of a stream. So it is
found out once per run and shared by all streams and sessions; what was found is logged.

* *Links* only say that there is more. They count rows, openly or in a token, and rows that come or
  go shift what they count. A link is followed only where an answer brings nothing else to go on
  from.
* *The end* is an answer without rows, or one with fewer rows than were asked for, no link, and
  fewer than the service has given in another answer: a service that cuts answers silently cuts
  all of them at the same length, so only a *longer* answer shows that a short one was not cut.
  Where nothing longer is known, a small request settles it. A length that was once seen cut never
  is the end. An inquiry may have a limit of its own, which the site may tell and people set to a
  round number; its answers of such a length are compared with its own answers only.
* *Order* matters only where a second page follows. In reverse, rows must come first that were not
  on the page; that is asked once per service, and once per inquiry, since an inquiry sorts as its
  author wants. Before that is known, no bookmark is written.
* *Filters* prove themselves: each row of an answer meets its bounds.
* *Texts* sort and compare by rules that are not known here. A service that sorts by one rule and
  compares by another passes over rows. So until the keys seen have shown which rule it uses for
  both, each place is checked from the other side as well.
* *Nulls* come first or last. Where it is known which, a first page without any at its end shows
  that there are none; one small request finds out, by any column that has some.
* *Positions* are believed only where two looks agree.
"""

from __future__ import annotations

import itertools
import threading
import typing as t

from typing_extensions import override

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HUNDRED = 100
_ROUND = frozenset({"1", "2", "3", "4", "5", "6", "7", "8", "9", "15", "25", "75"})


class UntrustedError(Exception):
    """The service does something that reading in this way cannot rely on."""

    found = "cannot be relied on"

    @override
    def __str__(self) -> str:
        return f"the service {self.found}"


class OrderIgnoredError(UntrustedError):
    """The service does not sort, although it was asked to."""

    found = "ignores $orderby"


class FilterIgnoredError(UntrustedError):
    """The service answers with rows outside the filter."""

    found = "ignores $filter"

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class OrderDisagreesError(UntrustedError):
    """The service sorts keys in one way and compares them in another."""

    found = "sorts keys in one way and compares them in another"


class Evidence:
    """What was learned of a service in this run; safe to share between threads.

    Attributes:
        clauses: The most names that ``$orderby`` takes, None where no limit is known.
        skips: Whether ``$skip`` has an effect, as far as is known.
        skip_faults: How often it had none.
        links: Whether an answer had a next link.
        limits: The most rows that inquiries give by their definitions, as far as that is known.
        nulls_first: Whether nulls come before all other values, as OData has it (4.01 Part 1,
            11.2.6.2); None where that is not known.
    """

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._lock = threading.Lock()
        self._longest: dict[str, int] = {}
        self._cut: dict[str, set[int]] = {}
        self._sorted: set[str] = set()
        self._orders = {"Edm.Guid": TextOrder(_contradicted_guids)}
        self._texts = TextOrder(_contradicted)
        self.clauses: int | None = None
        self.skips = True
        self.skip_faults = 0
        self.links = False
        self.limits: dict[str, frozenset[int]] = {}
        self.nulls_first: bool | None = None

    # The end

    def scope(self, inquiry: str | None, length: int) -> str:
        """Whose answers tell whether one of this length may have been cut."""
        if not inquiry:
            return ""
        return inquiry if length in self.limits.get(inquiry, ()) or _is_round(length) else ""

    def met(self, inquiry: str | None, length: int) -> None:
        """Take note of an answer's length."""
        with self._lock:
            for scope in {"", inquiry or ""}:
                self._longest[scope] = max(length, self._longest.get(scope, 0))

    @property
    def longest(self) -> int:
        """Rows of the longest answer of the service."""
        return self._longest.get("", 0)

    def is_shorter(self, inquiry: str | None, length: int) -> bool:
        """Whether an answer of this length was surely not cut, since a longer one was met."""
        scope = self.scope(inquiry, length)
        if length in self._cut.get(scope, ()):
            return False
        return length == 0 or length < self._longest.get(scope, 0)

    def cut(self, inquiry: str | None, length: int) -> None:
        """Take note that an answer of this length was cut without a word."""
        self._cut.setdefault(self.scope(inquiry, length), set()).add(length)

    def was_cut(self, inquiry: str | None, length: int) -> bool:
        """Whether an answer of this length was cut before."""
        return length in self._cut.get(self.scope(inquiry, length), ())

    # The order

    def order_of(self, type_name: str) -> TextOrder:
        """How values of a type sort and compare, whose order only the service knows."""
        return self._orders.get(type_name, self._texts)

    def sorts(self, inquiry: str | None) -> bool:
        """Whether it is known that rows come in the order asked for."""
        return (inquiry or "") in self._sorted

    def sorted(self, inquiry: str | None) -> None:
        """Take note that rows come in the order asked for."""
        self._sorted.add(inquiry or "")

    @property
    def described(self) -> str:
        """What is known, in a line for people."""
        known = [f"the longest answer had {self.longest} rows"] if self.longest else []
        cut = sorted(self._cut.get("", ()))
        if cut:
            known.append(f"answers were cut at {', '.join(map(str, cut))} rows without a link")
        if self.links:
            known.append("next links are sent")
        if "" in self._sorted:
            known.append("rows come sorted")
        if self._texts.known:
            known.append(f"texts are sorted and compared {self._texts.known}")
        if self.clauses is not None:
            known.append(f"$orderby takes {self.clauses} names")
        if self.nulls_first is not None:
            known.append(f"nulls come {'first' if self.nulls_first else 'last'}")
        if not self.skips:
            known.append("$skip has no effect")
        return "; ".join(known) or "nothing yet"


def _is_round(length: int) -> bool:
    """Whether a person would set a limit to it: 5, 20, 35, 100, 2500."""
    if length < _HUNDRED:
        return length % 5 == 0
    return str(length).rstrip("0") in _ROUND


class TextOrder:
    """How a service sorts texts and how it compares them, as far as the keys seen have shown.

    By ordinal, capital letters come before all small ones. By culture, as SQL Server's collations
    and .NET do, case decides last, marks come before digits and digits before letters, and hyphens
    and blanks at the end may count for nothing. SQL Server sorts GUIDs by their last part first;
    here that is their culture.
    """

    def __init__(self, contradicted: Callable[[str, str], set[str]]) -> None:
        """Begin with both rules possible.

        Args:
            contradicted: The rules by which the first of two values would not be the smaller one.
        """
        self._contradicted = contradicted
        self._sorts = {"by ordinal", "by culture"}
        self._compares = {"by ordinal", "by culture"}

    @property
    def known(self) -> str:
        """The rule used for both, empty where it is not known yet."""
        alike = len(self._sorts) == len(self._compares) == 1 and self._sorts == self._compares
        return next(iter(self._sorts)) if alike else ""

    def saw_sorted(self, values: Sequence[str]) -> None:
        """Take note of values in the order they came in.

        Raises:
            OrderDisagreesError: If the service sorts and compares differently.
        """
        for before, behind in itertools.pairwise(values):
            self._sorts -= self._contradicted(before, behind)
        self._refuse_difference()

    def saw_compared(self, bound: str, values: Sequence[str]) -> None:
        """Take note of values that the service takes to be at least ``bound``.

        Raises:
            OrderDisagreesError: If the service sorts and compares differently.
        """
        for value in values:
            self._compares -= self._contradicted(bound, value)
        self._refuse_difference()

    def _refuse_difference(self) -> None:
        if self._sorts and self._compares and not self._sorts & self._compares:
            raise OrderDisagreesError


def _contradicted(small: str, large: str) -> set[str]:
    """The rules by which ``small`` would not be the smaller one."""
    found = set()
    if large < small:
        found.add("by ordinal")
    if _lowered(large) < _lowered(small) and _words(large) < _words(small):
        found.add("by culture")
    return found


def _contradicted_guids(small: str, large: str) -> set[str]:
    found = set()
    if large.lower() < small.lower():
        found.add("by ordinal")
    if _sql_guid(large) < _sql_guid(small):
        found.add("by culture")
    return found


def _sql_guid(text: str) -> tuple[str, ...]:
    """A GUID as SQL Server sorts it: its groups from the last on, the first three byte by byte."""
    first, second, third, *rest = text.lower().split("-")
    swapped = ("".join(reversed(_pairs(group))) for group in (third, second, first))
    return (*reversed(rest), *swapped)


def _pairs(group: str) -> list[str]:
    return [group[place : place + 2] for place in range(0, len(group), 2)]


def _lowered(text: str) -> str:
    return text.rstrip(" ").lower()


def _words(text: str) -> list[tuple[int, str]]:
    return [
        (2 if letter.isalpha() else 1 if letter.isdigit() else 0, letter)
        for letter in _lowered(text)
        if letter not in "-'"
    ]
