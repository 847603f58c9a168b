"""The settings that say where to read and how to sign in."""

from __future__ import annotations

from tap_acumatica.settings.setting import SECRET, TEXT, TEXTS, Setting, choice

ACCESS: tuple[Setting, ...] = (
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
        choice("dac", "gi", "dac-legacy", "gi-legacy"),
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
        TEXTS,
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
                    "username": TEXT,
                    "password": SECRET,
                    "client_id": TEXT,
                    "client_secret": SECRET,
                    "refresh_token": SECRET,
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
        choice("basic", "oauth2"),
        "Authentication Mode",
        "How to sign in: basic (user name and password) or oauth2 (a connected application, screen "
        "SM303010).",
        default="basic",
    ),
    Setting("username", TEXT, "Username", "Acumatica user name, without the tenant."),
    Setting("password", TEXT, "Password", "Password of that user.", secret=True),
    Setting(
        "oauth_flow",
        choice("authorization_code", "password"),
        "OAuth Flow",
        "With oauth2: authorization_code (sign in once with tap-acumatica-login, or set "
        "refresh_token) or password (uses username and password; nobody has to sign in).",
        default="authorization_code",
    ),
    Setting(
        "client_id",
        TEXT,
        "Client ID",
        "Client ID of the connected application, with its tenant: "
        "9986313F-C5E6-161F-ED75-346CBBCB948F@Company.",
    ),
    Setting(
        "client_secret",
        TEXT,
        "Client Secret",
        "Shared secret of the connected application; leave it out for a public client.",
        secret=True,
    ),
    Setting(
        "refresh_token",
        TEXT,
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
        TEXT,
        "Scope",
        "Permissions to ask for, separated by spaces or commas. offline_access brings the refresh "
        "token. With api, the site answers one request of a token at a time; "
        "api:concurrent_access instead lets max_pool_size sessions read at once.",
        default="openid api offline_access",
    ),
    Setting(
        "token_file",
        TEXT,
        "Token File",
        "File that keeps the tokens; only its owner can read it. Default: "
        ".tap-acumatica/tokens.json in the Meltano project, or else in the home directory.",
    ),
)
