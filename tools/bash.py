"""`bash`: the run's persistent shell."""

from __future__ import annotations

from pydantic import Field

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt

DEFAULT_TIMEOUT = 120.0
LONGEST_TIMEOUT = 600.0


class BashParams(Params):
    """What the model may say."""

    command: str | None = Field(None, description="The command to run. Required unless `restart` is true.")
    timeout: float | None = Field(
        None, gt=0, description="Seconds after which the command is ended; 120 by default, at most 600."
    )
    restart: bool = Field(False, description="Start a new shell first.")


async def run(params: BashParams, ctx: ToolContext) -> ToolOutput:
    """Run the command, after a restart where one is asked for."""
    if params.restart:
        await ctx.shell.restart()
        if not params.command:
            return ToolOutput.of("The shell has been restarted.")
    if params.command is None:
        raise ToolError("bash: `command` is required unless `restart` is true")
    timeout = params.timeout or ctx.tool_timeout or DEFAULT_TIMEOUT
    return await ctx.shell.run(
        params.command,
        timeout=min(timeout, LONGEST_TIMEOUT),
        call_id=ctx.call_id,
        tokens=ctx.output_tokens,
        on_output=ctx.on_output,
    )


TOOL = FunctionTool("bash", prompt("bash"), BashParams, run, scans=True, parallel=False)
