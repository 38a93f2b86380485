"""The Responses format of OpenAI: a request body from our messages. Source: the Responses API reference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, ModelCall, ToolSpec
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
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.openai_responses.decode import ResponsesDecoder
from agent_runtime.providers.parameters import nearest_effort, refuse
from agent_runtime.providers.wire_parts import sendable_input, sound_arguments

MIN_OUTPUT = 16  # the least the API takes as max_output_tokens
MAX_ID = 64  # letters of a call_id

# Calls that a client is asked to run by tools we never offer: should one come, it is answered, not left open.
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


class OpenAIResponses:
    """The wire of one Responses endpoint. Nothing is stored there: each request carries the whole history."""

    format: WireFormat = "openai-responses"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The body. Encrypted reasoning is asked for, so that it can be sent back."""
        endpoint = self._endpoint
        dropped: list[DroppedParameter] = []
        tools = [tool for tool in (_tool(spec, endpoint) for spec in call.tools) if tool is not None]
        free = {tool["name"] for tool in tools if tool["type"] == "custom"}
        body: dict[str, Any] = {
            "model": endpoint.model,
            "input": list(_input(call.messages, endpoint, free)),
            "stream": True,
            "store": False,
        }
        if call.system.strip():
            body["instructions"] = call.system
        if tools:
            body |= {"tools": tools, "parallel_tool_calls": call.parallel_tools}
        if call.max_tokens is not None:
            body["max_output_tokens"] = max(MIN_OUTPUT, call.max_tokens)
        if call.cache_key and endpoint.cache_key:
            body["prompt_cache_key"] = call.cache_key[:64]
        _reason(body, call, endpoint, dropped)
        if call.temperature is not None:
            if endpoint.takes_temperature:
                body["temperature"] = call.temperature
            else:
                dropped.append(refuse("temperature", endpoint))
        return clean_json(body), dropped

    def decoder(self, call: ModelCall) -> Decoder:
        """A decoder for the answer."""
        return ResponsesDecoder(self._endpoint.model, call)


# --- input items


def _input(messages: Sequence[Message], endpoint: Endpoint, free: set[str]) -> Iterator[dict[str, Any]]:
    custom: set[str] = set()  # ids of the calls that went as free-form: their results must too
    for message in messages:
        if isinstance(message, UserMessage):
            items = list(_user(message, endpoint, custom))
        else:
            items = list(_assistant(message, endpoint, free))
        custom |= {item["call_id"] for item in items if item.get("type") == "custom_tool_call"}
        yield from items


def _user(message: UserMessage, endpoint: Endpoint, custom: set[str]) -> Iterator[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for block in message.blocks:
        if isinstance(block, ToolResult):
            kind = "custom_tool_call_output" if _id(block.id) in custom else "function_call_output"
            yield {"type": kind, "call_id": _id(block.id), "output": _output(block, endpoint)}
        elif isinstance(block, Image) or block.text.strip():
            content.append(_part(block, endpoint))
    if content:
        yield {"type": "message", "role": "user", "content": content}


def _output(result: ToolResult, endpoint: Endpoint) -> str | list[dict[str, Any]]:
    if any(isinstance(part, Image) for part in result.content):
        return [_part(part, endpoint) for part in result.content]
    return result.text


def _part(block: Text | Image, endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "input_text", "text": block.text}
    if not endpoint.vision:
        return {"type": "input_text", "text": f"[an image ({block.media_type}) that this model cannot see]"}
    return {
        "type": "input_image",
        "detail": "auto",
        "image_url": f"data:{block.media_type};base64,{block.data}",
    }


def _assistant(message: AssistantMessage, endpoint: Endpoint, free: set[str]) -> Iterator[dict[str, Any]]:
    if message.native is not None and message.native.format == "openai-responses":
        native, _ = normalize_items(message.native, endpoint.model)
        if native is not None:
            yield from map(_resent, native.items)
            yield from _answers(native.items)
            return
    for block in message.blocks:
        if isinstance(block, Text) and block.text.strip():
            yield {"type": "message", "role": "assistant", "content": block.text}
        elif isinstance(block, ToolCall):
            yield _call(block, free)


def _resent(item: dict[str, Any]) -> dict[str, Any]:
    """The item as it came, but for arguments that are no JSON object."""
    if item.get("type") != "function_call":
        return item
    return item | {"arguments": sound_arguments(item.get("arguments") or "")}


def _call(call: ToolCall, free: set[str]) -> dict[str, Any]:
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


# --- tools and parameters


def _tool(spec: ToolSpec, endpoint: Endpoint) -> dict[str, Any] | None:
    native = spec.native.get("openai-responses")
    if spec.hosted:
        return dict(native) if native and endpoint.hosted_tools else None
    if native and (endpoint.custom_tools or native.get("type") != "custom"):
        return dict(native)
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", **function, "strict": False}


def _reason(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    if endpoint.thinking != "effort":
        if call.effort is not None:
            dropped.append(refuse("effort", endpoint))
        if call.thinking:
            dropped.append(refuse("thinking", endpoint))
        return
    body["include"] = ["reasoning.encrypted_content"]
    reasoning: dict[str, Any] = {"summary": "auto"}
    if call.thinking is False and call.effort is None:
        if endpoint.thinking_off == "-":
            dropped.append(DroppedParameter("thinking", f"{endpoint.model} cannot be told not to think"))
        else:
            reasoning = {"effort": endpoint.thinking_off}
    elif call.effort is not None:
        reasoning["effort"] = nearest_effort(call.effort, endpoint, dropped)
    body["reasoning"] = reasoning
