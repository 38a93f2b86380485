"""Read a file: numbered lines, an image, or a directory listing."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FilePath


class ReadParams(Params):
    """The file, and which lines of it."""

    path: FilePath
    offset: int | None = Field(
        default=None,
        validation_alias=AliasChoices("offset", "start_line", "line"),
        description="First line, counted from 1. Default: 1.",
    )
    limit: int | None = Field(default=None, ge=1, description="How many lines. Default: as many as fit.")
    end_line: int | None = Field(default=None, description="Last line, instead of a limit; -1: to the end.")


async def run(params: ReadParams, ctx: ToolContext) -> ToolOutput:
    """Read the file."""
    last = params.end_line
    if params.limit is not None:
        last = (params.offset or 1) + params.limit - 1
    return await ctx.files.read(params.path, params.offset, last, tokens=ctx.output_tokens)


TOOL = FunctionTool(name="read_file", description=prompt("read_file"), params=ReadParams, run=run)
