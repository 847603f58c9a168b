"""The command `tap-acumatica-sandbox`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from .habits import Habits
from .identity import Client
from .sandbox import CLIENT, TENANTS, Sandbox


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    habits = Habits(
        seats=options.seats,
        requests_per_minute=options.requests_per_minute,
        token_seconds=options.token_seconds,
        max_page=options.max_page,
        next_link="absolute" if options.max_page else None,
        delay_seconds=options.latency / 1000,
    )
    try:
        sandbox = Sandbox(
            options.rows,
            options.seed,
            habits,
            prefix=options.prefix,
            users={options.user: options.password},
            clients=[
                Client(f"{CLIENT}@{tenant}", options.client_secret, (options.callback_url,))
                for tenant in TENANTS
            ],
            host=options.host,
            port=options.port,
            database=options.database,
            change_every=options.change_every,
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"tap-acumatica-sandbox: {error}\n")
        return 1
    sandbox.start()
    tenants = ", ".join(f'"{tenant}"' for tenant in sandbox.tenants)
    sys.stdout.write(
        f"Sandbox at {sandbox.url}: set url={sandbox.url} username={options.user}"
        f" password={options.password} tenants=[{tenants}]; for OAuth 2.0"
        f" client_id={CLIENT}@Tenant. Ctrl+C ends it.\n"
    )
    sys.stdout.flush()
    stop.wait()
    sandbox.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tap-acumatica-sandbox",
        description="An Acumatica-shaped OData server to try the tap against.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=8080, help="port to listen on; 0 takes a free one")
    add("--rows", type=int, default=5000, help="rows of the largest tables")
    add("--seed", type=int, default=1, help="the same seed makes the same rows")
    add("--database", help="SQLite file to keep the rows in; without, they live in memory")
    add("--prefix", default="", help="sub-path of the site, such as /AcumaticaERP")
    add("--user", default="admin", help="user name")
    add("--password", default="secret", help="password")
    add("--client-secret", help="secret of the connected applications; without, they are public")
    add("--callback-url", default="http://localhost:8400/callback", help="their redirect address")
    add("--token-seconds", type=float, default=3600.0, help="how long an access token is good for")
    add("--requests-per-minute", type=int, help="requests the license allows a minute")
    add("--seats", type=int, help="sessions the license allows at once")
    add("--latency", type=float, default=0.0, help="milliseconds before each data answer")
    add("--max-page", type=int, help="most rows in one answer; the rest is linked")
    add("--change-every", type=int, default=0, help="data requests after which rows change")
    return parser
