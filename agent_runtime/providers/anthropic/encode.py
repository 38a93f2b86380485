"""The Messages format of Anthropic: a request body from our messages. Source: the Messages API reference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from agent_runtime.agent.model import Decoder, DroppedParameter, Effort, ModelCall, ToolSpec
from agent_runtime.conversation.memo import Growth, Memo
from agent_runtime.conversation.provider_items import clean_json
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Message,
    ToolResult,
    WireFormat,
)
from agent_runtime.providers.answer_format import answer_format
from agent_runtime.providers.anthropic.decode import AnthropicDecoder
from agent_runtime.providers.anthropic.messages import encoded_message, results_first
from agent_runtime.providers.call_ids import KnownIds
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.headers import ANTHROPIC_VERSION
from agent_runtime.providers.learning import learn
from agent_runtime.providers.parameters import messages_for, nearest_effort, omit, output_limit, refuse
from agent_runtime.providers.schema_dialects import ANTHROPIC

CACHE = {"type": "ephemeral"}
# the last user messages that end in a cache breakpoint; four breakpoints are allowed in all
CACHED_MESSAGES = 2
TOOL_SEARCH = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
MIN_BUDGET = 1024

# tokens to think, by effort, for models that take a budget instead
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
        self._fitted: Memo[Message, Message | None] = Memo()
        self._known_ids = KnownIds()
        self._encoded: Memo[Message, dict[str, Any] | None] = Memo()
        self._growth: Growth[dict[str, Any] | None] = Growth()
        self._joined: list[dict[str, Any]] = []

    def encode(self, call: ModelCall) -> tuple[dict[str, Any], Sequence[DroppedParameter]]:
        """The body, with cache breakpoints behind the tools and system prompt and the last user messages."""
        endpoint, dropped = self._endpoint, list[DroppedParameter]()
        messages = self._messages(messages_for(call, endpoint, dropped, self._fitted))
        body: dict[str, Any] = {
            "model": endpoint.model,
            "max_tokens": output_limit(call, endpoint, dropped) or _default_limit(endpoint),
            "messages": messages,
            "stream": True,
        }
        if call.system.strip():
            body["system"] = [{"type": "text", "text": call.system, "cache_control": CACHE}]
        schema, specs = answer_format(call, endpoint, dropped, ANTHROPIC)
        if tools := _tools(specs, endpoint):
            body["tools"] = tools
            if "system" not in body:
                _add_tool_breakpoint(tools)
            if not call.parallel_tools:
                body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        _add_breakpoints(messages)
        _add_thinking(body, call, endpoint, dropped)
        _add_effort(body, call, endpoint, dropped)
        _add_temperature(body, call, endpoint, dropped)
        if schema is not None:
            format = {"type": "json_schema", "schema": schema}
            body["output_config"] = body.get("output_config", {}) | {"format": format}
        body |= clean_json({name: value for name, value in body.items() if name != "messages"})
        return _for_platform(omit(body, endpoint, dropped), endpoint), dropped

    def decoder(self, call: ModelCall) -> Decoder:
        """A decoder for the answer."""
        return AnthropicDecoder(self._endpoint.model, self._known_ids.of(call.messages))

    def adapted(self, error: ProviderError, body: dict[str, Any]) -> AnthropicMessages | None:
        """See agent.model.Wire."""
        endpoint = learn(self._endpoint, error, body)
        return AnthropicMessages(endpoint) if endpoint else None

    def _messages(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """The messages; two of one role in a row become one. What is returned may be changed, but not what is in it."""
        encoded = self._encoded.map(messages, encoded_message)
        new = self._growth.since(encoded)
        if new is None:
            self._joined, new = [], encoded
        joined = self._joined
        for item in new:
            if item is None:
                continue
            if joined and joined[-1]["role"] == item["role"]:
                content = [*joined[-1]["content"], *item["content"]]
                joined[-1] = {"role": item["role"], "content": results_first(item["role"], content)}
            else:
                joined.append(item)
        return list(joined)


def _for_platform(body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The body for the platform, where the path names the model and, at Bedrock, asks for a stream."""
    platform = endpoint.provider_row.platform
    if not platform:
        return body
    in_path = ("model", "stream") if platform == "bedrock" else ("model",)
    kept = {name: value for name, value in body.items() if name not in in_path}
    return {"anthropic_version": ANTHROPIC_VERSION} | kept


