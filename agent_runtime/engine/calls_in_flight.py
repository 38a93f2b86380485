"""Keeps track of the tool calls of a run that are under way."""

from __future__ import annotations

from agent_runtime.agent.executor import CallInfo
from agent_runtime.protocol.tool_output import ToolOutput


class CallsInFlight:
    """A CallObserver that keeps track of the tool calls under way."""

    wants_output = False

    def __init__(self) -> None:
        self._calls: dict[str, str] = {}

    def __call__(self) -> list[dict[str, str]]:
        """Return the calls that are under way, for the `details` of a notice."""
        return [{"id": id, "tool": tool} for id, tool in self._calls.items()]

    async def before(self, info: CallInfo) -> None:
        """Remember the call."""
        self._calls[info.call.id] = info.call.name

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Do nothing."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Forget the call."""
        self._calls.pop(info.call.id, None)
        return output
