"""The Responses format of OpenAI: a request body from our messages. Source: the Responses API reference."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, ModelCall, ToolSpec
from agent_runtime.conversation.memo import Memo
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Document,
    Image,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
    WireFormat,
)
from agent_runtime.providers.answer_format import FORMAT_NAME, answer_format
from agent_runtime.providers.call_ids import KnownIds
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.learning import learn
from agent_runtime.providers.openai_responses.decode import ResponsesDecoder
from agent_runtime.providers.parameters import messages_for, nearest_effort, omit, output_limit, refuse
from agent_runtime.providers.schema_dialects import OPENAI
from agent_runtime.providers.wire_parts import sendable_input, sound_arguments

MIN_OUTPUT = 16  # the smallest max_output_tokens that the API takes
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


class OpenAIResponses:
    """The wire of one Responses endpoint. Nothing is stored there: each request carries the whole history."""

    format: WireFormat = "openai-responses"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._fitted: Memo[Message, Message | None] = Memo()
        self._known_ids = KnownIds()
        self._input = _Input(frozenset())

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The body. Encrypted reasoning is asked for, so that it can be sent back."""
        endpoint, dropped = self._endpoint, list[DroppedParameter]()
        schema, specs = answer_format(call, endpoint, dropped, OPENAI)
        tools = [tool for tool in (_tool(spec, endpoint) for spec in specs) if tool is not None]
        free = frozenset(tool["name"] for tool in tools if tool["type"] == "custom")
        body: dict[str, Any] = {
            "model": endpoint.model,
            "input": self._items(messages_for(call, endpoint, dropped, self._fitted), free),
            "stream": True,
            "store": False,
        }
        if call.system.strip():
            body["instructions"] = call.system
        if any("defer_loading" in tool for tool in tools):
            tools.insert(0, {"type": "tool_search"})
        if tools:
            body |= {"tools": tools, "parallel_tool_calls": call.parallel_tools}
        if (limit := output_limit(call, endpoint, dropped)) is not None:
            body["max_output_tokens"] = max(MIN_OUTPUT, limit)
        if call.cache_key and endpoint.provider_row.cache_key:
            body["prompt_cache_key"] = call.cache_key[:64]
        if schema is not None:
            format = {"type": "json_schema", "name": FORMAT_NAME, "schema": schema, "strict": True}
            body["text"] = {"format": format}
        _add_reasoning(body, call, endpoint, dropped)
        if call.temperature is not None:
            if endpoint.model_row.temperature:
                body["temperature"] = call.temperature
            else:
                dropped.append(refuse("temperature", endpoint))
        body |= clean_json({name: value for name, value in body.items() if name != "input"})
        return omit(body, endpoint, dropped), dropped

    def decoder(self, call: ModelCall) -> Decoder:
        """A decoder for the answer."""
        return ResponsesDecoder(self._endpoint.model, self._known_ids.of(call.messages))

    def adapted(self, error: ProviderError, body: dict[str, Any]) -> OpenAIResponses | None:
        """See agent.model.Wire."""
        endpoint = learn(self._endpoint, error, body)
        return OpenAIResponses(endpoint) if endpoint else None

    def _items(self, messages: Sequence[Message], free: frozenset[str]) -> list[dict[str, Any]]:
        if free != self._input.free:
            self._input = _Input(free)
        return list(chain.from_iterable(self._input.known.map(messages, self._input.items)))


# --- input items


class _Input:
    """The items of a history, encoded in its order. `free`: the names of the tools that take text."""

    def __init__(self, free: frozenset[str]) -> None:
        self.free = free
        self.known: Memo[Message, list[dict[str, Any]]] = Memo()
        self._custom: set[str] = set()  # ids of the calls that went as free-form: their results must too

    def items(self, message: Message) -> list[dict[str, Any]]:
        """The items of the next message."""
        if isinstance(message, UserMessage):
            items = list(_user(message, self._custom))
        else:
            items = list(_assistant(message, self.free))
        self._custom -= {
            item["call_id"] for item in items if item.get("type") == "function_call"
        }  # used again
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
    if any(isinstance(part, Image) for part in result.content):
        return [_part(part) for part in result.content]
    return result.text


def _part(block: Text | Image | Document) -> dict[str, Any]:
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


# --- tools and parameters


def _tool(spec: ToolSpec, endpoint: Endpoint) -> dict[str, Any] | None:
    native = spec.native.get("openai-responses")
    if spec.hosted:
        return dict(native) if native and endpoint.provider_row.hosted_tools else None
    if native and (endpoint.model_row.custom_tools or native.get("type") != "custom"):
        return dict(native)
    function = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    deferred = {"defer_loading": True} if spec.deferred and endpoint.provider_row.tool_search else {}
    return {"type": "function", **function, "strict": False} | deferred


def _add_reasoning(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    row = endpoint.model_row
    if row.thinking == "none":
        if call.effort is not None:
            dropped.append(refuse("effort", endpoint))
        if call.thinking:
            dropped.append(refuse("thinking", endpoint))
        return
    if row.thinking != "effort":  # a model that is not OpenAI's: nothing is sent that was not asked for
        _add_effort_only(body, call, endpoint, dropped)
        return
    body["include"] = ["reasoning.encrypted_content"]
    reasoning: dict[str, Any] = {"summary": "auto"}
    if call.thinking is False and row.thinking_off.by == "value":
        reasoning = {"effort": row.thinking_off.value}
        if call.effort is not None:
            dropped.append(DroppedParameter("effort", "thinking is switched off"))
    else:
        if call.thinking is False:
            dropped.append(DroppedParameter("thinking", f"{endpoint.model} cannot switch thinking off"))
        if call.effort is not None:
            reasoning["effort"] = nearest_effort(call.effort, endpoint, dropped)
        elif call.thinking and not row.thinks_by_default:
            reasoning["effort"] = "medium"
    body["reasoning"] = reasoning


def _add_effort_only(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    if call.thinking is False and endpoint.model_row.thinking_off.by == "nothing":
        dropped.append(DroppedParameter("thinking", f"{endpoint.model} cannot switch thinking off"))
    elif call.thinking is False:
        body["reasoning"] = {"effort": "none"}
    elif call.effort is not None:
        body["reasoning"] = {"effort": nearest_effort(call.effort, endpoint, dropped)}
    elif call.thinking and not endpoint.model_row.thinks_by_default:
        body["reasoning"] = {"effort": "medium"}
