"""What an Acumatica may do, or do wrong, each as a switch.

Where a request is to fail, it is named by a `When`: a function of its `LoggedRequest`, or pairs of entity
and number. The entity is a class (`SOOrder`), an inquiry's title, an entity set or `*` for all of
them; the number counts its data requests from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .replies import LOGIN_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from .request_log import LoggedRequest

When: TypeAlias = "Callable[[LoggedRequest], bool] | Collection[tuple[str, int]]"
Refusal: TypeAlias = "int | str"
"""A status code, or `empty` for 200 without a body."""


@dataclass
class Habits:
    """All switches, in the position of a well-behaved site."""

    # What a site may be like
    seats: int | None = None
    """Sessions at once; one more is refused."""
    seats_status: int = 429
    """Status of that refusal."""
    seats_text: str = LOGIN_LIMITS[0]
    """Words of that refusal; `replies.LOGIN_LIMITS` has all that are known."""
    requests_per_minute: int | None = None
    """Data requests a minute; from half of them on each is delayed, and nothing says so."""
    minute_seconds: float = 60.0
    """How long a minute of the license is."""
    concurrent_requests: int | None = None
    """Data requests at once; the others wait."""
    queue_length: int = 20
    """How many may wait; one more is declined with 429."""
    queue_seconds: float = 600.0
    """How long one may wait before it is declined."""
    token_seconds: float = 3600.0
    """How long an access token is good for."""
    token_requests: int | None = None
    """Requests an access token is good for; None for any number."""
    consent_seconds: float | None = 30 * 86400.0
    """How long a consent can be refreshed, from the sign-in on; None for ever."""
    openid_document: bool = True
    """Whether there is one."""
    deny_consent: bool = False
    """The user says no at the sign-in page."""
    serves_tenant: str | None = None
    """Whatever tenant is asked for, this one answers, and nothing says so but its contexts."""
    lock_after: int = 3
    """Wrong passwords in a row that lock an account."""
    max_page: int | None = None
    """Most rows in one answer, whatever `$top` says."""
    next_link: str | None = None
    """Link to the rest of a page cut short: `absolute`, `relative` or `skiptoken`."""
    count: bool = False
    """Accept `$count=true`, in OData 3.0 `$inlinecount=allpages`."""
    hidden_columns: bool = False
    """Return columns that the metadata hides when there is no `$select`."""
    profile_zone: str = "UTC"
    """Time zone of the users' profiles: OData 3.0 tells moments in it, and does not say so."""
    json_by_accept: bool = True
    """OData 3.0 answers in JSON to the header `Accept` as well, not to `$format` only."""
    decimals_as_strings: bool = False
    """Inquiries write decimals in quotes."""
    unstable_order: bool = False
    """Inquiries return rows that `$orderby` does not tell apart in another order each time."""
    collation_disagrees: bool = False
    """Strings are ordered by code point, yet compared without regard to case."""
    commit_delay: int = 0
    """Data requests until a change becomes visible; its stamp is from before."""
    delay_seconds: float | Callable[[LoggedRequest], float] = 0.0
    """Wait before each data answer."""
    gi_error_status: int = 500
    """Status of a query an inquiry cannot carry out."""
    dac_error_status: int = 400
    """Status of a query a data access class cannot carry out."""

    token_status_on: Mapping[int, int] = field(default_factory=dict)
    """An error status instead of tokens, by number of the token request."""
    token_delay_seconds: float = 0.0
    """Wait before each answer to a token request, when it is decided already."""

    # What an entity may refuse: by class, title, entity set or `*`
    forbidden_sets: Collection[str] = ()
    """Listed, answered with 403."""
    missing_sets: Collection[str] = ()
    """Listed, answered with 404."""
    refuse_filter: Mapping[str, Refusal] = field(default_factory=dict)
    """Any `$filter`."""
    refuse_not_null: Mapping[str, Refusal] = field(default_factory=dict)
    """A `$filter` with `ne null`."""
    refuse_orderby: Mapping[str, Refusal] = field(default_factory=dict)
    """Any `$orderby`."""
    refuse_select: Mapping[str, Refusal] = field(default_factory=dict)
    """Any `$select`."""
    ignore_orderby: Collection[str] = ()
    """`$orderby` has no effect, and nothing says so."""

    # What may go wrong
    status_on: Mapping[tuple[str, int], int] | Callable[[LoggedRequest], int | None] = field(
        default_factory=dict
    )
    """An error status instead of rows."""
    retry_after: str | None = None
    """`Retry-After` of those with 429 and 503: seconds or an HTTP date."""
    empty_body_on: When = ()
    """200 and no body."""
    html_on: When = ()
    """200 and the sign-in page."""
    truncate_on: When = ()
    """200 and JSON cut off in the middle."""
    drop_connection_on: When = ()
    """The connection is closed in the middle of the answer."""
    repeat_page_on: When = ()
    """The answer before, of the same entity, once more."""
    circular_next_link: When = ()
    """`@odata.nextLink` to the request itself."""
    foreign_next_link: When = ()
    """`@odata.nextLink` to another host."""


def applies(when: When, request: LoggedRequest) -> bool:
    """Tell whether a request is one of these."""
    if callable(when):
        return when(request)
    names = {(request.entity, request.number), (request.set, request.number), ("*", request.total)}
    return not names.isdisjoint(when)


def status_for(habits: Habits, request: LoggedRequest) -> int | None:
    """Return the error status a request is to be answered with."""
    if callable(habits.status_on):
        return habits.status_on(request)
    for key in (
        (request.entity, request.number),
        (request.set, request.number),
        ("*", request.total),
    ):
        if key in habits.status_on:
            return habits.status_on[key]
    return None


def named(names: Collection[str], request: LoggedRequest) -> str | None:
    """Return the name among these that means the entity of a request."""
    return next((n for n in (request.entity, request.set, "*") if n in names), None)
