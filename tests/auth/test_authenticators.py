"""Signing in, shared by the sessions of a tenant and used from many threads."""

from __future__ import annotations

import contextlib
import threading
import typing as t
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tap_acumatica.acumatica.addresses import Service, services
from tap_acumatica.acumatica.limits import Limits
from tap_acumatica.acumatica.session import Session
from tap_acumatica.auth.authenticators import (
    BasicAuthenticator,
    OAuthAuthenticator,
)
from tap_acumatica.auth.grants import ConsentGrant, PasswordGrant, to_the_end
from tap_acumatica.auth.identity import Application, IdentityServer
from tap_acumatica.auth.token_store import Tokens, TokenStore
from tap_acumatica.errors import SessionEndedError, SignInError, TapError, UnreachableError
from tap_acumatica.http.retry import RetryableError
from tap_acumatica.odata.payload import parse_collection

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tap_acumatica.auth.authenticators import Authenticator
    from tap_acumatica.sandbox import Sandbox
    from tests.conftest import MakeSandbox

TENANT = "Company"


class Grants:
    """Hands out tokens; counts how often it is asked."""

    shared: t.ClassVar[bool] = False

    def __init__(
        self,
        *answers: Exception | str,
        seconds: float = 3600,
        clock: t.Callable[[], float] = lambda: 1000.0,
    ) -> None:
        self._clock = clock
        self.asked: list[str | None] = []
        self._answers = list(answers)
        self._seconds = seconds

    def tokens(self, stale: str | None) -> Tokens:
        self.asked.append(stale)
        answer = self._answers.pop(0) if self._answers else f"token-{len(self.asked)}"
        if isinstance(answer, Exception):
            raise answer
        return Tokens(answer, None, self._clock(), self._seconds)


class SharedGrants(Grants):
    shared: t.ClassVar[bool] = True


class Reply(t.NamedTuple):
    ok: bool
    denied: bool = False

    @property
    def refused(self) -> bool:
        return not self.ok

    def explain(self, cause: str, remedy: str) -> str:
        return f"{cause}; {remedy}"


REFUSED, ACCEPTED = Reply(ok=False), Reply(ok=True)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("backoff._sync.time.sleep", waited.append)
    return waited


def request() -> requests.PreparedRequest:
    return requests.Request("GET", "http://example.invalid/").prepare()


def sent(auth: Authenticator, *answers: Reply) -> list[str]:
    """What one request was sent with, until these answers were used up."""
    flow = auth.auth_flow(request())
    found = [next(flow).headers["Authorization"]]
    left = list(answers)
    with contextlib.suppress(StopIteration):
        while left:
            found.append(flow.send(left.pop(0)).headers["Authorization"])
    flow.close()
    return found


def service(site: Sandbox) -> Service:
    return services(site.url, "dac", [TENANT])[TENANT]


def ask(session: Session) -> int:
    url = f"{session.service.root}/Ledger?$top=1"
    return len(session.fetch(url, parse_collection, what="Ledger").rows)


def consent(site: Sandbox, folder: Path) -> OAuthAuthenticator:
    client = f"9986313F-C5E6-161F-ED75-346CBBCB948F@{TENANT}"
    server = IdentityServer(Application(client, site.url))
    store = TokenStore(folder / "tokens.json")
    return OAuthAuthenticator(
        ConsentGrant(server, store, configured_token=site.identity.grant(client))
    )


def sessions(site: Sandbox, auth: Authenticator, count: int) -> Iterator[Session]:
    for _ in range(count):
        yield Session(service(site), auth=auth, limits=Limits(timeout=30, tries=2))


def test_many_sessions_with_a_wrong_password_cost_one_request(sandbox: MakeSandbox) -> None:
    site = sandbox(rows=5)
    auth = BasicAuthenticator("admin", "wrong")
    found: Counter[type[BaseException] | None] = Counter()

    def attempt(session: Session) -> None:
        try:
            ask(session)
        except SignInError as error:
            found[type(error)] += 1
        finally:
            session.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(attempt, sessions(site, auth, 8)))
    assert found == {SignInError: 8}
    assert len(site.requests) == 1


