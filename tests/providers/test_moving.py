"""A conversation moves between any two providers, by a thread or by a fallback, and each gets what it requires."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from agent_runtime.agent.model import ModelCall, ToolSpec
from agent_runtime.conversation.normalize import normalize
from agent_runtime.protocol.messages import AssistantMessage, Message, Text, ToolResult, UserMessage
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import Endpoint, resolve
from agent_runtime.providers.provider_table import PROVIDERS
from agent_runtime.testing.model_checks import violations
from agent_runtime.testing.model_streams import events, sign
from agent_runtime.testing.turns import Turn

# one model for each provider, and a second one of its own where reasoning is signed
MODELS = {
    "anthropic": ["claude-opus-4-6", "claude-sonnet-4-6"],
    "openai": ["gpt-5.5", "gpt-5.4"],
    "openai-chat": ["gpt-5.5", "gpt-4.1"],
    "bedrock": ["us.anthropic.claude-opus-4-6-v1"],
    "vertex": ["claude-sonnet-4-5@20250929"],
    "foundry": ["my-deployment"],
    "azure": ["gpt-5.2"],
    "azure-chat": ["gpt-4.1"],
    "google": ["gemini-3-flash-preview", "gemini-3-pro-preview"],
    "xai": ["grok-4.3"],
    "mistral": ["devstral-medium-latest"],
    "deepseek": ["deepseek-v4-pro"],
    "groq": ["openai/gpt-oss-120b"],
    "openrouter": ["anthropic/claude-opus-4.6"],
    "ollama": ["qwen3:8b"],
    "together": ["Qwen/Qwen3.5-9B"],
    "fireworks": ["accounts/fireworks/models/kimi-k2p6"],
    "cerebras": ["zai-glm-4.7"],
    "alibaba": ["qwen-plus"],
    "moonshot": ["kimi-k2.5"],
    "zai": ["glm-5"],
}
ENDPOINTS = [resolve(f"{provider}:{name}", {}) for provider, names in MODELS.items() for name in names]
PAIRS = list(itertools.product(ENDPOINTS, ENDPOINTS))
BASH = ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}})


def test_every_provider_is_covered() -> None:
    assert MODELS.keys() == PROVIDERS.keys()


def turn_of(endpoint: Endpoint, history: Sequence[Message], number: int, said: Turn) -> AssistantMessage:
    """A turn as this endpoint's model gives it."""
    call = ModelCall(endpoint.model, "", history, [BASH])
    decoder = wire_for(endpoint).decoder(call)
    for chunk in events(said, endpoint.format, number=number, body={"tools": [{"name": "bash"}]}):
        decoder.feed(_own(chunk, endpoint))
    return decoder.finish().message


def _own(chunk: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The chunk with what only this provider sends."""
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        if "reasoning" in delta:  # the name that DeepSeek, Moonshot and others use
            delta["reasoning_content"] = delta.pop("reasoning")
        for call in delta.get("tool_calls") or ():
            if endpoint.model_row.signed_calls and call.get("id"):
                call["extra_content"] = {"google": {"thought_signature": f"of {endpoint.model}"}}
    return chunk


def answers(turn: AssistantMessage, *more: str) -> UserMessage:
    results = (ToolResult(id=call.id, name=call.name, content=(Text(text="ok"),)) for call in turn.calls)
    return UserMessage(blocks=(*results, *(Text(text=text) for text in more)))


def history_of(endpoint: Endpoint, *, first: int = 0) -> list[Message]:
    """Two turns with calls, the second with a reminder behind its results; its reasoning may be empty."""
    messages: list[Message] = []
    for number, thinking in enumerate(("hm", ""), first):
        said = Turn("I look", thinking, calls=[("bash", {"command": "ls"}), ("bash", {"command": "pwd"})])
        turn = turn_of(endpoint, messages, number, said)
        messages += [turn, answers(turn, *["One turn is left."] * (number - first))]
    return messages


def encoded(endpoint: Endpoint, messages: Sequence[Message]) -> dict[str, Any]:
    history = normalize([UserMessage.of("go"), *messages]).messages
    body, _ = wire_for(endpoint).encode(ModelCall(endpoint.model, "sys", history, [BASH]))
    return body


def signatures() -> set[str]:
    return {sign(text) for text in ("hm", "")}


def problems(endpoint: Endpoint, body: dict[str, Any], known: set[str]) -> Iterator[str]:
    """What this provider refuses."""
    yield from violations(endpoint.format, body, known)
    messages = body.get("messages", [])
    for before, after in itertools.pairwise(messages):
        if endpoint.provider == "mistral" and (before["role"], after["role"]) == ("tool", "user"):
            yield "Unexpected role 'user' after role 'tool'"
    for message in messages if endpoint.format == "openai-chat" else ():
        calls = message.get("tool_calls") or []
        if endpoint.provider == "mistral" and not all(
            re.fullmatch(r"[A-Za-z0-9]{9}", c["id"]) for c in calls
        ):
            yield "Tool call id must be a-z, A-Z, 0-9, with a length of 9"
        thinks = endpoint.provider in ("deepseek", "moonshot") and message["role"] == "assistant"
        if thinks and not message.get("reasoning_content"):
            yield "reasoning_content is missing"
        if endpoint.provider == "google" and calls:
            signature = calls[0].get("extra_content", {}).get("google", {}).get("thought_signature")
            if signature not in (f"of {endpoint.model}", "skip_thought_signature_validator"):
                yield f"missing or foreign thought_signature: {signature}"


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda e: f"{e.provider}:{e.model}")
def test_every_provider_accepts_the_history_of_every_other(first: Endpoint, second: Endpoint) -> None:
    known = signatures() if first == second else set()
    assert list(problems(second, encoded(second, history_of(first)), known)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [pair for pair in PAIRS if pair[0] != pair[1]],
    ids=lambda e: f"{e.provider}:{e.model}",
)
def test_native_items_are_sent_only_to_their_own_provider_after_a_fallback(
    first: Endpoint, second: Endpoint
) -> None:
    before, after = history_of(first), history_of(second, first=2)
    body, own = encoded(second, [*before, *after]), encoded(second, after)
    assert list(problems(second, body, signatures())) == []
    for kind in ("thinking", "reasoning"):  # as often as this model has returned it
        assert count(body, kind) == count(own, kind)
    assert str(body).count(f"of {second.model}") == str(own).count(f"of {second.model}")
    assert second.provider != "google" or f"of {second.model}" in str(body)


def count(body: dict[str, Any], kind: str) -> int:
    blocks = [block for message in body.get("messages", []) for block in message.get("content") or ()]
    items = [*blocks, *body.get("input", [])]
    return sum(isinstance(item, dict) and item.get("type") == kind for item in items)
