"""`exec_command`: start a program, wait for its end, and get a session when it still runs after that."""

from __future__ import annotations

from typing import ClassVar

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._shell_arguments import IGNORED

DEFAULT_YIELD_MS = 10_000
LONGEST_YIELD = 600.0  # seconds


class ExecCommandParams(Params):
    """Parameters of `exec_command`."""

    ignored: ClassVar[frozenset[str]] = IGNORED | {"timeout", "timeout_ms", "timeout_secs", "timeout_seconds"}

    cmd: str = Field(description="Shell command to execute.", validation_alias=AliasChoices("cmd", "command"))
    workdir: str | None = Field(
        None,
        description="Working directory; the workspace by default.",
        validation_alias=AliasChoices("workdir", "cwd", "working_directory"),
    )
    tty: bool = Field(False, description="Give the command a terminal; without one its stdin is a pipe.")
    yield_time_ms: int = Field(
        DEFAULT_YIELD_MS, ge=0, description="Milliseconds to wait for it to end; at most 600,000."
    )
    max_output_tokens: int | None = Field(None, gt=0, description="Longer output is cut in the middle.")


async def run(params: ExecCommandParams, ctx: ToolContext) -> ToolOutput:
    """Start the program. Raises ToolError when it cannot be started, or when too many run already."""
    cwd = params.workdir
    if cwd and not (ctx.workspace / cwd).is_dir():
        cwd = str(await ctx.files.directory(cwd))
    return await ctx.sessions.open(
        params.cmd,
        cwd=cwd,
        tty=params.tty,
        seconds=min(params.yield_time_ms / 1000, ctx.tool_timeout or LONGEST_YIELD, LONGEST_YIELD),
        tokens=min(params.max_output_tokens or ctx.output_tokens, ctx.output_tokens),
        call_id=ctx.call_id,
    )


TOOL = FunctionTool("exec_command", prompt("exec_command"), ExecCommandParams, run, scans=True)
