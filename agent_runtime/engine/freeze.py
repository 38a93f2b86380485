"""Freezes a run for a snapshot of its machine, and thaws it, possibly as a fork of that snapshot.

While a run is frozen, no step begins, no event follows the notice `frozen`, the clock stands still, connections are
closed, and files are on the disk. Programs that tools have started go on until the machine itself stops.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
from anyio.to_thread import run_sync

from agent_runtime.agent.step_gate import StepGate
from agent_runtime.engine.context import RunContext
from agent_runtime.engine.renewal import RunIdentity
from agent_runtime.protocol import events
from agent_runtime.protocol.control import ControlMessage, Renewal, parse_control
from agent_runtime.system.sync import sync_filesystems

log = logging.getLogger(__name__)

STEP_SECONDS = 1.2  # for the step under way to end by itself
DROP_SECONDS = 0.2  # for a model call to notice that its connection was closed
WHOLE_SECONDS = 1.9  # from the request to the notice; what is not on the disk by then is named

Done = Callable[[events.NoticeEvent], None]


def _nobody(notice: events.NoticeEvent) -> None:
    """The default callback: only the event stream reports the notice."""


class Freezer:
    """Freezes and thaws a run, one request after the other.

    Args:
        ctx: the context of the run.
        identity: what changes in a fork of the snapshot.
    """

    def __init__(self, ctx: RunContext, identity: RunIdentity) -> None:
        self._ctx, self._identity = ctx, identity
        self._gate: StepGate = ctx.gate
        self._sender, self._requests = anyio.create_memory_object_stream[tuple[ControlMessage, Done]](
            math.inf
        )
        self._is_frozen = False

    @property
    def run_id(self) -> str:
        """The present id of the run."""
        return self._ctx.sink.run_id

    def request(self, control: ControlMessage, done: Done = _nobody) -> None:
        """Freeze or thaw the run soon.

        Args:
            control: of the action `freeze` or `thaw`.
            done: called with the notice that reports it.
        """
        if control.action == "freeze":
            self._gate.close()  # at once: no step begins after this
        self._sender.send_nowait((control, done))

    async def run(self) -> None:
        """Serve the requests until cancelled."""
        async for control, done in self._requests:
            notice = await (self._freeze() if control.action == "freeze" else self._thaw(control))
            if notice:
                done(notice)

    async def end_when_stopped(self) -> None:
        """Let a frozen run go on to its end when it is stopped."""
        await self._ctx.stop.wait()
        await self._release()

    async def detected(self, seconds: float) -> None:
        """Renew what is stale after a freeze that was not announced.

        Args:
            seconds: how long it took.
        """
        if self._is_frozen:
            return
        await self._renew()
        message = (
            f"the machine was frozen for about {seconds:.0f} s; deadlines are moved, connections reopened"
        )
        details = {"seconds": round(seconds)}
        await self._ctx.sink.emit(events.NoticeEvent(code="thawed", message=message, details=details))

    async def _freeze(self) -> events.NoticeEvent | None:
        ctx = self._ctx
        deadline = anyio.current_time() + WHOLE_SECONDS
        if not self._is_frozen:
            self._gate.close()
            with anyio.move_on_after(STEP_SECONDS):
                await self._gate.until_idle()
            with anyio.move_on_after(DROP_SECONDS):
                await self._identity.close_connections()
                await self._gate.until_idle()
        is_synced = False
        with anyio.move_on_at(deadline):
            await run_sync(self._sync, abandon_on_cancel=True)
            is_synced = True
        if ctx.stop.reason is not None:
            return None
        in_flight = self._in_flight()
        names = ", ".join(
            f"{each['tool']} {each['id']}" if "tool" in each else each["step"] for each in in_flight
        )
        message = "the run is frozen; a snapshot may be taken" + (f"; under way: {names}" if names else "")
        details = {"inFlight": in_flight, "synced": is_synced}
        notice = events.NoticeEvent(code="frozen", message=message, details=details)
        log.debug("%s", message)
        self._is_frozen = True
        ctx.clock.stop()  # before the notice: the machine may stop as soon as it is read
        await ctx.sink.hold(notice)
        return notice

    async def _thaw(self, control: ControlMessage) -> events.NoticeEvent | None:
        ctx, renewal = self._ctx, control.renewal or Renewal()
        before = ctx.sink.run_id
        seconds = ctx.clock.go()
        await self._renew()
        problem = await self._identity.renew(renewal)
        now = ctx.sink.run_id
        renamed = f" as {now}" if now != before else ""
        message = f"run {before} goes on{renamed}" + (f"; {problem}" if problem else "")
        details: dict[str, Any] = {"runId": now, "previousRunId": before, "seconds": round(seconds, 3)}
        if self._identity.sandbox_id:
            details["sandboxId"] = self._identity.sandbox_id
        notice = events.NoticeEvent(code="thawed", message=message, details=details)
        self._is_frozen = False
        await ctx.sink.release(notice)
        self._gate.open()
        return notice

    async def _release(self) -> None:
        self._is_frozen = False
        self._ctx.clock.go()
        await self._ctx.sink.release()
        self._gate.open()

    async def _renew(self) -> None:
        """Renew the random state and the connections: those from before a freeze are dead, even if they look open."""
        random.seed()
        tempfile._name_sequence = None  # type: ignore[attr-defined]  # has a random state of its own
        await self._identity.close_connections()

    def _in_flight(self) -> list[dict[str, str]]:
        if calls := self._ctx.calls_in_flight():
            return calls
        return [] if self._gate.is_idle else [{"step": self._ctx.heartbeat.awaited}]

    def _sync(self) -> None:
        if recorder := self._ctx.recorder:
            recorder.sync()
        sync_filesystems([self._ctx.config.workspace, self._ctx.config.state_dir])


async def serve_channel(fd: int, freezer: Freezer) -> None:
    """Take `freeze` and `thaw` from a socket that keeps messages apart, and answer each by its notice there.

    Args:
        fd: descriptor of the socket.
        freezer: serves the requests.
    """
    with socket.socket(fileno=os.dup(fd)) as channel:
        channel.setblocking(False)

        def answer(notice: events.NoticeEvent) -> None:
            body = {"code": notice.code, "runId": freezer.run_id, "details": notice.details}
            with suppress(OSError):  # the standby has ended
                channel.send(json.dumps(body).encode())

        while True:
            await anyio.wait_readable(channel)
            message = channel.recv(1 << 18)
            if not message:
                return
            freezer.request(parse_control(message), answer)
