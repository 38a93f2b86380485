"""A run that a runner executes, as a server sees it: by its log, and by messages to its runner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import nats.errors
from nats.aio.msg import Msg

from agent_runtime.fleet.connection import Connection
from agent_runtime.fleet.event_log import EventLog, LostRun, Stored
from agent_runtime.fleet.lease import ask
from agent_runtime.fleet.messages import persistently
from agent_runtime.fleet.names import Queue
from agent_runtime.output.event_writer import payload_of
from agent_runtime.output.lines import encode_line
from agent_runtime.protocol import events
from agent_runtime.server.errors import ApiError
from agent_runtime.server.run import read_transcript
from agent_runtime.server.run_files import RunRecord
from agent_runtime.server.stream_file import Line
from agent_runtime.transcripts.reader import Transcript

_LOOK = 1.0  # seconds between two looks at a log in which nothing happens
_ASK = 5.0  # seconds between two messages to the runner of such a run
_STORING = (
    0.0,
    0.001,
    0.002,
    0.004,
    0.008,
    0.016,
    0.032,
)  # seconds; an event is received before it is stored
_CONTROL = 3.0  # seconds for a control message to arrive
_SECONDS = 10.0  # for NATS to answer, before an error is reported to the caller


class Silence(Protocol):
    """Notes since when the runners of runs do not answer."""

    connection: Connection

    async def lease(self, queue: Queue) -> float:
        """The lease of a queue in seconds."""
        ...

    def silent_since(self, run_id: str, answers: bool) -> float:
        """Note whether a runner answers; returns the monotonic time since when it does not."""
        ...


@asynccontextmanager
async def available() -> AsyncIterator[None]:
    """Bound the time that a caller waits for NATS. Raises ApiError 503."""
    try:
        async with asyncio.timeout(_SECONDS):
            yield
    except (TimeoutError, nats.errors.Error) as error:
        message = "the NATS server does not answer; try again"
        raise ApiError(503, "unavailable", message, headers={"Retry-After": "5"}) from error


class RemoteRun:
    """A run of a queue; see server.run.Run.

    Args:
        fleet: the connection, and notes about silent runners.
        record: of the run.
    """

    def __init__(self, fleet: Silence, record: RunRecord) -> None:
        assert record.queue
        self._fleet, self.record = fleet, record
        self._client = fleet.connection.client
        self._queue = Queue.parse(record.queue)
        self._log = self._new_log()

    def _new_log(self) -> EventLog:
        return EventLog(self._fleet.connection, self._queue, self.record.run_id, f"server-{token_hex(8)}")

    async def follow(self, after: int = -1) -> AsyncGenerator[list[Line]]:
        """Yield the events after the number `after` as they arrive, until `complete`."""
        arrived = asyncio.Event()

        async def wake(message: Msg) -> None:
            arrived.set()

        subscription = await self._client.subscribe(self._queue.events(self.record.run_id), cb=wake)
        position, last, asked = 0, after, time.monotonic()
        try:
            while True:
                found = await self._next(position, arrived)
                if found is None:
                    if time.monotonic() - asked > _ASK:
                        await self._end_if_dead(await self._log.last())
                        asked = time.monotonic()
                    continue
                position, asked = found.position, time.monotonic()
                if found.seq > last:
                    last = found.seq
                    yield [Line(found.seq, found.event["type"], found.text)]
                if found.is_complete:
                    return
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _next(self, position: int, arrived: asyncio.Event) -> Stored | None:
        """The first event behind a position; None when there is none for a while."""
        look = partial(self._log.after, position)
        if found := await persistently(look):
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await arrived.wait()
        if arrived.is_set():
            arrived.clear()
            for seconds in _STORING:
                await asyncio.sleep(seconds)
                if found := await persistently(look):
                    return found
        return None

    async def is_waiting(self) -> bool:
        """Whether no event is stored yet. Putting the request of such a run into the queue again does no harm."""
        return await self._log.last() is None

    async def outcome(self) -> dict[str, Any] | None:
        """The `complete` event of a run that has ended, even if only because its runner has died."""
        async with available():
            last = await self._log.last()
            if await self._end_if_dead(last):
                last = await self._log.last()
        return last.event if last and last.is_complete else None

    async def status(self) -> str:
        """The status of a run that has not ended: `queued` or `running`; for a device `registered` or `dispatched`."""
        async with available():
            waiting = await self.is_waiting()
        if self._queue.is_device:
            return "registered" if waiting else "dispatched"
        return "queued" if waiting else "running"

    async def oldest(self) -> int | None:
        """The number of the oldest event that is kept, 0 before the first."""
        async with available():
            first = await persistently(partial(self._log.after, 0))
        return 0 if first is None else first.seq

    async def transcript(self) -> Transcript:
        """The events of the run. Raises ApiError 409 when there are none."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "events.ndjson"
            with path.open("wb") as file:
                async with available():
                    async for stored in self._log.events():
                        file.write(stored.text + b"\n")
            return await asyncio.to_thread(read_transcript, [path])

    async def send(self, message: dict[str, Any]) -> bool:
        """Pass on a control message; False when the run has ended.

        Raises:
            ApiError: 409 when the run is queued, except for cancelling it, or when its runner does not answer.
        """
        deadline = time.monotonic() + _CONTROL
        async with available():
            while True:
                last = await self._log.last()
                if last and last.is_complete:
                    return False
                if await self._accepted(message):
                    return True
                if last is None and message["action"] != "cancel":
                    raise _conflict("the run is queued; until it is started it can only be cancelled")
                if (last is None or last.is_start) and message["action"] == "cancel":
                    if await self._cancel_queued(last):
                        return True
                elif time.monotonic() > deadline:
                    raise _conflict("the runner of the run does not answer")
                await asyncio.sleep(0.1)

    async def _accepted(self, message: dict[str, Any]) -> bool:
        """Whether a runner has the run and takes the message."""
        return await ask(self._fleet.connection, self._queue, self.record.run_id, message)

    async def _cancel_queued(self, last: Stored | None) -> bool:
        """End a run that no runner executes; False if a runner has begun it meanwhile."""
        seq = last.seq + 1 if last else 0
        fields = {name: self.record.fields.get(name) for name in ("rolloutId", "executionMode")}
        complete = events.CompleteEvent(
            status="cancelled",
            stop_reason="cancelled",
            output="",
            result="",
            thread_id=self.record.thread_id,
            sandbox_id=self.record.sandbox_id,
            rollout_id=fields["rolloutId"],
            execution_mode=fields["executionMode"],
        )
        log = self._new_log()
        log.continue_after(last)
        try:
            await log.append(seq, encode_line(payload_of(complete, seq, self.record.run_id)).encode())
        except LostRun:
            return False
        return True

    async def _end_if_dead(self, last: Stored | None) -> bool:
        """End the log of a run that was begun, and whose runner has been silent for longer than its lease."""
        if (
            last is None or last.is_start or last.is_complete
        ):  # a request that was not begun is delivered again
            return False
        answers = await self._accepted({"action": "ping"})
        since = self._fleet.silent_since(self.record.run_id, answers)
        if answers or time.monotonic() - since < await self._fleet.lease(self._queue):
            return False
        await self._new_log().close_killed(self.record.thread_id)
        return True


def _conflict(message: str) -> ApiError:
    return ApiError(409, "conflict", message, headers={"Retry-After": "1"})
