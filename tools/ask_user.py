"""`ask_user`: ask the user of the run a question, and wait for the answer."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.models.base import Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt


class QuestionParams(Params):
    """Parameters of `ask_user`."""

    question: str
    options: list[str] | None = Field(None, description="Answers to choose from.")


async def run(params: QuestionParams, ctx: ToolContext) -> ToolOutput:
    """Ask, and return the answer. Raises ToolError for an empty question."""
    if not params.question.strip():
        raise ToolError("The question is empty.")
    return await ctx.user.ask(ctx.call_id, params.question, params.options or (), ctx.turn)


TOOL = FunctionTool("ask_user", prompt("ask_user"), QuestionParams, run)
