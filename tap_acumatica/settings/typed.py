"""The settings as typed values: checked once, read by attribute ever after."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from urllib.parse import unquote

from tap_acumatica.http.additions import RequestAdditions, additions, language_tag
from tap_acumatica.http.trust import trust_in
from tap_acumatica.odata.time_zone import ServiceTimeZone, zone_named
from tap_acumatica.settings.checks import canonical_start, check
from tap_acumatica.settings.given import as_given
from tap_acumatica.settings.table import without_blanks

if t.TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What signs in to one tenant; None where it is not given."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One attribute per setting; ``settings/table.py`` says what each of them means.

    >>> Settings.from_config({"url": "https://company.acumatica.com"}).page_size
    2000
    """

    url: str
    interface: t.Literal["dac", "gi", "dac-legacy", "gi-legacy"] = "dac"
    tenants: tuple[str, ...] = ()
    tenant_credentials: Mapping[str, Credentials] = field(default_factory=dict, repr=False)
    auth_mode: t.Literal["basic", "oauth2"] = "basic"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    oauth_flow: t.Literal["authorization_code", "password"] = "authorization_code"
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    callback_url: str = "http://localhost:8400/callback"
    authorization_url: str | None = None
    access_token_url: str | None = None
    scope: str = "openid api offline_access"
    token_file: str | None = None
    entity_sets: tuple[str, ...] = ()
    exclude_entity_sets: tuple[str, ...] = ()
    tracking_type: t.Literal["date", "none"] = "date"
    tracking_fields: tuple[str, ...] = (
        "LastModifiedDateTime",
        "LastModifiedOn",
        "LastModifiedDate",
        "LastModified",
    )
    start_date: str | None = None
    time_offset: int = 300
    end_date: str | None = None
    daily_lookback_hours: int = 24
    time_zone: str = "UTC"
    convert_to_utc: bool = True
    date_fields: tuple[str, ...] = ()
    client_side_paging: bool = True
    page_size: int = 2000
    batch_size: int = 2000
    timeout: int = 600
    max_retries: int = 8
    requests_per_minute: int | None = None
    max_pool_size: int = 1
    pool_wait_time: int = 900
    pooling: bool = True
    pool_idle_timeout: int = 60
    metadata_cache_minutes: int = 15
    verbosity: int = 1
    ca_file: str | None = None
    locale: str | None = None
    additional_properties: tuple[Mapping[str, str], ...] = ()
    secret_additional_properties: tuple[Mapping[str, str], ...] = field(default=(), repr=False)
    data_format: t.Literal["json", "atom"] = "json"
    use_select: bool = True
    trim_strings: bool = False
    expand: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    time_limit_minutes: int | None = None
    max_drop_percent: int = 20
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inquiry_parameters: Mapping[str, Mapping[str, t.Any]] = field(default_factory=dict)
    deleted_records: t.Literal["ignore", "soft"] = "ignore"
    archived_records: bool = False
    on_stream_error: t.Literal["fail", "skip"] = "fail"
    on_value_error: t.Literal["fail", "null"] = "fail"
    read_site_information: bool = True
    non_filterable_columns: t.Literal["auto", "always", "never"] = "auto"

    @classmethod
    def from_config(cls, config: Mapping[str, t.Any]) -> Settings:
        """Check a configuration and take its values; what it leaves out has its default.

        Args:
            config: The configuration as given. Settings that the table does not know are ignored:
                they are the SDK's.

        Raises:
            SettingsError: If a setting is missing or wrong; the message names all of them.
        """
        given = as_given(config)
        check(given)
        values = {
            one.name: _frozen(given[one.name])
            for one in fields(cls)
            if given.get(one.name) is not None
        }
        values["tenant_credentials"] = {
            unquote(tenant): Credentials(**without_blanks(own))
            for tenant, own in values.get("tenant_credentials", {}).items()
        }
        return cls(**values)

    def credentials(self, tenant: str | None) -> Credentials:
        """A tenant's own credentials, completed by those that are shared by all tenants.

        A tenant with a connected application of its own takes nothing of another application.

        Args:
            tenant: Login name; None where the address names no tenant.
        """
        own = self.tenant_credentials.get(tenant or "", Credentials())
        shared = {"username": self.username, "password": self.password}
        if own.client_id is None:
            shared |= {
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "refresh_token": self.refresh_token,
            }
        missing = {name: value for name, value in shared.items() if getattr(own, name) is None}
        return replace(own, **missing)

    def service_time_zone(self, *, local: bool = False) -> ServiceTimeZone:
        """How date-times are read and in what form they are emitted.

        Args:
            local: Whether the service is known to send local time.
        """
        return ServiceTimeZone(
            zone_named(self.time_zone), convert_to_utc=self.convert_to_utc, local=local
        )

    @property
    def canonical_start_date(self) -> str | None:
        """``start_date`` in the canonical form; a plain date is its midnight in UTC."""
        return canonical_start(self.start_date) if self.start_date else None

    @property
    def canonical_end_date(self) -> str | None:
        """``end_date`` in the canonical form; a plain date is its midnight in UTC."""
        return canonical_start(self.end_date) if self.end_date else None

    def filter_of(self, names: Collection[str]) -> str | None:
        """The OData filter that is set for a stream, in parentheses; None without any.

        Args:
            names: What the stream and its entity set are called.
        """
        found = [
            text
            for pattern, text in self.filters.items()
            if any(fnmatchcase(name, pattern) for name in names)
        ]
        return " and ".join(f"({text})" for text in dict.fromkeys(found)) or None

    @property
    def tracks_changes(self) -> bool:
        """Whether streams are read incrementally where they can be."""
        return self.tracking_type == "date"

    @property
    def tracking_candidates(self) -> tuple[str, ...]:
        """Names of the columns that may track changes; empty where all rows are always read."""
        return self.tracking_fields if self.tracks_changes else ()

    @property
    def soft_deletes(self) -> bool:
        """Whether rows that Acumatica keeps as deleted are read."""
        return self.deleted_records == "soft"

    @property
    def skips_failed_streams(self) -> bool:
        """Whether a stream that may not be read is a warning instead of a failure."""
        return self.on_stream_error == "skip"

    @property
    def nulls_for_values(self) -> bool:
        """Whether null is emitted in the place of a value that its column cannot hold."""
        return self.on_value_error == "null"

    @property
    def requested_page_size(self) -> int | None:
        """Rows to ask for per request; None to take the pages as the service cuts them."""
        return self.page_size if self.client_side_paging else None

    @property
    def scopes(self) -> str:
        """``scope`` as OAuth 2.0 writes it: separated by single spaces."""
        return " ".join(self.scope.replace(",", " ").split())

    @property
    def trust(self) -> ssl.SSLContext | None:
        """Certificate authorities to trust besides those of the machine; None for no others."""
        return trust_in(self.ca_file) if self.ca_file else None

    @property
    def request_additions(self) -> RequestAdditions:
        """Headers and query parameters that each request carries besides the tap's own."""
        return additions(
            self.additional_properties,
            self.secret_additional_properties,
            locale=language_tag(self.locale) if self.locale else None,
            deleted=self.soft_deletes,
            archived=self.archived_records,
        )


def _frozen(value: t.Any) -> t.Any:
    """A value with its lists made tuples, at any depth of objects."""
    if isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(value, dict):
        return {name: _frozen(one) for name, one in value.items()}
    return value
