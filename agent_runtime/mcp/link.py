"""The connection to one MCP server: kept open, renewed when it is lost, and ended with the run."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio

from agent_runtime.agent.trace import span
from agent_runtime.errors import ToolError
from agent_runtime.lazy import dataclass
from agent_runtime.mcp.config import ServerConfig
from agent_runtime.mcp.process import LaunchSettings, ServerProcess
from agent_runtime.mcp.tools import McpToolSpec, OnProgress, tool_specs

if TYPE_CHECKING:
    from mcp_types import CallToolResult

    from agent_runtime.mcp.client import Session

log = logging.getLogger(__name__)

MAX_RESTARTS = 3  # of a server that has ended during the run
CLOSE_SECONDS = 1.0  # for HTTP sessions to be closed; processes have limits of their own
_EXIT_SECONDS = 0.2  # between the end of a server's output and the end of its process
CLIENT = "agent_runtime.mcp.client"  # imports the MCP library, which takes half a second


@dataclass(frozen=True)
class ServerReport:
    """The state of a server: its tools, or an error.

    Attributes:
        server: its name.
        tools: its tools.
        refused: its tools that cannot be offered to a model, and why.
        instructions: what it says about its use.
        error: why it cannot be used; empty when it can be.
    """

    server: str
    tools: tuple[McpToolSpec, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    instructions: str = ""
    error: str = ""


OnReport = Callable[[ServerReport], Awaitable[None]]


class ServerLink:
    """The connection to one server.

    Args:
        server: its settings.
        slug: its name in the names of tools.
        settings: how its process is started.
        on_report: called once, when it is ready or has failed, and again when it has ended for good.
    """

    def __init__(
        self, server: ServerConfig, slug: str, settings: LaunchSettings, on_report: OnReport
    ) -> None:
        self.server, self._slug, self._settings, self._on_report = server, slug, settings, on_report
        self.report: ServerReport | None = None  # set when it is ready or has failed
        self._process: ServerProcess | None = None
        self._session: Session | None = None
        self._used: ServerProcess | None = None  # that of the session
        self._changed = anyio.Event()  # set, and replaced, when the session or the error has changed
        self._lost = anyio.Event()
        self._closing = anyio.Event()
        self._wanted = anyio.Event()  # a call waits for a session
        self._refusals: list[str] = []  # why a URL could not be connected to again
        self._error = ""  # why there will be no further session
        self._calls = 0  # under way

    def launch(self) -> None:
        """Start the process of a stdio server. A failure is reported by `run`."""
        if not self.server.command:
            return
        try:
            self._process = ServerProcess(self.server, self._settings)
        except OSError as error:
            hint = ""
            if isinstance(error, FileNotFoundError):
                in_folder = self.server.cwd and not (self._settings.cwd / self.server.cwd).is_dir()
                hint = "; check `cwd`" if in_folder else "; check `command` and the PATH of the tools"
            self._error = f"{self.server.command[0]!r} cannot be started: {error.strerror or error}{hint}"

    async def run(self) -> None:
        """Keep a session open until `close`, or until the server has ended too often. Ends its process."""
        error = ""
        try:
            error = await self._sessions()
            if error:
                await self._on_report(ServerReport(self.server.name, error=error))
        finally:
            self.fail(error or "the run is being ended")

    async def end_unused(self) -> None:
        """End the process that `launch` has started, where `run` has not used it."""
        process, self._process = self._process, None
        if process:
            await process.end(at_once=True)

    def fail(self, error: str) -> None:
        """Note that there will be no further session, and why."""
        self._error = error
        self.report = self.report or ServerReport(self.server.name, error=error)
        self._notify()

    async def ready(self) -> ServerReport:
        """Wait until the server is ready or has failed."""
        while self.report is None:
            await self._changed.wait()
        return self.report

    async def call(self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress) -> CallToolResult:
        """Call a tool. Raises ToolError when the server cannot be reached or has refused the call."""
        from agent_runtime.mcp.client import ConnectionLost

        session = await self._available()
        attributes = {
            "mcp.method.name": "tools/call",
            "gen_ai.tool.name": tool,
            "agent_runtime.mcp.server": self.server.name,
        }
        self._calls += 1
        try:
            with span(f"tools/call {tool}", "client", **attributes):
                return await session.call(tool, arguments, on_progress)
        except ConnectionLost as error:
            how = await self._how_it_ended()
            if self._session is session:
                self._lost.set()
            raise ToolError(
                f"the connection to the server {self.server.name} ended during this call, which may have had"
                f" effects: {how or error}"
            ) from error
        finally:
            self._calls -= 1

    def disconnect(self) -> None:
        """Close the connection to a URL, unless a call is under way; the next call makes a new one."""
        if not self.server.command and self._session and not self._calls:
            self._lost.set()

    def close(self) -> None:
        """Let `run` end. Does not wait for it."""
        self._closing.set()
        self._lost.set()
        self._wanted.set()

    async def _sessions(self) -> str:
        """Keep sessions open, one after another. Returns why there is no further one; empty after `close`.

        A process that has ended is started again at once, a few times; a URL is connected to when a call needs it.
        """
        restarts = 0
        error = self._error or await self._one_session()
        while not error and not self._closing.is_set():
            if self.server.command:
                restarts += 1
                if restarts > MAX_RESTARTS:
                    return f"it has ended {restarts} times"
                self.launch()
                error = self._error or await self._one_session()
            else:
                await self._wanted.wait()
                if not self._closing.is_set() and (refusal := await self._one_session()):
                    self._refusals.append(refusal)
                    self._wanted = anyio.Event()
                    self._notify()
        return "" if self._closing.is_set() else error

    async def _one_session(self) -> str:
        """Keep a session open until it is lost or closed. Returns why it could not be opened, or an empty string."""
        client = import_module(CLIENT)
        process, self._process = self._process, None
        self._lost = anyio.Event()
        error = f"not ready within {self.server.startup_seconds:g} s"
        try:
            if process:
                await process.join_group()
            with anyio.CancelScope(deadline=anyio.current_time() + self.server.startup_seconds) as starting:
                async with client.connected(self.server, process) as session:
                    if self.report is None:
                        await self._describe(session)
                    starting.deadline, error = math.inf, ""
                    await self._use(session, process)
                    starting.deadline = anyio.current_time() + CLOSE_SECONDS
        except Exception as raised:
            log.debug("MCP server %s", self.server.name, exc_info=True)
            error = error and client.reason(raised)
        finally:
            if process:
                error = error and f"{error} ({process.epitaph()})"
                await process.end(at_once=not self._closing.is_set())
        return error

    async def _describe(self, session: Session) -> None:
        tools, refused = tool_specs(await session.tools(), self.server, self._slug)
        self.report = ServerReport(self.server.name, tools, session.refused | refused, session.instructions)
        await self._on_report(self.report)

    async def _use(self, session: Session, process: ServerProcess | None) -> None:
        """Let calls use the session until it is lost or closed."""
        self._session, self._used, self._wanted = session, process, anyio.Event()
        self._notify()
        try:
            async with anyio.create_task_group() as tasks:
                if process:
                    tasks.start_soon(process.watch, self._lost.set)
                await self._lost.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._session = None

    async def _available(self) -> Session:
        known = len(self._refusals)
        while self._session is None or self._lost.is_set():
            if self._error or self._closing.is_set():
                raise ToolError(f"the server {self.server.name} is no longer available: {self._error}")
            if len(self._refusals) > known:
                raise ToolError(f"the server {self.server.name} cannot be reached: {self._refusals[-1]}")
            self._wanted.set()
            await self._changed.wait()
        return self._session

    async def _how_it_ended(self) -> str:
        if (process := self._used) is None:
            return ""
        with anyio.move_on_after(_EXIT_SECONDS):
            await self._lost.wait()
        return process.epitaph()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
