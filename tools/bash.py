"""`bash`: the run's persistent shell."""

from __future__ import annotations

from typing import ClassVar

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.models.base import Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._shell_arguments import IGNORED

DEFAULT_TIMEOUT = 120.0
LONGEST_TIMEOUT = 600.0
_MILLISECONDS = 7200.0  # a longer timeout can only be meant in milliseconds, which other tools take


class BashParams(Params):
    """The arguments."""

    ignored: ClassVar[frozenset[str]] = IGNORED

    command: str | None = Field(None, description="The command to run. Required unless `restart` is true.")
    timeout: float | None = Field(
        None,
        gt=0,
        description="Seconds after which the command is ended; 120 by default, at most 600. "
        "A value over 7200 is taken as milliseconds.",
    )
    restart: bool = Field(False, description="Start a new shell first.")


async def run(params: BashParams, ctx: ToolContext) -> ToolOutput:
    """Run the command, after a restart if requested. Raises ToolError when neither is given."""
    if params.restart:
        await ctx.shell.restart()
        if not params.command:
            return ToolOutput.of("The shell has been restarted.")
    if params.command is None:
        raise ToolError("bash: `command` is required unless `restart` is true")
    return await ctx.shell.run(
        params.command,
        timeout=_timeout(params.timeout, ctx.tool_timeout),
        call_id=ctx.call_id,
        tokens=ctx.output_tokens,
        on_output=ctx.on_output,
    )


def _timeout(wanted: float | None, limit: float | None) -> float:
    if wanted is None:
        return min(limit or DEFAULT_TIMEOUT, LONGEST_TIMEOUT)
    if wanted > _MILLISECONDS:
        wanted /= 1000
    return min(wanted, limit or LONGEST_TIMEOUT, LONGEST_TIMEOUT)


TOOL = FunctionTool("bash", prompt("bash"), BashParams, run, scans=True, parallel=False)
