"""Leases: a runner keeps a request as long as it renews the lease, which ends with the run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.msg import Msg

from agent_runtime.fleet.connection import TRANSIENT, Connection
from agent_runtime.fleet.messages import heed_cancellation
from agent_runtime.fleet.names import Queue

_REACHABLE = 5.0  # seconds within which a runner that is alive connects to NATS again
_ASK = 0.3  # seconds between two messages to it


class LostLease(Exception):
    """The lease could not be renewed in time: the request may be with another runner by now."""


@asynccontextmanager
async def kept(connection: Connection, message: Msg, lease: float) -> AsyncIterator[None]:
    """Renew the lease of a request until the end of the block.

    Args:
        connection: to NATS.
        message: the request.
        lease: seconds.

    Raises:
        ExceptionGroup: of LostLease, when it could not be renewed.
    """
    async with asyncio.TaskGroup() as group:
        renewing = group.create_task(_renew(connection, message, lease))
        try:
            yield
        finally:
            renewing.cancel()


async def _renew(connection: Connection, message: Msg, lease: float) -> None:
    renewed = time.monotonic()
    while time.monotonic() - renewed < lease * 0.8:
        sent = time.monotonic()
        try:
            await connection.client.request(message.reply, Msg.Ack.Progress, timeout=lease / 6)
            renewed = sent
            heed_cancellation()
        except TRANSIENT:
            await asyncio.sleep(min(lease / 30, 0.5))
        else:
            await asyncio.sleep(lease / 3)
    raise LostLease


async def ask(
    connection: Connection, queue: Queue, run_id: str, message: dict[str, Any] | None = None
) -> bool:
    """Send a control message to the runner of a run (by default one without effect); returns whether it answers."""
    data = json.dumps(message or {"action": "ping"}).encode()
    try:
        await connection.client.request(queue.control(run_id), data, timeout=1.0)
    except TRANSIENT:
        return False
    return True


async def is_elsewhere(
    connection: Connection, queue: Queue, run_id: str, lease: float, *, has_begun: bool
) -> bool:
    """Return whether another runner executes a run, whose lease has ended or whose request was queued twice.

    The runner of a run that has begun may just be connecting to NATS again, or be slow to answer: it is asked more than
    once. A server that was killed may deliver such a request as if it were new.

    Args:
        connection: to NATS.
        queue: of the run.
        run_id: of the run.
        lease: seconds.
        has_begun: whether its request was delivered before, or its log has events.
    """
    deadline = time.monotonic() + (min(lease / 3, _REACHABLE) if has_begun else 0.0)
    while not await ask(connection, queue, run_id):
        heed_cancellation()
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_ASK)
    return True
