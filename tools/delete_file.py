"""Delete a file."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FilePath


class DeleteParams(Params):
    """The file."""

    path: FilePath


async def run(params: DeleteParams, ctx: ToolContext) -> ToolOutput:
    """Delete the file."""
    return ToolOutput.of(await ctx.files.delete(params.path, call_id=ctx.call_id))


TOOL = FunctionTool(
    name="delete_file", description=prompt("delete_file"), params=DeleteParams, run=run, parallel=False
)
