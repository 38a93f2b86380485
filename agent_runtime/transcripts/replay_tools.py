"""The tools of a replay: real tools that are stopped where the recorded run was stopped, and recorded tools."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import anyio

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.tool import Tool, ToolContext
from agent_runtime.errors import ReplayMismatch
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.tools import DIALOGUE
from agent_runtime.transcripts.player import Player

ASKED_SECONDS = 0.5  # seconds for which a question that was cancelled is asked again


@dataclass(frozen=True)
class ReplayedTool:
    """A real tool. The run is stopped where the recorded run was stopped."""

    tool: Tool
    player: Player

    @property
    def name(self) -> str:
        """The real tool's."""
        return self.tool.name

    @property
    def scans(self) -> bool:
        """The real tool's."""
        return self.tool.scans

    @property
    def parallel(self) -> bool:
        """The real tool's."""
        return self.tool.parallel

    def spec(self) -> ToolSpec:
        """The real tool's."""
        return self.tool.spec()

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Run the tool. A call that was cancelled runs as long as the recorded one did."""
        record = self.player.next_output(ctx.call_id, self.name)
        if record is not None and record.outcome == "not_started":
            self.player.stop()
            return record.output()
        if record is None or record.outcome != "cancelled":
            return await self.tool.call(input, ctx)
        longest = ASKED_SECONDS if self.name in DIALOGUE else math.inf
        with anyio.move_on_after(min(record.duration_ms / 1000, longest)):
            output = await self.tool.call(input, ctx)
            if self.name not in DIALOGUE:  # a question of a replay is not waited for
                return output
        await self.player.stopped()
        raise AssertionError("the run was not cancelled")


@dataclass(frozen=True)
class RecordedTool(ReplayedTool):
    """A tool that executes nothing, and returns the recorded result of each call."""

    @property
    def scans(self) -> bool:
        """False: nothing is changed."""
        return False

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Return the recorded output. When there is none, the replay ends at its next model call."""
        player = self.player
        record = player.next_output(ctx.call_id, self.name)
        if record is None:
            player.mismatch = ReplayMismatch(
                f"the recording has no further result of {self.name} for call {ctx.call_id}"
            )
            return ToolOutput.of(str(player.mismatch), is_error=True, outcome="failed")
        await player.wait(record.duration_ms)
        if record.outcome in ("cancelled", "not_started"):
            player.stop()
        return record.output()
