"""Search files by name."""

from __future__ import annotations

from agent_runtime.agent.tool import FunctionTool, Params, ToolContext
from agent_runtime.models.base import AliasChoices, Field
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt
from agent_runtime.tools._paths import FolderPath


class SearchParams(Params):
    """The names, and where to search."""

    pattern: str = Field(
        validation_alias=AliasChoices("pattern", "query", "glob"),
        description="A glob such as `*.py` or `src/**/test_*.ts`, or a part of the path (case is ignored).",
    )
    path: FolderPath = "."
    limit: int = Field(
        default=200,
        ge=1,
        le=5_000,
        validation_alias=AliasChoices("limit", "max_results"),
        description="The most files to return.",
    )


async def run(params: SearchParams, ctx: ToolContext) -> ToolOutput:
    """Search. Raises ToolError when an argument is invalid."""
    done = await ctx.search.files(params.pattern, params.path, limit=params.limit, tokens=ctx.output_tokens)
    return ToolOutput.of(done)


TOOL = FunctionTool(name="file_search", description=prompt("file_search"), params=SearchParams, run=run)
