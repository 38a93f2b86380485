"""The object graph of a run inside the event loop: what it holds on to, and how it lets go of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from agent_runtime.agent.executor import ToolExecutor
    from agent_runtime.conversation.conversation import Conversation
    from agent_runtime.engine.build_model import RepairingModel
    from agent_runtime.engine.supervisor import RunSupervisor
    from agent_runtime.engine.workspace_observer import NullObserver, WorkspaceObserver
    from agent_runtime.files.editor import FileEditor
    from agent_runtime.protocol import events
    from agent_runtime.search.search import Searcher
    from agent_runtime.shell.session_manager import SessionManager
    from agent_runtime.shell.shell import Shell
    from agent_runtime.system.subreaper import Subreaper

    Watch = Callable[[Callable[[events.Event], Awaitable[None]]], Awaitable[None]]


@dataclass
class ToolServices:
    """What tools are lent."""

    shell: Shell
    sessions: SessionManager
    files: FileEditor
    search: Searcher


@dataclass
class RunServices:
    """The object graph of a run, inside the event loop."""

    life: RunSupervisor
    hands: ToolServices
    models: RepairingModel
    conversation: Conversation
    executor: ToolExecutor
    observer: WorkspaceObserver | NullObserver
    reaper: Subreaper

    @property
    def watches(self) -> list[Watch]:
        """What goes on beside the loop, and emits what it sees."""
        run = self.life.frame
        always: list[Watch] = [lambda emit: self.reaper.run()]
        return always if run.recorded else [*always, run.tracker.watch, run.servers.watch]

    async def detach(self, *, kill: bool) -> None:
        """Close shells and sessions; with `kill` what they left running ends too, otherwise it lives on."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: self.hands.sessions.aclose(kill=kill))
            tasks.start_soon(lambda: self.hands.shell.aclose(kill=kill))

    async def last_look(self) -> None:
        """The last file edits and servers."""
        await self.observer.finish(hurried=self.life.reason is not None)

    async def close(self) -> None:
        """Close connections and the thread."""
        self.life.frame.past.close()
        await self.models.aclose()

    async def thawed(self) -> None:
        """Connections from before a freeze are dead, whatever they look like."""
        await self.models.reconnect()

    def world(self) -> dict[str, Any]:
        """What `complete` says of files and servers."""
        run = self.life.frame
        net = run.tracker.net()
        up = [server.model_dump(mode="json", by_alias=True, include=_SERVER) for server in run.servers.up()]
        latest = run.servers.latest()
        return {
            "files": net.files,
            "deleted_files": net.deleted_files,
            "ignored_changes": net.ignored,
            "dev_url": latest.url if latest else None,
            "dev_urls": tuple(up),
        }


_SERVER = {"url", "port", "local_url", "status", "pid", "command", "log_file", "http", "loopback_only"}
