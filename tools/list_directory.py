"""What is in a folder."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from agent_runtime.tool import FunctionTool, Params, ToolContext, ToolOutput
from agent_runtime.tools import prompt


class ListParams(Params):
    """Which folder, how deep."""

    path: str = Field(
        default=".",
        validation_alias=AliasChoices("path", "dir_path", "directory"),
        description="Absolute, or relative to the workspace.",
    )
    depth: int = Field(default=1, ge=1, le=10, description="Levels of folders to go down.")


async def run(params: ListParams, ctx: ToolContext) -> ToolOutput:
    """List."""
    return ToolOutput.of(await ctx.files.entries(params.path, depth=params.depth, tokens=ctx.output_tokens))


TOOL = FunctionTool(name="list_directory", description=prompt("list_directory"), params=ListParams, run=run)
