"""The text editor that Claude models are trained on: Anthropic's `text_editor_20250728`, executed here."""

from __future__ import annotations

from typing import Literal

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt


class EditorParams(Params):
    """A command and its arguments, with the provider's names."""

    command: Literal["view", "create", "str_replace", "insert"] = Field(description="What to do.")
    path: str = Field(description="File or directory: absolute, or relative to the workspace.")
    view_range: list[int] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="For view: first and last line, counted from 1; a last line of -1 means to the end.",
    )
    file_text: str | None = Field(default=None, description="For create: the whole content.")
    old_str: str | None = Field(
        default=None, description="For str_replace: the text to replace. It must occur exactly once."
    )
    new_str: str | None = Field(
        default=None, description="For str_replace: the text to put there; leave it out to delete."
    )
    insert_line: int | None = Field(
        default=None, description="For insert: the line after which to insert; 0 is the beginning."
    )
    insert_text: str | None = Field(
        default=None,
        validation_alias=AliasChoices("insert_text", "text"),
        description="For insert: the lines to insert.",
    )


async def run(params: EditorParams, ctx: ToolContext) -> ToolOutput:
    """Run the command. Raises ToolError when an argument that it needs is missing."""
    files, path = ctx.files, params.path
    match params.command:
        case "view":
            first, last = params.view_range or (None, None)
            return await files.read(path, first, last, tokens=ctx.output_tokens)
        case "create":
            done = await files.write(
                path, _needed("file_text", params.file_text, "create"), call_id=ctx.call_id
            )
        case "str_replace":
            old = _needed("old_str", params.old_str, "str_replace")
            done = await files.replace(path, old, params.new_str or "", call_id=ctx.call_id)
        case "insert":
            # older versions of the tool have new_str here
            text = params.new_str if params.insert_text is None else params.insert_text
            if params.insert_line is None:
                raise ToolError("insert needs insert_line")
            done = await files.insert(
                path, params.insert_line, _needed("insert_text", text, "insert"), call_id=ctx.call_id
            )
    return ToolOutput.of(done)


def _needed(name: str, value: str | None, command: str) -> str:
    if value is None:
        raise ToolError(f"{command} needs {name}")
    return value


TOOL = FunctionTool(
    name="str_replace_based_edit_tool",
    description=prompt("str_replace_based_edit_tool"),
    params=EditorParams,
    run=run,
    parallel=False,
    native={"anthropic": {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}},
)
