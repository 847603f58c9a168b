"""Whether an answer is one: rows of the right entity set, with the columns that were asked for."""

from __future__ import annotations

import re
import typing as t
from functools import partial
from urllib.parse import parse_qs, unquote, urlsplit

from tap_acumatica.errors import AnswerError, ColumnsRefusedError, PayloadError
from tap_acumatica.odata.payload import decode_name

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tap_acumatica.records.codec import Page

_CONTEXT_SET = re.compile(r"[^#]*\$metadata#([^./()&?#]+)(?:\(.*\))?(?:&.*)?", re.DOTALL)
"""Matches a context that names an entity set, not a type or what belongs to one entity."""
_COLLECTION = "collection"


class Habits(t.Protocol):
    """What is known of a service.

    Attributes:
        omits_nulls: Whether it leaves out properties that are null.
    """

    omits_nulls: bool


class AnswerCheck:
    """Refuses answers that lack what was asked for: a column that nobody sent is not null."""

    def __init__(  # noqa: PLR0913  all of them decide what an answer is
        self,
        name: str,
        habits: Habits,
        *,
        key: Collection[str] = (),
        declared: Collection[str] = (),
        restricted: Collection[str] = (),
        doubtful: Collection[str] = (),
        sets: Iterable[str] = (),
        smallest_page: int = 2,
    ) -> None:
        """Prepare.

        Args:
            name: What to call the rows in messages.
            habits: What is known of the service; learned from the answers.
            key: Names of the key columns.
            declared: Columns that are asked for by ``$select``, where there is one.
            restricted: Columns that a service may not give unless they are asked for by name.
            doubtful: Those of them that are asked for; where they do not come, the stream does
                without.
            sets: Names of the entity set; none where rows may come from any.
            smallest_page: Fewer rows are asked for only to find something out.
        """
        self._name = name
        self._habits = habits
        self._key = frozenset(key)
        self._declared = frozenset(declared)
        self._doubtful = frozenset(doubtful)
        self._restricted = frozenset(restricted) - self._doubtful
        self._sets = frozenset(map(_spelled, sets))
        self._smallest_page = smallest_page

    def __call__(self, url: str, page: Page) -> Page:
        """Check an answer.

        Args:
            url: What was asked for.
            page: The answer, or its first part; the others are checked as they come.

        Raises:
            AnswerError: If it holds other rows, or lacks a column.
            ColumnsRefusedError: If it only lacks columns that it may lack.
        """
        self._check_set(page.context)
        options = _Options(url)
        lost = self._lost_key(options, page)
        if lost:
            raise AnswerError(f"{self._name}: {lost}")
        if page.lacking - page.absent:
            self._habits.omits_nulls = True
        absent = sorted(self._asked(options, page.absent) - options.sought_as_null(page.absent))
        enough = options.top is None or options.top >= self._smallest_page
        if absent and enough and not self._habits.omits_nulls:
            one = len(absent) == 1
            msg = (
                f"{self._name}: no row of the answer has {', '.join(absent)}, although "
                f"{'it was' if one else 'they were'} requested; the service probably renamed or "
                f"removed {'the column' if one else 'these columns'}, or hides "
                f"{'it' if one else 'them'} from this user. Run discovery again, or deselect "
                f"{'it' if one else 'them'}"
            )
            if self._doubtful.issuperset(absent):
                raise ColumnsRefusedError(absent, msg)
            raise AnswerError(msg)
        return self._guarded(options, page)

    def _guarded(self, options: _Options, page: Page) -> Page:
        if page.next_part is None:
            return page
        return page._replace(next_part=partial(self._next, options, page.next_part))

    def _next(self, options: _Options, next_part: Callable[[], Page]) -> Page:
        page = next_part()
        if lost := self._lost_key(options, page):
            raise PayloadError(lost)
        return self._guarded(options, page)

    def _asked(self, options: _Options, columns: frozenset[str]) -> frozenset[str]:
        if options.select:
            return frozenset(
                name for name in columns if name in options.select or name not in self._declared
            )
        return columns - self._restricted

    def _lost_key(self, options: _Options, page: Page) -> str:
        """What is wrong where a row lacks a key column; empty where none does."""
        lost = self._asked(options, page.lacking & self._key) - options.sought_as_null(page.absent)
        if not lost:
            return ""
        return (
            f"a row of the answer has no {', '.join(sorted(lost))}, which is part of its key; the "
            "service probably renamed or removed the column. Run discovery again"
        )

    def _check_set(self, context: str | None) -> None:
        """Refuse rows of another entity set; a context that names none says nothing.

        Raises:
            AnswerError: If the rows are of another set.
        """
        found = _CONTEXT_SET.fullmatch(unquote(context)) if context and self._sets else None
        if found is None:
            return
        named = _spelled(found[1])
        whole = _spelled(unquote(str(context)).partition("#")[2])
        if named != _COLLECTION and not any(whole.startswith(each) for each in self._sets):
            msg = (
                f"{self._name}: the answer holds rows of {found[1]} instead; a proxy or a cache "
                "probably mixes addresses up"
            )
            raise AnswerError(msg)


class _Options:
    """The query options of an address that decide which columns its answer has."""

    def __init__(self, url: str) -> None:
        options = parse_qs(urlsplit(url).query)
        names = options.get("$select", [""])[0].split(",")
        self.select = frozenset(name.partition("/")[0].strip() for name in names) - {""}
        self._terms = {term.strip("() ") for term in options.get("$filter", [""])[0].split(" and ")}
        top = options.get("$top", [""])[0]
        self.top = int(top) if top.isdecimal() else None

    def sought_as_null(self, columns: Iterable[str]) -> frozenset[str]:
        """Those of the columns by which the rows were sought as null."""
        return frozenset(name for name in columns if f"{name} eq null" in self._terms)


def _spelled(name: str) -> str:
    """A name without what services spell in several ways."""
    return re.sub(r"[\W_]", "", decode_name(name)).casefold()
