"""Looks at what tools did to the machine: changed files and listening servers become events before the tool's result."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime import events
from agent_runtime.messages import ToolCall
from agent_runtime.tool import Tool, ToolOutput

if TYPE_CHECKING:
    from agent_runtime.tracking.changes import ChangeTracker
    from agent_runtime.tracking.servers import DevServers

log = logging.getLogger(__name__)


@dataclass
class WorldObserver:
    """The executor's eyes: the change tracker and the server watch of one run."""

    tracker: ChangeTracker
    servers: DevServers
    emit: Callable[[events.Event], Awaitable[None]]
    _running: list[str] = field(default_factory=list)

    async def before(self, call: ToolCall, tool: Tool) -> None:
        """Have the baseline complete before anything can change it."""
        self._running.append(call.id)
        await self.tracker.ready()

    async def after(self, call: ToolCall, tool: Tool, output: ToolOutput) -> str:
        """Emit what changed and what came up. A change is attributed when this call alone can have made it."""
        alone = self._running == [call.id]
        if call.id in self._running:
            self._running.remove(call.id)
        if not tool.scans:
            return ""
        for edit in await self.tracker.scan(call_id=call.id if alone else None):
            await self.emit(edit)
        self.servers.hint(output.text)
        for server in await self.servers.settle():
            await self.emit(server)
        return self.servers.advice()

    async def edited(self, paths: Sequence[Path], call_id: str) -> None:
        """An edit tool has written these paths."""
        for edit in await self.tracker.note(paths, call_id=call_id):
            await self.emit(edit)

    async def finish(self) -> None:
        """The last look."""
        for edit in await self.tracker.finish():
            await self.emit(edit)
        for server in await self.servers.settle():
            await self.emit(server)


@dataclass
class BlindObserver:
    """For a replay that executes nothing: there is nothing to see."""

    async def before(self, call: ToolCall, tool: Tool) -> None:
        """Nothing."""

    async def after(self, call: ToolCall, tool: Tool, output: ToolOutput) -> str:
        """Nothing."""
        return ""
