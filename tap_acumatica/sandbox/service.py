"""Answers requests below a service root."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from . import errors, filters, legacy, metadata, projection, query, replies
from . import habits as habit
from .source import Joiner, Source, of_entity, of_inquiry
from .store import comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .exchange import Reply
    from .habits import Habits
    from .model import Inquiry
    from .request_log import LoggedRequest
    from .store import Store

_CALL = re.compile(r"(.+?)\((.*)\)", re.DOTALL)
_OPTIONS = {
    "$filter": "refuse_filter",
    "$orderby": "refuse_orderby",
    "$select": "refuse_select",
}


@dataclass
class Service:
    """Data access classes and inquiries of all tenants."""

    store: Store
    habits: Habits
    before_answer: Callable[[LoggedRequest], None]
    _counts: Counter[str] = field(default_factory=Counter)
    _answers: dict[tuple[str, str], Reply] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def root(self, request: LoggedRequest, site: str, accept: str) -> Reply:
        """Return a service document or the metadata."""
        model = self.store.tenants[request.tenant]
        if request.set == "$metadata":
            if "json" in (request.query.get("$format") or accept):
                return replies.error(500, metadata.JSON_REFUSED)
            if request.version == legacy.VERSION:
                return replies.text(200, legacy.metadata(model), "application/xml;charset=utf-8")
            make = metadata.dac_metadata if request.interface == "dac" else metadata.gi_metadata
            return replies.text(200, make(model), "application/xml; charset=utf-8")
        if request.version == legacy.VERSION:
            data_format = legacy.format_of(request, by_accept=self.habits.json_by_accept)
            return legacy.service_document(model, _root_url(request, site), data_format)
        return replies.document(
            json.dumps(
                {
                    "@odata.context": f"{_root_url(request, site)}/$metadata",
                    "value": metadata.service_document(model, request.interface),
                }
            )
        )

    def data(self, request: LoggedRequest, site: str) -> Reply:
        """Return the data of an entity set, a singleton, a key or a function.

        Raises:
            NotFoundError: if nothing has this name.
        """
        source, lookup = self._source(request)
        if self.habits.visible_share and not lookup:
            source = source.restricted(self.habits.visible_share)
        request.entity = source.inquiry.title if source.inquiry else source.type_name.split(".")[-1]
        with self._lock:
            self._counts[request.entity] += 1
            self._counts["*"] += 1
            request.number, request.total = self._counts[request.entity], self._counts["*"]
        self.store.tick()
        self.before_answer(request)
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            reply = self._rows(request, source, site, single=lookup)
        except errors.EmptyAnswerError:
            return replies.empty()
        except errors.QueryError as error:
            gi = request.interface == "gi"
            status = self.habits.gi_error_status if gi else self.habits.dac_error_status
            return replies.error(status, str(error))
        reply.columns = {name: f"Edm.{c.edm}" for name, c in source.columns.items()}
        reply.key = source.key
        return self._apply_faults(request, reply)

    def forget_counts(self) -> None:
        """Reset the counts of requests."""
        with self._lock:
            self._counts.clear()

    def _source(self, request: LoggedRequest) -> tuple[Source, bool]:
        model = self.store.tenants[request.tenant]
        name, arguments = request.set, None
        known = model.sets if request.interface == "dac" else model.inquiries
        if name not in known:
            found = _CALL.fullmatch(name)
            if found is None:
                raise errors.NotFoundError(name)
            name, arguments = found[1], found[2]
        request.set = name
        if request.interface == "gi":
            if arguments is None:
                if name not in model.inquiries:
                    raise errors.NotFoundError(name)
                inquiry = model.inquiries[name]
                return self._inquiry(
                    request, inquiry, legacy.inquiry_parameters(request, inquiry)
                ), False
            return self._with_parameters(request, name, arguments), False
        entity = model.sets.get(name)
        if entity is None:
            raise errors.NotFoundError(name)
        source = of_entity(self.store, request.tenant, entity, name)
        if arguments is None:
            return source, entity.singleton
        return _by_key(source, arguments), True

    def _with_parameters(self, request: LoggedRequest, name: str, arguments: str) -> Source:
        inquiry = self.store.tenants[request.tenant].functions.get(name)
        if inquiry is None:
            raise errors.NotFoundError(name)
        given = {
            parameter: request.query.get(text, "null") if text.startswith("@") else text
            for parameter, text in _parse_arguments(arguments)
        }
        if not set(given) <= set(inquiry.parameters):
            raise errors.NotFoundError(name)
        return self._inquiry(request, inquiry, given)

    def _inquiry(
        self, request: LoggedRequest, inquiry: Inquiry, arguments: Mapping[str, str]
    ) -> Source:
        source = of_inquiry(self.store, request.tenant, inquiry)
        conditions, values = [source.condition], []
        for parameter, given in arguments.items():
            request.parameters[parameter] = given
            if given != "null":
                conditions.append(inquiry.parameters[parameter][1])
                values.append(filters.literal(given)[1])
        return replace(source, condition=" AND ".join(conditions), parameters=tuple(values))

    def _refusal(self, request: LoggedRequest) -> Reply | None:
        habits = self.habits
        status = habit.status_for(habits, request)
        if status is not None:
            reply = replies.error(status, "The request failed.")
            if habits.retry_after is not None and status in {429, 503}:
                reply.headers["Retry-After"] = habits.retry_after
            return reply
        if habit.named(habits.forbidden_sets, request):
            return replies.error(403, "You have insufficient rights to access the object.")
        if habit.named(habits.missing_sets, request):
            raise errors.NotFoundError(request.set)
        for option, attribute in _OPTIONS.items():
            refused: Mapping[str, int | str] = getattr(habits, attribute)
            name = habit.named(refused, request)
            if name is not None and request.query.get(option):
                return replies.refusal(refused[name], f"The option {option} is not supported.")
        return None

    def _rows(self, request: LoggedRequest, source: Source, site: str, *, single: bool) -> Reply:
        habits = self.habits
        joiner = Joiner(self.store, request.tenant, self.store.tenants[request.tenant])
        query_habits = query.QueryHabits(
            projection=projection.ProjectionOptions(
                hidden=habits.hidden_columns,
                decimals_as_strings=habits.decimals_as_strings and source.inquiry is not None,
            ),
            max_page=None if single else habits.max_page,
            binary_order=habits.collation_disagrees,
            ignore_order=habit.named(habits.ignore_orderby, request) is not None,
            count=habits.count,
            shuffle=request.total * 7919 if habits.unstable_order else 0,
        )
        options: Mapping[str, str] = request.query
        if request.version == legacy.VERSION:
            options = legacy.odata4_options(
                options, source, habits.profile_zone, count=habits.count
            )
        page = query.read(source, options, joiner, query_habits)
        refused = habit.named(habits.refuse_not_null, request)
        if page.not_null and refused is not None:
            return replies.refusal(habits.refuse_not_null[refused], "'ne null' is not supported.")
        if request.version == legacy.VERSION:
            return legacy.collection(
                legacy.format_of(request, by_accept=habits.json_by_accept),
                legacy.text_rows(page.rows, source, habits.profile_zone),
                source,
                _root_url(request, site),
                count=page.count,
                link=self._next_link(request, page, site),
            )
        selected = f"({page.selected})" if page.selected else ""
        context = f"{_root_url(request, site)}/$metadata#{quote(request.set)}{selected}"
        head = f'{{"@odata.context":{json.dumps(context)}'
        if single:
            if not page.rows:
                raise errors.NotFoundError(request.set)
            entity = "" if source.entity and source.entity.singleton else "/$entity"
            head = f'{{"@odata.context":{json.dumps(context + entity)}'
            return replies.document(f"{head},{page.rows[0][1:]}", 1)
        if page.count is not None:
            head += f',"@odata.count":{page.count}'
        link = self._next_link(request, page, site)
        tail = f',"@odata.nextLink":{json.dumps(link)}}}' if link else "}"
        return replies.document(f'{head},"value":[{",".join(page.rows)}]{tail}', len(page.rows))

    def _next_link(self, request: LoggedRequest, page: query.Page, site: str) -> str | None:
        here = f"{_root_url(request, site)}/{quote(request.path.rpartition('/')[2])}"
        if habit.applies(self.habits.circular_next_link, request):
            return f"{here}?{_query_string(request.query)}"
        if habit.applies(self.habits.foreign_next_link, request):
            return f"http://odata.invalid/{quote(request.set)}?{_query_string(request.query)}"
        kind = self.habits.next_link
        if kind is None or not page.more:
            return None
        options = dict(request.query)
        if "$top" in options:
            options["$top"] = str(int(options["$top"]) - len(page.rows))
        if kind == "skiptoken":
            options["$skiptoken"] = page.token
            options.pop("$skip", None)
        else:
            options["$skip"] = str(int(options.get("$skip", "0")) + len(page.rows))
        start = here if kind != "relative" else quote(request.path.rpartition("/")[2])
        return f"{start}?{_query_string(options)}"

    def _apply_faults(self, request: LoggedRequest, reply: Reply) -> Reply:
        habits = self.habits
        if habit.applies(habits.repeat_page_on, request):
            reply = replace(self._answers.get((request.tenant, request.entity), reply))
        self._answers[request.tenant, request.entity] = replace(reply, cookies=[])
        if habit.applies(habits.empty_body_on, request):
            return replies.empty()
        if habit.applies(habits.html_on, request):
            return replies.text(200, replies.SIGN_IN_PAGE, "text/html; charset=utf-8")
        if habit.applies(habits.truncate_on, request):
            body = reply.encoded()
            return replace(reply, body=body[: len(body) * 2 // 3])
        if habit.applies(habits.drop_connection_on, request):
            return replace(reply, cut_at=len(reply.encoded()) // 2)
        return reply


def _by_key(source: Source, arguments: str) -> Source:
    given = dict(_parse_arguments(arguments)) if "=" in arguments else {source.key[0]: arguments}
    if set(given) != set(source.key):
        raise errors.NotFoundError(source.set_name)
    conditions, values = [source.condition], []
    for name, text in given.items():
        column = source.columns[name]
        conditions.append(f"{source.comparable(name)} = {comparable(column, '?')}")
        values.append(filters.literal(text)[1])
    return replace(source, condition=" AND ".join(conditions), parameters=tuple(values))


def _parse_arguments(arguments: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in projection.split(arguments, ","))
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _root_url(request: LoggedRequest, site: str) -> str:
    return f"{site}/{request.root}"


def _query_string(options: Mapping[str, str]) -> str:
    return urlencode(options, quote_via=quote, safe="$,()':/@")
