"""The events of a tool call: `tool_call` and `tool_result`."""

from __future__ import annotations

from typing import Any

from agent_runtime.protocol import events
from agent_runtime.protocol.messages import Text, ToolCall, clean_text
from agent_runtime.protocol.tool_output import ToolOutput


def call_event(call: ToolCall, turn: int) -> events.ToolCallEvent:
    """Return the `tool_call` event; its `input` is the text of the arguments where they are not a JSON object."""
    given: Any = call.arguments if call.input is None else call.input
    return events.ToolCallEvent(id=call.id, tool=call.name, input=given, turn=turn)


def output_text(output: ToolOutput) -> str:
    """Return the `output` of a `tool_result` event: the texts for the model, and a line for each image or document."""
    texts = [
        part.text
        if isinstance(part, Text)
        else f"[{part.type} {part.media_type}, {len(part.data) * 3 // 4} bytes]"
        for part in output.content
    ]
    return clean_text("\n".join(texts))


def result_event(call: ToolCall, output: ToolOutput, turn: int, seconds: float) -> events.ToolResultEvent:
    """Return the `tool_result` event of a call that took `seconds`."""
    return events.ToolResultEvent(
        id=call.id,
        tool=call.name,
        output=output_text(output),
        is_error=output.is_error,
        outcome=output.outcome,
        duration_ms=round(seconds * 1000),
        exit_code=output.exit_code,
        truncated=output.truncated or None,
        output_bytes=output.output_bytes,
        output_file=output.output_file,
        turn=turn,
    )
