"""Whatever the history, what `normalize` returns keeps every guarantee, and strict providers accept it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_runtime.agent.model import ModelCall, Wire
from agent_runtime.conversation.normalize import normalize
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Image,
    Message,
    Native,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.providers.anthropic.encode import AnthropicMessages
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.openai_chat.encode import OpenAIChat
from agent_runtime.providers.openai_responses.encode import OpenAIResponses
from agent_runtime.testing.model_checks import violations
from tests.conversation.messages import picture

KEYS = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}
WIRES: dict[str, Wire] = {
    "anthropic": AnthropicMessages(resolve("anthropic:claude-sonnet-4-5", KEYS)),
    "openai-responses": OpenAIResponses(resolve("openai:gpt-5", KEYS)),
    "openai-chat": OpenAIChat(resolve("openai-chat:gpt-4.1", KEYS)),
}
MODELS = {"anthropic": "claude-sonnet-4-5", "openai-responses": "gpt-5", "openai-chat": "gpt-4.1"}

ids = st.sampled_from(["a", "b", "c", "functions.x:0", "", "y" * 70])
words = st.sampled_from(["", " ", "\n", "hello", "emoji \U0001f600", "nul \0", "\u2028"])
texts = st.builds(Text, text=words)
images = st.sampled_from(
    [picture(), picture(media_type="image/jpeg"), Image(media_type="image/png", data="%%")]
)
inputs = st.sampled_from([{}, {"a": 1}, {"a": "\ud83d"}, {"\udc00": [float("inf")]}])
calls = st.builds(
    lambda id, name, input: ToolCall(id=id, name=name, arguments=json.dumps(input), input=input),
    *(ids, st.sampled_from(["bash", "odd name", ""]), inputs),
)
LONG = ToolCall(id="y" * 70, name="bash", arguments="{}", input={})
results = st.builds(
    ToolResult,
    id=ids,
    name=st.just("bash"),
    content=st.lists(texts | images, max_size=2).map(tuple),
    is_error=st.booleans(),
)


def native_of(turn: tuple[list[Any], str, str, bool]) -> AssistantMessage:
    blocks, format, odd, other_model = turn
    items: dict[str, list[dict[str, Any]]] = {
        "anthropic": list(_anthropic(blocks, odd)),
        "openai-responses": list(_responses(blocks, odd)),
        "openai-chat": [_chat(blocks)],
    }
    model = "another" if other_model else MODELS[format]
    native = (
        Native.model_validate({"format": format, "model": model, "items": items[format]})
        if items[format]
        else None
    )
    return AssistantMessage(blocks=tuple(blocks), native=native)


def _anthropic(blocks: list[Any], odd: str) -> Any:
    if odd == "first":
        yield {"type": "thinking", "thinking": "cut", "signature": ""}
    for block in blocks:
        if isinstance(block, Thinking):
            yield {"type": "thinking", "thinking": block.text, "signature": "sig"}
        elif isinstance(block, Text):
            yield {"type": "text", "text": block.text}
        else:
            yield {"type": "tool_use", "id": block.id, "name": block.name, "input": block.input}
    if odd == "last":
        yield {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    if odd == "stray":
        yield {"type": "tool_use", "id": "stray", "name": "bash", "input": {}}


def _responses(blocks: list[Any], odd: str) -> Any:
    yield {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "sig"}
    for block in blocks:
        if isinstance(block, Text):
            part = {"type": "output_text", "text": block.text, "annotations": []}
            yield {"type": "message", "id": "msg", "role": "assistant", "content": [part]}
        elif isinstance(block, ToolCall):
            yield {
                "type": "function_call",
                "call_id": block.id,
                "name": block.name,
                "arguments": block.arguments,
            }
    if odd == "last":
        yield {"type": "reasoning", "id": "rs2", "summary": [], "encrypted_content": "sig"}


def _chat(blocks: list[Any]) -> dict[str, Any]:
    made = [
        {"id": b.id, "type": "function", "function": {"name": b.name, "arguments": b.arguments}}
        for b in blocks
        if isinstance(b, ToolCall)
    ]
    said = "".join(b.text for b in blocks if isinstance(b, Text))
    return {"role": "assistant", "content": said or None} | ({"tool_calls": made} if made else {})


blocks = st.lists(texts | st.builds(Thinking, text=words) | calls, max_size=4)
odds = st.sampled_from(["", "", "first", "last", "stray"])
turns = st.builds(lambda b: AssistantMessage(blocks=tuple(b)), blocks) | st.tuples(
    blocks, st.sampled_from(list(MODELS)), odds, st.booleans()
).map(native_of)
users = st.builds(lambda b: UserMessage(blocks=tuple(b)), st.lists(texts | images | results, max_size=4))
histories = st.lists(users | turns, max_size=8)


@settings(max_examples=150, deadline=None)
@given(histories)
def test_a_normalized_history_keeps_every_guarantee(history: list[Message]) -> None:
    normalized = normalize(history)
    messages = normalized.messages
    assert [m.role for m in messages] == [r for _, r in zip(messages, itertools.cycle(["user", "assistant"]))]
    assert not messages or messages[-1].role == "user"
    owed: list[str] = []
    seen: set[str] = set()
    for message in messages:
        assert message.blocks or (message.role == "assistant" and message.native)
        assert [b.id for b in message.blocks if isinstance(b, ToolResult)] == owed
        owed = [b.id for b in message.blocks if isinstance(b, ToolCall)]
        assert len(set(owed)) == len(owed) and not seen.intersection(owed)
        seen.update(owed)
        for block in message.blocks:
            assert not isinstance(block, Text | Thinking) or block.text.strip()
            assert not isinstance(block, ToolResult) or block.content
    assert normalize(messages).messages == messages


@pytest.mark.parametrize("format", list(WIRES))
@settings(max_examples=100, deadline=None)
@given(histories)
@example([native_of(([LONG], "openai-chat", "", False))])  # a fallback, to one that takes shorter ids
def test_a_strict_provider_accepts_a_normalized_history(format: str, history: list[Message]) -> None:
    call = ModelCall(model=MODELS[format], system="be good", messages=normalize(history).messages)
    if call.messages:
        body, _ = WIRES[format].encode(call)
        assert violations(format, body, {"sig"}) == []  # type: ignore[arg-type]
