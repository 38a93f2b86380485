"""What the routes of the API share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection

from agent_runtime.conversation.threads.store import ThreadStore
from agent_runtime.server.auth import Gate
from agent_runtime.server.runs import Runs
from agent_runtime.server.store import IdempotencyStore

MAX_BODY = 64 << 20  # bytes of a request


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        dev_url: template of the public addresses of ports; None for `http://localhost:{port}`.
        background: tasks that outlive the request that has started them.
    """

    runs: Runs
    threads: ThreadStore
    keys: IdempotencyStore
    gate: Gate
    workspace: Path
    dev_url: str | None
    background: set[asyncio.Task[Any]] = field(default_factory=set)

    @classmethod
    def of(cls, connection: HTTPConnection) -> Server:
        """The server that has received a request."""
        server: Server = connection.app.state.server
        return server

    def in_background(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Run something that nobody waits for."""
        task = asyncio.ensure_future(work())
        self.background.add(task)
        task.add_done_callback(self.background.discard)
