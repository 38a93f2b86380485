"""get_dev_url: the address of a server for people outside the sandbox; waits until it listens."""

from __future__ import annotations

from pydantic import Field

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt


class GetDevUrl(Params):
    """The parameters."""

    port: int | None = Field(
        None, ge=1, le=65535, description="The TCP port. Without it: the latest HTTP server."
    )
    timeout: float = Field(15, ge=0, le=120, description="How many seconds to wait for it to listen.")


async def run(params: GetDevUrl, ctx: ToolContext) -> ToolOutput:
    """Wait for the server, then describe it."""
    found = await ctx.servers.wait_for(params.port, params.timeout)
    if not found:
        raise ToolError(ctx.servers.explain(params.port))
    return ToolOutput.of(ctx.servers.describe(found))


TOOL = FunctionTool("get_dev_url", prompt("get_dev_url"), GetDevUrl, run)
