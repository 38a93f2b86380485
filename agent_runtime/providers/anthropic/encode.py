"""The Messages format of Anthropic: a request body from our messages. Source: the Messages API reference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, Effort, ModelCall, ToolSpec
from agent_runtime.conversation.provider_items import clean_json, normalize_items
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Image,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
    WireFormat,
)
from agent_runtime.providers.anthropic.decode import AnthropicDecoder
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.parameters import nearest_effort, refuse
from agent_runtime.providers.wire_parts import sendable_input

CACHE = {"type": "ephemeral"}
# the last user messages that end in a cache breakpoint; four breakpoints are allowed in all
CACHED_MESSAGES = 2
MIN_BUDGET = 1024

# Tokens to think, by effort, where a model takes a budget in its place.
BUDGETS: dict[Effort, int] = {
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_000,
}
DEFAULT_BUDGET = 8192


class AnthropicMessages:
    """The wire of one Anthropic-compatible endpoint."""

    format: WireFormat = "anthropic"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The body, with cache breakpoints behind the tools and system prompt and the last user messages."""
        dropped: list[DroppedParameter] = []
        messages = _messages(call.messages, self._endpoint)
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "max_tokens": min(call.max_tokens or self._endpoint.max_output, self._endpoint.max_output),
            "messages": messages,
            "stream": True,
        }
        if call.system.strip():
            body["system"] = [{"type": "text", "text": call.system, "cache_control": CACHE}]
        if tools := [t for t in (_tool(spec, self._endpoint) for spec in call.tools) if t is not None]:
            body["tools"] = tools
            if "system" not in body:
                tools[-1] = tools[-1] | {"cache_control": CACHE}
            if not call.parallel_tools:
                body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        _mark_cached(messages)
        _think(body, call, self._endpoint, dropped)
        _temperature(body, call, self._endpoint, dropped)
        return clean_json(body), dropped

    def decoder(self, call: ModelCall) -> Decoder:
        """A decoder for the answer."""
        return AnthropicDecoder(self._endpoint.model, call)


# --- messages


def _messages(messages: Sequence[Message], endpoint: Endpoint) -> list[dict[str, Any]]:
    encoded: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, UserMessage):
            blocks = list(_user(message, endpoint))
        else:
            blocks = list(_assistant(message, endpoint))
        if not blocks:
            continue
        if encoded and encoded[-1]["role"] == message.role:
            encoded[-1]["content"] += blocks
        else:
            encoded.append({"role": message.role, "content": blocks})
    for item in encoded:  # results stand before all else, also where two messages became one
        item["content"].sort(key=lambda block: item["role"] == "user" and block["type"] != "tool_result")
    return encoded


def _user(message: UserMessage, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for block in message.blocks:
        if isinstance(block, ToolResult):
            content = [_part(part, endpoint) for part in block.content if _says_something(part)]
            result: dict[str, Any] = {"type": "tool_result", "tool_use_id": _id(block.id), "content": content}
            # an error may carry text only
            if block.is_error and all(part["type"] == "text" for part in content):
                result["is_error"] = True
            yield result
        elif _says_something(block):
            yield _part(block, endpoint)


def _says_something(block: Text | Image) -> bool:
    return isinstance(block, Image) or bool(block.text.strip())


def _part(block: Text | Image, endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    if not endpoint.vision:
        return {"type": "text", "text": f"[an image ({block.media_type}) that this model cannot see]"}
    source = {"type": "base64", "media_type": block.media_type, "data": block.data}
    return {"type": "image", "source": source}


def _assistant(message: AssistantMessage, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    if message.native is not None and message.native.format == "anthropic":
        native, _ = normalize_items(message.native, endpoint.model)
        if native is not None:
            yield from native.items
            return
    for block in message.blocks:
        if isinstance(block, Text) and block.text.strip():
            yield {"type": "text", "text": block.text}
        elif isinstance(block, ToolCall):
            input = sendable_input(block)
            yield {"type": "tool_use", "id": _id(block.id), "name": block.name, "input": input}


def _id(id: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", id) or "call"


def _mark_cached(messages: list[dict[str, Any]]) -> None:
    users = [message for message in messages if message["role"] == "user"]
    for message in users[-CACHED_MESSAGES:]:
        message["content"][-1] = message["content"][-1] | {"cache_control": CACHE}


# --- tools


def _tool(spec: ToolSpec, endpoint: Endpoint) -> dict[str, Any] | None:
    native = spec.native.get("anthropic")
    if spec.hosted:
        return dict(native) if native and endpoint.hosted_tools else None
    if native and endpoint.editor_tool:
        return dict(native)
    return {"name": spec.name, "description": spec.description, "input_schema": spec.parameters}


# --- parameters


def _think(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    style = endpoint.thinking
    if call.thinking is False:
        if endpoint.thinking_off == "-":
            dropped.append(DroppedParameter("thinking", f"{endpoint.model} cannot be told not to think"))
        elif endpoint.thinking_off:
            body["thinking"] = {"type": endpoint.thinking_off}
    elif style == "always" or (style == "adaptive" and not _wants_sampling(call, endpoint)):
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    elif style == "budget" and call.thinking and not _in_foreign_turn(call.messages):
        budget = min(BUDGETS[call.effort] if call.effort else DEFAULT_BUDGET, body["max_tokens"] // 2)
        if budget >= MIN_BUDGET:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        else:
            dropped.append(
                DroppedParameter("thinking", f"it takes {MIN_BUDGET} tokens, half of maxTokens at most")
            )
    elif call.thinking and style == "none":
        dropped.append(refuse("thinking", endpoint))
    if call.effort is None:
        return
    if endpoint.efforts:
        effort = nearest_effort(call.effort, endpoint, dropped)
        body["output_config"] = {"effort": effort}
    elif "budget_tokens" not in body.get("thinking", {}):
        dropped.append(refuse("effort", endpoint))


def _wants_sampling(call: ModelCall, endpoint: Endpoint) -> bool:
    """A temperature that the model takes, but not while it thinks, and no word on thinking."""
    return call.temperature not in (None, 1) and endpoint.takes_temperature and call.thinking is None


def _in_foreign_turn(messages: Sequence[Message]) -> bool:
    """Is a turn going on (a call was just answered) that does not begin with signed thinking?

    With a budget the API asks for thinking at the head of such a turn; another model's turn has none.
    """
    if not messages or not any(isinstance(block, ToolResult) for block in messages[-1].blocks):
        return False
    last = next((m for m in reversed(messages) if isinstance(m, AssistantMessage)), None)
    items = last.native.items if last and last.native and last.native.format == "anthropic" else ()
    return not items or items[0].get("type") not in ("thinking", "redacted_thinking")


def _temperature(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    if call.temperature is None:
        return
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    if not endpoint.takes_temperature:
        dropped.append(refuse("temperature", endpoint))
    elif thinks and call.temperature != 1:
        dropped.append(DroppedParameter("temperature", f"{endpoint.model} does not take it while it thinks"))
    else:
        if call.temperature > 1:
            dropped.append(DroppedParameter("temperature", f"{endpoint.model} takes at most 1; 1 is used"))
        body["temperature"] = min(call.temperature, 1)
