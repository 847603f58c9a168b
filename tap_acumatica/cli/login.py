"""``tap-acumatica-login``: signs in once in a browser, and keeps the tokens for the tap.

OAuth 2.0 authorization code with PKCE (RFC 6749, RFC 7636, RFC 8252).
"""

from __future__ import annotations

import secrets
import sys
import threading
import typing as t
import webbrowser

import click
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.helpers._util import read_json_file

from tap_acumatica.acumatica.addresses import services
from tap_acumatica.auth.identity import IdentityServer
from tap_acumatica.cli.callback import (
    CallbackError,
    CallbackServer,
    Outcome,
    listens,
    parameters,
)
from tap_acumatica.errors import SettingsError, TapError
from tap_acumatica.http.retry import RetryableError
from tap_acumatica.settings.checks import check
from tap_acumatica.settings.credentials import application, configured_token, token_store
from tap_acumatica.settings.table import SETTINGS, config_jsonschema, without_blanks

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_acumatica.acumatica.addresses import Service
    from tap_acumatica.auth.token_store import Tokens, TokenStore

_ERRORS = (CallbackError, SettingsError, TapError)
_REFUSALS = {
    "access_denied": "the consent was refused at the sign-in page",
    "unauthorized_client": "the connected application does not allow the flow 'Authorization Code' "
    "(SM303010)",
    "invalid_scope": "the connected application does not allow all of 'scope'",
}


class LoginError(CallbackError):
    """What came back is no consent."""


