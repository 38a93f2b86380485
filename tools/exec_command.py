"""`exec_command`: start a program, wait a while, and get a session if it still runs."""

from __future__ import annotations

from pydantic import Field

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt

DEFAULT_YIELD_MS = 10_000
LONGEST_YIELD_MS = 600_000


class ExecCommandParams(Params):
    """What the model may say."""

    cmd: str = Field(description="Shell command to execute.")
    workdir: str | None = Field(None, description="Working directory; the workspace by default.")
    tty: bool = Field(False, description="Give the command a terminal of its own; plain pipes by default.")
    yield_time_ms: int = Field(
        DEFAULT_YIELD_MS, ge=0, description="Milliseconds to wait for it to end; at most 600,000."
    )
    max_output_tokens: int | None = Field(None, gt=0, description="Longer output is cut in the middle.")


async def run(params: ExecCommandParams, ctx: ToolContext) -> ToolOutput:
    """Start it."""
    return await ctx.sessions.open(
        params.cmd,
        cwd=params.workdir,
        tty=params.tty,
        seconds=min(params.yield_time_ms, LONGEST_YIELD_MS) / 1000,
        tokens=min(params.max_output_tokens or ctx.output_tokens, ctx.output_tokens),
        call_id=ctx.call_id,
    )


TOOL = FunctionTool("exec_command", prompt("exec_command"), ExecCommandParams, run, scans=True)
