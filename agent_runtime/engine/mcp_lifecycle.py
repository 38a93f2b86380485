"""Starts and ends the MCP servers of a run. A run without servers imports no module of MCP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agent_runtime.engine.context import RunContext
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.transcripts.records import McpServerRecord

if TYPE_CHECKING:
    from agent_runtime.engine.build_mcp import McpToolset
    from agent_runtime.mcp.servers import McpServers


class McpLifecycle:
    """The MCP servers of a run.

    Args:
        ctx: the context of the run.
    """

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        self._servers: McpServers | None = None

    async def start(self, settings: ShellSettings) -> Callable[[], Awaitable[None]] | None:
        """Return the background task that starts the servers and keeps them; None in a run without servers."""
        if not self._ctx.config.mcp_servers:
            return None
        from agent_runtime.engine.build_mcp import start_servers

        self._servers = await start_servers(self._ctx, settings)
        return self._servers.run

    async def tools(self, settings: ShellSettings) -> McpToolset | None:
        """Wait for the servers, and return their tools; in a replay those of the recorded servers.

        Raises:
            RequestError: a required server has failed.
            TranscriptError: a record of the transcript is damaged.
        """
        player = self._ctx.player
        recorded = player and any(isinstance(each, McpServerRecord) for each in player.transcript.records)
        if self._servers is None and not recorded:
            return None
        from agent_runtime.engine import build_mcp

        if player:
            return await build_mcp.recorded_toolset(self._ctx, player)
        assert self._servers
        return await build_mcp.toolset(self._ctx, settings, self._servers)

    def disconnect(self) -> None:
        """Close the connections to servers at URLs; calls make new ones."""
        if self._servers:
            self._servers.disconnect()

    async def aclose(self) -> None:
        """End the servers."""
        if self._servers:
            await self._servers.aclose()
