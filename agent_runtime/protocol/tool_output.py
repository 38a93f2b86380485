"""The value that a tool returns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.events import Outcome
from agent_runtime.protocol.messages import Content, Text


@dataclass(frozen=True)
class ToolOutput:
    """The result of a tool: `content` goes to the model, the other fields into the `tool_result` event."""

    content: tuple[Content, ...]
    is_error: bool = False
    outcome: Outcome = "completed"
    exit_code: int | None = None
    truncated: bool = False
    output_bytes: int | None = None  # size of the whole output, when `content` is truncated
    output_file: str | None = None  # file with the whole output

    @classmethod
    def of(cls, text: str, **more: Any) -> ToolOutput:
        """Return an output of one text block; `more` are other fields."""
        return cls(content=(Text(text=text),), **more)

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "\n".join(part.text for part in self.content if isinstance(part, Text))

    def with_note(self, note: str) -> ToolOutput:
        """Return this output with `note` at the end of its text."""
        first, *rest = self.content
        if not note or not isinstance(first, Text):
            return self
        return replace(self, content=(Text(text=first.text + note), *rest))