class Login:
    """One sign-in: what is sent with the browser, and what is made of what it brings back."""

    def __init__(
        self,
        server: IdentityServer,
        store: TokenStore,
        *,
        callback: str,
        configured_token: str | None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            server: Where to sign in.
            store: Where to keep the tokens.
            callback: Redirect address.
            configured_token: The refresh token from the settings, which the new tokens replace.
        """
        self.server = server
        self._store = store
        self._callback = callback
        self._configured_token = configured_token
        self._state = secrets.token_urlsafe(24)
        self._verifier = secrets.token_urlsafe(64)
        self.error: Exception | None = None
        self.tokens: Tokens | None = None

    def address(self) -> str:
        """Where the user signs in."""
        return self.server.authorization_address(
            callback=self._callback, state=self._state, verifier=self._verifier
        )

    def take(self, found: Mapping[str, str]) -> Outcome:
        """Exchange the code of a callback and keep the tokens; the error, if any, is kept too."""
        try:
            tokens = self.finish(found)
        except Exception as error:  # noqa: BLE001  it is raised where the browser is waited for
            self.error = error
            return Outcome(
                good=False, title="Not signed in", text="The command line says why: start again."
            )
        text = "You can close this window."
        if tokens.refresh is None:
            text = "The sign-in brought no refresh token: see the command line."
        return Outcome(good=True, title="Signed in", text=text)

    def finish(self, found: Mapping[str, str]) -> Tokens:
        """Exchange the code of a callback and keep the tokens.

        Args:
            found: The callback's parameters.

        Raises:
            LoginError: If it is not the answer to this sign-in, or a refusal.
            TapError: If the code is refused or the tokens cannot be kept.
        """
        if not secrets.compare_digest(found.get("state", "").encode(), self._state.encode()):
            msg = "the callback is not the answer to this sign-in ('state' differs); start again"
            raise LoginError(msg)
        if "code" not in found:
            code = found.get("error", "")
            why = _REFUSALS.get(code, "the sign-in was refused or brought no code")
            raise LoginError(why)
        with self._store.locked(self.server.application.name, self._configured_token) as consents:
            consents.check_writable()
            tokens = self._exchange(found["code"])
            consents.save(tokens)
        self.tokens = tokens
        return tokens

    def _exchange(self, code: str) -> Tokens:
        try:
            return self.server.exchange(code, callback=self._callback, verifier=self._verifier)
        except RetryableError as error:
            msg = f"{error}; start again later"
            raise LoginError(msg) from error


@click.command(
    "tap-acumatica-login",
    help="Sign in to Acumatica in the browser, once for each tenant, and keep the tokens for "
    "tap-acumatica. The settings are the tap's.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="FILE",
    help="Settings of the tap, or ENV for environment variables; may be given several times.",
)
@click.option("--tenant", "only", multiple=True, help="Sign in to this tenant only.")
@click.option(
    "--no-browser",
    is_flag=True,
    help="Print the address to sign in at, and take the callback's address by hand.",
)
@click.option(
    "--wait",
    type=click.IntRange(1, 3600),
    default=300,
    show_default=True,
    help="Seconds to wait for the browser.",
)
def login(configs: tuple[str, ...], only: tuple[str, ...], *, no_browser: bool, wait: int) -> None:
    """Run the command; on an error say one line and exit with code 1."""
    try:
        config = _settings(configs)
        for service in _chosen(config, only):
            _sign_in(config, service, no_browser=no_browser, wait=wait)
    except (*_ERRORS, OSError) as error:
        click.echo(f"tap-acumatica-login: {' '.join(str(error).split())}", err=True)
        sys.exit(1)


def _settings(configs: Iterable[str]) -> dict[str, t.Any]:
    """The tap's settings, with their defaults.

    Raises:
        SettingsError: If one is missing or wrong.
    """
    given: dict[str, t.Any] = {}
    for name in configs:
        given |= _read(name)
    given = without_blanks(given)
    check(given)
    defaults = {one.name: one.default for one in SETTINGS if one.default is not None}
    return defaults | {name: value for name, value in given.items() if value is not None}


def _read(name: str) -> dict[str, t.Any]:
    """The settings in a file, or in environment variables."""
    try:
        if name == "ENV":
            return parse_environment_config(config_jsonschema(), "TAP_ACUMATICA_")
        found: dict[str, t.Any] = read_json_file(name)
    except (ValueError, TypeError) as error:
        msg = f"the configuration in {name} cannot be read ({type(error).__name__})"
        raise SettingsError(msg) from None
    return found


def _chosen(config: Mapping[str, t.Any], only: Sequence[str]) -> list[Service]:
    """The services to sign in to.

    Raises:
        SettingsError: If none of that name is in the settings.
    """
    found = services(config["url"], config["interface"], config.get("tenants") or ())
    unknown = [name for name in only if name not in found]
    if unknown:
        msg = f"--tenant {unknown[0]} is none of 'tenants'"
        raise SettingsError(msg)
    return [service for name, service in found.items() if not only or (name or "") in only]


def _sign_in(config: Mapping[str, t.Any], service: Service, *, no_browser: bool, wait: int) -> None:
    server = IdentityServer(application(config, service))
    if not server.endpoints().authorization:
        msg = "setting 'authorization_url' is missing: 'url' is no site to derive it from"
        raise SettingsError(msg)
    store, callback = token_store(config), config["callback_url"]
    attempt = Login(
        server, store, callback=callback, configured_token=configured_token(config, service)
    )
    if no_browser or not listens(callback):
        _by_hand(attempt, service)
    else:
        _by_browser(attempt, service, callback, wait)
    click.echo(f"Signed in to {service.where}; the tokens are in {store.path}.", err=True)
    if attempt.tokens is not None and attempt.tokens.refresh is None:
        click.echo(
            "There is no refresh token, so this lasts as long as the access token only: add "
            "offline_access to 'scope'.",
            err=True,
        )


def _by_hand(attempt: Login, service: Service) -> None:
    # Whole lines, for Meltano shows no others.
    click.echo(f"Sign in to {service.where} at this address:\n\n{attempt.address()}\n", err=True)
    click.echo(
        "The browser then goes to the callback address, and may show an error: no matter. Paste "
        "that address here and press Enter.",
        err=True,
    )
    pasted = sys.stdin.readline().strip()
    if not pasted:
        msg = "no callback address was given"
        raise CallbackError(msg)
    attempt.finish(parameters(pasted))


def _by_browser(attempt: Login, service: Service, callback: str, wait: int) -> None:
    door = CallbackServer(callback, attempt.take)
    try:
        address = attempt.address()
        click.echo(
            f"Opening the browser to sign in to {service.where}. If none opens, go to\n\n"
            f"{address}\n",
            err=True,
        )
        # A browser in the terminal keeps its caller until it is closed.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        door.wait(wait)
    finally:
        door.close()
    if attempt.error is not None:
        raise attempt.error
