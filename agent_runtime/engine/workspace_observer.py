"""Looks at what tools did to the machine: changed files and new servers become events before the result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent_runtime.agent.tool import Tool
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import ToolCall
from agent_runtime.protocol.tool_output import ToolOutput

if TYPE_CHECKING:
    from agent_runtime.changes.tracker import ChangeTracker
    from agent_runtime.dev_servers.watcher import DevServerWatcher


@dataclass
class WorkspaceObserver:
    """The executor's eyes: the change tracker and the server watch of one run."""

    tracker: ChangeTracker
    servers: DevServerWatcher
    emit: Callable[[events.Event], Awaitable[None]]
    _running: dict[str, ExitStack] = field(default_factory=dict)
    _scanning: set[str] = field(default_factory=set)
    _shared: set[str] = field(default_factory=set)  # calls that ran beside another that may change files

    async def before(self, call: ToolCall, tool: Tool) -> None:
        """Have the baseline complete before anything can change it."""
        await self.tracker.ready()
        if tool.scans and not self._running:  # what others wrote before this call is not its work
            await self._scan(None)
        self._running[call.id] = stack = ExitStack()
        stack.enter_context(self.tracker.hold())
        if tool.scans:
            self._scanning.add(call.id)
        if len(self._scanning) > 1:
            self._shared |= self._scanning

    async def after(self, call: ToolCall, tool: Tool, output: ToolOutput) -> str:
        """Emit what changed and what came up. A change is attributed when this call alone can have made it."""
        if call.id not in self._running:
            return ""  # cancelled before it began
        with self._running.pop(call.id):
            if not tool.scans:
                return ""
            await self._scan(None if call.id in self._shared else call.id)
            self._scanning.discard(call.id)
        self.servers.hint(output.text)
        await self._emit_all(await self.servers.settle())
        return self.servers.advice()

    @asynccontextmanager
    async def editing(self, paths: Sequence[Path]) -> AsyncIterator[None]:
        """Entered while an edit tool may write these paths."""
        expected = await self.tracker.expect(paths)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.tracker.release(expected)

    async def edited(self, paths: Sequence[Path], call_id: str) -> None:
        """An edit tool has written these paths."""
        async with self.tracker.turn():
            await self._emit_all(await self.tracker.note(paths, call_id=call_id))

    async def finish(self, *, hurried: bool) -> None:
        """The last look, when nothing watches any more; a hurried one goes by what the kernel has reported."""
        async with self.tracker.turn():
            await self._emit_all(await self.tracker.finish(hurried=hurried))
        await self._emit_all(await self.servers.finish())

    async def _scan(self, call_id: str | None) -> None:
        async with self.tracker.turn():
            await self._emit_all(await self.tracker.scan(call_id=call_id))

    async def _emit_all(self, found: Iterable[events.Event]) -> None:
        with anyio.CancelScope(shield=True):  # what was found is not found again
            for event in found:
                await self.emit(event)


@dataclass
class NullObserver:
    """For a replay that executes nothing: there is nothing to see."""

    async def before(self, call: ToolCall, tool: Tool) -> None:
        """Nothing."""

    async def after(self, call: ToolCall, tool: Tool, output: ToolOutput) -> str:
        """Nothing."""
        return ""

    async def finish(self, *, hurried: bool) -> None:
        """Nothing."""
