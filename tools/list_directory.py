"""List a directory."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FolderPath


class ListParams(Params):
    """The directory, and how deep."""

    path: FolderPath = "."
    depth: int = Field(default=1, ge=1, le=10, description="Levels of directories to list.")


async def run(params: ListParams, ctx: ToolContext) -> ToolOutput:
    """List the directory."""
    return ToolOutput.of(await ctx.files.entries(params.path, depth=params.depth, tokens=ctx.output_tokens))


TOOL = FunctionTool(name="list_directory", description=prompt("list_directory"), params=ListParams, run=run)
