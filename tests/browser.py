"""A real Chromium that fills in a sign-in page, driven over the pipe of its DevTools protocol.

``python tests/browser.py ADDRESS USER PASSWORD`` opens the address, signs in, and prints the text
of the page it ends at. Everything has a time limit: the browser is killed at the end of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """Path of a Chromium, None where there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of a running browser."""

    def __init__(self, to_browser: int, from_browser: int, end: float) -> None:
        self._to, self._from, self._end = to_browser, from_browser, end
        self._held = b""
        self._number = 0
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def open(self, address: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", url=address)

    def evaluate(self, script: str) -> t.Any:
        """Value of an expression in the page."""
        return self._call("Runtime.evaluate", expression=script)["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until an expression is true; a page that is just being left answers later."""
        while self.evaluate(script) is not True:
            if time.monotonic() > self._end:
                raise TimeoutError(script)
            time.sleep(0.05)

    def type_into(self, name: str, text: str) -> None:
        """Type into a field as a keyboard does."""
        self.evaluate(f"document.querySelector('[name={name}]').focus()")
        self._call("Input.insertText", text=text)

    def _call(self, method: str, **parameters: t.Any) -> dict[str, t.Any]:
        self._number += 1
        message: dict[str, t.Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                found: dict[str, t.Any] = answer.get("result", {"result": {}})
                return found

    def _receive(self) -> dict[str, t.Any]:
        while b"\0" not in self._held:
            left = self._end - time.monotonic()
            ready, _, _ = select.select([self._from], [], [], max(left, 0))
            more = os.read(self._from, 65536) if ready else b""
            if not more:
                msg = "the browser does not answer"
                raise TimeoutError(msg)
            self._held += more
        text, _, self._held = self._held.partition(b"\0")
        answer: dict[str, t.Any] = json.loads(text)
        return answer


@contextlib.contextmanager
def page(executable: str, seconds: float = SECONDS) -> Iterator[Page]:
    """A page of a browser of its own, which is ended whatever happens."""
    to_browser, write = os.pipe()
    read, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The protocol is spoken on 3 and 4; what stands there now is moved out of the way.
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        process = subprocess.Popen(
            [
                *("/bin/bash", "-c", script, executable),
                *_SWITCHES,
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Page(write, read, time.monotonic() + seconds)
        finally:
            os.close(write)
            os.close(read)
            _end(process)


def sign_in(executable: str, address: str, user: str, password: str) -> str:
    """Sign in at an address, and return the text of the page it ends at."""
    with page(executable) as one:
        one.open(address)
        one.wait_for("document.querySelector('[name=password]') !== null")
        one.type_into("username", user)
        one.type_into("password", password)
        one.evaluate("document.querySelector('button').click()")
        one.wait_for(
            "document.readyState === 'complete' && location.pathname.indexOf('/identity/') < 0"
        )
        return str(one.evaluate("document.body.innerText"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the browser and its children."""
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(5)


if __name__ == "__main__":
    found = chromium()
    if found is None:
        sys.exit("there is no Chromium")
    sys.stdout.write(sign_in(found, *sys.argv[1:4]))
