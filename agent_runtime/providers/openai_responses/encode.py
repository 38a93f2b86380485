"""The Responses format of OpenAI: a request body from our messages. Source: the Responses API reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, ModelCall, ToolSpec
from agent_runtime.conversation.memo import Memo
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import (
    Message,
    WireFormat,
)
from agent_runtime.providers.answer_format import FORMAT_NAME, answer_format
from agent_runtime.providers.call_ids import KnownIds
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.learning import learn
from agent_runtime.providers.openai_responses.decode import ResponsesDecoder
from agent_runtime.providers.openai_responses.input_items import InputItems
from agent_runtime.providers.parameters import messages_for, nearest_effort, omit, output_limit, refuse
from agent_runtime.providers.schema_dialects import OPENAI

MIN_OUTPUT = 16  # the smallest max_output_tokens that the API takes


class OpenAIResponses:
    """The wire of one Responses endpoint. Nothing is stored there: each request carries the whole history."""

    format: WireFormat = "openai-responses"

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._fitted: Memo[Message, Message | None] = Memo()
        self._known_ids = KnownIds()
        self._input = InputItems(frozenset())

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
            self._input = InputItems(free)
        return self._input.encoded(messages)


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
