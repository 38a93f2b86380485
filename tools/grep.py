"""Search the contents of files."""

from __future__ import annotations

from typing import Literal

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FolderPath


class GrepParams(Params):
    """The pattern, the files to search, and the form of the answer."""

    pattern: str = Field(
        validation_alias=AliasChoices("pattern", "query", "regex"),
        description="A regular expression, matched line by line.",
    )
    path: FolderPath = "."
    glob: str | None = Field(
        default=None,
        validation_alias=AliasChoices("glob", "include", "file_pattern"),
        description="Only files that match: `*.py`, `src/**/*.{ts,tsx}`, `*.js,!*.min.js`.",
    )
    ignore_case: bool = Field(
        default=False,
        validation_alias=AliasChoices("ignore_case", "case_insensitive"),
        description="Ignore case.",
    )
    literal: bool = Field(
        default=False,
        validation_alias=AliasChoices("literal", "fixed_strings"),
        description="The pattern is plain text, not a regular expression.",
    )
    context: int = Field(default=0, ge=0, le=20, description="Lines before and after each match.")
    output_mode: Literal["content", "files", "files_with_matches", "count"] = Field(
        default="content",
        description="content: matching lines; files: paths only; count: matching lines per file.",
    )
    limit: int = Field(
        default=200,
        ge=1,
        le=5_000,
        validation_alias=AliasChoices("limit", "max_results", "head_limit"),
        description="The most matches (or files) to return.",
    )


async def run(params: GrepParams, ctx: ToolContext) -> ToolOutput:
    """Search. Raises ToolError when an argument is invalid."""
    mode = "files" if params.output_mode == "files_with_matches" else params.output_mode
    done = await ctx.search.grep(
        params.pattern,
        params.path,
        glob=params.glob,
        ignore_case=params.ignore_case,
        literal=params.literal,
        context=params.context if mode == "content" else 0,
        mode=mode,
        limit=params.limit,
        tokens=ctx.output_tokens,
    )
    return ToolOutput.of(done)


TOOL = FunctionTool(name="grep", description=prompt("grep"), params=GrepParams, run=run)