def test_many_sessions_with_a_right_password_go_on_at_once(sandbox: MakeSandbox) -> None:
    from tap_acumatica.sandbox import Habits  # noqa: PLC0415

    met = threading.Barrier(4, timeout=20)
    site = sandbox(rows=5, habits=Habits())
    auth = BasicAuthenticator("admin", "secret")
    first, *others = sessions(site, auth, 5)
    assert ask(first) == 1

    def meet(_: object) -> None:
        met.wait()

    site.on_request(meet)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, others)) == [1, 1, 1, 1]
    for session in (first, *others):
        session.close()
    assert site.sessions_opened == site.sessions_closed == 5


def test_many_sessions_share_one_refresh(sandbox: MakeSandbox, tmp_path: Path) -> None:
    site = sandbox(rows=5)
    auth = consent(site, tmp_path)
    with ThreadPoolExecutor(8) as threads:
        used = list(sessions(site, auth, 8))
        assert list(threads.map(ask, used)) == [1] * 8
        site.identity.expire()
        assert list(threads.map(ask, used)) == [1] * 8
    for session in used:
        session.close()
    assert site.identity.refreshes == 2
    assert site.sessions_opened == site.sessions_closed


def test_a_token_is_renewed_before_its_end_by_whatever_clock() -> None:
    now = 1000.0
    grants = Grants(seconds=3600)
    auth = OAuthAuthenticator(grants, clock=lambda: now)
    assert sent(auth) == ["Bearer token-1"]
    now = 1000.0 + 3600 - 61
    assert sent(auth) == ["Bearer token-1"]
    now = 1000.0 + 3600 - 59
    assert sent(auth) == ["Bearer token-2"]
    assert grants.asked == [None, "token-1"]


def test_what_another_thread_has_renewed_is_used_instead_of_a_second_renewal() -> None:
    grants = Grants()
    auth = OAuthAuthenticator(grants, clock=lambda: 1000.0)
    first, second = auth.auth_flow(request()), auth.auth_flow(request())
    for flow in (first, second):
        assert next(flow).headers["Authorization"] == "Bearer token-1"
    for flow in (first, second):
        assert flow.send(REFUSED).headers["Authorization"] == "Bearer token-2"
    assert len(grants.asked) == 2


def test_a_token_of_this_process_alone_is_renewed_once_per_request() -> None:
    grants = Grants()
    auth = OAuthAuthenticator(grants, clock=lambda: 1000.0)
    for _ in range(2):
        assert sent(auth, REFUSED, ACCEPTED)[-1] == f"Bearer token-{len(grants.asked)}"
    assert len(grants.asked) == 3
    with pytest.raises(SessionEndedError, match="accepted before"):
        sent(auth, REFUSED, REFUSED)
    assert len(grants.asked) == 4


def test_a_token_that_another_process_used_up_is_renewed_once_more() -> None:
    grants = SharedGrants()
    auth = OAuthAuthenticator(grants, clock=lambda: 1000.0)
    tokens = ["Bearer token-1", "Bearer token-2", "Bearer token-3"]
    assert sent(auth, REFUSED, REFUSED, ACCEPTED) == tokens
    with pytest.raises(SessionEndedError, match="accepted before"):
        sent(auth, REFUSED, REFUSED, REFUSED)
    assert len(grants.asked) == 5


def test_tokens_that_never_opened_the_service_are_a_failed_sign_in() -> None:
    grants = Grants()
    auth = OAuthAuthenticator(grants, clock=lambda: 1000.0)
    with pytest.raises(SignInError, match=r"'client_id'.*seats"):
        sent(auth, REFUSED, REFUSED)
    assert len(grants.asked) == 2


