"""Supervises a run inside the event loop: the agent loop, and the tasks that run concurrently with it.

These are: reading control messages, watching the clock and the reader, heartbeats, the change tracker, the dev server
watcher. A run is ended early through its StopSwitch; the steps after that are limited in time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import anyio
from anyio.to_thread import run_sync

from agent_runtime.agent import trace
from agent_runtime.agent.loop import run_loop
from agent_runtime.agent.loop_services import Loop
from agent_runtime.engine import result
from agent_runtime.engine.build import build_services, prepare_for_tools, system_prompt
from agent_runtime.engine.clock import RunEventLoop
from agent_runtime.engine.context import RunContext
from agent_runtime.engine.freeze import Freezer, serve_channel
from agent_runtime.engine.mcp_lifecycle import McpLifecycle
from agent_runtime.engine.prompt import ignored_notice, literal_notice, skills_of
from agent_runtime.engine.renewal import RunIdentity
from agent_runtime.engine.result import RunResult
from agent_runtime.engine.retention import clean_now_and_then
from agent_runtime.engine.services import RunServices
from agent_runtime.engine.shutdown import RunShutdown
from agent_runtime.engine.signals import SignalHandler
from agent_runtime.engine.stdin import listen
from agent_runtime.engine.tasks import guarded, single
from agent_runtime.errors import AgentRuntimeError, RequestError
from agent_runtime.protocol import events
from agent_runtime.protocol.control import ControlMessage
from agent_runtime.system.process_tree import kill_descendants
from agent_runtime.system.signal_descriptor import ignore_reserved

log = logging.getLogger(__name__)


class RunSupervisor:
    """Runs the loop to its end.

    Args:
        ctx: the context of the run.
        signals: the signals that cancel the run; a second one within two seconds kills its processes.
    """

    def __init__(self, ctx: RunContext, signals: SignalHandler) -> None:
        self.ctx, self._signals = ctx, signals
        self._services: RunServices | None = None  # built by `run`
        self._mcp = McpLifecycle(ctx)
        self._identity = RunIdentity(ctx, lambda: self._services, self._mcp)
        self._freezer = Freezer(ctx, self._identity)
        self._result: RunResult  # set when the loop has ended
        self._shutdown = RunShutdown(ctx)
        self._typed = False  # whether control lines come from a terminal

    def run(self, stdin: int | None, unread: bytes, control: int | None = None) -> RunResult:
        """Run the event loop, from the first model call to the last scan of the workspace.

        Args:
            stdin: descriptor of the control messages; None for no control messages.
            unread: bytes that were read from it after the request.
            control: descriptor of a socket of the standby; None without one.
        """
        loop = {"loop_factory": partial(RunEventLoop, self.ctx.clock.now)}
        return anyio.run(self._main, stdin, unread, control, backend_options=loop)

    async def _main(self, stdin: int | None, unread: bytes, control: int | None) -> RunResult:
        trace.enter(self.ctx.tracing.trace)
        self._listen_to_signals()
        async with anyio.create_task_group() as background:
            for task in self._background_tasks(stdin, unread):
                background.start_soon(guarded, task)
            if control is not None:
                background.start_soon(guarded, partial(serve_channel, control, self._freezer))
            self._result = await self._run_to_end(background)
            with self.ctx.stop.scope():
                await self.ctx.gate.ready()
            await self._mcp.aclose()
            background.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            if self._services:
                self._result = await self._shutdown.run(self._services, self._result)
        return self._result

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def call_soon(function: Callable[..., None], *arguments: str) -> None:
            with suppress(RuntimeError):  # the event loop has just been closed: the run is over
                loop.call_soon_threadsafe(function, *arguments)

        ignore_reserved()
        self._signals.listen(
            partial(call_soon, self.ctx.stop.stop),
            kill=kill_descendants,
            hurry=partial(call_soon, self._shutdown.abandon),
            ignores=self.ctx.tool_signals.ignores,
            freezes=partial(call_soon, self._signalled),
        )

    def _signalled(self, action: Literal["freeze", "thaw"]) -> None:
        self._freezer.request(ControlMessage(action))

    def _background_tasks(self, stdin: int | None, unread: bytes) -> list[Callable[[], Awaitable[None]]]:
        ctx = self.ctx
        tasks: list[Callable[[], Awaitable[None]]] = [
            ctx.sink.watch_reader,
            self._watch_clock,
            self._freezer.run,
            self._freezer.end_when_stopped,
            self._clean_old_runs,
        ]
        if stdin is not None:
            self._typed = os.isatty(stdin)
            tasks.append(partial(self._listen, stdin, unread))
        if ctx.config.request.heartbeat:
            tasks.append(partial(ctx.heartbeat.beat, ctx.config.request.heartbeat))
        return tasks

    async def _run_to_end(self, background: anyio.abc.TaskGroup) -> RunResult:
        ctx = self.ctx
        ended: RunResult | None = None
        with ctx.stop.scope():
            try:
                settings = prepare_for_tools(ctx)
                if servers := await self._mcp.start(settings):
                    background.start_soon(guarded, servers)
                prompt = await self._prompt()
                if mcp := await self._mcp.tools(settings):
                    prompt = f"{prompt}\n\n{mcp.instructions}".strip()
                self._services = services = build_services(ctx, prompt, settings, mcp.tools if mcp else {})
                log.debug("services are built; the loop starts")
                for task in services.background_tasks:
                    background.start_soon(guarded, partial(task, ctx.sink.emit))
                of_loop = result.ended(await run_loop(self._loop(services)))
                if of_loop.status == "completed":
                    with ctx.gate.idle():
                        await services.wait_for_work()
                ended = of_loop
            except AgentRuntimeError as error:
                ended = result.failed(error, self._last_text)
            except Exception as error:
                inner = single(error)
                if not isinstance(inner, AgentRuntimeError):
                    log.exception("the run failed")
                ended = result.failed(inner, self._last_text)
        log.debug("the loop has ended: %s; stopped: %s", ended and ended.stop, ctx.stop.reason)
        if ended is None or (ctx.stop.reason and ended.status != "completed"):
            reason = ctx.stop.reason or "cancelled"
            return result.interrupted(reason, self._last_text, ctx.config.limits.timeout)
        return ended

    async def _prompt(self) -> str:
        """Find the skills, report those that are ignored, and render the system prompt. Raises RequestError."""
        ctx = self.ctx
        skills, ignored = await run_sync(skills_of, ctx.config, ctx.environ, abandon_on_cancel=True)
        for each in ignored:
            await ctx.sink.emit(ignored_notice(each))
        if notice := await run_sync(literal_notice, ctx.config, abandon_on_cancel=True):
            await ctx.sink.emit(notice)
        prompt = await run_sync(system_prompt, ctx, skills, abandon_on_cancel=True)
        log.debug("system prompt: %d characters", len(prompt))
        return prompt

    def _loop(self, services: RunServices) -> Loop:
        ctx = self.ctx
        return Loop(
            model=services.model,
            conversation=services.conversation,
            executor=services.executor,
            inbox=ctx.inbox,
            budget=ctx.budget,
            costs=services.costs,
            emit=ctx.sink.emit,
            deltas=ctx.sink.deltas.of_turn,
            awaiting=ctx.heartbeat.awaiting,
            answers=services.answers,
            questions=services.tools.user,
        )

    @property
    def _last_text(self) -> str:
        """The last text of the model: the output of a run that ended early."""
        return self._services.conversation.last_text if self._services else ""

    # -- background tasks -------------------------------------------------------------------------------------

    async def control(self, line: bytes) -> None:
        """Handle a control line. An invalid line is reported as an `error` event and has no other effect.

        Text that is typed at a terminal, and is not a JSON object, answers an open question or is sent to the model.
        """
        if self._typed and not line.lstrip().startswith(b"{"):
            line = self._as_control(line.decode("utf-8", "replace"))
        try:
            message = self.ctx.inbox.handle(line)
        except RequestError as error:
            details = error.details | {"line": line[:200].decode("utf-8", "replace")}
            await self.ctx.sink.reply(
                events.ErrorEvent(code=error.code, message=str(error), retryable=False, details=details)
            )
            return
        if message.action in ("freeze", "thaw"):
            self._freezer.request(message)
        if self.ctx.recorder and message.action != "cancel":
            self.ctx.recorder.control(message.action, text=message.text, id=message.id)

    async def _listen(self, stdin: int, unread: bytes) -> None:
        await listen(stdin, unread, self.control)
        self.ctx.inbox.close()

    def _as_control(self, text: str) -> bytes:
        asked = self.ctx.inbox.asked
        about = {"action": "input"} if asked is None else {"action": "answer", "id": asked}
        return json.dumps(about | {"text": text}).encode()

    async def _clean_old_runs(self) -> None:
        await run_sync(clean_now_and_then, self.ctx.config.state_dir, abandon_on_cancel=True)

    async def _watch_clock(self) -> None:
        timeout = self.ctx.config.limits.timeout
        await self.ctx.clock.watch(timeout, partial(self.ctx.stop.stop, "timeout"), self._freezer.detected)

    def complete_fields(self) -> dict[str, Any]:
        """Return the fields of `complete` about usage, files and servers."""
        budget = self.ctx.budget
        fields: dict[str, Any] = {
            "usage": result.total(budget.usage, budget.cost),
            "iterations": budget.turns,
            "sandbox_id": self._identity.sandbox_id,
        }
        if self._services is None:
            return fields
        answers = self._services.answers
        if answers and answers.accepted and self._result.status == "completed":
            fields["structured_output"] = answers.accepted.value
        killed = self._shutdown.ends_all(self._result) or self.ctx.replay is not None
        return fields | self._services.complete_fields(self._shutdown.background, killed=killed)
