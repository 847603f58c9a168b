"""``tap-acumatica-login``: signs in once in the browser and keeps the tokens for the tap.

OAuth 2.0 authorization code with PKCE (RFC 6749, RFC 7636, RFC 8252).
"""

from __future__ import annotations

import secrets
import sys
import threading
import typing as t
import webbrowser

import click

from tap_acumatica.auth.identity import IdentityServer
from tap_acumatica.cli.callback import CallbackServer, Outcome, listens, parameters
from tap_acumatica.cli.command import one_line_errors, read_config
from tap_acumatica.errors import LoginError, SettingsError, UnreachableError
from tap_acumatica.http.retry import RetryableError
from tap_acumatica.settings.connections import connect

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_acumatica.acumatica.addresses import Service
    from tap_acumatica.auth.token_store import Tokens, TokenStore
    from tap_acumatica.settings.connections import Site

_NAME = "tap-acumatica-login"
_REFUSALS = {
    "access_denied": "consent was refused on the sign-in page",
    "unauthorized_client": "the connected application does not allow the flow 'Authorization Code' "
    "(SM303010)",
    "invalid_scope": "the connected application does not allow everything in 'scope' (SM303010)",
}


class Login:
    """One sign-in: the address to send the browser to, and the tokens for what it brings back."""

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
        """As :meth:`finish`; an error is kept in ``error`` until the browser has its page."""
        try:
            tokens = self.finish(found)
        except Exception as error:  # noqa: BLE001  raised where the browser is waited for
            self.error = error
            return Outcome(
                good=False, title="Not signed in", text="The command line says why. Start again."
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
            LoginError: If it does not belong to this sign-in, or is a refusal.
            SignInError: If the code is refused.
            UnreachableError: If the identity server does not answer.
            TokenFileError: If the tokens cannot be kept.
        """
        if not secrets.compare_digest(found.get("state", "").encode(), self._state.encode()):
            msg = "the callback belongs to another sign-in ('state' differs); start again"
            raise LoginError(msg)
        if "code" not in found:
            code = found.get("error", "")
            why = _REFUSALS.get(code, "the sign-in was refused, or came back without a code")
            msg = f"{why}; start again"
            raise LoginError(msg)
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
            msg = f"{error}; {error.remedy or 'try again later'}"
            raise UnreachableError(msg) from error


@click.command(
    _NAME,
    help="Sign in to Acumatica in the browser, once per tenant, and keep the tokens for "
    "tap-acumatica. It takes the same settings as the tap.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="FILE",
    help="File with the settings, or ENV for environment variables; may be given several times.",
)
@click.option("--tenant", "only", multiple=True, help="Sign in to this tenant only.")
@click.option(
    "--no-browser",
    is_flag=True,
    help="Print the address to sign in at, and ask for the address that the browser ends up at.",
)
@click.option(
    "--wait",
    type=click.IntRange(1, 3600),
    default=300,
    show_default=True,
    help="Seconds to wait for the browser.",
)
@click.version_option(package_name="tap-acumatica")
def login(configs: tuple[str, ...], only: tuple[str, ...], *, no_browser: bool, wait: int) -> None:
    """Run the command; an error is one line, and its exit code says of what kind it is."""
    with one_line_errors(_NAME):
        site = connect(read_config(configs), user_agent=_NAME)
        for service in _chosen(site, only):
            _sign_in(site, service, no_browser=no_browser, wait=wait)


def _chosen(site: Site, only: Sequence[str]) -> list[Service]:
    """The services to sign in to.

    Raises:
        SettingsError: If ``--tenant`` names one that is not in the settings.
    """
    for name in only:
        if name not in site.services:
            known = ", ".join(tenant for tenant in site.services if tenant) or "none are set"
            msg = f"--tenant '{name}' must be one of 'tenants' ({known})"
            raise SettingsError(msg)
    return [service for name, service in site.services.items() if not only or name in only]


def _sign_in(site: Site, service: Service, *, no_browser: bool, wait: int) -> None:
    server = IdentityServer(
        site.application(service), user_agent=site.user_agent, trust=site.settings.trust
    )
    if not server.endpoints().authorization:
        msg = (
            "'authorization_url' is missing: 'url' is not an Acumatica site, so the address cannot "
            "be derived from it"
        )
        raise SettingsError(msg)
    store, callback = site.token_store, site.settings.callback_url
    with store.locked(server.application.name, site.configured_token(service)) as consents:
        consents.check_writable()  # before the user signs in for nothing
    attempt = Login(
        server, store, callback=callback, configured_token=site.configured_token(service)
    )
    if no_browser or not listens(callback):
        _by_hand(attempt, service)
    else:
        _by_browser(attempt, service, callback, wait)
    click.echo(f"Signed in to {service.where}; the tokens are in {store.path}.", err=True)
    if attempt.tokens is not None and attempt.tokens.refresh is None:
        click.echo(
            "There is no refresh token, so the sign-in lasts only as long as the access token: add "
            "offline_access to 'scope'.",
            err=True,
        )


def _by_hand(attempt: Login, service: Service) -> None:
    # Meltano shows whole lines only.
    click.echo(f"Sign in to {service.where} at this address:\n\n{attempt.address()}\n", err=True)
    click.echo(
        "The browser then goes to the callback address, where it may show an error; that does not "
        "matter. Paste that address here and press Enter.",
        err=True,
    )
    pasted = sys.stdin.readline().strip()
    if not pasted:
        msg = "no callback address was pasted; start again"
        raise LoginError(msg)
    attempt.finish(parameters(pasted))


def _by_browser(attempt: Login, service: Service, callback: str, wait: int) -> None:
    server = CallbackServer(callback, attempt.take)
    try:
        address = attempt.address()
        click.echo(
            f"Opening the browser to sign in to {service.where}. If none opens, go to\n\n"
            f"{address}\n",
            err=True,
        )
        # A browser in the terminal does not return until it is closed.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.wait(wait)
    finally:
        server.close()
    if attempt.error is not None:
        raise attempt.error