def test_a_password_that_was_accepted_is_sent_again_once_and_then_rarely() -> None:
    now = [0.0]
    auth = BasicAuthenticator("me", "secret", again_after=600, clock=lambda: now[0])
    sent(auth, ACCEPTED)
    signed = []
    for seconds in (0, 1, 2, 300, 600, 601, 602, 1000, 1202):
        now[0] = float(seconds)
        flow = auth.auth_flow(request())
        signed.append((seconds, "Authorization" in next(flow).headers))
        with pytest.raises(SessionEndedError, match=r"seats are taken.*password was changed"):
            flow.send(REFUSED)
    assert [seconds for seconds, with_password in signed if with_password] == [0, 1, 601, 1202]


def test_a_password_is_sent_again_as_usual_once_the_site_is_open_again() -> None:
    auth = BasicAuthenticator("me", "secret", clock=lambda: 0.0)
    sent(auth, ACCEPTED)
    for _ in range(2):
        with pytest.raises(SessionEndedError):
            sent(auth, REFUSED)
    flow = auth.auth_flow(request())
    assert "Authorization" not in next(flow).headers
    with contextlib.suppress(StopIteration):
        flow.send(ACCEPTED)
    assert sent(auth, ACCEPTED)[0].startswith("Basic ")


def test_what_the_site_says_against_a_user_ends_the_sign_in_even_later() -> None:
    for auth in (BasicAuthenticator("me", "secret"), OAuthAuthenticator(Grants())):
        sent(auth, ACCEPTED)
        for _ in range(2):
            with pytest.raises(SignInError):
                sent(auth, Reply(ok=False, denied=True))


def test_a_user_name_with_a_tenant_is_explained() -> None:
    with pytest.raises(SignInError, match="without '@' and the tenant"):
        sent(BasicAuthenticator("admin@Company", "secret"), REFUSED)


