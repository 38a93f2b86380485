"""The Responses format of OpenAI: the input items of a request from our messages."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any

from agent_runtime.conversation.memo import Memo
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
from agent_runtime.providers.wire_parts import sendable_input, sound_arguments

MAX_ID = 64  # characters of a call_id

# Calls of tools that are run by the client and never offered here; each gets an answer, as the API requires.
_REFUSED = "This client does not run it."
_ANSWERS: dict[str, dict[str, Any]] = {
    "apply_patch_call": {"type": "apply_patch_call_output", "status": "failed", "output": _REFUSED},
    "shell_call": {
        "type": "shell_call_output",
        "output": [{"stdout": "", "stderr": _REFUSED, "outcome": {"type": "exit", "exit_code": 1}}],
    },
    "tool_search_call": {"type": "tool_search_output", "execution": "client", "tools": []},
    "mcp_approval_request": {"type": "mcp_approval_response", "approve": False},
}


class InputItems:
    """Encodes a history, each of its messages once.

    Args:
        free: the names of the free-form tools, which take text instead of a JSON object.
    """

    def __init__(self, free: frozenset[str]) -> None:
        self.free = free
        self._known: Memo[Message, list[dict[str, Any]]] = Memo()
        # ids of the calls that were sent as free-form: their results must be too
        self._custom: set[str] = set()

    def encoded(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return the items of all messages."""
        return list(chain.from_iterable(self._known.map(messages, self._items)))

    def _items(self, message: Message) -> list[dict[str, Any]]:
        """The items of the next message."""
        if isinstance(message, UserMessage):
            items = list(_user(message, self._custom))
        else:
            items = list(_assistant(message, self.free))
        # a provider may use an id again
        self._custom -= {item["call_id"] for item in items if item.get("type") == "function_call"}
        self._custom |= {item["call_id"] for item in items if item.get("type") == "custom_tool_call"}
        cleaned: list[dict[str, Any]] = clean_json(items)
        return cleaned


def _user(message: UserMessage, custom: set[str]) -> Iterator[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for block in message.blocks:
        if isinstance(block, ToolResult):
            kind = "custom_tool_call_output" if _id(block.id) in custom else "function_call_output"
            yield {"type": kind, "call_id": _id(block.id), "output": _output(block)}
        elif not isinstance(block, Text) or block.text.strip():
            content.append(_part(block))
    if content:
        yield {"type": "message", "role": "user", "content": content}


def _output(result: ToolResult) -> str | list[dict[str, Any]]:
    if any(not isinstance(part, Text) for part in result.content):
        return [_part(part) for part in result.content]
    return result.text


def _part(block: Content) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "input_text", "text": block.text}
    url = f"data:{block.media_type};base64,{block.data}"
    if isinstance(block, Document):
        return {"type": "input_file", "filename": block.name, "file_data": url}
    return {"type": "input_image", "detail": "auto", "image_url": url}


def _assistant(message: AssistantMessage, free: Collection[str]) -> Iterator[dict[str, Any]]:
    if message.native is not None:
        yield from map(_resent, message.native.items)
        yield from _answers(message.native.items)
        return
    for block in message.blocks:
        if isinstance(block, Text) and block.text.strip():
            yield {"type": "message", "role": "assistant", "content": block.text}
        elif isinstance(block, ToolCall):
            yield _call(block, free)


def _resent(item: dict[str, Any]) -> dict[str, Any]:
    """The item as it came, except for arguments that are not a JSON object."""
    if item.get("type") != "function_call":
        return item
    return item | {"arguments": sound_arguments(item.get("arguments") or "")}


def _call(call: ToolCall, free: Collection[str]) -> dict[str, Any]:
    if call.name in free and (text := _free_text(call)) is not None:
        return {"type": "custom_tool_call", "call_id": _id(call.id), "name": call.name, "input": text}
    arguments = sound_arguments(call.arguments)
    if call.freeform:
        arguments = json.dumps(sendable_input(call), ensure_ascii=False)
    return {"type": "function_call", "call_id": _id(call.id), "name": call.name, "arguments": arguments}


def _id(id: str) -> str:
    """The id, or a digest of it where another provider made it longer than this one takes."""
    return id if len(id) <= MAX_ID else sha256(id.encode(errors="replace")).hexdigest()


def _free_text(call: ToolCall) -> str | None:
    text = call.arguments if call.freeform else (call.input or {}).get("input")
    return text if isinstance(text, str) else None


def _answers(items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    answered = {item.get("call_id") for item in items if str(item.get("type")).endswith("output")}
    for item in items:
        answer = _ANSWERS.get(str(item.get("type")))
        if answer is None or item.get("execution") == "server" or item.get("call_id", 0) in answered:
            continue
        of = {"call_id": item["call_id"]} if item.get("call_id") else {"approval_request_id": item.get("id")}
        yield answer | of
