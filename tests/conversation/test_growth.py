"""A turn late in a run costs what an early one costs: work is counted in calls of functions, not in time."""

from __future__ import annotations

import sys
from statistics import mean
from types import FrameType

import pytest

from agent_runtime.agent.model import ModelCall
from agent_runtime.conversation.growing_history import GrowingHistory
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Message,
    Native,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve
from agent_runtime.providers.json_body import BodyEncoder
from agent_runtime.transcripts.prompts import PromptLog
from tests.providers.asking import MODELS
from tests.support.formats import FORMATS

TURNS = 1_000
GROWTH = 1.15


def turn(number: int, format: str, model: str) -> list[Message]:
    """A call as the provider gave it, and its result."""
    id = f"call_{number}"
    call = ToolCall(id=id, name="bash", arguments='{"command": "true"}', input={"command": "true"})
    function = {"name": call.name, "arguments": call.arguments}
    items = {
        "anthropic": {"type": "tool_use", "id": id, "name": call.name, "input": call.input},
        "openai-responses": {"type": "function_call", "call_id": id, **function},
        "openai-chat": {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": id, "type": "function", "function": function}],
        },
    }
    native = Native.model_validate({"format": format, "model": model, "items": [items[format]]})
    result = ToolResult(id=id, name=call.name, content=(Text(text="done"),))
    return [AssistantMessage(blocks=(call,), native=native), UserMessage(blocks=(result,))]


@pytest.mark.parametrize("format", FORMATS)
def test_the_work_of_a_turn_does_not_grow(format: str) -> None:
    endpoint = resolve(MODELS[format], {})
    wire, growing, encoder, prompts = wire_for(endpoint), GrowingHistory(), BodyEncoder(), PromptLog()
    history: list[Message] = [UserMessage.of("go")]
    counts: list[int] = []
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sent = b""
    for number in range(TURNS):
        calls = 0
        sys.setprofile(count)
        call = ModelCall(endpoint.model, "Be brief.", growing.normalize(history).messages)
        prompts.changes(call)
        body, _ = wire.encode(call)
        sent = encoder.encode(body).json
        sys.setprofile(None)
        counts.append(calls)
        history += turn(number, format, endpoint.model)
    assert len(sent) > TURNS * 100
    first, late, last = mean(counts[5:25]), mean(counts[180:200]), mean(counts[-20:])
    assert late <= first * GROWTH, (first, late)
    assert last <= first * GROWTH, (first, last)