@pytest.mark.parametrize("error", [SignInError("no"), RetryableError("busy"), UnreachableError("")])
def test_a_good_token_is_used_to_its_end_where_it_cannot_be_renewed_early(
    error: TapError, no_waiting: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    grants = Grants("first", error, "second", seconds=3600, clock=lambda: now)
    auth = OAuthAuthenticator(grants, clock=lambda: now)
    assert sent(auth) == ["Bearer first"]
    for moment in (4541.0, 4570.0, 4599.0):
        now = moment
        assert sent(auth) == ["Bearer first"]
    assert len(grants.asked) == 2
    assert not no_waiting
    assert caplog.text.count("still valid") == 1
    now = 4600.0
    assert sent(auth) == ["Bearer second"]
    assert grants.asked == [None, "first", "first"]


def test_a_good_token_that_the_service_refuses_is_renewed_all_the_same() -> None:
    now = 1000.0
    grants = Grants("first", RetryableError("busy"), "second")
    auth = OAuthAuthenticator(grants, clock=lambda: now)
    sent(auth)
    now = 4550.0
    assert sent(auth, REFUSED) == ["Bearer first", "Bearer second"]


def test_a_renewal_that_is_refused_at_the_end_of_the_token_ends_all_later_requests() -> None:
    now = 1000.0
    grants = Grants("first", SignInError("early"), SignInError("sign in again"))
    auth = OAuthAuthenticator(grants, clock=lambda: now)
    sent(auth)
    now = 4550.0
    sent(auth)
    now = 4600.0
    for _ in range(3):
        with pytest.raises(SignInError, match="sign in again"):
            sent(auth)
    assert len(grants.asked) == 3


def test_a_password_that_was_refused_is_not_sent_again_by_a_later_renewal() -> None:
    class Server:
        asked = 0

        def by_password(self, username: str, password: str) -> Tokens:
            del username, password
            self.asked += 1
            if self.asked > 1:
                raise SignInError("the password was changed")
            return Tokens("first", None, 1000.0, 3600)

    now, server = 1000.0, Server()
    grant = PasswordGrant(t.cast("IdentityServer", server), "me", "secret")
    auth = OAuthAuthenticator(grant, clock=lambda: now)
    assert sent(auth) == ["Bearer first"]
    now = 4550.0
    assert sent(auth) == ["Bearer first"]
    now = 4600.0
    with pytest.raises(SignInError, match="the password was changed"):
        sent(auth)
    assert server.asked == 2


def test_a_refusal_is_remembered_and_not_asked_for_again() -> None:
    grants = Grants(SignInError("sign in again"))
    auth = OAuthAuthenticator(grants)
    for _ in range(3):
        with pytest.raises(SignInError, match="sign in again"):
            sent(auth)
    assert len(grants.asked) == 1


def test_a_temporary_failure_of_the_identity_server_is_tried_again(no_waiting: list[float]) -> None:
    grants = Grants(RetryableError("busy", wait=7), RetryableError("no connection"), "good")
    auth = OAuthAuthenticator(grants, tries=3, clock=lambda: 1000.0)
    assert sent(auth) == ["Bearer good"]
    assert no_waiting[0] == 7


def test_an_identity_server_that_stays_away_ends_the_tries_but_not_the_consent() -> None:
    grants = Grants(RetryableError("busy"), RetryableError("busy"), "good")
    auth = OAuthAuthenticator(grants, tries=2, clock=lambda: 1000.0)
    with pytest.raises(UnreachableError, match="given up after 2 tries"):
        sent(auth)
    assert sent(auth) == ["Bearer good"]


def test_a_request_that_fails_does_not_keep_others_waiting_for_the_password() -> None:
    auth = BasicAuthenticator("me", "secret")
    abandoned = auth.auth_flow(request())
    next(abandoned)
    abandoned.close()
    assert len(sent(auth, ACCEPTED)) == 1


def test_an_uninterruptible_action_is_finished_when_nobody_waits_any_more() -> None:
    begun, may_end, done = threading.Event(), threading.Event(), threading.Event()

    def action() -> None:
        begun.set()
        may_end.wait(20)
        done.set()

    waiting = threading.Thread(target=lambda: to_the_end(action), daemon=True)
    waiting.start()
    assert begun.wait(20)
    named = [thread for thread in threading.enumerate() if thread.name == "token-request"]
    assert [thread.daemon for thread in named] == [False]
    may_end.set()
    assert done.wait(20)
    waiting.join(20)


def test_an_error_in_an_uninterruptible_action_is_raised() -> None:
    def action() -> None:
        raise TapError("so it is")

    with pytest.raises(TapError, match="so it is"):
        to_the_end(action)


def test_secrets_are_hidden_in_what_a_server_repeats() -> None:
    auth = BasicAuthenticator("me", "pass:word")
    (header,) = sent(auth)
    text = auth.redactor.redact(f"you sent {header}, that is pass:word, me")
    assert text == "you sent Basic ***, that is ***, me"
    assert auth.redactor.redact("password=pass%3Aword") == "password=***"
    oauth = OAuthAuthenticator(Grants("first-token"), secrets=["client-secret"], clock=lambda: 1e3)
    sent(oauth)
    assert oauth.redactor.redact("Bearer first-token client-secret") == "Bearer *** ***"


def test_sessions_of_one_token_are_signed_out_once(sandbox: MakeSandbox, tmp_path: Path) -> None:
    site = sandbox(rows=5)
    auth = consent(site, tmp_path)
    used = list(sessions(site, auth, 4))
    assert [ask(session) for session in used] == [1] * 4
    for session in used:
        session.close()
        session.close()
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)
    assert len([request for request in site.requests if request.method == "POST"]) == 2  # a token


def test_a_first_request_that_a_signal_cuts_off_is_signed_out_by_its_token(
    sandbox: MakeSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = sandbox(rows=5)
    (session,) = sessions(site, consent(site, tmp_path), 1)
    send = session._http.send

    def cut_off(*arguments: t.Any, **options: t.Any) -> t.NoReturn:
        send(*arguments, **options).close()
        session._http.cookies.clear()
        monkeypatch.undo()
        raise SystemExit

    monkeypatch.setattr(session._http, "send", cut_off)
    with pytest.raises(SystemExit):
        ask(session)
    session.close()
    assert (site.sessions_opened, site.sessions_closed) == (1, 1)
