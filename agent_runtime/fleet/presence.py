"""Presence: each runner reports every few seconds that it is active. The report expires when the runner stops."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import nats.errors

from agent_runtime.fleet.connection import PRESENCE_KEPT, TRANSIENT, Connection
from agent_runtime.fleet.dispatch import values
from agent_runtime.fleet.messages import heed_cancellation
from agent_runtime.fleet.names import RUNNERS, Queue

_INTERVAL = PRESENCE_KEPT / 3


class Presence:
    """The presence of one runner.

    Args:
        connection: to NATS.
        queue: of the runner.
        runner: its id.
        known: the constant part of the report: host, labels, ...
    """

    def __init__(self, connection: Connection, queue: Queue, runner: str, known: dict[str, Any]) -> None:
        self._connection, self._known = connection, {"id": runner, "queue": queue.name, **known}
        self._subject = f"$KV.{RUNNERS}.{queue.presence(runner)}"
        self.changed = asyncio.Event()
        self.running: set[str] = set()
        self.draining = False

    async def keep(self) -> None:
        """Report until cancelled: at once when something has changed, otherwise every 5 s."""
        while True:
            self.changed.clear()
            state = {"running": sorted(self.running), "draining": self.draining}
            with suppress(*TRANSIENT):
                await self._connection.js.publish(self._subject, json.dumps(self._known | state).encode())
            heed_cancellation()
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self.changed.wait()

    async def leave(self) -> None:
        """Remove the report."""
        with suppress(nats.errors.Error, OSError):
            await self._connection.js.publish(self._subject, b"", headers={"KV-Operation": "DEL"}, timeout=1)


async def present(connection: Connection, queue: Queue | None = None) -> list[dict[str, Any]]:
    """The active runners of one queue, or of all queues."""
    bucket = await connection.js.key_value(RUNNERS)
    return await values(bucket, lambda key: queue is None or key.startswith(f"{queue.subject}."))
