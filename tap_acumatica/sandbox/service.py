"""One request below a service root, answered."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from . import errors, filters, legacy, metadata, query, replies, shapes
from . import habits as habit
from .source import Joiner, Source, of_entity, of_inquiry
from .store import comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .habits import Habits
    from .model import Inquiry
    from .records import Record
    from .replies import Reply
    from .store import Store

_CALL = re.compile(r"(.+?)\((.*)\)", re.DOTALL)
_OPTIONS = {
    "$filter": "refuse_filter",
    "$orderby": "refuse_orderby",
    "$select": "refuse_select",
}


@dataclass
class Service:
    """All interfaces of all tenants."""

    store: Store
    habits: Habits
    before_answer: Callable[[Record], None]
    _counts: Counter[str] = field(default_factory=Counter)
    _answers: dict[tuple[str, str], Reply] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def root(self, record: Record, site: str, accept: str) -> Reply:
        """Answer for a service root or its metadata."""
        model = self.store.tenants[record.tenant]
        if record.set == "$metadata":
            if "json" in (record.query.get("$format") or accept):
                return replies.failure(500, metadata.JSON_REFUSED)
            if record.version == legacy.VERSION:
                return replies.text(200, legacy.metadata(model), "application/xml;charset=utf-8")
            make = metadata.dac_metadata if record.interface == "dac" else metadata.gi_metadata
            return replies.text(200, make(model), "application/xml; charset=utf-8")
        if record.version == legacy.VERSION:
            form = legacy.form_of(record, by_accept=self.habits.json_by_accept)
            return legacy.service_document(model, _address(record, site), form)
        return replies.document(
            json.dumps(
                {
                    "@odata.context": f"{_address(record, site)}/$metadata",
                    "value": metadata.service_document(model, record.interface),
                }
            )
        )

    def data(self, record: Record, site: str) -> Reply:
        """Answer for an entity set, a singleton, a key or a function.

        Raises:
            NotThereError: there is nothing of this name.
        """
        source, lookup = self._source(record)
        record.entity = source.inquiry.title if source.inquiry else source.type_name.split(".")[-1]
        with self._lock:
            self._counts[record.entity] += 1
            self._counts["*"] += 1
            record.number, record.total = self._counts[record.entity], self._counts["*"]
        self.store.tick()
        self.before_answer(record)
        barred = self._barred(record)
        if barred is not None:
            return barred
        try:
            reply = self._rows(record, source, site, single=lookup)
        except errors.EmptyAnswerError:
            return replies.empty()
        except errors.QueryError as error:
            gi = record.interface == "gi"
            status = self.habits.gi_error_status if gi else self.habits.dac_error_status
            return replies.failure(status, str(error))
        return self._spoiled(record, reply)

    def forget_counts(self) -> None:
        """Start to count requests anew."""
        with self._lock:
            self._counts.clear()

    def _source(self, record: Record) -> tuple[Source, bool]:
        model = self.store.tenants[record.tenant]
        name, arguments = record.set, None
        known = model.sets if record.interface == "dac" else model.inquiries
        if name not in known:
            found = _CALL.fullmatch(name)
            if found is None:
                raise errors.NotThereError(name)
            name, arguments = found[1], found[2]
        record.set = name
        if record.interface == "gi":
            if arguments is None:
                if name not in model.inquiries:
                    raise errors.NotThereError(name)
                inquiry = model.inquiries[name]
                return self._inquiry(record, inquiry, legacy.parameters_of(record, inquiry)), False
            return self._with_parameters(record, name, arguments), False
        entity = model.sets.get(name)
        if entity is None:
            raise errors.NotThereError(name)
        source = of_entity(self.store, record.tenant, entity, name)
        if arguments is None:
            return source, entity.singleton
        return _looked_up(source, arguments), True

    def _with_parameters(self, record: Record, name: str, arguments: str) -> Source:
        inquiry = self.store.tenants[record.tenant].functions.get(name)
        if inquiry is None:
            raise errors.NotThereError(name)
        given = {
            parameter: record.query.get(text, "null") if text.startswith("@") else text
            for parameter, text in _named(arguments)
        }
        if not set(given) <= set(inquiry.parameters):
            raise errors.NotThereError(name)
        return self._inquiry(record, inquiry, given)

    def _inquiry(self, record: Record, inquiry: Inquiry, arguments: Mapping[str, str]) -> Source:
        source = of_inquiry(self.store, record.tenant, inquiry)
        conditions, values = [source.condition], []
        for parameter, given in arguments.items():
            record.parameters[parameter] = given
            if given != "null":
                conditions.append(inquiry.parameters[parameter][1])
                values.append(filters.literal(given)[1])
        return replace(source, condition=" AND ".join(conditions), parameters=tuple(values))

    def _barred(self, record: Record) -> Reply | None:
        habits = self.habits
        status = habit.status_for(habits, record)
        if status is not None:
            reply = replies.failure(status, "The request could not be carried out.")
            if habits.retry_after is not None and status in {429, 503}:
                reply.headers["Retry-After"] = habits.retry_after
            return reply
        if habit.named(habits.forbidden_sets, record):
            return replies.failure(403, "You have insufficient rights to access the object.")
        if habit.named(habits.missing_sets, record):
            raise errors.NotThereError(record.set)
        for option, attribute in _OPTIONS.items():
            refused: Mapping[str, int | str] = getattr(habits, attribute)
            name = habit.named(refused, record)
            if name is not None and record.query.get(option):
                return replies.refusal(refused[name], f"The option {option} is not supported.")
        return None

    def _rows(self, record: Record, source: Source, site: str, *, single: bool) -> Reply:
        habits = self.habits
        joiner = Joiner(self.store, record.tenant, self.store.tenants[record.tenant])
        limits = query.Limits(
            switches=shapes.Switches(
                hidden=habits.hidden_columns,
                decimals_as_strings=habits.decimals_as_strings and source.inquiry is not None,
            ),
            max_page=None if single else habits.max_page,
            binary_order=habits.collation_disagrees,
            ignore_order=habit.named(habits.ignore_orderby, record) is not None,
            count=habits.count,
            shuffle=record.total * 7919 if habits.unstable_order else 0,
        )
        options: Mapping[str, str] = record.query
        if record.version == legacy.VERSION:
            options = legacy.options_of(options, source, habits.profile_zone, count=habits.count)
        page = query.read(source, options, joiner, limits)
        refused = habit.named(habits.refuse_not_null, record)
        if page.not_null and refused is not None:
            return replies.refusal(habits.refuse_not_null[refused], "'ne null' is not supported.")
        if record.version == legacy.VERSION:
            return legacy.collection(
                legacy.form_of(record, by_accept=habits.json_by_accept),
                legacy.rows_of(page.rows, source, habits.profile_zone),
                source,
                _address(record, site),
                count=page.count,
                link=self._link(record, page, site),
            )
        selected = f"({page.selected})" if page.selected else ""
        context = f"{_address(record, site)}/$metadata#{quote(record.set)}{selected}"
        head = f'{{"@odata.context":{json.dumps(context)}'
        if single:
            if not page.rows:
                raise errors.NotThereError(record.set)
            entity = "" if source.entity and source.entity.singleton else "/$entity"
            head = f'{{"@odata.context":{json.dumps(context + entity)}'
            return replies.document(f"{head},{page.rows[0][1:]}", 1)
        if page.count is not None:
            head += f',"@odata.count":{page.count}'
        link = self._link(record, page, site)
        tail = f',"@odata.nextLink":{json.dumps(link)}}}' if link else "}"
        return replies.document(f'{head},"value":[{",".join(page.rows)}]{tail}', len(page.rows))

    def _link(self, record: Record, page: query.Page, site: str) -> str | None:
        here = f"{_address(record, site)}/{quote(record.path.rpartition('/')[2])}"
        if habit.applies(self.habits.circular_next_link, record):
            return f"{here}?{_query(record.query)}"
        if habit.applies(self.habits.foreign_next_link, record):
            return f"http://odata.invalid/{quote(record.set)}?{_query(record.query)}"
        kind = self.habits.next_link
        if kind is None or not page.more:
            return None
        options = dict(record.query)
        if "$top" in options:
            options["$top"] = str(int(options["$top"]) - len(page.rows))
        if kind == "skiptoken":
            options["$skiptoken"] = page.token
            options.pop("$skip", None)
        else:
            options["$skip"] = str(int(options.get("$skip", "0")) + len(page.rows))
        start = here if kind != "relative" else quote(record.path.rpartition("/")[2])
        return f"{start}?{_query(options)}"

    def _spoiled(self, record: Record, reply: Reply) -> Reply:
        habits = self.habits
        if habit.applies(habits.repeat_page_on, record):
            reply = replace(self._answers.get((record.tenant, record.entity), reply))
        self._answers[record.tenant, record.entity] = replace(reply, cookies=[])
        if habit.applies(habits.empty_body_on, record):
            return replies.empty()
        if habit.applies(habits.html_on, record):
            return replies.text(200, replies.SIGN_IN_PAGE, "text/html; charset=utf-8")
        if habit.applies(habits.truncate_on, record):
            return replace(reply, body=reply.body[: len(reply.body) * 2 // 3])
        if habit.applies(habits.drop_connection_on, record):
            return replace(reply, cut=len(reply.body) // 2)
        return reply


def _looked_up(source: Source, arguments: str) -> Source:
    given = dict(_named(arguments)) if "=" in arguments else {source.key[0]: arguments}
    if set(given) != set(source.key):
        raise errors.NotThereError(source.set_name)
    conditions, values = [source.condition], []
    for name, text in given.items():
        column = source.columns[name]
        conditions.append(f"{source.comparable(name)} = {comparable(column, '?')}")
        values.append(filters.literal(text)[1])
    return replace(source, condition=" AND ".join(conditions), parameters=tuple(values))


def _named(arguments: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in shapes.split(arguments, ","))
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _address(record: Record, site: str) -> str:
    return f"{site}/{record.root}"


def _query(options: Mapping[str, str]) -> str:
    return urlencode(options, quote_via=quote, safe="$,()':/@")
