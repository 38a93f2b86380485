"""The Chat Completions format: a request body from our messages, for OpenAI and all who followed it.

Source: the Chat Completions API reference; where a provider differs, its row in `presets` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, ModelCall, ToolSpec
from agent_runtime.conversation.provider_items import clean_json, normalize_items
from agent_runtime.protocol.messages import (
    NO_OUTPUT,
    AssistantMessage,
    Image,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
    WireFormat,
)
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.openai_chat.decode import ChatDecoder
from agent_runtime.providers.parameters import nearest_effort, refuse
from agent_runtime.providers.wire_parts import objects, sendable_input, short_id, sound_arguments


class OpenAIChat:
    """The wire of one Chat Completions endpoint."""

    format: WireFormat = "openai-chat"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The body."""
        endpoint = self._endpoint
        dropped: list[DroppedParameter] = []
        messages: list[dict[str, Any]] = []
        if call.system.strip():
            messages.append({"role": "system", "content": call.system})
        for message in call.messages:
            messages += (
                _user(message, endpoint)
                if isinstance(message, UserMessage)
                else _assistant(message, endpoint)
            )
        body: dict[str, Any] = {"model": endpoint.model, "messages": messages, "stream": True}
        if endpoint.stream_usage:
            body["stream_options"] = {"include_usage": True}
        if tools := [_tool(spec) for spec in call.tools if not spec.hosted]:
            body["tools"] = tools
            if not call.parallel_tools and endpoint.parallel_flag:
                body["parallel_tool_calls"] = False
        if call.max_tokens is not None:
            body[endpoint.max_tokens_field] = call.max_tokens
        if call.cache_key and endpoint.cache_key:
            body["prompt_cache_key"] = call.cache_key[:64]
        if call.temperature is not None:
            if endpoint.takes_temperature:
                body["temperature"] = call.temperature
            else:
                dropped.append(refuse("temperature", endpoint))
        _think(body, call, endpoint, dropped)
        return clean_json(body), dropped

    def decoder(self, call: ModelCall) -> Decoder:
        """A decoder for the answer."""
        return ChatDecoder(self._endpoint.model, call)


# --- messages


def _user(message: UserMessage, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    """The results first, each a message; then all else, with the images of the results, which may carry text only."""
    content: list[dict[str, Any]] = []
    for block in message.blocks:
        if isinstance(block, ToolResult):
            images = [part for part in block.content if isinstance(part, Image)]
            text = block.text or ("(see the image below)" if images else NO_OUTPUT)
            yield {"role": "tool", "tool_call_id": _id(block.id, endpoint), "content": text}
            if images:
                content.append({"type": "text", "text": f"What {block.name} has shown:"})
                content += [_part(image, endpoint) for image in images]
        elif isinstance(block, Image) or block.text.strip():
            content.append(_part(block, endpoint))
    if len(content) == 1 and content[0]["type"] == "text":
        yield {"role": "user", "content": content[0]["text"]}
    elif content:
        yield {"role": "user", "content": content}


def _part(block: Text | Image, endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    if not endpoint.vision:
        return {"type": "text", "text": f"[an image ({block.media_type}) that this model cannot see]"}
    return {"type": "image_url", "image_url": {"url": f"data:{block.media_type};base64,{block.data}"}}


def _assistant(message: AssistantMessage, endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    if message.native is not None and message.native.format == "openai-chat":
        native, _ = normalize_items(message.native, endpoint.model)
        if native is not None:
            yield from (_resent(item, endpoint) for item in native.items)
            return
    text = "".join(block.text for block in message.blocks if isinstance(block, Text))
    calls = [_call(block, endpoint) for block in message.calls]
    if text.strip() or calls:
        yield {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def _resent(item: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The message as it came, but for arguments that are no JSON object: templates parse them, and would fail."""
    if "tool_calls" not in item:
        return item
    return item | {"tool_calls": [_sound(call, endpoint) for call in objects(item["tool_calls"])]}


def _sound(call: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    arguments = sound_arguments(call["function"].get("arguments") or "")
    return call | {"id": _id(call["id"], endpoint), "function": call["function"] | {"arguments": arguments}}


def _call(call: ToolCall, endpoint: Endpoint) -> dict[str, Any]:
    arguments = json.dumps(sendable_input(call), ensure_ascii=False)
    function = {"name": call.name, "arguments": arguments}
    return {"id": _id(call.id, endpoint), "type": "function", "function": function}


def _id(id: str, endpoint: Endpoint) -> str:
    return short_id(id) if endpoint.short_ids else id


# --- tools and parameters


def _tool(spec: ToolSpec) -> dict[str, Any]:
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", "function": function}


def _think(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    effort: str | None = None
    if call.effort is not None:
        if endpoint.effort_style and endpoint.efforts:
            effort = nearest_effort(call.effort, endpoint, dropped)
        else:
            dropped.append(refuse("effort", endpoint))
    if call.thinking is not None and endpoint.thinking_style == "enable_thinking":
        body["enable_thinking"] = call.thinking
    elif call.thinking is not None and endpoint.thinking_style == "thinking":
        body["thinking"] = {"type": "enabled" if call.thinking else "disabled"}
    elif call.thinking is False and effort is None:
        if endpoint.effort_style and endpoint.thinking_off not in ("", "-"):
            effort = endpoint.thinking_off
        elif endpoint.thinking != "none":
            dropped.append(DroppedParameter("thinking", f"{endpoint.model} cannot be told not to think"))
    elif call.thinking and endpoint.thinking == "none":
        dropped.append(refuse("thinking", endpoint))
    if effort is not None and endpoint.effort_style == "reasoning":
        body["reasoning"] = {"effort": effort}
    elif effort is not None:
        body["reasoning_effort"] = effort
