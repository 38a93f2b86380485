from __future__ import annotations

import json
import random
from typing import Any

import pytest

from agent_runtime.output.masking import MASK, Masker
from agent_runtime.transcripts.rewrite import rewrite_chunks

Json = dict[str, Any]
KEY = "sk-loopback-0123456789"


def anthropic(stream: int, piece: str) -> Json:
    return {"type": "content_block_delta", "index": stream, "delta": {"type": "text_delta", "text": piece}}


def responses(stream: int, piece: str) -> Json:
    return {"type": "response.output_text.delta", "item_id": "m", "output_index": stream, "delta": piece}


def chat(stream: int, piece: str) -> Json:
    call = {"index": stream, "function": {"arguments": piece}}
    return {"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def text_of(chunk: Json) -> str:
    """The piece in a chunk of any of the three formats."""
    if "choices" in chunk:
        return str(chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"])
    delta = chunk["delta"]
    return delta if isinstance(delta, str) else str(delta["text"])


def cut(text: str, chance: random.Random) -> list[str]:
    """A text in pieces of one to six characters."""
    pieces = []
    while text:
        size = chance.randint(1, 6)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@pytest.mark.parametrize("chunk", [anthropic, responses, chat])
@pytest.mark.parametrize("seed", range(20))
def test_a_text_is_changed_however_it_is_split_and_interleaved(chunk: Any, seed: int) -> None:
    chance = random.Random(seed)
    texts = [f"before {KEY} after", f"{KEY}{KEY}", "nothing here", f"ends with {KEY}"]
    waiting = [(stream, cut(text, chance)) for stream, text in enumerate(texts)]
    order: list[tuple[int, str]] = []
    while any(pieces for _, pieces in waiting):
        stream, pieces = chance.choice([each for each in waiting if each[1]])
        order.append((stream, pieces.pop(0)))
    changed = rewrite_chunks([chunk(stream, piece) for stream, piece in order], Masker([KEY]))
    found = [""] * len(texts)
    for (stream, _), made in zip(order, changed, strict=True):
        found[stream] += text_of(made)
    assert found == [text.replace(KEY, MASK) for text in texts]


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "error", "error": {"message": f"no such key: {KEY}"}},
        {"type": KEY},
        {"type": [KEY]},
        {"type": {"a": KEY}, "index": [1]},
        {"index": 0, "item_id": f"item-{KEY}"},
        {"choices": [[{"deep": ["", {"a": [KEY]}]}]]},
        {"values": (1, None, ("", KEY))},
    ],
)
def test_a_text_is_changed_wherever_it_is(chunk: Json) -> None:
    chunks = [{"type": "start"}, chunk, {"type": "end"}]
    changed = rewrite_chunks(chunks, Masker([KEY]))
    assert KEY not in json.dumps(changed)
    assert MASK in json.dumps(changed)
    assert (changed[0], changed[2]) == (chunks[0], chunks[2])


def test_texts_of_different_streams_are_not_joined() -> None:
    chunks = [anthropic(0, KEY[:9]), anthropic(1, KEY[9:]), {"type": KEY[:9], "item_id": KEY[9:]}]
    assert list(rewrite_chunks(chunks, Masker([KEY]))) == chunks


def test_chunks_without_changes_are_not_copied() -> None:
    chunks = [anthropic(0, "a"), anthropic(0, "b"), {"type": "end", "usage": {"a": 1, "b": None}}]
    made = rewrite_chunks(chunks, Masker([KEY]))
    assert all(new is old for new, old in zip(made, chunks, strict=True))
