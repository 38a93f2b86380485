"""`update_plan`: show the user the steps of the work, and how far it is."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.models.base import Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.protocol.user_events import PlanItem, StepStatus
from agent_runtime.tools import prompt


class Step(Params):
    """A step of the plan."""

    step: str
    status: StepStatus


class PlanParams(Params):
    """Parameters of `update_plan`."""

    explanation: str | None = None
    plan: list[Step] = Field(description="All steps, at most one in_progress.")


async def run(params: PlanParams, ctx: ToolContext) -> ToolOutput:
    """Emit the plan. Raises ToolError for a step without a text, and when several are in progress."""
    if any(not step.step.strip() for step in params.plan):
        raise ToolError("Each step of the plan needs a text.")
    if sum(step.status == "in_progress" for step in params.plan) > 1:
        raise ToolError("At most one step of the plan can be in_progress at a time.")
    items = [PlanItem(step=step.step, status=step.status) for step in params.plan]
    await ctx.user.show_plan(items, params.explanation, ctx.turn)
    return ToolOutput.of("Plan updated")


TOOL = FunctionTool("update_plan", prompt("update_plan"), PlanParams, run, parallel=False)
