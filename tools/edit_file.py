"""Replace a part of a file's text."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FilePath


class EditParams(Params):
    """The file, the old text and the new."""

    path: FilePath
    old_string: str = Field(
        validation_alias=AliasChoices("old_string", "old_str", "old_text"),
        description="The text to replace. It must occur exactly once, unless replace_all is set.",
    )
    new_string: str = Field(
        validation_alias=AliasChoices("new_string", "new_str", "new_text"),
        description="The text to put there; an empty one deletes.",
    )
    replace_all: bool = Field(default=False, description="Replace every occurrence.")


async def run(params: EditParams, ctx: ToolContext) -> ToolOutput:
    """Replace the text."""
    done = await ctx.files.replace(
        params.path, params.old_string, params.new_string, every=params.replace_all, call_id=ctx.call_id
    )
    return ToolOutput.of(done)


TOOL = FunctionTool(
    name="edit_file", description=prompt("edit_file"), params=EditParams, run=run, parallel=False
)
