"""What is in a folder."""

from __future__ import annotations

from pydantic import Field

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FolderPath


class ListParams(Params):
    """Which folder, how deep."""

    path: FolderPath = "."
    depth: int = Field(default=1, ge=1, le=10, description="Levels of folders to go down.")


async def run(params: ListParams, ctx: ToolContext) -> ToolOutput:
    """List."""
    return ToolOutput.of(await ctx.files.entries(params.path, depth=params.depth, tokens=ctx.output_tokens))


TOOL = FunctionTool(name="list_directory", description=prompt("list_directory"), params=ListParams, run=run)
