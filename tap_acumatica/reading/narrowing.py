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

    def narrowed(self, plan: Plan, asked: QueryOptions | None, error: Refusal) -> Plan:
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
        plain = QueryOptions(top=1 if asked.top else None, custom=asked.custom)
        if not self._takes(plain):
            if isinstance(error, EmptyAnswerError):
                raise error
            raise AccessError(str(error)) from error
        if asked not in self._repeated and self._takes(asked):
            self._repeated.append(asked)
            logger.info("%s: what was refused once was answered the second time.", self._name)
            return plan
        if asked.select and not self._takes(replace(plain, select=asked.select)):
            return self._without_columns(plan, asked, plain, error)
        if asked.expand and not self._takes(replace(plain, expand=asked.expand)):
            msg = f"{error}; set 'expand' to what the service takes"
            raise AccessError(msg) from error
        if asked.orderby and not self._takes(replace(plain, orderby=asked.orderby)):
            return self._without_order(plan, asked, plain, error)
        if asked.filter and not self._takes(replace(plain, filter=asked.filter)):
            return self._without_filter(plan, asked, plain)
        if asked.skip is not None and not self._takes(replace(plain, skip=1)):
            return self._weakened(
                "takes no $skip", replace(plan, skip=False), "pages are read by value"
            )
        if isinstance(error, EmptyAnswerError):
            raise error
        return self._without_combination(plan, asked, error)

    def _takes(self, options: QueryOptions) -> bool:
        """Whether a request is answered."""
        try:
            self._source.get(options)
        except (RefusedError, EmptyAnswerError):
            return False
        return True

    # Columns

    def _without_columns(
        self, plan: Plan, asked: QueryOptions, plain: QueryOptions, error: Refusal
    ) -> Plan:
        select = asked.select
        refused = [name for name in _NAMED.findall(str(error)) if name in select]
        refused = refused or self._refused_among(select, plain)
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

    def _refused_among(self, names: Sequence[str], plain: QueryOptions) -> list[str]:
        """The columns that are refused alone, found by halves."""
        if self._takes(replace(plain, select=tuple(names))):
            return []
        if len(names) == 1:
            return list(names)
        middle = len(names) // 2
        return [
            *self._refused_among(names[:middle], plain),
            *self._refused_among(names[middle:], plain),
        ]

    # The order

    def _without_order(
        self, plan: Plan, asked: QueryOptions, plain: QueryOptions, error: Refusal
    ) -> Plan:
        order = asked.orderby
        if order[0].endswith(" desc"):
            forward = tuple(item.removesuffix(" desc") for item in order)
            if self._takes(replace(plain, orderby=forward)):
                return self._weakened(
                    "sorts one way only",
                    replace(plan, reversible=False),
                    "each page must show by itself that it ascends",
                )
        length = self._longest_order(order, plain, error)
        first_refused = order[length].removesuffix(" desc")
        if length and self._takes(replace(plain, orderby=(first_refused,))):
            if _CLAUSES.search(str(error)):
                self._evidence.clauses = length
            return self._weakened(
                f"takes {length} names in $orderby",
                replace(plan, clauses=length),
                "rows that tie are read by their key",
            )
        tracking = plan.tracking
        if tracking and tracking.name == first_refused:
            return self._weakened(
                f"does not sort by {tracking.name}",
                replace(plan, time_order=False),
                "the bookmark is written at the end of the stream only",
            )
        keys = tuple(column for column in plan.keys if column.name != first_refused)
        if not keys:
            return self._weakened(
                "takes no $orderby", replace(plan, order=False), "rows are read by position"
            )
        seek = tuple(column for column in plan.seek if column.name != first_refused)
        return self._weakened(
            f"does not sort by {first_refused}",
            replace(plan, keys=keys, seek=seek, unique=False),
            "the other keys are used",
        )

    def _longest_order(self, order: tuple[str, ...], plain: QueryOptions, error: Refusal) -> int:
        """How many of its names ``$orderby`` takes; fewer than all of them."""
        low, high = 0, len(order) - 1
        for number in map(int, _NUMBER.findall(str(error))):
            if 0 < number <= high and self._takes(replace(plain, orderby=order[:number])):
                low = max(low, number)
                if not self._takes(replace(plain, orderby=order[: low + 1])):
                    return low
        while low < high:
            middle = (low + high + 1) // 2
            if self._takes(replace(plain, orderby=order[:middle])):
                low = middle
            else:
                high = middle - 1
        return low

    # The filter

    def _without_filter(self, plan: Plan, asked: QueryOptions, plain: QueryOptions) -> Plan:
        refused = [term for term in asked.filter if not self._takes(replace(plain, filter=(term,)))]
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

    def _without_combination(self, plan: Plan, asked: QueryOptions, error: Refusal) -> Plan:
        """Each part is taken alone, but not all together: the one without which it is taken."""
        if asked.select and self._takes(replace(asked, select=())):
            return self._weakened(
                "takes no $select here", replace(plan, select=()), "whole rows are asked for"
            )
        if asked.orderby and self._takes(replace(asked, orderby=())):
            if plan.tracking and plan.time_order:
                return self._weakened(
                    "does not take this filter and order together",
                    replace(plan, time_order=False),
                    "the bookmark is written at the end of the stream only",
                )
            return self._weakened(
                "does not take this filter and order together",
                without_seek(plan),
                "pages are read by position",
            )
        if asked.filter and plan.seek and self._takes(replace(asked, filter=())):
            return self._weakened(
                "takes no filter here", without_seek(plan), "pages are read by position"
            )
        raise AccessError(str(error)) from error

    def _weakened(self, found: str, plan: Plan, meaning: str) -> Plan:
        logger.warning("%s: the service %s; %s.", self._name, found, meaning)
        return plan
