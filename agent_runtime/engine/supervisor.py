"""The life of a run inside the event loop: the loop itself, and everything that goes on beside it.

Beside the loop run: control messages, the clock, the watch on stdout, heartbeats, the change tracker, the server watch.
Whatever ends the run early says why through `stop`, once, and cancels the loop; what comes after is bounded in time.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from agent_runtime.agent.inbox import Inbox
from agent_runtime.agent.limits import Budget
from agent_runtime.agent.loop import Loop, run_loop
from agent_runtime.engine import result
from agent_runtime.engine.clock import RunClock
from agent_runtime.engine.result import RunResult
from agent_runtime.engine.stdin import listen
from agent_runtime.errors import AgentRuntimeError, RequestError
from agent_runtime.output.deltas import DeltaWriter, HeartbeatTimer
from agent_runtime.output.event_writer import StdoutClosed
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import Usage
from agent_runtime.system.processes import kill_descendants

if TYPE_CHECKING:
    from agent_runtime.engine.run import Run
    from agent_runtime.engine.services import RunServices
    from agent_runtime.transcripts.records import ControlRecord

log = logging.getLogger(__name__)

LAST_LOOK_SECONDS = 20.0  # for the final reconciliation of a run that ended by itself
HURRIED_SECONDS = 0.8  # the same when somebody waits for a cancelled run to end


class RunSupervisor:
    """Everything that needs the event loop. Made once `start` is out."""

    def __init__(self, run: Run) -> None:
        self.frame = run
        self.plan, self.emitter = run.plan, run.emitter
        self.reason: str | None = None
        self.clock = RunClock()
        self.budget = Budget(run.plan.limits, self.clock.elapsed)
        self.deltas = DeltaWriter(self.send, run.mask, wanted=run.plan.request.partial)
        self.heart = HeartbeatTimer(run.emitter, self.emit)
        self.parts: RunServices | None = None
        self._waits: list[anyio.CancelScope] = []  # for the reader, shielded ones too
        self._step: anyio.CancelScope | None = None  # of the end
        self._hurried = False
        if run.player:
            run.player.on_control = self._replay_control

    # -- events ---------------------------------------------------------------------------------------------------

    async def emit(self, event: events.Event) -> None:
        """Emit, and wait for the reader: a slow one slows the run. Never raises: a lost reader stops the run."""
        await self.deltas.before(event)
        await self.send(event)

    async def send(self, event: events.Event) -> None:
        """Emit without looking at what is held back."""
        self.emitter.put(event)
        if self.reason is not None:
            return  # a reader that has stopped reading does not hold up the end
        with anyio.CancelScope() as wait:
            self._waits.append(wait)
            try:
                await self.emitter.drain()
            except StdoutClosed:
                self.stop("stdout_closed")
            finally:
                self._waits.remove(wait)

    def stop(self, reason: str) -> None:
        """End the run early. Only the first reason counts."""
        if self.reason is None:
            self.reason = reason
            if self.frame.recorder:
                self.frame.recorder.control("timeout" if reason == "timeout" else "cancel", reason=reason)
            for wait in self._waits:
                wait.cancel()
            self.scope.cancel()

    # -- the run --------------------------------------------------------------------------------------------------

    def run(self, stdin: int | None, rest: bytes) -> RunResult:
        """From the first model call to the last look at the workspace."""
        return anyio.run(self._main, stdin, rest)

    async def _main(self, stdin: int | None, rest: bytes) -> RunResult:
        self.scope = anyio.CancelScope()
        loop = asyncio.get_running_loop()

        def signalled(reason: str) -> None:
            with suppress(RuntimeError):  # the loop has just been closed: the run is over anyway
                loop.call_soon_threadsafe(self.stop, reason)

        def hurried() -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._hurry)

        self.frame.interrupts.listen(signalled)
        self.frame.interrupts.kill = kill_descendants
        self.frame.interrupts.hurry = hurried
        ended: RunResult | None = None
        async with anyio.create_task_group() as beside:
            self.inbox = Inbox(self.stop)
            beside.start_soon(self._guard, self._watch_stdout)
            if stdin is not None:
                beside.start_soon(self._guard, lambda: listen(stdin, rest, self.control))
            beside.start_soon(
                self._guard,
                lambda: self.clock.watch(
                    self.plan.limits.timeout, lambda: self.stop("timeout"), self._thawed
                ),
            )
            if self.plan.request.heartbeat:
                beat = self.plan.request.heartbeat
                beside.start_soon(self._guard, lambda: self.heart.beat(beat))
            ended = await self._until_it_ends(beside)
            beside.cancel_scope.cancel()
        assert ended
        with anyio.CancelScope(shield=True):
            await self._finish(ended)
        return ended

    async def _until_it_ends(self, beside: anyio.abc.TaskGroup) -> RunResult:
        ended: RunResult | None = None
        with self.scope:
            try:
                from agent_runtime.engine.build import assemble

                self.parts = parts = await assemble(self)
                for watch in parts.watches:
                    beside.start_soon(self._guard, lambda watch=watch: watch(self.emit))
                ended = result.ended(await run_loop(self._loop(parts)))
            except AgentRuntimeError as error:
                ended = result.failed(error, self.said)
            except Exception as error:
                inner = single(error)
                if not isinstance(inner, AgentRuntimeError):
                    log.exception("the run failed")
                ended = result.failed(inner, self.said)
        if ended is None or (self.reason and ended.status != "completed"):
            return result.interrupted(self.reason or "cancelled", self.said, self.plan.limits.timeout)
        return ended

    def _loop(self, parts: RunServices) -> Loop:
        return Loop(
            model=parts.models,
            conversation=parts.conversation,
            executor=parts.executor,
            inbox=self.inbox,
            budget=self.budget,
            emit=self.emit,
            deltas=self.deltas.of_turn,
            awaiting=self.heart.awaiting,
        )

    @property
    def said(self) -> str:
        """The last thing the model said: the answer of a run that was cut short."""
        return self.parts.conversation.last_text if self.parts else ""

    async def _finish(self, ended: RunResult) -> None:
        """Stop what an ended run must not leave, let go of the rest, and look at the workspace for the last time."""
        parts = self.parts
        if parts is None:
            return
        kill = ended.status == "cancelled" or ended.stop == "timeout"
        patience = HURRIED_SECONDS if self.reason else LAST_LOOK_SECONDS
        for step, seconds in (
            (lambda: parts.detach(kill=kill), patience),
            (parts.last_look, patience),
            (parts.close, HURRIED_SECONDS),
        ):
            with anyio.move_on_after(0 if self._hurried else seconds) as self._step:
                await self._guard(step)

    def _hurry(self) -> None:
        """All that the run had started is dead by a second signal: nothing is waited for any more."""
        self._hurried = True
        if self._step:
            self._step.cancel()

    async def spend(self, usage: Usage) -> None:
        """Count a model call that was no turn (a summary)."""
        self.budget.usage += usage
        await self.emit(
            events.usage_report(usage, self.budget.turns, (0, self.plan.endpoints[0].context_window))
        )

    # -- beside the loop ------------------------------------------------------------------------------------------

    async def control(self, line: bytes) -> None:
        """A control line. One that says nothing known is an `error` event, and changes nothing."""
        try:
            done = self.inbox.handle(line)
        except RequestError as error:
            details = {
                "field": error.field,
                "expected": error.expected,
                "line": line[:200].decode("utf-8", "replace"),
            }
            await self.emit(
                events.ErrorEvent(code=error.code, message=str(error), retryable=False, details=details)
            )
            return
        if self.frame.recorder and done.action != "cancel":
            self.frame.recorder.control(done.action, text=done.text)

    def _replay_control(self, record: ControlRecord) -> None:
        if record.action == "input":
            self.inbox.deliver(record.text or "")
        elif record.action in ("cancel", "timeout"):
            self.stop("timeout" if record.action == "timeout" else record.reason or "cancelled")

    async def _watch_stdout(self) -> None:
        """Notice that the reader has gone, also while nothing is written."""
        with select.epoll() as poll:
            try:
                poll.register(self.emitter.fd, 0)  # errors and hang-ups are reported unasked
            except PermissionError:
                return  # a regular file has no reader
            while True:
                await anyio.wait_readable(poll.fileno())
                if poll.poll(0):
                    self.emitter.lose()
                    self.stop("stdout_closed")
                    return

    async def _thawed(self, seconds: float) -> None:
        message = (
            f"the machine was frozen for about {seconds:.0f} s; deadlines are moved, connections made anew"
        )
        await self.emit(
            events.NoticeEvent(code="thawed", message=message, details={"seconds": round(seconds)})
        )
        if self.parts:
            await self.parts.thawed()

    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        """A failure beside the loop is logged; it does not end the run."""
        try:
            await task()
        except Exception:
            log.exception("%s failed", getattr(task, "__qualname__", task))

    # -- the end --------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """What `complete` says of the run's work."""
        world = self.parts.world() if self.parts else {}
        return {"usage": result.total(self.budget.usage), "iterations": self.budget.turns, **world}


def single(error: BaseException) -> BaseException:
    """The one error inside nested groups, which task groups make of whatever a task raises."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return next(
            (inner for inner in map(single, error.exceptions) if isinstance(inner, AgentRuntimeError)), error
        )
    return error
