"""A sandbox for each test, with a signed-in client."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_acumatica.sandbox import Habits, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Client:
    """A signed-in client that keeps cookies."""

    def __init__(self, sandbox: Sandbox, tenant: str = "Company") -> None:
        self.sandbox = sandbox
        self.tenant = tenant
        self.http = requests.Session()
        self.http.auth = ("admin", "secret")

    def get(self, path: str, **options: object) -> requests.Response:
        """Get a path below the tenant's `api/odata`; options are query options without `$`."""
        query = {f"${name}": str(value) for name, value in options.items()}
        url = f"{self.sandbox.url}/t/{self.tenant}/api/odata/{path}"
        return self.http.get(url, params=query, timeout=10)

    def rows(self, path: str, **options: object) -> list[dict[str, Any]]:
        """Return the rows of a page."""
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["value"]
        return found


@pytest.fixture
def start() -> Iterator[Callable[..., Client]]:
    """Start sandboxes with these habits; `options` are passed to the sandbox."""
    with contextlib.ExitStack() as stack:

        def started(habits: Habits | None = None, **options: Any) -> Client:
            sandbox = stack.enter_context(Sandbox(habits=habits, **options))
            client = Client(sandbox)
            stack.callback(client.http.close)
            return client

        yield started


@pytest.fixture
def client(start: Callable[..., Client]) -> Client:
    """A client of a sandbox with default habits."""
    return start()
