"""Requests that are not tried again: they are kept with the reason, and their runs have failed."""

from __future__ import annotations

import logging

from nats.aio.msg import Msg

from agent_runtime.fleet.connection import Connection
from agent_runtime.fleet.event_log import EventLog, LostRun
from agent_runtime.fleet.messages import persistently
from agent_runtime.fleet.names import DELIVERIES, MESSAGE_ID, PART_COUNT, REASON, RUN_ID, Queue
from agent_runtime.output.event_writer import payload_of
from agent_runtime.output.lines import encode_line
from agent_runtime.protocol import events

log = logging.getLogger(__name__)


async def give_up(connection: Connection, queue: Queue, message: Msg, run: EventLog, reason: str) -> None:
    """Keep a request as a dead letter, end the log of its run if it has an id, and remove it from the queue.

    Args:
        connection: to NATS.
        queue: of the request.
        message: the request, as it was delivered.
        run: the log of its run.
        reason: why it is not tried again.
    """
    log.warning("run %s is a dead letter: %s", run.run_id or "without an id", reason)
    deliveries = message.metadata.num_delivered
    headers = {
        MESSAGE_ID: f"dead:{message.metadata.sequence.stream}",
        REASON: " ".join(reason.split()),
        RUN_ID: run.run_id,
        DELIVERIES: str(deliveries),
    }
    if parts := (message.headers or {}).get(PART_COUNT):
        headers[PART_COUNT] = parts
    kept = {name: value.encode("ascii", "replace").decode() for name, value in headers.items() if value}
    await persistently(lambda: connection.js.publish(queue.dead(), message.data, headers=kept))
    if run.run_id:
        await _fail(run, reason)
    await persistently(lambda: message.ack_sync(timeout=2))


async def _fail(run: EventLog, reason: str) -> None:
    last = await run.last()
    if last and last.is_complete:
        return
    info = events.ErrorInfo(code="invalid_request", message=reason, retryable=False)
    error = events.ErrorEvent(code=info.code, message=reason, retryable=False)
    complete = events.CompleteEvent(status="failed", stop_reason="error", output="", result="", error=info)
    try:
        for seq, event in enumerate((error, complete), last.seq + 1 if last else 0):
            await run.append(seq, encode_line(payload_of(event, seq, run.run_id)).encode())
    except LostRun:
        return
