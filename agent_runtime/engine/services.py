"""The services of a run: those that tools use, and the objects around the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from agent_runtime.agent.executor import ToolExecutor
from agent_runtime.agent.model import Model
from agent_runtime.agent.services import FileService, OnOutput, SearchService
from agent_runtime.agent.tool import ToolContext
from agent_runtime.conversation.answers import AnswerCheck
from agent_runtime.conversation.conversation import Conversation
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.engine.build_model import ModelConnections
from agent_runtime.engine.context import RunContext
from agent_runtime.engine.costs import CostMeter, RecordedCosts
from agent_runtime.engine.left import LONGEST_WAIT, ended_processes, left_processes, wait_for_work
from agent_runtime.engine.user import UserDialogue
from agent_runtime.engine.workspace_observer import NullObserver, WorkspaceObserver
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import ToolCall
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.call_processes import Background
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.system.subreaper import Subreaper

Watch = Callable[[Callable[[events.Event], Awaitable[None]]], Awaitable[None]]

_SERVER_FIELDS = {"url", "port", "local_url", "status", "pid", "command", "log_file", "http", "loopback_only"}


@dataclass(frozen=True)
class ToolServices:
    """The services that tools use; creates the context of each call."""

    ctx: RunContext
    settings: ShellSettings
    shell: Shell
    sessions: SessionManager
    files: FileService
    search: SearchService
    user: UserDialogue
    servers: DevServerWatcher

    def context(self, call: ToolCall, turn: int, on_output: OnOutput | None) -> ToolContext:
        """See executor.CallContexts."""
        limits = self.ctx.config.limits
        return ToolContext(
            call_id=call.id,
            workspace=self.ctx.config.workspace,
            shell=self.shell,
            sessions=self.sessions,
            files=self.files,
            search=self.search,
            servers=self.servers,
            user=self.user,
            turn=turn,
            tool_timeout=limits.tool_timeout,
            output_tokens=limits.tool_output_tokens,
            on_output=on_output,
        )

    def partial(self, call_id: str) -> ToolOutput | None:
        """See executor.CallContexts."""
        return self.shell.partial(call_id) or self.sessions.partial(call_id)

    async def end_background(self) -> None:
        """End the sessions, and the processes that calls have left running."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.sessions.end)
            tasks.start_soon(self.shell.end_background)

    async def aclose(self, *, kill: bool) -> None:
        """Close shells and sessions. With `kill`, processes that they left running are ended too."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: self.sessions.aclose(kill=kill))
            tasks.start_soon(lambda: self.shell.aclose(kill=kill))


@dataclass(frozen=True)
class RunServices:
    """The objects that the loop of one run uses; see build.build_services."""

    ctx: RunContext
    tools: ToolServices
    model: Model
    connections: ModelConnections
    conversation: Conversation
    executor: ToolExecutor
    observer: WorkspaceObserver | NullObserver
    costs: CostMeter | RecordedCosts
    answers: AnswerCheck | None
    subreaper: Subreaper

    @property
    def background_tasks(self) -> list[Watch]:
        """Tasks that run concurrently with the loop; each takes a function that emits events."""
        ctx = self.ctx
        always: list[Watch] = [
            lambda emit: self.subreaper.run(),
            lambda emit: self._end_when_stopped(),
        ]
        if "bash" in ctx.config.tools:
            always.append(lambda emit: self.tools.shell.prepare())
        elif "exec_command" in ctx.config.tools and not ctx.recorded_tools:
            always.append(lambda emit: self.tools.sessions.prepare())
        return always if ctx.recorded_tools else [*always, ctx.tracker.watch, self.tools.servers.watch]

    async def _end_when_stopped(self) -> None:
        """End the processes in the background while the call under way is ended: each of the two may take a second."""
        await self.ctx.stop.wait()
        with anyio.CancelScope(shield=True):  # `aclose` would start again
            await self.tools.end_background()

    async def final_scan(self) -> None:
        """Scan the workspace for the last time, and emit what has changed."""
        await self.observer.finish(hurried=self.ctx.stop.reason is not None)

    async def close(self) -> None:
        """Close the thread and the connections."""
        self.ctx.history.close()
        await self.connections.aclose()

    def background(self) -> list[Background]:
        """What calls and sessions have left running."""
        return [*self.tools.shell.background(), *self.tools.sessions.background()]

    async def wait_for_work(self) -> None:
        """Wait for the programs in sessions, at most until the run's timeout; see left.wait_for_work."""
        timeout, elapsed = self.ctx.config.limits.timeout, self.ctx.clock.elapsed()
        seconds = LONGEST_WAIT if timeout is None else min(LONGEST_WAIT, timeout - elapsed - 1)
        await wait_for_work(self.tools.sessions.working, seconds, self.ctx.sink.emit)

    def complete_fields(self, before: Sequence[Background], *, killed: bool) -> dict[str, Any]:
        """The fields of `complete` about files, servers and processes.

        Args:
            before: what ran when the loop ended.
            killed: all of it was to be ended with the run, not only what waits for input.
        """
        net = self.ctx.tracker.net()
        servers = self.tools.servers
        serving = servers.left()
        left = left_processes([*before, *self.background()], serving)
        ended = ended_processes(before, serving) if killed else ended_processes(self.tools.sessions.ended)
        up = [
            server.model_dump(mode="json", by_alias=True, include=_SERVER_FIELDS) for server in servers.up()
        ]
        latest = servers.latest()
        return {
            "files": net.files,
            "deleted_files": net.deleted_files,
            "ignored_changes": net.ignored,
            "dev_url": latest.url if latest else None,
            "dev_urls": tuple(up),
            "left": left,
            "ended": ended or None,
        }
