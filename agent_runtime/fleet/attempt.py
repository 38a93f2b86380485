"""One delivery of a request to a runner: the run, its events, its lease, its control messages.

What a delivery does depends on the log of the run. If the log is empty or has `start` only, the run is executed. If it
ends with `complete`, nothing is left to do. Otherwise the runner that had begun the run has died, and the run has
failed; it is not executed again, because its tools may have changed something.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import nats.js.errors
from nats.aio.msg import Msg

from agent_runtime.errors import RequestError
from agent_runtime.fleet.connection import Connection
from agent_runtime.fleet.dead_letters import give_up
from agent_runtime.fleet.event_log import EventLog, LostRun, Stored
from agent_runtime.fleet.lease import LostLease, is_elsewhere, kept
from agent_runtime.fleet.messages import content, heed_cancellation, persistently
from agent_runtime.fleet.names import RUN_ID, Queue
from agent_runtime.fleet.process import RunProcess, started
from agent_runtime.output.lines import encode_line
from agent_runtime.protocol.request import parse
from agent_runtime.protocol.strict_json import decode
from agent_runtime.server.killed_run import last_events
from agent_runtime.server.launch import Launcher

log = logging.getLogger(__name__)

MOST_DELIVERIES = 5  # of a request whose runners have all died before its tools could run
_LAUNCH_AGAIN = 5.0  # seconds until a request whose run could not be started is delivered again
_SLIM = (
    "start",
    "usage",
    "dev_url",
    "file_edit",
)  # events that describe the state of a run, in case its process is killed


@dataclass(frozen=True)
class RunnerContext:
    """What the attempts of a runner share.

    Attributes:
        lease: seconds.
        defaults: fields of requests that name none.
    """

    connection: Connection
    queue: Queue
    launcher: Launcher
    lease: float
    defaults: dict[str, Any]


class Attempt:
    """One delivery of a request.

    Args:
        context: of the runner.
        message: the delivered request.
    """

    def __init__(self, context: RunnerContext, message: Msg) -> None:
        self._context, self._message = context, message
        self.run_id = _run_id(message)
        self._request: dict[str, Any] = {}
        self._events = EventLog(context.connection, context.queue, self.run_id, token_hex(8))
        self._process: RunProcess | None = None
        self._cancelled = False

    async def work(self) -> None:
        """Handle the request, and acknowledge it unless another runner has it now."""
        try:
            async with kept(self._context.connection, self._message, self._context.lease):
                await self._handle()
        except* LostLease:
            log.warning("run %s: the lease could not be renewed in time; the run was stopped", self.run_id)
        except* LostRun:
            log.warning("run %s is with another runner, or was cancelled; it was stopped here", self.run_id)
            last = await self._events.last()
            if last and last.is_complete:
                await self._acknowledge()

    def cancel(self) -> None:
        """Cancel the run."""
        self._cancelled = True
        if self._process:
            self._process.send({"action": "cancel"})

    async def _handle(self) -> None:
        context, deliveries = self._context, self._message.metadata.num_delivered
        try:
            self._request = await self._read()
        except RequestError as error:
            await give_up(context.connection, context.queue, self._message, self._events, str(error))
            return
        has_begun = (deliveries or 1) > 1 or await self._events.last() is not None
        if await is_elsewhere(
            context.connection, context.queue, self.run_id, context.lease, has_begun=has_begun
        ):
            return  # it is delivered again after the lease
        last = await self._events.last()
        if last and not last.is_start:
            await self._events.close_killed(self._request.get("threadId"))
        elif deliveries is not None and deliveries > MOST_DELIVERIES:
            reason = (
                f"delivered {MOST_DELIVERIES} times, and each runner has died before the run had begun to act"
            )
            await give_up(context.connection, context.queue, self._message, self._events, reason)
            return
        else:
            try:
                await self._run(last)
            except OSError as error:
                log.warning("run %s cannot be started: %s", self.run_id, error)
                await persistently(lambda: self._message.nak(_LAUNCH_AGAIN))
                return
        await self._acknowledge()

    async def _read(self) -> dict[str, Any]:
        """The request. Raises RequestError when it is not valid."""
        context, message = self._context, self._message
        if not self.run_id:
            raise RequestError("runId", f"expected the id of the run, here or in the header {RUN_ID}")
        try:
            body = decode(await self._content())
        except nats.js.errors.NotFoundError:
            raise RequestError("request", "its pieces are no longer kept") from None
        request, _ = parse(body)
        fields: dict[str, Any] = request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        log.debug("run %s: delivery %s", self.run_id, message.metadata.num_delivered)
        return context.defaults | fields | {"runId": self.run_id, "format": "ndjson"}

    async def _content(self) -> bytes:
        context, message = self._context, self._message
        return await persistently(
            lambda: content(context.connection, context.queue, self.run_id, message.data, message.headers)
        )

    async def _run(self, last: Stored | None) -> None:
        """Execute the run. Raises OSError when it cannot be started, LostRun when another runner has it."""
        async with (
            self._controlled(),
            started(self._context.launcher, json.dumps(self._request).encode()) as process,
        ):
            self._process = process
            if self._cancelled:
                self.cancel()
            await self._publish(process, last)

    async def _publish(self, process: RunProcess, last: Stored | None) -> None:
        """Store the events. Tools may run once an event after `start` is stored: the run is ours then."""
        known: list[dict[str, Any]] = [last.event] if last else []
        shift = 0
        async for line in process.lines():
            event = json.loads(line)
            if last and event["seq"] == 0:
                if event["type"] == "start":  # the one of the earlier delivery is stored
                    continue
                shift = 1
            if shift:
                event["seq"] += shift
                line = encode_line(event).encode()
            await self._events.append(event["seq"], line)
            heed_cancellation()
            if event["seq"] == 1:
                process.send({"action": "resume"})
            event.pop("diff", None)
            known = [kept for kept in known if kept["type"] in _SLIM] + [event]
        if not known or known[-1]["type"] != "complete":
            await process.kill_tools()
            await self._end_killed(known)

    async def _end_killed(self, known: list[dict[str, Any]]) -> None:
        lines = last_events(self.run_id, self._request.get("threadId"), known).encode().splitlines()
        for seq, line in enumerate(lines, known[-1]["seq"] + 1 if known else 0):
            await self._events.append(seq, line)

    @asynccontextmanager
    async def _controlled(self) -> AsyncIterator[None]:
        """Receive control messages for the run."""

        async def receive(message: Msg) -> None:
            try:
                control = json.loads(message.data)
            except ValueError:
                return
            if not isinstance(control, dict):
                return
            if self._process and control.get("action") != "ping":
                self._process.send(control)
            elif control.get("action") == "cancel":
                self.cancel()
            await message.respond(b'{"accepted":true}')

        subject = self._context.queue.control(self.run_id)
        subscription = await self._context.connection.client.subscribe(subject, cb=receive)
        try:
            yield
        finally:
            await subscription.unsubscribe()

    async def _acknowledge(self) -> None:
        await persistently(lambda: self._message.ack_sync(timeout=2))


def _run_id(message: Msg) -> str:
    """The id in the header, or that in the request; empty when there is none."""
    if id := (message.headers or {}).get(RUN_ID):
        return id
    try:
        found = json.loads(message.data)["runId"]
    except (ValueError, TypeError, KeyError):
        return ""
    return found if isinstance(found, str) else ""
