"""The session with one server: negotiation of the protocol version, the list of tools, and tool calls."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult, Implementation, RequestParamsMeta, Tool
from pydantic import ValidationError

from agent_runtime.agent.trace import trace_headers
from agent_runtime.errors import ToolError
from agent_runtime.mcp.config import ServerConfig
from agent_runtime.mcp.http import http_transport
from agent_runtime.mcp.process import ServerProcess
from agent_runtime.mcp.stdio import stdio_transport
from agent_runtime.mcp.tool_lists import ToolLists
from agent_runtime.mcp.tools import OnProgress
from agent_runtime.version import VERSION

_MAX_PAGES = 100
_MAX_TOOLS = 2000
_SESSION_ENDED = "Session terminated"  # the library's error for an HTTP session that the server has dropped

logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs a traceback for every fault of a server


class ConnectionLost(Exception):
    """The server has ended, or has closed the session."""


class Session:
    """An open session.

    Attributes:
        instructions: what the server says about its use; may be empty.
        refused: the tools that are not valid, and why; known once `tools` has returned.
    """

    def __init__(self, client: Client, lists: ToolLists) -> None:
        self._client = client
        self.refused = lists.refused
        self.instructions = (client.instructions or "").strip()

    async def tools(self) -> list[Tool]:
        """Return all tools of the server, without those that are not valid.

        Raises:
            MCPError, ValidationError: the server has refused the request, or its answer is not valid.
        """
        if self._client.server_capabilities.tools is None:
            return []
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            found += page.tools
            if not page.next_cursor or page.next_cursor == cursor or len(found) >= _MAX_TOOLS:
                break
            cursor = page.next_cursor
        return found[:_MAX_TOOLS]

    async def call(self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress) -> CallToolResult:
        """Call a tool, within the current trace; cancelling this call cancels the request.

        Raises:
            ToolError: the server has refused the call, or its answer is not valid.
            ConnectionLost: the session has ended.
        """
        meta = cast("RequestParamsMeta", trace_headers()) or None
        try:
            return await self._client.call_tool(
                tool, dict(arguments), progress_callback=on_progress, meta=meta
            )
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or error.error.message == _SESSION_ENDED:
                raise ConnectionLost(error.error.message) from error
            raise ToolError(
                f"the server refused the call: {error.error.message} (code {error.code})"
            ) from error
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(map(str, problem["loc"]))
            raise ToolError(f"the server's answer is not valid MCP: {place}: {problem['msg']}") from error
        except Exception as error:  # such as structured content that does not satisfy the tool's own schema
            raise ToolError(f"the server's answer cannot be used: {reason(error)}") from error


@asynccontextmanager
async def connected(server: ServerConfig, process: ServerProcess | None) -> AsyncIterator[Session]:
    """Open a session with a server, in the newest version of the protocol that both know.

    Args:
        server: the server.
        process: its process; None for a server that is reached by its URL.

    Raises whatever keeps the session from being opened; see `reason`.
    """
    lists = ToolLists()
    transport = lists.filtered(stdio_transport(process) if process else http_transport(server))
    info = Implementation(name="agent-runtime", version=VERSION)
    async with Client(transport, client_info=info, cache=None) as client:
        yield Session(client, lists)


def reason(error: BaseException) -> str:
    """Return why a session could not be opened, on one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return error.error.message
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False)[0]
        return f"its answer is not valid MCP: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return f"{type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")[:500]
