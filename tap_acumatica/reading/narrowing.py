"""What a service refuses is found out by small requests, and only that is given up.

A refusal is repeated once first, since it may pass. Then each part of the request is asked for
alone: the longest ``$orderby`` that is taken is kept, one comparison is given up and not the
filter. What was refused for one stream says nothing about others, unless the service says so: a
limit on the names in ``$orderby`` is the service's own.
"""

from __future__ import annotations

import logging
import re
import typing as t
from dataclasses import replace

from tap_acumatica.errors import (
    AccessError,
    ColumnsRefusedError,
    EmptyAnswerError,
    RefusedError,
)
from tap_acumatica.odata.query import QueryOptions
from tap_acumatica.reading.plan import without_seek

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_acumatica.reading.evidence import Evidence
    from tap_acumatica.reading.plan import Plan, Source

logger = logging.getLogger(__name__)

_NAMED = re.compile(r"'([A-Za-z_]\w*)'")
_NUMBER = re.compile(r"\d+")
_BROKEN = re.compile(r"HTTP 5(?!01)\d\d")  # 501 is what is not supported
_CLAUSES = re.compile(
    r"\$?orderby.{0,80}\bclauses\b|\bclauses\b.{0,80}orderby", re.IGNORECASE | re.DOTALL
)

Refusal = t.Union[RefusedError, EmptyAnswerError]  # noqa: UP007  also at run time


