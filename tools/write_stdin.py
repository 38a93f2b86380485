"""`write_stdin`: type into a session of `exec_command`, or look at it."""

from __future__ import annotations

from typing import ClassVar

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt

AFTER_TYPING_MS = 1_000
WHEN_LOOKING_MS = 5_000
LONGEST_YIELD = 600.0  # seconds


class WriteStdinParams(Params):
    """Parameters of `write_stdin`."""

    ignored: ClassVar[frozenset[str]] = frozenset(
        ["description", "explanation", "justification", "reason", "security_risk", "is_input"]
    )

    session_id: int = Field(description="The session's ID, from exec_command.")
    chars: str = Field("", description="What to type; empty to wait and look only.")
    yield_time_ms: int | None = Field(
        None,
        ge=0,
        description="Milliseconds to wait: for an answer to what was typed, or the program's end; at most 600,000.",
    )
    max_output_tokens: int | None = Field(None, gt=0, description="Longer output is cut in the middle.")


async def run(params: WriteStdinParams, ctx: ToolContext) -> ToolOutput:
    """Write the text, wait, and return the output since the last call. Raises ToolError for an unknown session."""
    wait = params.yield_time_ms
    if wait is None:
        wait = AFTER_TYPING_MS if params.chars else WHEN_LOOKING_MS
    return await ctx.sessions.write(
        params.session_id,
        params.chars,
        seconds=min(wait / 1000, ctx.tool_timeout or LONGEST_YIELD, LONGEST_YIELD),
        tokens=min(params.max_output_tokens or ctx.output_tokens, ctx.output_tokens),
    )


TOOL = FunctionTool("write_stdin", prompt("write_stdin"), WriteStdinParams, run, scans=True, parallel=False)
