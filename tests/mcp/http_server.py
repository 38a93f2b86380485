"""An MCP server over streamable HTTP, by the MCP library: `http_server.py PORT [legacy]`."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse

TOKEN = "Bearer a-token-of-the-server-0123456789"
server = MCPServer("http")


@server.tool()
def echo(text: str) -> str:
    return text


@server.tool()
async def slow(ctx: Context, seconds: float) -> str:
    await ctx.report_progress(1, 2, "half")
    await anyio.sleep(seconds)
    return "slow"


@server.tool()
def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b}


def main() -> None:
    app = server.streamable_http_app(stateless_http="stateless" in sys.argv, json_response="json" in sys.argv)

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and Request(scope).headers.get("authorization") != TOKEN:
            await PlainTextResponse("who are you?", 401)(scope, receive, send)
        else:
            await app(scope, receive, send)

    uvicorn.run(guarded, port=int(sys.argv[1]), log_level="error")


if __name__ == "__main__":
    main()