class Narrowing:
    """Finds out what is refused, and plans without it."""

    def __init__(self, source: Source, evidence: Evidence, *, name: str) -> None:
        """Prepare.

        Args:
            source: The entity set.
            evidence: What is known of the service.
            name: Name of the stream, for messages.
        """
        self._source = source
        self._evidence = evidence
        self._name = name
        self._repeated: list[QueryOptions] = []

    def narrowed(  # noqa: C901  one question after the other
        self, plan: Plan, asked: QueryOptions | None, error: Refusal
    ) -> Plan:
        """The plan without what was refused.

        Args:
            plan: The plan so far.
            asked: The request that was refused.
            error: The refusal.

        Raises:
            AccessError: If the service refuses even the plainest request.
            ColumnsRefusedError: If it does not give some columns.
            EmptyAnswerError: If it refuses nothing: then the answer was simply bad.
        """
        if asked is None:
            raise error
        if asked not in self._repeated:
            self._repeated.append(asked)
            if self._takes(asked):
                logger.info("%s: what was refused once was answered the second time.", self._name)
                return plan
        small = replace(asked, top=1 if asked.top else None)
        self._check_condition(small)
        plain = QueryOptions(top=small.top, custom=asked.custom)
        parts = _suspects(asked, str(error))
        named = [part for part in parts if part in str(error).lower()]
        if not named:  # it may be anything: whether it answers at all comes first
            weaker = self._without_top(plan, plain, error)
            if weaker is not None:
                return weaker
        for part in parts:
            weaker = self._without(part, plan, small, error)
            if weaker is not None:
                return weaker
        weaker = self._without_top(plan, plain, error) if named else None
        if weaker is not None:
            return weaker
        for part in _suspects(asked, str(error)):
            alone = replace(plain, **{part: getattr(small, part)})
            if not self._takes(alone) and (weaker := self._without(part, plan, alone, error)):
                return weaker
        if isinstance(error, EmptyAnswerError):
            raise error
        raise AccessError(str(error)) from error

    def _check_condition(self, asked: QueryOptions) -> None:
        """Make sure that it is not the filter which people have set.

        Raises:
            RefusedError: If it is.
        """
        alone = QueryOptions(top=asked.top, condition=asked.condition, custom=asked.custom)
        try:
            if alone.condition:
                self._source.get(alone)
        except (RefusedError, EmptyAnswerError) as error:
            if self._takes(replace(alone, condition=None)):
                msg = f"{self._name}: the service does not take what 'filters' says of it: {error}"
                raise RefusedError(msg) from error

    def _without_top(self, plan: Plan, plain: QueryOptions, error: Refusal) -> Plan | None:
        """The plan without ``$top``, if even the plainest request is refused for it.

        Raises:
            AccessError: If that is refused without it as well.
            EmptyAnswerError: If that is not answered either.
        """
        if self._takes(plain):
            return None
        broken = _BROKEN.search(str(error)) is not None
        if plain.top and not broken and self._takes(replace(plain, top=None)):
            return self._weakened(
                "takes no $top",
                replace(plan, page_size=None),
                "next links are followed, which is unsafe while people work",
            )
        if isinstance(error, EmptyAnswerError):
            raise error
        raise AccessError(str(error)) from error

    def _without(self, part: str, plan: Plan, asked: QueryOptions, error: Refusal) -> Plan | None:
        """The plan without what is refused of one part of a request; None if that is not it."""
        if part == "orderby":
            return self._without_order(plan, asked, error)
        nothing: dict[str, t.Any] = {part: None if part in {"expand", "skip"} else ()}
        rest = replace(asked, **nothing)
        if not self._takes(rest):
            return None
        if part == "select":
            return self._without_columns(plan, asked, error)
        if part == "filter":
            return self._without_filter(plan, asked)
        if part == "expand":
            msg = f"{error}; set 'expand' to what the service takes"
            raise AccessError(msg) from error
        return self._weakened(
            "takes no $skip", replace(plan, skip=False), "pages are read by value"
        )

    def _takes(self, options: QueryOptions) -> bool:
        """Whether a request is answered."""
        try:
            self._source.get(options)
        except (RefusedError, EmptyAnswerError):
            return False
        return True

    # Columns

    def _without_columns(self, plan: Plan, asked: QueryOptions, error: Refusal) -> Plan:
        select = asked.select
        refused = [name for name in _NAMED.findall(str(error)) if name in select]
        refused = refused or self._refused_among(select, replace(asked, orderby=(), filter=()))
        if not refused:  # each is taken alone
            return self._weakened(
                "takes no $select of so many columns",
                replace(plan, select=()),
                "whole rows are asked for",
            )
        if len(refused) == len(select):
            return self._weakened(
                "takes no $select", replace(plan, select=()), "whole rows are asked for"
            )
        needed = {column.name for column in plan.time_columns}
        if needed.intersection(refused):
            raise AccessError(str(error)) from error
        raise ColumnsRefusedError(refused, str(error)) from error

    def _refused_among(self, names: Sequence[str], asked: QueryOptions) -> list[str]:
        """The columns that are refused alone, found by halves."""
        if self._takes(replace(asked, select=tuple(names))):
            return []
        if len(names) == 1:
            return list(names)
        middle = len(names) // 2
        return [
            *self._refused_among(names[:middle], asked),
            *self._refused_among(names[middle:], asked),
        ]

    # The order

    def _without_order(  # noqa: PLR0911  one for each form of an order
        self, plan: Plan, asked: QueryOptions, error: Refusal
    ) -> Plan | None:
        order = asked.orderby
        if order[0].endswith(" desc"):
            forward = tuple(item.removesuffix(" desc") for item in order)
            if self._takes(replace(asked, orderby=forward)):
                return self._weakened(
                    "sorts one way only",
                    replace(plan, reversible=False),
                    "each page must show by itself that it ascends",
                )
        length = self._longest_order(order, asked, error)
        if not length and not self._takes(replace(asked, orderby=())):
            return None
        first_refused = order[length].removesuffix(" desc")
        if length and self._takes(replace(asked, orderby=(first_refused,))):
            if _CLAUSES.search(str(error)):
                self._evidence.clauses = length
            return self._weakened(
                f"takes {length} names in $orderby",
                replace(plan, clauses=length),
                "rows that tie are read by their key",
            )
        tracking = plan.tracking
        if first_refused not in {column.name for column in plan.time_columns}:
            return None
        if tracking and tracking.name == first_refused:
            return self._weakened(
                f"does not sort by {tracking.name}",
                replace(plan, time_order=False),
                "the bookmark is written at the end of the stream only",
            )
        keys = tuple(column for column in plan.keys if column.name != first_refused)
        if not any(self._takes(replace(asked, orderby=(column.name,))) for column in keys):
            return self._weakened(
                "takes no $orderby", replace(plan, order=False), "rows are read by position"
            )
        seek = tuple(column for column in plan.seek if column.name != first_refused)
        return self._weakened(
            f"does not sort by {first_refused}",
            replace(plan, keys=keys, seek=seek, unique=False, distinct=False),
            "the other keys are used",
        )

    def _longest_order(self, order: tuple[str, ...], asked: QueryOptions, error: Refusal) -> int:
        """How many of its names ``$orderby`` takes; fewer than all of them."""
        low, high = 0, len(order) - 1
        for number in map(int, _NUMBER.findall(str(error))):
            if 0 < number <= high and self._takes(replace(asked, orderby=order[:number])):
                low = max(low, number)
                if not self._takes(replace(asked, orderby=order[: low + 1])):
                    return low
        while low < high:
            middle = (low + high + 1) // 2
            if self._takes(replace(asked, orderby=order[:middle])):
                low = middle
            else:
                high = middle - 1
        return low

    # The filter

    def _without_filter(  # noqa: PLR0911  one for each form of a filter
        self, plan: Plan, asked: QueryOptions
    ) -> Plan:
        refused = [t for t in asked.filter if not self._takes(replace(asked, filter=(t,)))]
        if not refused:
            return self._weakened(
                f"does not take {len(asked.filter)} comparisons at once",
                replace(plan, terms=len(asked.filter) - 1),
                "what one does not tell apart is read by position",
            )
        name, operator = refused[0].split(" ", 2)[:2]
        null = refused[0].endswith(" null")
        found = f"does not take the filter '{name} {operator}{' null' if null else ''}'"
        tracking = plan.tracking
        if tracking and tracking.name == name:
            if null:
                weaker = replace(plan, null_rows=False)
                return self._weakened(found, weaker, "rows without it are found among all rows")
            if operator in {"lt", "le"}:
                weaker = replace(plan, terms=1)
                return self._weakened(found, weaker, "rows of one stamp are read with all behind")
            return self._weakened(
                found,
                replace(plan, tracking=None),
                "changes cannot be asked for, so the whole stream is read",
            )
        if operator == "le":
            weaker = replace(plan, both_sides=False)
            return self._weakened(found, weaker, "texts are sought from one side only")
        position = [column.name for column in plan.seek].index(name) if plan.seek else 0
        if not position:
            return self._weakened(found, without_seek(plan), "pages are read by position")
        weaker = replace(plan, seek=plan.seek[:position], unique=False)
        return self._weakened(found, weaker, "rows of one key value are read by position")

    def _weakened(self, found: str, plan: Plan, meaning: str) -> Plan:
        logger.warning("%s: the service %s; %s.", self._name, found, meaning)
        return plan


def _suspects(asked: QueryOptions, said: str) -> list[str]:
    """The parts of a request, those that a refusal names first."""
    parts = ("select", "filter", "orderby", "expand", "skip")
    sent = [part for part in parts if getattr(asked, part)]
    return sorted(sent, key=lambda part: part not in said.lower())
