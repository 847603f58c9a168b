"""The settings that say what to read, by which requests, and in what form to emit it."""

from __future__ import annotations

from tap_acumatica.settings.setting import (
    ADDED_PROPERTIES,
    SWITCH,
    TEXT,
    TEXTS,
    Setting,
    choice,
    integer,
)

READING: tuple[Setting, ...] = (
    Setting(
        "entity_sets",
        TEXTS,
        "Entity Sets",
        "Glob patterns of the entity sets to offer as streams, matched against every name of a set "
        "(SOOrder, SalesOrder, PX_Objects_SO_*). Default: all.",
    ),
    Setting(
        "exclude_entity_sets",
        TEXTS,
        "Excluded Entity Sets",
        "Glob patterns of entity sets to leave out, even if entity_sets names them.",
    ),
    Setting(
        "tracking_type",
        choice("date", "none"),
        "Tracking Type",
        "date: INCREMENTAL where a tracking field exists, else FULL_TABLE. none: FULL_TABLE for "
        "all streams.",
        default="date",
    ),
    Setting(
        "tracking_fields",
        TEXTS,
        "Tracking Fields",
        "Names of last-modified fields, the best first. A set is tracked by the first one that it "
        "has and that is a timestamp.",
        default=["LastModifiedDateTime", "LastModifiedOn", "LastModifiedDate", "LastModified"],
    ),
    Setting(
        "start_date",
        TEXT,
        "Start Date",
        "Rows last modified before this date-time are not read (ISO 8601; UTC if it has no "
        "offset).",
    ),
    Setting(
        "time_offset",
        integer(0, 3600),
        "Time Offset",
        "Seconds before the bookmark to read again, for rows that become visible later than their "
        "timestamp says.",
        default=300,
    ),
    Setting(
        "end_date",
        TEXT,
        "End Date",
        "Do not read rows of incremental streams that were last modified at or after this date or "
        "date-time; the bookmark stops before it.",
    ),
    Setting(
        "daily_lookback_hours",
        integer(0, 720),
        "Daily Look-Back",
        "Once a day, each incremental stream also reads again what changed in this many hours "
        "before its last look-back: rows of transactions that were committed later than "
        "'time_offset' allows, and rows without a timestamp. 0: never.",
        default=24,
    ),
    Setting(
        "time_zone",
        TEXT,
        "Time Zone",
        "Time zone of date-times without an offset, as OData 3.0 services send them. For "
        "Acumatica, use the one in the user's profile. An IANA name (America/New_York) or a "
        "Windows name (Eastern Standard Time).",
        default="UTC",
    ),
    Setting(
        "convert_to_utc",
        SWITCH,
        "Convert to UTC",
        "Emit all date-times in UTC. false: emit them in time_zone, with its offset.",
        default=True,
    ),
    Setting(
        "date_fields",
        TEXTS,
        "Date Fields",
        "Glob patterns stream.field (SOOrder.OrderDate, *.TranDate) of timestamps that are really "
        "dates. They are emitted as dates, as the service shows them, whatever the time zone.",
    ),
    Setting(
        "client_side_paging",
        SWITCH,
        "Use Client-Side Paging",
        "Ask for pages of page_size rows. false: do not ask for a page size, only follow the "
        "server's next links.",
        default=True,
    ),
    Setting(
        "page_size", integer(1, 10000), "Page Size", "Rows to ask for per request.", default=2000
    ),
    Setting(
        "batch_size",
        integer(1, 10000),
        "Batch Size",
        "Rows between two STATE messages, and in a BATCH file unless 'batch_config' says "
        "otherwise.",
        default=2000,
    ),
    Setting(
        "timeout",
        integer(1, 3600),
        "Timeout",
        "Seconds to wait for an answer; Acumatica may queue a request for ten minutes. Connecting "
        "takes at most 30 of them.",
        default=600,
    ),
    Setting(
        "max_retries",
        integer(1, 100),
        "Maximum Tries",
        "How often to try a request before its stream fails.",
        default=8,
    ),
    Setting(
        "requests_per_minute",
        integer(1, 10000),
        "Requests per Minute",
        "Limit on the requests of the tap, shared by all its streams. Default: none. Acumatica "
        "slows down requests from half of the license's limit on (License Monitoring Console, "
        "SM604000).",
    ),
    Setting(
        "max_pool_size",
        integer(1, 100),
        "Max Pool Size",
        "Most Acumatica sessions (license seats) to use at once per tenant. With more than one, "
        "large streams are read in ranges and the next streams ahead of time.",
        default=1,
    ),
    Setting(
        "pool_wait_time",
        integer(1, 3600),
        "Pool Wait Time",
        "Seconds to wait for a license seat, all in all per tenant and run, or for a session that "
        "is in use. A seat that nobody signed out becomes free by itself after 10 to 20 minutes. "
        "After that time the stream fails, and each of the following ones tries once.",
        default=900,
    ),
    Setting(
        "pooling",
        SWITCH,
        "Enable Pooling",
        "Keep connections and Acumatica sessions between requests. false: sign out after each "
        "request, which holds a license seat only that long but is slow.",
        default=True,
    ),
    Setting(
        "pool_idle_timeout",
        integer(0, 3600),
        "Pool Idle Timeout",
        "Seconds after which an idle connection is not used again.",
        default=60,
    ),
    Setting(
        "metadata_cache_minutes",
        integer(0, 1440),
        "Metadata Cache",
        "How long the next process of the same user may use the metadata that this one has "
        "fetched, so that meltano run fetches it once, not twice. Discovery always fetches it. 0: "
        "not at all.",
        default=15,
    ),
    Setting(
        "verbosity",
        integer(1, 5),
        "Verbosity",
        "What to log. 1: warnings, and what was read of each stream. 2: also how each stream is "
        "read, and the service's clock. 3: also each request: method, path, status, milliseconds, "
        "bytes. 4: also its query options, without the values compared with. 5: also headers. "
        "Secrets and rows are never logged.",
        default=1,
    ),
    Setting(
        "ca_file",
        TEXT,
        "Certificate Authorities",
        "File of certificate authorities, in PEM format, to trust besides those of the machine: "
        "that of a site with a certificate of its own, or of a proxy that inspects TLS.",
    ),
    Setting(
        "locale",
        TEXT,
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
        choice("json", "atom"),
        "Data Format",
        "Format in which to ask OData 3.0 services for rows. An atom answer is never held in "
        "memory as a whole, which helps where a service sends all rows at once. OData 4.0 is "
        "always JSON.",
        default="json",
    ),
    Setting(
        "use_select",
        SWITCH,
        "Use $select",
        "Ask only for the selected columns. false: ask for whole rows, and keep the columns that "
        "the catalog names even if the metadata hides them (some foreign keys of DACs).",
        default=True,
    ),
    Setting(
        "trim_strings",
        SWITCH,
        "Trim Strings",
        "Remove trailing spaces; fixed-width keys are padded with them.",
        default=False,
    ),
    Setting(
        "expand",
        {"type": "object", "additionalProperties": TEXTS},
        "Expand",
        "Navigation properties to include as nested objects, per entity set: "
        '{"SOOrder": ["CustomerByCustomerID($select=AcctCD)", "SOLineCollection"]}.',
    ),
    Setting(
        "filters",
        {"type": "object", "additionalProperties": TEXT},
        "Filters",
        "OData filters to add to each request, per stream, entity set or glob; of several that "
        "match, all hold: "
        """{"GLTran": "FinPeriodID ge '202401'"}. A row that no longer matches is not reported """
        "as deleted.",
    ),
    Setting(
        "time_limit_minutes",
        integer(1, 10080),
        "Time Limit",
        "After this time the run asks for no more rows, writes what it has and its state, and ends "
        "with exit code 3. Streams that were not read to their end come first in the next run.",
    ),
    Setting(
        "max_drop_percent",
        integer(0, 100),
        "Maximum Drop",
        "A full read that holds this much fewer rows than the last complete one does not make the "
        "loader delete the others: no ACTIVATE_VERSION, and an error that says why. 100: never "
        "mind.",
        default=20,
    ),
    Setting(
        "keys",
        {"type": "object", "additionalProperties": TEXTS},
        "Keys",
        "Columns that identify a row, per stream or entity set, where the declared key does not "
        "(generic inquiries) or may be renamed (AcctCD): "
        '{"Sales": ["Branch", "Item"]}. An empty list: no columns do, so rows of one declared key '
        "are numbered, which takes a full read.",
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
        choice("ignore", "soft"),
        "Deleted Records",
        "ignore: rows that Acumatica keeps as deleted are not read. soft: they are read from "
        "tables that have the column DeletedDatabaseRecord, and emitted with the time of their "
        "deletion in _sdc_deleted_at.",
        default="ignore",
    ),
    Setting(
        "archived_records",
        SWITCH,
        "Archived Records",
        "Also read the rows that Acumatica keeps in its archive. Without it, rows are no longer "
        "read once they are archived.",
        default=False,
    ),
    Setting(
        "on_stream_error",
        choice("fail", "skip"),
        "On Stream Error",
        "What to do where a stream cannot be read (no rights, not found, refused). fail: read the "
        "other streams, then end with exit code 1. skip: log a warning.",
        default="fail",
    ),
    Setting(
        "on_value_error",
        choice("fail", "null"),
        "On Value Error",
        "What to do with a number, date or boolean that its column cannot hold, however it is "
        "read. fail: the stream ends, and the error names column and row. null: null is emitted, "
        "with one warning per stream and column. Keys and tracking columns always fail; texts are "
        "always repaired.",
        default="fail",
    ),
    Setting(
        "read_site_information",
        SWITCH,
        "Read Site Information",
        "Read what the site says about its generic inquiries (limits, formulas, grouping, "
        "parameters, stored results) and about the tracking of deleted records, where the user "
        "has the rights: a few requests per tenant and discovery, at most one more per run. "
        "false: do not ask.",
        default=True,
    ),
    Setting(
        "non_filterable_columns",
        choice("auto", "always", "never"),
        "Non-Filterable Columns",
        "What to do with columns of DACs that the metadata calls non-filterable; they are never "
        "filtered by. auto: --discover offers them if the service gives those of one table, which "
        "takes one request per tenant; the catalog keeps which. always: offer them. never: leave "
        "them out.",
        default="auto",
    ),
)
