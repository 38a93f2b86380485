"""get_dev_url: the address of a server for people outside the sandbox. Waits until it listens."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt


class GetDevUrl(Params):
    """Parameters of get_dev_url."""

    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="The TCP port. Without it: the address to open.",
    )
    timeout: float = Field(15, ge=0, le=120, description="How many seconds to wait for it to listen.")
    check: bool = Field(
        False,
        description="Send one GET request to see whether it answers HTTP.",
    )


async def run(params: GetDevUrl, ctx: ToolContext) -> ToolOutput:
    """Wait for the server, then describe it. Raises ToolError when there is none."""
    return ToolOutput.of(await ctx.servers.locate(params.port, params.timeout, check=params.check))


TOOL = FunctionTool("get_dev_url", prompt("get_dev_url"), GetDevUrl, run)
