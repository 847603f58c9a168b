"""Every setting once: name, type, default, range, title, description, secret or not."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: Final name, as in the configuration file.
        schema: JSON Schema of its value, with its range.
        title: Label for people.
        description: What it means, in one or two sentences.
        default: Value where none is given; None where there is none.
        needed: What to give, where a configuration without it is refused; else empty.
        secret: Whether it must never be shown.
    """

    name: str
    schema: Mapping[str, t.Any]
    title: str
    description: str
    default: t.Any = None
    needed: str = ""
    secret: bool = False

    @property
    def required(self) -> bool:
        """Whether a configuration without it is refused."""
        return bool(self.needed)

    def json_schema(self) -> dict[str, t.Any]:
        """JSON Schema of the setting, in the SDK's manner."""
        schema: dict[str, t.Any] = dict(self.schema)
        if not self.required:
            schema["type"] = [schema["type"], "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
        schema |= {"title": self.title, "description": self.description}
        if self.default is not None:
            schema["default"] = self.default
        if self.secret:
            schema |= {"secret": True, "writeOnly": True}
        return schema


def _integer(minimum: int, maximum: int) -> dict[str, t.Any]:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def _choice(*values: str) -> dict[str, t.Any]:
    return {"type": "string", "enum": list(values)}


_TEXT: dict[str, t.Any] = {"type": "string"}
_SWITCH: dict[str, t.Any] = {"type": "boolean"}
_TEXTS: dict[str, t.Any] = {"type": "array", "items": {"type": "string"}}
ADDED_PROPERTIES: dict[str, t.Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "value": _TEXT,
            "in": {"type": "string", "enum": ["header", "query"]},
        },
        "required": ["name", "value", "in"],
        "additionalProperties": False,
    },
}

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "url",
        {"type": "string"},
        "URL",
        "Address of the Acumatica site (https://company.acumatica.com, with its path if it has "
        "one), or the root of an OData service: one tenant's "
        "(https://company.acumatica.com/t/Tenant/api/odata/gi) or any other service of OData 4.0 "
        "or 3.0.",
        needed="the address of the Acumatica site, for example https://company.acumatica.com",
    ),
    Setting(
        "interface",
        _choice("dac", "gi", "dac-legacy", "gi-legacy"),
        "Interface",
        "What to read of a site: dac (data access classes, which are the tables) or gi (generic "
        "inquiries exposed through OData). For releases before 2024 R2: dac-legacy "
        "(/odatav4/Tenant) and gi-legacy (/odata/Tenant, OData 3.0), which also work without a "
        "tenant. Where url is the root of an OData service, the address says which interface it "
        "is; an address such as http://host/odata/Name is Acumatica's only with gi-legacy.",
        default="dac",
    ),
    Setting(
        "tenants",
        _TEXTS,
        "Tenants",
        "Login names of the tenants to read. Adds the column _tenant to each row and to each key; "
        "each tenant has its own bookmarks.",
    ),
    Setting(
        "tenant_credentials",
        {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "username": _TEXT,
                    "password": _TEXT,
                    "client_id": _TEXT,
                    "client_secret": _TEXT,
                    "refresh_token": _TEXT,
                },
                "additionalProperties": False,
            },
        },
        "Tenant Credentials",
        "Credentials per tenant, where tenants differ: "
        '{"Tenant": {"username": "…", "password": "…"}}; with oauth2, '
        '{"Tenant": {"client_id": "…@Tenant", "client_secret": "…", "refresh_token": "…"}}.',
        secret=True,
    ),
    Setting(
        "auth_mode",
        _choice("basic", "oauth2"),
        "Authentication Mode",
        "How to sign in: basic (user name and password) or oauth2 (a connected application, screen "
        "SM303010).",
        default="basic",
    ),
    Setting("username", _TEXT, "Username", "Acumatica user name, without the tenant."),
    Setting("password", _TEXT, "Password", "Password of that user.", secret=True),
    Setting(
        "oauth_flow",
        _choice("authorization_code", "password"),
        "OAuth Flow",
        "With oauth2: authorization_code (sign in once with tap-acumatica-login, or set "
        "refresh_token) or password (uses username and password; nobody has to sign in).",
        default="authorization_code",
    ),
    Setting(
        "client_id",
        _TEXT,
        "Client ID",
        "Client ID of the connected application, with its tenant: "
        "9986313F-C5E6-161F-ED75-346CBBCB948F@Company.",
    ),
    Setting(
        "client_secret",
        _TEXT,
        "Client Secret",
        "Shared secret of the connected application; leave it out for a public client.",
        secret=True,
    ),
    Setting(
        "refresh_token",
        _TEXT,
        "Refresh Token",
        "Refresh token from a sign-in elsewhere. It can be used once; its successors are kept in "
        "token_file, and this setting is read again only when it changes.",
        secret=True,
    ),
    Setting(
        "callback_url",
        {"type": "string", "pattern": "^https?://"},
        "Callback URL",
        "Redirect address of the connected application, for tap-acumatica-login.",
        default="http://localhost:8400/callback",
    ),
    Setting(
        "authorization_url",
        {"type": "string", "pattern": "^https?://"},
        "Authorization URL",
        "Where to sign in. Default: what the site's OpenID document says, or else "
        "/identity/connect/authorize.",
    ),
    Setting(
        "access_token_url",
        {"type": "string", "pattern": "^https?://"},
        "Access Token URL",
        "Where to ask for tokens. Default: what the site's OpenID document says, or else "
        "/identity/connect/token.",
    ),
    Setting(
        "scope",
        _TEXT,
        "Scope",
        "Permissions to ask for, separated by spaces or commas. offline_access brings the refresh "
        "token. With api, the site answers one request of a token at a time; "
        "api:concurrent_access instead lets max_pool_size sessions read at once.",
        default="openid api offline_access",
    ),
    Setting(
        "token_file",
        _TEXT,
        "Token File",
        "File that keeps the tokens; only its owner can read it. Default: "
        ".tap-acumatica/tokens.json in the Meltano project, or else in the home directory.",
    ),
    Setting(
        "entity_sets",
        _TEXTS,
        "Entity Sets",
        "Glob patterns of the entity sets to offer as streams, matched against every name of a set "
        "(SOOrder, SalesOrder, PX_Objects_SO_*). Default: all.",
    ),
    Setting(
        "exclude_entity_sets",
        _TEXTS,
        "Excluded Entity Sets",
        "Glob patterns of entity sets to leave out, even if entity_sets names them.",
    ),
    Setting(
        "tracking_type",
        _choice("date", "none"),
        "Tracking Type",
        "date: INCREMENTAL where a tracking field exists, else FULL_TABLE. none: FULL_TABLE for "
        "all streams.",
        default="date",
    ),
    Setting(
        "tracking_fields",
        _TEXTS,
        "Tracking Fields",
        "Names of last-modified fields, the best first. A set is tracked by the first one that it "
        "has and that is a timestamp.",
        default=["LastModifiedDateTime", "LastModifiedOn", "LastModifiedDate", "LastModified"],
    ),
    Setting(
        "start_date",
        _TEXT,
        "Start Date",
        "Rows last modified before this date-time are not read (ISO 8601; UTC if it has no "
        "offset).",
    ),
    Setting(
        "time_offset",
        _integer(0, 3600),
        "Time Offset",
        "Seconds before the bookmark to read again, for rows that become visible later than their "
        "timestamp says.",
        default=300,
    ),
    Setting(
        "time_zone",
        _TEXT,
        "Time Zone",
        "Time zone of date-times without an offset, as OData 3.0 services send them. For "
        "Acumatica, use the one in the user's profile. An IANA name (America/New_York) or a "
        "Windows name (Eastern Standard Time).",
        default="UTC",
    ),
    Setting(
        "convert_to_utc",
        _SWITCH,
        "Convert to UTC",
        "Emit all date-times in UTC. false: emit them in time_zone, with its offset.",
        default=True,
    ),
    Setting(
        "date_fields",
        _TEXTS,
        "Date Fields",
        "Glob patterns stream.field (SOOrder.OrderDate, *.TranDate) of timestamps that are really "
        "dates. They are emitted as dates, as the service shows them, whatever the time zone.",
    ),
    Setting(
        "client_side_paging",
        _SWITCH,
        "Use Client-Side Paging",
        "Ask for pages of page_size rows. false: do not ask for a page size, only follow the "
        "server's next links.",
        default=True,
    ),
    Setting(
        "page_size", _integer(1, 10000), "Page Size", "Rows to ask for per request.", default=2000
    ),
    Setting(
        "batch_size",
        _integer(1, 10000),
        "Batch Size",
        "Rows between two STATE messages.",
        default=2000,
    ),
    Setting(
        "timeout",
        _integer(1, 3600),
        "Timeout",
        "Seconds to wait for an answer; Acumatica may queue a request for ten minutes. Connecting "
        "takes at most 30 of them.",
        default=600,
    ),
    Setting(
        "max_retries",
        _integer(1, 100),
        "Maximum Tries",
        "How often to try a request before its stream fails.",
        default=8,
    ),
    Setting(
        "requests_per_minute",
        _integer(1, 10000),
        "Requests per Minute",
        "Limit on the requests of the tap, shared by all its streams. Default: none. Acumatica "
        "slows down requests from half of the license's limit on (License Monitoring Console, "
        "SM604000).",
    ),
    Setting(
        "max_pool_size",
        _integer(1, 100),
        "Max Pool Size",
        "Most Acumatica sessions (license seats) to use at once per tenant. With more than one, "
        "large streams are read in ranges and the next streams ahead of time.",
        default=1,
    ),
    Setting(
        "pool_wait_time",
        _integer(1, 3600),
        "Pool Wait Time",
        "Seconds to wait for a free session before the stream fails.",
        default=60,
    ),
    Setting(
        "pooling",
        _SWITCH,
        "Enable Pooling",
        "Keep connections and Acumatica sessions between requests. false: sign out after each "
        "request, which holds a license seat only that long but is slow.",
        default=True,
    ),
    Setting(
        "pool_idle_timeout",
        _integer(0, 3600),
        "Pool Idle Timeout",
        "Seconds after which an idle connection is not used again.",
        default=60,
    ),
    Setting(
        "verbosity",
        _integer(1, 5),
        "Verbosity",
        "What to log. 1: warnings, and what was read of each stream. 2: also how each stream is "
        "read, and the service's clock. 3: also each request: method, path, status, milliseconds, "
        "bytes. 4: also its query options, without the values compared with. 5: also headers. "
        "Secrets and rows are never logged.",
        default=1,
    ),
    Setting(
        "locale",
        _TEXT,
        "Locale",
        "Region of the answers, sent as Accept-Language: a BCP 47 tag (de-CH) or a Windows name "
        "(German (Switzerland)).",
    ),
    Setting(
        "additional_properties",
        ADDED_PROPERTIES,
        "Additional Properties",
        "Headers or query parameters to add to each request: "
        '[{"name": "Ocp-Apim-Trace", "value": "true", "in": "header"}], where in is header or '
        "query.",
    ),
    Setting(
        "secret_additional_properties",
        ADDED_PROPERTIES,
        "Secret Additional Properties",
        "The same, for values that must not be shown.",
        secret=True,
    ),
    Setting(
        "data_format",
        _choice("json", "atom"),
        "Data Format",
        "Format in which to ask OData 3.0 services for rows. An atom answer is never held in "
        "memory as a whole, which helps where a service sends all rows at once. OData 4.0 is "
        "always JSON.",
        default="json",
    ),
    Setting(
        "use_select",
        _SWITCH,
        "Use $select",
        "Ask only for the selected columns. false: ask for whole rows, and keep the columns that "
        "the catalog names even if the metadata hides them (some foreign keys of DACs).",
        default=True,
    ),
    Setting(
        "trim_strings",
        _SWITCH,
        "Trim Strings",
        "Remove trailing spaces; fixed-width keys are padded with them.",
        default=False,
    ),
    Setting(
        "expand",
        {"type": "object", "additionalProperties": _TEXTS},
        "Expand",
        "Navigation properties to include as nested objects, per entity set: "
        '{"SOOrder": ["CustomerByCustomerID($select=AcctCD)", "SOLineCollection"]}.',
    ),
    Setting(
        "inquiry_parameters",
        {"type": "object", "additionalProperties": {"type": "object"}},
        "Inquiry Parameters",
        "Values for the parameters of generic inquiries: "
        '{"DB-StorageDetails": {"Warehouse": "MAIN"}}.',
    ),
    Setting(
        "deleted_records",
        _choice("ignore", "soft"),
        "Deleted Records",
        "ignore: rows that Acumatica keeps as deleted are not read. soft: they are read from "
        "tables that have the column DeletedDatabaseRecord, and emitted with the time of their "
        "deletion in _sdc_deleted_at.",
        default="ignore",
    ),
    Setting(
        "archived_records",
        _SWITCH,
        "Archived Records",
        "Also read the rows that Acumatica keeps in its archive. Without it, rows are no longer "
        "read once they are archived.",
        default=False,
    ),
    Setting(
        "on_stream_error",
        _choice("fail", "skip"),
        "On Stream Error",
        "What to do where a stream cannot be read (no rights, not found, refused). fail: read the "
        "other streams, then end with exit code 1. skip: log a warning.",
        default="fail",
    ),
)


def config_jsonschema() -> dict[str, t.Any]:
    """JSON Schema of the whole configuration."""
    return {
        "type": "object",
        "properties": {setting.name: setting.json_schema() for setting in SETTINGS},
        "required": [setting.name for setting in SETTINGS if setting.required],
    }


def without_blanks(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The configuration without empty texts: an unset variable in ``.env`` is no value."""
    return {name: value for name, value in config.items() if value != ""}
