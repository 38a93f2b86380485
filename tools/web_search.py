"""Web search, run by the provider of the model where it has one: nothing is searched from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.tool import ToolContext
from agent_runtime.errors import ToolError
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import prompt

# The oldest of Anthropic's versions: the later ones need code execution, which not every model has.
_NATIVE = {
    "anthropic": {"type": "web_search_20250305", "name": "web_search"},
    "openai-responses": {"type": "web_search"},
}


class WebSearch:
    """A hosted tool: the provider runs the search itself."""

    name = "web_search"
    scans = False
    parallel = True

    def spec(self) -> ToolSpec:
        """The provider's own tool object, by wire format; left out where there is none."""
        query = {"type": "string", "description": "What to search for."}
        schema = {"type": "object", "properties": {"query": query}, "required": ["query"]}
        native = {format: dict(tool) for format, tool in _NATIVE.items()}
        return ToolSpec(self.name, prompt(self.name), schema, native, hosted=True)

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Raise ToolError: a provider that has the tool runs it itself."""
        raise ToolError(
            "web_search is run by the model's provider, and this provider has none to call from here. "
            "Use what the workspace and the shell offer instead."
        )


TOOL = WebSearch()
