"""A history that grows gives the same requests as one that is examined whole before each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_runtime.agent.model import ModelCall
from agent_runtime.conversation.growing_history import GrowingHistory
from agent_runtime.conversation.memo import Memo
from agent_runtime.conversation.normalize import normalize, normalized
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.json_body import BodyEncoder, dumps
from tests.conversation.test_normalize_properties import MODELS, turns, users

ENDPOINTS = {
    format: resolve(f"{provider}:{MODELS[format]}", {})
    for format, provider in (
        ("anthropic", "anthropic"),
        ("openai-responses", "openai"),
        ("openai-chat", "openai-chat"),
    )
}


def turn(number: int) -> list[Message]:
    """A turn with one call, and its result."""
    call = ToolCall(id=f"c{number}", name="bash", arguments="{}", input={})
    result = ToolResult(id=call.id, name="bash", content=(Text(text="done"),))
    return [AssistantMessage(blocks=(call,)), UserMessage(blocks=(result,))]


orderly = st.integers(0, 9).map(turn)
odd = (users | turns).map(lambda message: [message])
pieces = st.lists(orderly | odd, max_size=8)


@settings(max_examples=300, deadline=None)
@given(pieces, st.booleans())
def test_each_request_is_the_same_as_of_the_whole_history(pieces: list[list[Message]], paused: bool) -> None:
    growing, history = GrowingHistory(), list[Message]()
    for piece in pieces:
        history += piece
        ours, whole = growing.normalize(history, paused=paused), normalize(history, paused=paused)
        assert (ours.messages, sorted(ours.repairs)) == (whole.messages, sorted(whole.repairs))


def test_only_new_turns_are_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[int] = []

    def counted(messages: Sequence[Message], **more: Any) -> tuple[list[Message], Counter[str]]:
        examined.append(len(messages))
        return normalized(messages, **more)

    monkeypatch.setattr("agent_runtime.conversation.growing_history.normalized", counted)
    growing, history = GrowingHistory(), [UserMessage.of("go")]
    before: Sequence[Message] = ()
    for number in range(50):
        history += turn(number)  # type: ignore[arg-type]
        before = growing.normalize(history).messages
    assert examined == [3, *[3] * 49]  # first the whole history, then two messages after a placeholder
    assert all(old is new for old, new in zip(before, growing.normalize(history).messages, strict=True))
    history[0] = UserMessage.of("compacted")
    assert growing.normalize(history).messages[0] == history[0]


@pytest.mark.parametrize("format", list(ENDPOINTS))
@settings(max_examples=100, deadline=None)
@given(pieces)
def test_a_wire_with_cached_requests_encodes_the_same(format: str, pieces: list[list[Message]]) -> None:
    endpoint = ENDPOINTS[format]
    known, encoder = wire_for(endpoint), BodyEncoder()
    history: list[Message] = []
    for piece in pieces:
        history += piece
        call = ModelCall(model=MODELS[format], system="be good", messages=normalize(history).messages)
        body, _ = known.encode(call)
        assert body == wire_for(endpoint).encode(call)[0]
        assert encoder.encode(body).json == dumps(body)


@given(st.lists(st.lists(st.integers(0, 20), max_size=12, unique=True), max_size=8))
def test_a_memo_computes_each_item_of_the_last_list_once(lists: list[list[int]]) -> None:
    objects = [object() for _ in range(21)]
    memo, before = Memo[object, int](), set[int]()
    for numbers in lists:
        computed: list[object] = []

        def compute(item: object, computed: list[object] = computed) -> int:
            computed.append(item)
            return objects.index(item)

        assert memo.map([objects[number] for number in numbers], compute) == numbers
        assert not set(map(objects.index, computed)) & before
        before = set(numbers)
