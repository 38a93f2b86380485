"""Return an image file to the model as an image."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FilePath


class ImageParams(Params):
    """The image file."""

    path: FilePath


async def run(params: ImageParams, ctx: ToolContext) -> ToolOutput:
    """Load the image."""
    return await ctx.files.image(params.path)


TOOL = FunctionTool(name="view_image", description=prompt("view_image"), params=ImageParams, run=run)
