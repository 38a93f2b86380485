"""The MCP servers of a run: started together, and ended with the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module

import anyio
from anyio.to_thread import run_sync

from agent_runtime.mcp.config import ServerConfig
from agent_runtime.mcp.link import CLIENT, OnReport, ServerLink, ServerReport
from agent_runtime.mcp.names import server_slugs
from agent_runtime.mcp.process import LaunchSettings

Stoppable = Callable[[], AbstractContextManager[anyio.CancelScope]]


class McpServers:
    """All servers of a run.

    Args:
        servers: their settings.
        settings: how their processes are started.
        on_report: called for each server when it is ready or has failed.
        stoppable: opens a scope that is cancelled when the run is stopped.
    """

    def __init__(
        self,
        servers: Sequence[ServerConfig],
        settings: LaunchSettings,
        on_report: OnReport,
        stoppable: Stoppable,
    ) -> None:
        slugs = server_slugs(server.name for server in servers)
        self.links = [ServerLink(server, slugs[server.name], settings, on_report) for server in servers]
        self._stoppable = stoppable
        self._ended = anyio.Event()

    async def run(self) -> None:
        """Start the servers, and keep them until `aclose` or cancellation."""
        try:
            with self._stoppable():
                for link in self.links:
                    link.launch()
                # beside the start of the processes
                await run_sync(import_module, CLIENT, abandon_on_cancel=True)
                async with anyio.create_task_group() as tasks:
                    for link in self.links:
                        tasks.start_soon(link.run)
        except ImportError as error:
            for link in self.links:
                link.fail(f"the MCP client cannot be imported: {error}")
        finally:
            await self._end_unused()
            self._ended.set()

    async def ready(self) -> list[ServerReport]:
        """Wait until each server is ready or has failed, and return the reports in the order of the servers."""
        return [await link.ready() for link in self.links]

    def disconnect(self) -> None:
        """Close the connections to URLs; calls make new ones."""
        for link in self.links:
            link.disconnect()

    async def aclose(self) -> None:
        """End all servers, and wait for their ends, which are limited in time."""
        for link in self.links:
            link.close()
        await self._ended.wait()

    async def _end_unused(self) -> None:
        """End the processes whose links have not run: the run was stopped, or the import failed, before that."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for link in self.links:
                    tasks.start_soon(link.end_unused)
