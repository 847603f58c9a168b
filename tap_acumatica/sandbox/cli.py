"""The command `tap-acumatica-sandbox`.

It exits with 0 when it is stopped, with 1 if it cannot serve, and with 2 on a usage error.
"""

from __future__ import annotations

import errno
import logging
import signal
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import click

from .faults import FaultError, listed, prepare
from .habits import Habits
from .identity import Client

if TYPE_CHECKING:
    from .sandbox import Sandbox


@click.command(
    "tap-acumatica-sandbox", context_settings={"show_default": True}, epilog="Ctrl+C stops it."
)
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    help="Port to listen on; 0 picks a free port.",
)
@click.option(
    "--rows", type=click.IntRange(min=0), default=5000, help="Number of rows in the largest tables."
)
@click.option("--seed", type=int, default=1, help="The same seed creates the same rows.")
@click.option("--database", show_default="in memory", help="SQLite file for the rows.")
@click.option("--prefix", default="", help="Path of the site, such as /AcumaticaERP.")
@click.option("--user", default="admin", help="User name.")
@click.option("--password", default="secret", help="Password.")
@click.option(
    "--client-secret",
    show_default="none, they are public",
    help="Secret of the connected applications.",
)
@click.option(
    "--callback-url",
    default="http://localhost:8400/callback",
    help="Redirect URI of the connected applications.",
)
@click.option(
    "--token-seconds",
    type=click.FloatRange(min=0),
    default=3600.0,
    help="How long an access token is valid.",
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(min=1),
    show_default="no limit",
    help="Requests per minute that the license allows.",
)
@click.option(
    "--seats",
    type=click.IntRange(min=1),
    show_default="no limit",
    help="Sessions that the license allows at a time.",
)
@click.option(
    "--latency",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Milliseconds to wait before each response with data.",
)
@click.option(
    "--max-page",
    type=click.IntRange(min=1),
    show_default="no limit",
    help="Maximum number of rows in a response, with a next link to the rest.",
)
@click.option(
    "--change-every",
    type=click.IntRange(min=0),
    default=0,
    help="Change some rows after this many requests for data; 0 never changes them.",
)
@click.option(
    "--spoil",
    "faults",
    multiple=True,
    metavar="NAME[=ARGUMENT][@WHEN]",
    help="Fault to rehearse; may be given several times. WHEN says which requests it spoils: once,"
    " first=N, from=N, every=N, only=ENTITY_SET, or several of them with commas. 'list' prints all"
    " faults.",
)
@click.version_option(package_name="tap-acumatica")
def main(**options: Any) -> None:
    """Serve made-up data the way Acumatica does, to try the tap."""
    if "list" in options["faults"]:
        click.echo("\n".join(listed()))
        return
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    sandbox = _sandbox(options)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sandbox.start()
    tenants = ", ".join(f'"{tenant}"' for tenant in sandbox.tenants)
    client_id = next(iter(sandbox.identity.clients))
    # One line: programs that start the sandbox read its URL from the first line.
    click.echo(
        f"The sandbox is running. Settings: url={sandbox.url} username={options['user']}"
        f" password={options['password']} tenants=[{tenants}]; for OAuth 2.0 client_id={client_id}."
        " Press Ctrl+C to stop."
    )
    stop.wait()
    sandbox.stop()


def _sandbox(options: dict[str, Any]) -> Sandbox:
    try:
        from .sandbox import CLIENT, TENANTS, Sandbox  # noqa: PLC0415  needs the extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "odata_query":
            raise
        msg = "the sandbox needs an extra; run: pip install 'tap-acumatica[sandbox]'"
        raise click.ClickException(msg) from error
    habits = _habits(options)
    try:
        spoil = prepare(options["faults"], habits)
    except FaultError as error:
        raise click.BadParameter(str(error), param_hint="'--spoil'") from error
    secret, callbacks = options["client_secret"], (options["callback_url"],)
    click.echo(f"Preparing up to {options['rows']:,} rows per table ...", err=True)
    try:
        return Sandbox(
            options["rows"],
            options["seed"],
            habits,
            prefix=options["prefix"],
            users={options["user"]: options["password"]},
            clients=[Client(f"{CLIENT}@{tenant}", secret, callbacks) for tenant in TENANTS],
            host=options["host"],
            port=options["port"],
            database=options["database"],
            change_every=options["change_every"],
            spoil=spoil,
        )
    except sqlite3.Error as error:
        msg = f"the database file {options['database']} cannot be used: {error}"
        raise click.ClickException(msg) from error
    except OSError as error:
        raise click.ClickException(
            _listen_error(error, options["host"], options["port"])
        ) from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _habits(options: dict[str, Any]) -> Habits:
    return Habits(
        seats=options["seats"],
        requests_per_minute=options["requests_per_minute"],
        token_seconds=options["token_seconds"],
        max_page=options["max_page"],
        next_link="absolute" if options["max_page"] else None,
        delay_seconds=options["latency"] / 1000,
    )


def _listen_error(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is already in use; choose another one, or --port 0 for a free port"
    return f"cannot listen on {host}, port {port}: {error.strerror or error}"
