"""The processes of servers end with the run also when it ends while the servers are being started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from agent_runtime.mcp import servers as module
from agent_runtime.mcp.config import ServerConfig
from agent_runtime.mcp.link import ServerReport
from agent_runtime.mcp.process import LaunchSettings, ServerProcess
from agent_runtime.mcp.servers import McpServers
from agent_runtime.system.process_tree import children
from agent_runtime.system.processes import Process

SERVERS = [ServerConfig(name, command=("sleep", "1000")) for name in ("a", "b")]


class Start:
    """Two servers of a run that can be stopped, and the reports about them."""

    def __init__(self, workspace: Path) -> None:
        self.scope = anyio.CancelScope()
        self.reports: list[ServerReport] = []
        settings = LaunchSettings(workspace, dict(os.environ))
        self.servers = McpServers(SERVERS, settings, self._report, self._stoppable)

    async def _report(self, report: ServerReport) -> None:
        self.reports.append(report)

    @contextmanager
    def _stoppable(self) -> Iterator[anyio.CancelScope]:
        with self.scope:
            yield self.scope


def programs() -> list[str]:
    return [" ".join(process.argv) for process in children(os.getpid()) if process.argv[:1] == ("sleep",)]


@pytest.mark.anyio
async def test_a_stop_while_the_client_is_imported_ends_the_processes(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Start(workspace)
    started: list[str] = []

    def stop(_: str) -> ModuleType:
        started.extend(programs())
        anyio.from_thread.run_sync(start.scope.cancel)
        return module

    monkeypatch.setattr(module, "import_module", stop)
    await start.servers.run()
    assert (started, programs()) == (["sleep 1000"] * 2, [])


@pytest.mark.anyio
async def test_an_import_that_fails_ends_the_processes(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Start(workspace)
    started: list[str] = []

    def fail(_: str) -> ModuleType:
        started.extend(programs())
        raise ImportError("there is no such module")

    monkeypatch.setattr(module, "import_module", fail)
    await start.servers.run()
    assert (started, programs()) == (["sleep 1000"] * 2, [])
    assert ["there is no such module" in report.error for report in await start.servers.ready()] == [True] * 2


@pytest.mark.anyio
async def test_a_server_does_not_end_with_another_of_the_same_name(workspace: Path) -> None:
    server = ServerConfig("a", command=("sh", "-c", "sleep 1000 & wait"))
    processes = [ServerProcess(server, LaunchSettings(workspace, dict(os.environ))) for _ in range(2)]
    await processes[0].end(at_once=True)
    lives = Process.of(processes[1].pid)
    await processes[1].end(at_once=True)
    assert lives is not None
    assert not lives.gone
