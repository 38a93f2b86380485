"""Converts a stored thread to updates, from which a client displays the conversation when it loads a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agent_runtime.acp.tool_calls import image_content, input_text, text_content, tool_call
from agent_runtime.acp.updates import chunk
from agent_runtime.protocol.messages import Content, Image, Message, Text, Thinking, ToolCall, ToolResult

Json = dict[str, Any]


def history_updates(messages: Iterable[Message], cwd: str) -> Iterator[Json]:
    """Yield the updates for the messages of a thread. Calls without a result, which were interrupted, have failed."""
    open_calls: set[str] = set()
    for message in messages:
        for block in message.blocks:
            if isinstance(block, ToolCall):
                given = block.input if block.input is not None else input_text(block.arguments)
                open_calls.add(block.id)
                yield {
                    "sessionUpdate": "tool_call",
                    "status": "pending",
                    **tool_call(block.id, block.name, given, cwd),
                }
            elif isinstance(block, ToolResult):
                open_calls.discard(block.id)
                status = "failed" if block.is_error else "completed"
                yield _ended(block.id, status, [_content(part) for part in block.content])
            elif isinstance(block, Thinking):
                yield chunk("agent_thought_chunk", block.text)
            else:
                kind = "user_message_chunk" if message.role == "user" else "agent_message_chunk"
                yield {"sessionUpdate": kind, "content": _content(block)["content"]}
    for id in sorted(open_calls):
        yield _ended(id, "failed", [])


def _ended(id: str, status: str, content: list[Json]) -> Json:
    return {"sessionUpdate": "tool_call_update", "toolCallId": id, "status": status, "content": content}


def _content(block: Content) -> Json:
    if isinstance(block, Text):
        return text_content(block.text)
    if isinstance(block, Image):
        return image_content(block.media_type, block.data)
    uri = Path(block.path).as_uri() if block.path.startswith("/") else block.path
    link = {"type": "resource_link", "uri": uri, "name": block.name, "mimeType": block.media_type}
    return {"type": "content", "content": link}
