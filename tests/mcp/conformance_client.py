"""A client for the official conformance suite: our session with the server of a scenario, and calls of its tools.

scripts/test-mcp-conformance runs it, and names the scenarios that are left out.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import anyio
from mcp_types import Tool

from agent_runtime.errors import ToolError
from agent_runtime.mcp.client import Session, connected
from agent_runtime.mcp.config import ServerConfig

EXAMPLES: dict[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "object": {},
    "array": [],
}


def arguments_for(tool: Tool, tools: list[Tool]) -> dict[str, Any]:
    """Arguments of the types that the tool asks for; a `schema` is that of the first tool."""
    properties = tool.input_schema.get("properties") or {}
    found = {name: EXAMPLES.get(str(each.get("type")), "text") for name, each in properties.items()}
    return found | ({"schema": tools[0].input_schema} if "schema" in found else {})


async def on_progress(progress: float, total: float | None, message: str | None) -> None:
    print("progress", progress, total, message)


async def call(session: Session, name: str, arguments: dict[str, Any]) -> None:
    try:
        print(name, await session.call(name, arguments, on_progress))
    except ToolError as error:
        print(name, error)


async def main() -> None:
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    async with connected(ServerConfig("s", url=sys.argv[1]), None) as session:
        tools = await session.tools()
        given = [(each["name"], each["arguments"]) for each in context.get("toolCalls") or ()]
        async with anyio.create_task_group() as calls:
            for name, arguments in given or [(tool.name, arguments_for(tool, tools)) for tool in tools]:
                calls.start_soon(call, session, name, arguments)


if __name__ == "__main__":
    anyio.run(main)
