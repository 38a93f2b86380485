"""Runs as the routes see them, wherever their processes are, and what a server needs of runs on other machines."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

from agent_runtime.errors import TranscriptError
from agent_runtime.importers.recorded import read_recorded
from agent_runtime.protocol.request import Request
from agent_runtime.server.errors import ApiError
from agent_runtime.server.run_files import RunRecord
from agent_runtime.server.stream_file import Line
from agent_runtime.transcripts.reader import Transcript


class Run(Protocol):
    """A run that a server has started."""

    @property
    def record(self) -> RunRecord:
        """What is known about the run besides its events."""
        ...

    def follow(self, after: int = -1) -> AsyncGenerator[list[Line]]:
        """Yield the events after the number `after` as they arrive, until `complete`."""
        ...

    async def send(self, message: dict[str, Any]) -> bool:
        """Pass on a control message; False when the run has ended. Raises ApiError when the run does not take it."""
        ...

    async def outcome(self) -> dict[str, Any] | None:
        """The `complete` event of a run that has ended; None before."""
        ...

    async def status(self) -> str:
        """The status of a run that has not ended."""
        ...

    async def oldest(self) -> int | None:
        """The number of the oldest event that is kept, 0 before the first; None when none are kept."""
        ...

    async def transcript(self) -> Transcript:
        """The recording of the run, which may still be going on; without one, its events. Raises ApiError 409."""
        ...


class QueueName(Protocol):
    """A queue of requests for other machines."""

    @property
    def name(self) -> str:
        """The name as users write it: `pool`, `device:ID`."""
        ...


class Dispatcher(Protocol):
    """Runs that are not processes of this machine's servers."""

    def queue_of(self, request: Request) -> QueueName | None:
        """The queue that a request is for; None when it is run here. Raises ApiError 400."""
        ...

    async def start(self, request: Request, *, record: RunRecord, key: str | None, digest: str) -> Run:
        """Hand a run to a queue.

        Args:
            request: what to run.
            record: of the new run, with its queue.
            key: the caller's idempotency key.
            digest: of the body of the request.

        Returns:
            The run, or that of an earlier request with the same key.

        Raises:
            ApiError: 409 when there is a run with this id, 422 when the key was used with another body, 503 when
                the queue cannot be reached.
        """
        ...

    async def find(self, run_id: str) -> Run | None:
        """The run with this id."""
        ...

    async def records(self) -> list[RunRecord]:
        """All runs."""
        ...

    async def statuses(self, records: Sequence[RunRecord]) -> list[str]:
        """The status of each of these runs."""
        ...


def read_transcript(paths: Iterable[Path]) -> Transcript:
    """The first of these files that has a recording or events. Raises ApiError 409 when there is none."""
    for path in paths:
        try:
            return read_recorded(path, growing=True)
        except TranscriptError:
            continue
    raise ApiError(409, "conflict", "the run has no events yet", headers={"Retry-After": "1"})


async def first_event(run: Run) -> Line:
    """Wait for the first event of a run."""
    async with aclosing(run.follow()) as stream:
        async for lines in stream:
            return lines[0]
    raise AssertionError("a stream has a first event")


async def result(run: Run) -> dict[str, Any]:
    """Wait for the `complete` event of a run."""
    last: bytes = b""
    async for lines in run.follow():
        last = lines[-1].text
    complete: dict[str, Any] = json.loads(last)
    return complete
