"""What a tool returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent_runtime.protocol.events import Outcome
from agent_runtime.protocol.messages import Image, Text


@dataclass(frozen=True)
class ToolOutput:
    """What a tool gives back: `content` goes to the model, the rest into the `tool_result` event."""

    content: tuple[Text | Image, ...]
    is_error: bool = False
    outcome: Outcome = "completed"
    exit_code: int | None = None
    truncated: bool = False
    output_bytes: int | None = None  # of the whole output, when `content` is a cut of it
    output_file: str | None = None  # where the whole output is

    @classmethod
    def of(cls, text: str, **more: Any) -> ToolOutput:
        """One text."""
        return cls(content=(Text(text=text),), **more)

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "\n".join(part.text for part in self.content if isinstance(part, Text))
