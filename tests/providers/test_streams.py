"""Every recorded stream, served over loopback to the real SDK, gives what is in it, and goes back unharmed.

What is expected is read from the recordings by other code than the decoders', or written down here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import Text, Thinking, Usage
from agent_runtime.providers.endpoints import Endpoint
from tests.providers.asking import asking, results
from tests.support.model_server import ModelServer, Turn

STREAMS = Path(__file__).parents[3] / "shared" / "provider-streams"
FOLDERS = {
    "anthropic": "anthropic-messages",
    "openai-responses": "openai-responses",
    "openai-chat": "openai-chat",
}

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not STREAMS.exists(), reason="the recorded provider streams are not here"),
]

# file (without its folder) -> input, output, cached and reasoning tokens, as a person reads the recording
USAGE = {
    "anthropic--anthropic-clear-tool-uses.1": (859, 122, 0, 0),
    "anthropic--anthropic-code-execution-20250825.2": (15696, 2479, 0, 0),
    "anthropic--anthropic-compaction.1": (612, 2819, 0, 0),
    "anthropic--anthropic-fallback": (412, 264, 0, 0),
    "anthropic--anthropic-json-output-format.1": (313, 305, 0, 0),
    "anthropic--anthropic-json-tool.1": (849, 47, 0, 0),
    "anthropic--anthropic-json-tool.2": (849, 47, 0, 0),
    "anthropic--anthropic-tool-search-bm25.1": (1040, 41, 0, 0),
    "anthropic--anthropic-tool-search-regex.1": (1071, 67, 0, 0),
    "anthropic--anthropic-web-fetch-tool-20260209.1": (7172, 144, 0, 0),
    "anthropic--duplicate-message-start": (17, 227, 0, 0),
    "open-responses--lmstudio-tool-call.1": (182, 61, 2, 48),
    "open-responses--openai-pdf-input-file.1": (44, 4, 0, 0),
    "openai--openai-apply-patch-tool.1": (642, 67, 0, 0),
    "openai--openai-client-tool-search.1": (65, 31, 0, 0),
    "openai--openai-file-search-tool.2": (3748, 543, 2304, 448),
    "openai--openai-image-generation-tool.1": (2941, 1249, 1920, 1024),
    "openai--openai-mcp-tool-approval.1": (422, 48, 0, 0),
    "openai--openai-mcp-tool-approval.2": (553, 371, 0, 256),
    "openai--openai-mcp-tool-approval.3": (609, 48, 0, 0),
    "openai--openai-phase.1": (7112, 463, 3072, 64),
    "openai--openai-shell-skills.1": (1501, 314, 1024, 100),
    "openai--openai-shell-tool.1": (331, 166, 0, 0),
    "openai--openai-web-search-tool.1": (31073, 4416, 3712, 3712),
    "xai--xai-image-generation-tool.1": (100, 50, 20, 30),
    "xai--xai-text-with-reasoning-streaming.1": (216, 923, 192, 323),
    "xai--xai-web-search-tool.1": (1875, 695, 1578, 397),
    "alibaba--alibaba-reasoning": (24, 1355, 0, 1084),
    "alibaba--alibaba-text": (18, 779, 0, 0),
    "alibaba--alibaba-tool-call": (295, 22, 0, 0),
    "deepseek--deepseek-tool-call": (339, 83, 320, 39),
    "groq--groq-reasoning": (17, 1107, 0, 963),
    "mistral--mistral-reasoning": (10, 46, 0, 0),
    "mistral--mistral-text": (13, 8, 0, 0),
    "openai--openai-text": (16, 300, 0, 0),
    "openai-compatible--xai-text": (12, 342, 11, 340),
}
SAN_FRANCISCO = {"location": "San Francisco"}
WEATHER = {"elements": [{"location": "San Francisco", "temperature": 58, "condition": "sunny"}]}
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "anthropic--anthropic-json-tool.1": ("toolu_01KFbKqPYSuAKujiL6mTfzYA", "json", WEATHER),
    "anthropic--anthropic-json-tool.2": ("toolu_01KFbKqPYSuAKujiL6mTfzYA", "json", WEATHER),
    "anthropic--anthropic-tool-search-bm25.1": (
        "toolu_019nRrfqqXcU5NPTUSYfEMAY",
        "get_weather",
        {"location": "San Francisco, CA"},
    ),
    "anthropic--anthropic-tool-search-regex.1": (
        "toolu_01UmPwkecewaEpMupy2ywk8b",
        "get_temp_data",
        {"location": "San Francisco, CA"},
    ),
    "open-responses--lmstudio-tool-call.1": ("call_2025306790300011", "weather", SAN_FRANCISCO),
    "alibaba--alibaba-tool-call": ("call_eee11723464a4b9eb8cee71d", "weather", SAN_FRANCISCO),
    "deepseek--deepseek-tool-call": ("call_00_ioIn7yN9p1ZOMNpDLwd4MgAF", "weather", SAN_FRANCISCO),
}


def recordings() -> list[Any]:
    """Every recording; the small ones also in bits of a few bytes."""
    found: list[Any] = []
    for format, folder in FOLDERS.items():
        for path in sorted((STREAMS / folder).glob("*.jsonl")):
            if path.stem == "openai--openai-error.1":
                continue
            found.append(pytest.param(format, path, False, id=path.stem))
            if path.stat().st_size < 8000:
                found.append(pytest.param(format, path, True, id=f"{path.stem}-bit-by-bit"))
    return found


def said(format: str, events: list[dict[str, Any]]) -> tuple[str, str]:
    """The text and the reasoning of a recording: nothing but what its events say, joined."""
    text = thoughts = ""
    for event in events:
        delta: Any = event.get("delta")
        parts: list[dict[str, Any]]
        if format == "anthropic" and isinstance(delta, dict):
            text += delta.get("text", "")
            thoughts += delta.get("thinking", "")
        elif event.get("type") == "response.output_item.done":  # one recording has lost most of its deltas
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


@pytest.mark.parametrize(("format", "path", "awkward"), recordings())
async def test_a_recording_gives_what_is_in_it(format: Any, path: Path, awkward: bool) -> None:
    events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    text, thoughts = said(format, events)
    with ModelServer([Turn(raw=path), Turn(text="and on")], awkward=awkward) as server:
        async with asking(server, format) as asker:
            turn = await asker.ask("go")
            assert turn.message.text == asker.received("text") == text
            reasoning = "".join(block.text for block in turn.message.blocks if isinstance(block, Thinking))
            assert reasoning == asker.received("thinking") == thoughts
            calls = [(call.id, call.name, call.input) for call in turn.message.calls]
            assert calls == ([CALLS[path.stem]] if path.stem in CALLS else [])
            assert not any(call.truncated for call in turn.message.calls)
            assert turn.stop == ("tool_calls" if path.stem in CALLS else "end_turn")
            input, output, cached, reasoned = USAGE[path.stem]
            assert turn.usage == Usage(
                input_tokens=input,
                output_tokens=output,
                cached_input_tokens=cached,
                reasoning_tokens=reasoned,
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
    """The second request holds the recorded turn, item for item."""
    if endpoint.format == "openai-responses":
        recorded = {e["output_index"]: e["item"] for e in events if e["type"] == "response.output_item.done"}
        assert [item for item in body["input"] if item in recorded.values()] == list(recorded.values())
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


async def test_the_recorded_error_is_final() -> None:
    path = STREAMS / "openai-responses" / "openai--openai-error.1.jsonl"
    with ModelServer([Turn(raw=path)]) as server:
        async with asking(server, "openai-responses") as asker:
            with pytest.raises(ProviderError, match="You exceeded your current quota") as caught:
                await asker.ask("go")
    assert (caught.value.code, caught.value.retryable) == ("insufficient_quota", False)
