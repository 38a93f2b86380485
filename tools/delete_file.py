"""Delete a file."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from agent_runtime.tool import FunctionTool, Params, ToolContext, ToolOutput
from agent_runtime.tools import prompt


class DeleteParams(Params):
    """Which file."""

    path: str = Field(
        validation_alias=AliasChoices("path", "file_path", "filename"),
        description="Absolute, or relative to the workspace.",
    )


async def run(params: DeleteParams, ctx: ToolContext) -> ToolOutput:
    """Delete."""
    return ToolOutput.of(await ctx.files.delete(params.path, call_id=ctx.call_id))


TOOL = FunctionTool(
    name="delete_file", description=prompt("delete_file"), params=DeleteParams, run=run, parallel=False
)
