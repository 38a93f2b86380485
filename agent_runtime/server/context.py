"""What the routes of the API share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection

from agent_runtime.conversation.threads.store import ThreadStore
from agent_runtime.server.auth import Gate
from agent_runtime.server.run import Dispatcher, Run
from agent_runtime.server.run_index import ListedRun
from agent_runtime.server.runs import Runs
from agent_runtime.server.store import IdempotencyStore

MAX_BODY = 64 << 20  # bytes of a request


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        runs: the runs of this machine.
        dispatcher: starts and finds runs on other machines.
        dev_url: template of the public addresses of ports; None for `http://localhost:{port}`.
        background: tasks that outlive the request that has started them.
    """

    runs: Runs
    threads: ThreadStore
    keys: IdempotencyStore
    gate: Gate
    workspace: Path
    dev_url: str | None
    dispatcher: Dispatcher | None = None
    background: set[asyncio.Task[Any]] = field(default_factory=set)

    @classmethod
    def of(cls, connection: HTTPConnection) -> Server:
        """The server that has received a request."""
        server: Server = connection.app.state.server
        return server

    async def run(self, run_id: str) -> Run:
        """The run with this id, wherever it is. Raises ApiError 404."""
        if self.dispatcher and (run := await self.dispatcher.find(run_id)):
            return run  # a runner with the same state directory may have its recording here
        return self.runs.find(run_id)

    async def listed(self) -> list[ListedRun]:
        """All runs, the latest first; see `with_status`."""
        rows = await asyncio.to_thread(self.runs.listed)
        if self.dispatcher:
            remote = [ListedRun(record, None) for record in await self.dispatcher.records()]
            ids = {row.record.run_id for row in remote}
            rows = remote + [row for row in rows if row.record.run_id not in ids]
            rows.sort(key=lambda row: (row.record.created, row.record.run_id), reverse=True)
        return rows

    async def with_status(self, rows: Sequence[ListedRun]) -> list[ListedRun]:
        """The same runs, with the status of each."""
        unknown = [row.record for row in rows if row.status is None]
        if not (self.dispatcher and unknown):
            return list(rows)
        statuses = iter(await self.dispatcher.statuses(unknown))
        return [row if row.status else ListedRun(row.record, next(statuses)) for row in rows]

    def in_background(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Run a task that no request waits for."""
        task = asyncio.ensure_future(work())
        self.background.add(task)
        task.add_done_callback(self.background.discard)