def _add_breakpoints(messages: list[dict[str, Any]]) -> None:
    users = (index for index in reversed(range(len(messages))) if messages[index]["role"] == "user")
    for index in islice(users, CACHED_MESSAGES):
        *content, last = messages[index]["content"]
        messages[index] = messages[index] | {"content": [*content, last | {"cache_control": CACHE}]}


def _tools(specs: Sequence[ToolSpec], endpoint: Endpoint) -> list[dict[str, Any]]:
    tools = [tool for spec in specs if (tool := _tool(spec, endpoint)) is not None]
    return [TOOL_SEARCH, *tools] if any("defer_loading" in tool for tool in tools) else tools


def _add_tool_breakpoint(tools: list[dict[str, Any]]) -> None:
    """Mark the last tool that is loaded: deferred ones are not part of the prompt."""
    last = max(index for index, tool in enumerate(tools) if "defer_loading" not in tool)
    tools[last] = tools[last] | {"cache_control": CACHE}


def _tool(spec: ToolSpec, endpoint: Endpoint) -> dict[str, Any] | None:
    native = spec.native.get("anthropic")
    if spec.hosted:
        return dict(native) if native and endpoint.provider_row.hosted_tools else None
    if native and endpoint.model_row.editor_tool:
        return dict(native)
    tool = {"name": spec.name, "description": spec.description, "input_schema": spec.parameters}
    return tool | {"defer_loading": True} if spec.deferred and endpoint.provider_row.tool_search else tool


def _default_limit(endpoint: Endpoint) -> int:
    """The format requires a limit. Where the model's own is a guess, most of the window is kept for the input."""
    if endpoint.model_row.exact:
        return endpoint.max_output
    return min(endpoint.max_output, endpoint.context_window // 4)


def _add_thinking(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    kind, off = endpoint.model_row.thinking, endpoint.model_row.thinking_off
    if call.thinking is False:
        if kind in ("unknown", "switched", "effort"):  # not a model of Anthropic's
            body["thinking"] = {"type": "disabled"}
        elif off.by == "nothing":
            dropped.append(DroppedParameter("thinking", f"{endpoint.model} cannot switch thinking off"))
        elif off.by == "value":
            body["thinking"] = {"type": off.value}
    elif kind == "always" or (kind == "adaptive" and not _wants_sampling(call, endpoint)):
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    elif call.thinking and kind == "none":
        dropped.append(refuse("thinking", endpoint))
    elif call.thinking and kind != "fixed" and not _in_foreign_turn(call.messages):
        budget = min(BUDGETS[call.effort] if call.effort else DEFAULT_BUDGET, body["max_tokens"] // 2)
        if budget >= MIN_BUDGET:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        else:
            reason = f"it needs {MIN_BUDGET} tokens, which is more than half of maxTokens"
            dropped.append(DroppedParameter("thinking", reason))


def _add_effort(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    if call.effort is None:
        return
    thinking = body.get("thinking", {})
    if endpoint.model_row.efforts:
        thinks = thinking.get("type") != "disabled"
        effort = nearest_effort(call.effort, endpoint, dropped, thinks=thinks)
        body["output_config"] = {"effort": effort}
    elif "budget_tokens" not in thinking:
        dropped.append(refuse("effort", endpoint))


def _wants_sampling(call: ModelCall, endpoint: Endpoint) -> bool:
    """Return whether there is a temperature that excludes thinking, and no setting of `thinking`."""
    return call.temperature not in (None, 1) and endpoint.model_row.temperature and call.thinking is None


def _in_foreign_turn(messages: Sequence[Message]) -> bool:
    """Return whether a call was just answered, in a turn that does not begin with signed thinking.

    With a budget the API requires thinking at the start of such a turn; another model's turn has none.
    """
    if not messages or not any(isinstance(block, ToolResult) for block in messages[-1].blocks):
        return False
    last = next((m for m in reversed(messages) if isinstance(m, AssistantMessage)), None)
    items = last.native.items if last and last.native and last.native.format == "anthropic" else ()
    return not items or items[0].get("type") not in ("thinking", "redacted_thinking")


def _add_temperature(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    if call.temperature is None:
        return
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    if not endpoint.model_row.temperature:
        dropped.append(refuse("temperature", endpoint))
    elif thinks and call.temperature != 1:
        dropped.append(
            DroppedParameter("temperature", f"{endpoint.model} does not accept it while it thinks")
        )
    else:
        if call.temperature > 1:
            dropped.append(DroppedParameter("temperature", f"{endpoint.model} accepts at most 1; 1 is used"))
        body["temperature"] = min(call.temperature, 1)
