"""Ways to get tokens: from a user's consent, or for a user name and password."""

from __future__ import annotations

import logging
import threading
import time
import typing as t
from concurrent.futures import Future

from tap_acumatica.errors import SignInError, TapError, TokenFileError

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from tap_acumatica.auth.identity import IdentityServer
    from tap_acumatica.auth.token_store import StoredConsents, Tokens, TokenStore

T = t.TypeVar("T")

logger = logging.getLogger(__name__)

STILL_VALID = "It is still valid, so it is used until it expires."


class Grant(t.Protocol):
    """A way to get tokens.

    Attributes:
        shared: Whether other processes use the same tokens.
    """

    shared: t.ClassVar[bool]

    def tokens(self, stale: str | None) -> Tokens:
        """Tokens other than those whose access token is ``stale``; one try.

        Raises:
            SignInError: If the sign-in is refused, or nobody has signed in yet.
            RetryableError: If another try may succeed.
            TapError: If something else is wrong.
        """


class ConsentGrant:
    """Tokens of a user's consent: each refresh token is good for one use and brings the next."""

    shared: t.ClassVar[bool] = True

    def __init__(
        self,
        server: IdentityServer,
        store: TokenStore,
        *,
        configured_token: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            server: Where tokens are requested.
            store: Where they are stored.
            configured_token: The refresh token that is configured.
            clock: Seconds since the epoch.
        """
        self._server = server
        self._store = store
        self._configured_token = configured_token
        self._clock = clock

    def tokens(self, stale: str | None) -> Tokens:
        """See :class:`Grant`.

        Tokens that another process has got in the meantime are used before new ones are requested,
        and those that are valid a little longer where no new ones are to be had.
        """
        with self._store.locked(self._server.application.name, self._configured_token) as consents:
            held = consents.newest()
            if held and held.access != stale and held.fresh(self._clock()):
                return held
            token = held.refresh if held else self._configured_token
            if token is None:
                msg = "nobody has signed in yet; sign in with tap-acumatica-login"
                raise SignInError(msg)
            try:
                consents.check_writable()
                tokens = self._server.refresh(token)
            except TapError as error:
                if held is None or held.access == stale or not held.valid(self._clock()):
                    raise
                logger.warning("The access token could not be renewed (%s). %s", error, STILL_VALID)
                return held
            self._save(consents, tokens)
            return tokens

    @staticmethod
    def _save(consents: StoredConsents, tokens: Tokens) -> None:
        """Write tokens, or at least do not lose them: the one they replace is used up."""
        try:
            consents.save(tokens)
        except TokenFileError as error:
            consents.keep(tokens)
            logger.error(  # noqa: TRY400  the traceback would say nothing more
                "The new refresh token, whose predecessor is used up, could not be written (%s). "
                "This run goes on with it and writes it later: make room for the file before the "
                "run ends.",
                error,
            )


class PasswordGrant:
    """Tokens for a user name and a password; they are not kept beyond the run."""

    shared: t.ClassVar[bool] = False

    def __init__(self, server: IdentityServer, username: str, password: str) -> None:
        """Take the credentials; nothing is sent yet."""
        self._server = server
        self._username = username
        self._password = password
        self._refusal: str | None = None

    def tokens(self, stale: str | None) -> Tokens:
        """See :class:`Grant`; a password that was refused is not sent again."""
        del stale
        if self._refusal is not None:
            raise SignInError(self._refusal)
        try:
            return self._server.by_password(self._username, self._password)
        except SignInError as error:
            self._refusal = str(error)
            raise


def to_the_end(action: t.Callable[[], T]) -> T:
    """Do something that a signal must not interrupt.

    The request uses the refresh token up, and only its answer has the next one. So the action runs
    in a thread of its own: a signal ends the wait, but not the action, and the process lives until
    the action is done.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            future.set_exception(error)

    threading.Thread(target=run, name="token-request", daemon=False).start()
    return future.result()
