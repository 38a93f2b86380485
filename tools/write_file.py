"""Create a file, or replace the content of an existing one."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FilePath


class WriteParams(Params):
    """The file and its content."""

    path: FilePath
    content: str = Field(
        validation_alias=AliasChoices("content", "contents", "file_text", "text"),
        description="The whole content.",
    )


async def run(params: WriteParams, ctx: ToolContext) -> ToolOutput:
    """Write the file."""
    return ToolOutput.of(await ctx.files.write(params.path, params.content, call_id=ctx.call_id))


TOOL = FunctionTool(
    name="write_file", description=prompt("write_file"), params=WriteParams, run=run, parallel=False
)
