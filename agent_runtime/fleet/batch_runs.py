"""Where the runs of a batch are executed: in processes of this machine, or by a queue."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from agent_runtime.fleet.batch_files import BatchName, BatchRequest, read_requests
from agent_runtime.protocol.request import Request
from agent_runtime.server.errors import ApiError
from agent_runtime.server.run import Run
from agent_runtime.server.runs import Runs, new_record


class RunSource(Protocol):
    """Starts and finds the runs of a batch."""

    async def find(self, run_id: str) -> Run | None:
        """The run with this id."""
        ...

    async def start(self, request: Request, run_id: str) -> Run:
        """Start a run."""
        ...


class LocalRuns:
    """Runs on this machine.

    Args:
        runs: starts and follows them.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def find(self, run_id: str) -> Run | None:
        """The run with this id."""
        try:
            return self._runs.find(run_id)
        except ApiError:
            return None

    async def start(self, request: Request, run_id: str) -> Run:
        """Start a run."""
        record = new_record(request, run_id=run_id, thread_id=request.thread_id)
        return await asyncio.to_thread(self._runs.start, request, record)


async def named_requests(source: Path, results: Path, runs: RunSource) -> list[BatchRequest]:
    """The requests of a batch, with ids that no other batch has, or with those that it had when it was stopped.

    Raises:
        RequestError: a file cannot be used; see BatchName and read_requests.
    """
    name = BatchName(results, source)
    if name.stored is not None:
        return read_requests(source, name.stored)
    for candidate in name.candidates():
        requests = read_requests(source, candidate)
        own = next((request for request in requests if request.id.startswith(candidate)), None)
        if own is None or await runs.find(own.id) is None:
            name.store(candidate)
            return requests
    raise AssertionError("the candidates do not end")
