"""Look at an image."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from agent_runtime.tool import FunctionTool, Params, ToolContext, ToolOutput
from agent_runtime.tools import prompt


class ImageParams(Params):
    """Which image."""

    path: str = Field(
        validation_alias=AliasChoices("path", "file_path", "filename"),
        description="Absolute, or relative to the workspace.",
    )


async def run(params: ImageParams, ctx: ToolContext) -> ToolOutput:
    """Show it."""
    return await ctx.files.image(params.path)


TOOL = FunctionTool(name="view_image", description=prompt("view_image"), params=ImageParams, run=run)
