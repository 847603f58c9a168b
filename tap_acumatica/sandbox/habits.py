"""Switches for everything an Acumatica site may do differently or do wrong.

A `When` selects the requests that fail: it is a function of a `LoggedRequest`, or pairs of entity
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
"""A status code, or `empty` for 200 with an empty body."""


@dataclass
class Habits:
    """All switches; the defaults are those of a well-behaved site."""

    # Properties of a site
    seats: int | None = None
    """Maximum number of sessions; one more is refused."""
    seats_status: int = 429
    """Status of that refusal."""
    seats_text: str = LOGIN_LIMITS[0]
    """Text of that refusal; `replies.LOGIN_LIMITS` has all known ones."""
    requests_per_minute: int | None = None
    """Data requests per minute; from half of them on, each is delayed silently."""
    minute_seconds: float = 60.0
    """Length of a license minute, in seconds."""
    concurrent_requests: int | None = None
    """Concurrent data requests; the others wait."""
    queue_length: int = 20
    """How many requests may wait; one more is refused with 429."""
    queue_seconds: float = 600.0
    """How long a request may wait before it is refused."""
    token_seconds: float = 3600.0
    """How long an access token is valid."""
    token_requests: int | None = None
    """Number of requests an access token is valid for; None for no limit."""
    consent_seconds: float | None = 30 * 86400.0
    """How long a consent can be refreshed, from sign-in on; None for no limit."""
    openid_document: bool = True
    """Whether the site has the OpenID configuration document."""
    deny_consent: bool = False
    """The user refuses consent on the sign-in page."""
    serves_tenant: str | None = None
    """This tenant answers for all others; only the context URLs show it."""
    lock_after: int = 3
    """Consecutive wrong passwords that lock an account."""
    max_page: int | None = None
    """Maximum number of rows in a response, whatever `$top` says."""
    next_link: str | None = None
    """Form of the link after a page cut by `max_page`: `absolute`, `relative` or `skiptoken`."""
    change_every: int = 0
    """Number of data requests after which a few rows change; 0 for never."""
    visible_share: int = 0
    """A restriction group: the user sees one of so many rows, without an error; 0 for all."""
    count: bool = False
    """Accept `$count=true`, or `$inlinecount=allpages` in OData 3.0."""
    hidden_columns: bool = False
    """Without `$select`, return columns that the metadata hides."""
    profile_zone: str = "UTC"
    """Time zone of the users' profiles: OData 3.0 has date-times in it, without an offset."""
    json_by_accept: bool = True
    """OData 3.0 respects the header `Accept`, not only `$format`."""
    decimals_as_strings: bool = False
    """Inquiries have decimals as strings."""
    unstable_order: bool = False
    """Inquiries return rows with equal `$orderby` values in a different order each time."""
    collation_disagrees: bool = False
    """Strings are sorted by code point but compared case-insensitively."""
    commit_delay: int = 0
    """Data requests until a change becomes visible; its modification time is older."""
    delay_seconds: float | Callable[[LoggedRequest], float] = 0.0
    """Delay before each data response."""
    gi_error_status: int = 500
    """Status of a query that an inquiry rejects."""
    dac_error_status: int = 400
    """Status of a query that a data access class rejects."""

    token_status_on: Mapping[int, int] = field(default_factory=dict)
    """An error status instead of tokens, by number of the token request."""
    token_delay_seconds: float = 0.0
    """Delay between handling a token request and sending the response."""

    # What an entity refuses: by class, title, entity set or `*`
    forbidden_sets: Collection[str] = ()
    """Listed, but answered with 403."""
    missing_sets: Collection[str] = ()
    """Listed, but answered with 404."""
    refuse_filter: Mapping[str, Refusal] = field(default_factory=dict)
    """Any `$filter`."""
    refuse_not_null: Mapping[str, Refusal] = field(default_factory=dict)
    """A `$filter` with `ne null`."""
    refuse_orderby: Mapping[str, Refusal] = field(default_factory=dict)
    """Any `$orderby`."""
    refuse_select: Mapping[str, Refusal] = field(default_factory=dict)
    """Any `$select`."""
    ignore_orderby: Collection[str] = ()
    """`$orderby` is silently ignored."""

    # Faults
    status_on: Mapping[tuple[str, int], int] | Callable[[LoggedRequest], int | None] = field(
        default_factory=dict
    )
    """An error status instead of rows."""
    retry_after: str | None = None
    """`Retry-After` with status 429 or 503: seconds or an HTTP date."""
    empty_body_on: When = ()
    """200 and an empty body."""
    html_on: When = ()
    """200 and the sign-in page."""
    truncate_on: When = ()
    """200 and JSON that is cut off."""
    drop_connection_on: When = ()
    """The connection is closed in the middle of the response."""
    repeat_page_on: When = ()
    """The previous response of the same entity again."""
    circular_next_link: When = ()
    """`@odata.nextLink` to the request itself."""
    foreign_next_link: When = ()
    """`@odata.nextLink` to another host."""


def applies(when: When, request: LoggedRequest) -> bool:
    """Return whether a request is selected."""
    if callable(when):
        return when(request)
    names = {(request.entity, request.number), (request.set, request.number), ("*", request.total)}
    return not names.isdisjoint(when)


def status_for(habits: Habits, request: LoggedRequest) -> int | None:
    """Return the error status for a request, or None."""
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
    """Return the name that matches the entity of a request, or None."""
    return next((n for n in (request.entity, request.set, "*") if n in names), None)
