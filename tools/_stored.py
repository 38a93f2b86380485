"""A tool whose description is stored: its module, with the models of its parameters, is imported at its first call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.agent.model import ToolSpec
from agent_runtime.lazy import dataclass

if TYPE_CHECKING:
    from agent_runtime.agent.tool import Tool, ToolContext
    from agent_runtime.protocol.tool_output import ToolOutput


@dataclass(frozen=True)
class StoredTool:
    """See agent.tool.Tool.

    Args:
        name: the name that the model uses.
        stored: its entry in data/tools.json, which scripts/make-tools writes.
        describe: returns its description for the model, where that is not in the entry.
        load: imports the tool.
    """

    name: str
    stored: Mapping[str, Any]
    describe: Callable[[], str]
    load: Callable[[], Tool]

    @property
    def scans(self) -> bool:
        """See Tool."""
        return bool(self.stored["scans"])

    @property
    def parallel(self) -> bool:
        """See Tool."""
        return bool(self.stored["parallel"])

    def spec(self) -> ToolSpec:
        """Return the description for the model."""
        row = self.stored
        description = row["description"] or self.describe()
        return ToolSpec(self.name, description, row["parameters"], row["native"], row["hosted"])

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Run the tool. Raises ToolError."""
        return await self.load().call(input, ctx)


@cache
def stored_tools() -> dict[str, dict[str, Any]]:
    """Return the entries of data/tools.json."""
    file = Path(__file__).parent.parent / "data" / "tools.json"
    rows: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return rows
