"""Damaged streams give a turn or a ProviderError, never another error, and never hang."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent_runtime.agent.model import Delta, ModelCall
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import UserMessage
from agent_runtime.providers.adapter import Adapter
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve
from agent_runtime.testing.model_streams import events
from agent_runtime.testing.turns import Turn
from tests.providers.asking import MODELS
from tests.support.formats import FORMATS

pytestmark = pytest.mark.anyio

JUNK: list[Any] = [None, 0, -1, 1.5, True, "", "x", "\ud83d", [], [1], {}, {"type": "x"}, [None], [[{}]]]


def damaged(chunks: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """A few chunks lost, doubled, swapped, or with something else at one place inside."""
    chunks = copy.deepcopy(chunks)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(chunks))
        kind = rng.randrange(5)
        if kind == 0 and len(chunks) > 1:
            del chunks[at]
        elif kind == 1:
            chunks.insert(at, copy.deepcopy(chunks[at]))
        elif kind == 2:
            chunks.insert(rng.randrange(len(chunks)), chunks.pop(at))
        else:
            _spoil(chunks[at], rng)
    return chunks


def _spoil(value: Any, rng: random.Random) -> None:
    while value:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.7:
            value = inner
        elif isinstance(value, dict) and rng.random() < 0.3:
            del value[key]
            return
        else:
            value[key] = copy.deepcopy(rng.choice(JUNK))
            return


class Canned:
    def __init__(self, chunks: list[dict[str, Any]]) -> None:
        self.chunks = chunks

    async def stream(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for chunk in self.chunks:
            yield chunk

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("format", FORMATS)
async def test_damaged_streams_end_in_a_turn_or_a_provider_error(format: Any) -> None:
    endpoint = resolve(MODELS[format], {})
    turn = Turn("some text 😀", "a thought", calls=[("bash", {"command": "ls"}), ("bash", "{")])
    chunks = events(turn, format, number=0, body={})
    rng = random.Random(20)
    outcomes = {"turn": 0, "error": 0}
    for _ in range(1500):
        stream = damaged(chunks, rng)
        said: list[Delta] = []

        async def take(delta: Delta, said: list[Delta] = said) -> None:
            said.append(delta)

        adapter = Adapter(wire_for(endpoint), Canned(stream))
        call = ModelCall(endpoint.model, "", [UserMessage.of("go")])
        try:
            got = await adapter.turn(call, take)
        except ProviderError:
            outcomes["error"] += 1
            continue
        outcomes["turn"] += 1
        for call_ in got.message.calls:
            assert call_.id and isinstance(call_.input, dict | None), (
                call_,
                [c for c in stream if "thinking" not in str(c) and "text_delta" not in str(c)],
            )
        json.dumps(got.message.model_dump(mode="json"), ensure_ascii=False).encode()
        again = ModelCall(endpoint.model, "", [UserMessage.of("go"), got.message])
        json.dumps(wire_for(endpoint).encode(again)[0], ensure_ascii=False, allow_nan=False).encode()
    assert min(outcomes.values()) > 30, outcomes
