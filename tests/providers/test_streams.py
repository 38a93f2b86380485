"""Every stream of tests/data/streams, served over loopback, gives what is in it, and goes back whole.

Streams recorded from providers are tested too where they are: see tests/data/README.md. What is expected is read from
the streams by other code than the decoders', or written down in the tables beside them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import Text, Thinking, Usage
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.testing.model_server import ModelServer, Turn
from tests.providers.asking import asking, results
from tests.support.formats import FORMATS

STREAMS = Path(__file__).parents[1] / "data" / "streams"
RECORDINGS = Path(
    os.environ.get("AGENT_RUNTIME_STREAMS") or Path(__file__).parents[3] / "shared" / "provider-streams"
)

pytestmark = pytest.mark.anyio


def streams() -> list[Any]:
    """Every stream with what is expected of it: input, output, cached, reasoning and cache write tokens, and the call.

    The small ones also in bits of a few bytes.
    """
    found: list[Any] = []
    for root, table in ((STREAMS, "expected.json"), (RECORDINGS, "recordings.json")):
        expected: dict[str, Any] = json.loads((STREAMS / table).read_text())
        for format in FORMATS:
            folder = root / ("anthropic-messages" if root == RECORDINGS and format == "anthropic" else format)
            for path in sorted(folder.glob("*.jsonl")):
                row = expected.get(f"{format}/{path.stem}") or expected.get(path.stem)
                if row is None:
                    continue
                name = f"{format}-{path.stem}"
                found.append(pytest.param(format, path, row, False, id=name))
                if path.stat().st_size < 8000:
                    found.append(pytest.param(format, path, row, True, id=f"{name}-bit-by-bit"))
    return found


def said(format: str, events: list[dict[str, Any]]) -> tuple[str, str]:
    """The text and the reasoning of a stream: what its events say, joined."""
    text = thoughts = ""
    for event in events:
        delta: Any = event.get("delta")
        parts: list[dict[str, Any]]
        if format == "anthropic" and isinstance(delta, dict):
            text += delta.get("text", "")
            thoughts += delta.get("thinking", "")
        elif event.get("type") == "response.output_item.done":  # deltas may have been lost
            parts = event["item"].get("content") or []
            text += "".join(part["text"] for part in parts if part["type"] == "output_text")
            parts = [*event["item"].get("summary", []), *parts]
            thoughts += "".join(
                part["text"] for part in parts if part["type"] in ("summary_text", "reasoning_text")
            )
        for choice in event.get("choices", []):
            content = choice["delta"].get("content") or ""
            thoughts += choice["delta"].get("reasoning_content") or choice["delta"].get("reasoning") or ""
            parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
            for part in parts:
                text += part.get("text", "")
                thoughts += "".join(inner["text"] for inner in part.get("thinking", []))
    return text, thoughts


@pytest.mark.parametrize(("format", "path", "expected", "awkward"), streams())
async def test_recorded_streams_decode_to_the_expected_turn(
    format: Any, path: Path, expected: Any, awkward: bool
) -> None:
    events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    text, thoughts = said(format, events)
    with ModelServer([Turn(raw=path), Turn(text="and on")], awkward=awkward) as server:
        async with asking(server, format) as asker:
            turn = await asker.ask("go")
            assert turn.message.text == asker.received("text") == text
            reasoning = "".join(block.text for block in turn.message.blocks if isinstance(block, Thinking))
            assert reasoning == asker.received("thinking") == thoughts
            calls = [[call.id, call.name, call.input] for call in turn.message.calls]
            assert calls == ([expected["call"]] if "call" in expected else [])
            assert not any(call.truncated for call in turn.message.calls)
            assert turn.stop == ("tool_calls" if calls else "end_turn")
            input, output, cached, reasoned, *written = expected["usage"]
            assert turn.usage == Usage(
                input_tokens=input,
                output_tokens=output,
                cached_input_tokens=cached,
                reasoning_tokens=reasoned,
                cache_write_tokens=sum(written),
            )
            if turn.message.native is None:
                return
            answer = (
                results(turn) if calls else results(turn).model_copy(update={"blocks": (Text(text="on"),)})
            )
            await asker.ask("go", turn.message, answer)
        assert server.violations == []
        sent_back(asker.endpoint, events, server.bodies[1])


def sent_back(endpoint: Endpoint, events: list[dict[str, Any]], body: dict[str, Any]) -> None:
    """The second request holds the turn, item for item. Reasoning without any content is left out."""
    if endpoint.format == "openai-responses":
        items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        kept = [
            i for i in items if i["type"] != "reasoning" or i.get("encrypted_content") or i.get("content")
        ]
        if all(item["type"] == "reasoning" for item in kept[-1:]):
            kept = kept[:-1]
        assert [item for item in body["input"] if item in items] == kept
    elif endpoint.format == "anthropic":
        starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
        sent = next(message["content"] for message in body["messages"] if message["role"] == "assistant")
        assert [block["type"] for block in sent] == [block["type"] for block in starts]
        assert [b.get("id") for b in sent] == [b.get("id") for b in starts]
        whole = [(a, b) for a, b in zip(sent, starts, strict=True) if b["type"].endswith("_result")]
        assert all(a == b for a, b in whole)
    else:
        sent_message = next(message for message in body["messages"] if message["role"] == "assistant")
        text, thoughts = said("openai-chat", events)
        content = sent_message["content"]
        assert content == (text or None) or "".join(part.get("text", "") for part in content) == text
        assert (sent_message.get("reasoning_content") or sent_message.get("reasoning") or "") in (
            thoughts,
            "",
        )
        if thoughts:
            assert json.dumps(thoughts)[1:-1] in json.dumps(sent_message)


async def test_an_error_in_a_stream_is_final() -> None:
    with ModelServer([Turn(raw=STREAMS / "openai-responses" / "error.jsonl")]) as server:
        async with asking(server, "openai-responses") as asker:
            with pytest.raises(ProviderError, match="You exceeded your current quota") as caught:
                await asker.ask("go")
    assert (caught.value.code, caught.value.retryable) == ("insufficient_quota", False)
