"""Heartbeat events: what the run waits for while nothing else is written."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio

from agent_runtime.output.event_writer import EventWriter, timestamp
from agent_runtime.protocol import events

Emit = Callable[[events.Event], Awaitable[None]]


class HeartbeatTimer:
    """Emits a heartbeat when no other event was written for a while."""

    def __init__(self, emitter: EventWriter, emit: Emit) -> None:
        self._emitter, self._emit = emitter, emit
        self._awaiting, self._since = "model", timestamp()

    def awaiting(self, what: str) -> None:
        """Note what the run waits for from now on: `model`, `tool`, `retry` or `resume`."""
        self._awaiting, self._since = what, timestamp()

    @property
    def awaited(self) -> str:
        """What the run waits for."""
        return self._awaiting

    async def beat(self, seconds: float) -> None:
        """Emit a heartbeat whenever no event was written for `seconds`. Runs until cancelled."""
        while True:
            quiet = time.monotonic() - self._emitter.last
            if quiet >= seconds:
                await self._emit(events.HeartbeatEvent(awaiting=self._awaiting, since=self._since))  # type: ignore[arg-type]
                quiet = 0
            await anyio.sleep(seconds - quiet)
