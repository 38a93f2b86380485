"""A watcher of the servers that this process has started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from agent_runtime.dev_servers.ownership import Ownership
from agent_runtime.dev_servers.urls import Template
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.shell.call_processes import Background


def make_watcher(
    *,
    template: str | None = None,
    sandbox_id: str | None = None,
    root_pid: int | None = None,
    marker: str | None = None,
    workspace: Path | None = None,
    background: Callable[[], Sequence[Background]] = lambda: (),
    printed: Callable[[], Sequence[str]] = lambda: (),
) -> DevServerWatcher:
    """The sockets that listen now are not its own."""
    ownership = Ownership(root_pid, marker, workspace)
    ownership.begin()
    return DevServerWatcher(ownership, Template(template, sandbox_id), background=background, printed=printed)
