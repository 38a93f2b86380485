"""A stream decoded without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio

from agent_runtime.agent.model import Delta, ModelCall, Turn
from agent_runtime.protocol.messages import Message
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.delta_merger import DeltaMerger
from agent_runtime.providers.endpoints import resolve
from tests.providers.asking import MODELS


def decode(
    format: str, chunks: Sequence[dict[str, Any]], history: Sequence[Message] = ()
) -> tuple[Turn, list[Delta]]:
    """The turn and the deltas."""
    endpoint = resolve(MODELS[format], {})
    decoder = wire_for(endpoint).decoder(ModelCall(endpoint.model, "", history))
    deltas = [delta for chunk in chunks for delta in decoder.feed(chunk)]
    return decoder.finish(), deltas


def streamed(deltas: Sequence[Delta], kind: str) -> str:
    """What came as deltas of that kind."""
    return "".join(delta.text for delta in deltas if delta.kind == kind)


def merged(deltas: Sequence[Delta], turn: Turn) -> dict[tuple[str, str], str]:
    """The texts of the turn as a reader of its deltas has them in the end, by kind and call id."""
    texts: dict[tuple[str, str], str] = {}

    async def take(delta: Delta) -> None:
        key = (delta.kind, delta.id)
        texts[key] = ("" if delta.restart else texts.get(key, "")) + delta.text

    async def follow() -> None:
        merger = DeltaMerger(take)
        sink = merger.begin()
        for delta in deltas:
            await sink(delta)
        await merger.settle(turn)

    anyio.run(follow)
    return texts
