"""The log of a run in NATS: its events, each once and in order, written by one attempt at a time.

Each event is stored with the sequence number of the one before it as a condition. An attempt that
finds that another one has written in between has lost the run, and nothing that it writes later is stored. So if two
runners have the same request, because one has lost its lease without noticing, only one of them goes on.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import nats.js.errors
from nats.js.api import RawStreamMsg

from agent_runtime.fleet.connection import TRANSIENT, Connection
from agent_runtime.fleet.messages import content, heed_cancellation, is_wrong_sequence, persistently, publish
from agent_runtime.fleet.names import ATTEMPT, EVENTS, EXPECTED_LAST, MESSAGE_ID, Queue
from agent_runtime.server.killed_run import last_events

_WAIT = 0.1  # seconds before an event is sent again
_TAIL = 64  # events that are kept in memory, in case a server has lost the last ones that it had confirmed


class LostRun(Exception):
    """Another attempt has written to the log."""


@dataclass(frozen=True)
class Stored:
    """An event in the log.

    Attributes:
        position: its sequence number in the stream.
        seq: its number in the run.
        attempt: the attempt that has written it.
        event: the event.
        text: as it was written.
    """

    position: int
    seq: int
    attempt: str
    event: dict[str, Any]
    text: bytes

    @property
    def is_start(self) -> bool:
        """Whether it is an event before which no tool runs."""
        return self.seq == 0 and self.event["type"] == "start"

    @property
    def is_complete(self) -> bool:
        """Whether the run has ended."""
        return bool(self.event["type"] == "complete")


class EventLog:
    """The events of one run.

    Args:
        connection: to NATS.
        queue: the queue of the run.
        run_id: of the run.
        attempt: the writer, unique among all writers.
    """

    def __init__(self, connection: Connection, queue: Queue, run_id: str, attempt: str = "") -> None:
        self._connection, self._queue, self.run_id, self._attempt = connection, queue, run_id, attempt
        self._subject = queue.events(run_id)
        self._position = 0  # of the last event, in the stream
        self._tail: deque[tuple[int, bytes]] = deque(maxlen=_TAIL)

    async def last(self) -> Stored | None:
        """The last event; what is written next comes after it. Waits for the server."""
        found = await persistently(self._last)
        self._position = found.position if found else 0
        return found

    def continue_after(self, last: Stored | None) -> None:
        """Let the next event come directly after this one."""
        self._position = last.position if last else 0

    async def append(self, seq: int, line: bytes) -> None:
        """Store an event after the last one. Waits for as long as the server cannot be reached.

        Raises:
            LostRun: another attempt has written to the log.
        """
        while True:
            try:
                if await self._try(seq, line):
                    break
                heed_cancellation()
            except TRANSIENT:
                await asyncio.sleep(_WAIT)
        self._tail.append((seq, line))

    async def _try(self, seq: int, line: bytes) -> bool:
        """Store an event; False when that has to be tried again."""
        try:
            await self._store(seq, line)
        except nats.js.errors.APIError as error:
            if not is_wrong_sequence(error):
                raise
            return await self._settled(seq)
        return True

    async def _store(self, seq: int, line: bytes) -> None:
        id = f"{self.run_id}:{seq}"
        headers = {MESSAGE_ID: id, EXPECTED_LAST: str(self._position), ATTEMPT: self._attempt}
        acknowledged = await publish(self._connection, self._queue, self._subject, id, line, headers)
        if acknowledged.duplicate and not await self._settled(seq):
            raise LostRun(self.run_id)
        self._position = acknowledged.seq

    async def _settled(self, seq: int) -> bool:
        """Whether the event `seq` is stored already, by an earlier try of ours.

        When the server has lost events that it had confirmed, they are stored again, and the answer is no.
        """
        found = await persistently(self._last)
        last = found.seq if found else -1
        if (found is not None and found.attempt != self._attempt) or last > seq:
            raise LostRun(self.run_id)
        self._position = found.position if found else 0
        if last == seq:
            return True
        missing = [(number, line) for number, line in self._tail if last < number < seq]
        if len(missing) != seq - last - 1:
            raise LostRun(self.run_id)
        for number, line in missing:
            await self._store(number, line)
        return False

    async def _last(self) -> Stored | None:
        try:
            message = await self._connection.js.get_msg(EVENTS, subject=self._subject, direct=True)
        except nats.js.errors.NotFoundError:
            return None
        return await self._stored(message)

    async def _stored(self, message: RawStreamMsg) -> Stored:
        headers = message.headers or {}
        id = headers.get(MESSAGE_ID, "")
        text = await content(self._connection, self._queue, id, message.data, headers)
        event = json.loads(text)
        return Stored(message.seq or 0, event["seq"], headers.get(ATTEMPT, ""), event, text)

    async def after(self, position: int) -> Stored | None:
        """The first event behind a position of the stream; None when there is none yet."""
        js = self._connection.js
        try:
            message = await js.get_msg(
                EVENTS, seq=position + 1, subject=self._subject, direct=True, next=True
            )
        except nats.js.errors.NotFoundError:
            return None
        return await self._stored(message)

    async def events(self) -> AsyncGenerator[Stored]:
        """All events that there are now."""
        position = 0
        while found := await persistently(partial(self.after, position)):
            yield found
            position = found.position

    async def close_killed(self, thread_id: str | None) -> None:
        """End the log of a run that has died: an `error` and `complete`, with what is known from its events.

        Does nothing when the run has ended, or when another one ends it at this moment.
        """
        last = await self.last()
        if last is None or last.is_complete:
            return
        if self._queue.is_device and self._attempt:  # its runner may read the last event only
            stream = [last.event]
        else:
            stream = [stored.event async for stored in self.events()]
        lines = last_events(self.run_id, thread_id, stream).encode().splitlines()
        with suppress(LostRun):
            for seq, line in enumerate(lines, stream[-1]["seq"] + 1):
                await self.append(seq, line)
