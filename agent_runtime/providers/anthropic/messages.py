"""The Messages format of Anthropic: one message of a request from one of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Content,
    Document,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.providers.wire_parts import sendable_input


def encoded_message(message: Message) -> dict[str, Any] | None:
    """Return the message; None when nothing in it can be sent."""
    blocks = list(_user(message) if isinstance(message, UserMessage) else _assistant(message))
    if not blocks:
        return None
    encoded: dict[str, Any] = clean_json({"role": message.role, "content": blocks})
    return encoded | {"content": results_first(message.role, encoded["content"])}


def results_first(role: str, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the blocks in the order that the API requires: in a user message, tool results come first."""
    return sorted(blocks, key=lambda block: role == "user" and block["type"] != "tool_result")


def _user(message: UserMessage) -> Iterator[dict[str, Any]]:
    for block in message.blocks:
        if isinstance(block, ToolResult):
            content = [_part(part) for part in block.content if not _is_blank(part)]
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": _id(block.id), "content": content}
            # an error may carry text only
            if block.is_error and all(part["type"] == "text" for part in content):
                result["is_error"] = True
            yield result
        elif not _is_blank(block):
            yield _part(block)


def _is_blank(block: Content) -> bool:
    return isinstance(block, Text) and not block.text.strip()


def _part(block: Content) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    source = {"type": "base64", "media_type": block.media_type, "data": block.data}
    if isinstance(block, Document):
        return {"type": "document", "source": source, "title": block.path}
    return {"type": "image", "source": source}


def _assistant(message: AssistantMessage) -> Iterator[dict[str, Any]]:
    if message.native is not None:
        yield from message.native.items
        return
    for block in message.blocks:
        if isinstance(block, Text) and block.text.strip():
            yield {"type": "text", "text": block.text}
        elif isinstance(block, ToolCall):
            input = sendable_input(block)
            yield {"type": "tool_use", "id": _id(block.id), "name": block.name, "input": input}


def _id(id: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", id) or "call"
