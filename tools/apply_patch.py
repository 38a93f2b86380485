"""Apply a patch to one or more files, all or nothing: the edit tool that OpenAI's coding models are trained on."""

from __future__ import annotations

from pathlib import Path

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt

GRAMMAR = Path(__file__).with_suffix(".lark").read_text("utf-8")
FREEFORM = (
    "Edit files with a patch. This is a free-form tool: give the patch itself, not wrapped in JSON. "
    "All of the patch is applied, or nothing."
)


class PatchParams(Params):
    """The patch."""

    input: str = Field(
        validation_alias=AliasChoices("input", "patch"),
        description="The whole patch, from `*** Begin Patch` to `*** End Patch`; or a unified diff.",
    )


async def run(params: PatchParams, ctx: ToolContext) -> ToolOutput:
    """Apply it. Raises ToolError when it cannot be applied; then nothing is changed."""
    return ToolOutput.of(await ctx.files.patch(params.input, call_id=ctx.call_id))


TOOL = FunctionTool(
    name="apply_patch",
    description=prompt("apply_patch"),
    params=PatchParams,
    run=run,
    parallel=False,
    native={
        "openai-responses": {
            "type": "custom",
            "name": "apply_patch",
            "description": FREEFORM,
            "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR},
        }
    },
)
