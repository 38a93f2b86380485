"""Observes the effects of tool calls: emits events for changed files and new servers before the call's result."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent_runtime.agent.executor import CallInfo
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import Text
from agent_runtime.protocol.tool_output import ToolOutput

if TYPE_CHECKING:
    from agent_runtime.changes.tracker import ChangeTracker
    from agent_runtime.dev_servers.watcher import DevServerWatcher

_HURRIED_SECONDS = 0.7  # for the last look of a run that was stopped and its events


@dataclass
class WorkspaceObserver:
    """A CallObserver that emits the file edits and servers of each call before its result."""

    tracker: ChangeTracker
    servers: DevServerWatcher
    emit: Callable[[events.Event], Awaitable[None]]
    is_behind: Callable[[], bool] = lambda: False  # whether the reader has much to read
    wants_output = False
    _running: dict[str, ExitStack] = field(default_factory=dict)
    _scanning: set[str] = field(default_factory=set)
    # calls that ran concurrently with others that may change files
    _shared: set[str] = field(default_factory=set)

    async def before(self, info: CallInfo) -> None:
        """Complete the baseline before anything can change it."""
        assert info.tool
        await self.tracker.ready()
        if info.tool.scans and not self._running:  # changes from before this call are not attributed to it
            await self._scan(None)
        self._running[info.call.id] = stack = ExitStack()
        stack.enter_context(self.tracker.hold())
        self.servers.note_call(info.call.arguments)
        if info.tool.scans:
            self._scanning.add(info.call.id)
        if len(self._scanning) > 1:
            self._shared |= self._scanning

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Do nothing: files and sockets are examined after the call."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Emit changed files and new servers, and add a note about the servers to the output.

        A change is attributed to the call when no other call can have made it.
        """
        call_id = info.call.id
        if call_id not in self._running:
            return output  # cancelled before it began, or answered without being run
        with self._running.pop(call_id):
            if info.tool is None or not info.tool.scans:
                return output
            await self._scan(None if call_id in self._shared else call_id)
            self._scanning.discard(call_id)
        self.servers.hint(output.text)
        await self._emit_all(await self.servers.settle())
        advice = self.servers.advice()
        return replace(output, content=(*output.content, Text(text=advice))) if advice else output

    @asynccontextmanager
    async def editing(self, paths: Sequence[Path]) -> AsyncIterator[None]:
        """Context in which an edit tool may write these paths."""
        expected = await self.tracker.expect(paths)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.tracker.release(expected)

    async def edited(self, paths: Sequence[Path], call_id: str) -> None:
        """Emit the changes of an edit tool that has written these paths."""
        async with self.tracker.turn():
            await self._emit_all([*await self.tracker.note(paths, call_id=call_id), *self.tracker.notices()])

    async def finish(self, *, hurried: bool) -> None:
        """Take the last look, when nothing watches any more; a hurried look relies on what inotify has reported.

        If the run was stopped, events are emitted as long as there is time and the reader takes them; `complete` alone
        reports the rest.
        """
        deadline = time.monotonic() + (_HURRIED_SECONDS if hurried else math.inf)
        try:
            async with self.tracker.turn():
                found = self.tracker.last_events(await self.tracker.finish(hurried=hurried))
                with closing(found):
                    for event in found:
                        await self.emit(event)
                        if hurried and (self.is_behind() or time.monotonic() > deadline):
                            break
        finally:
            await self._emit_all(self.tracker.notices())
        await self._emit_all(await self.servers.finish())

    async def _scan(self, call_id: str | None) -> None:
        async with self.tracker.turn():
            await self._emit_all([*await self.tracker.scan(call_id=call_id), *self.tracker.notices()])

    async def _emit_all(self, found: Iterable[events.Event]) -> None:
        if events := list(found):
            with anyio.CancelScope(shield=True):  # a change is found only once, so its event must not be lost
                for event in events:
                    await self.emit(event)


@dataclass
class NullObserver:
    """The observer of a replay that executes nothing."""

    wants_output = False

    async def before(self, info: CallInfo) -> None:
        """Do nothing."""

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Do nothing."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Return the output unchanged."""
        return output

    async def finish(self, *, hurried: bool) -> None:
        """Do nothing."""
