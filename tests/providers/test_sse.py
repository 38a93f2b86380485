"""Server-sent events: the standard's rules, any cut of the bytes, and the same as the decoders of both SDKs."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from anthropic._streaming import SSEDecoder as AnthropicOracle
from hypothesis import given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder as OpenAIOracle

from agent_runtime.providers import sse
from agent_runtime.providers.sse import Event, EventDecoder

STREAMS = Path(__file__).parents[1] / "data" / "streams"

# the examples of the standard, and what its grammar allows besides
TABLE: dict[str, tuple[bytes, list[Event]]] = {
    "two-lines": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("", "YHOO\n+2\n10")]),
    "comments-and-ids": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [Event("", "first event"), Event("", "second event"), Event("", " third event")],
    ),
    "without-data": (b"data\n\ndata\ndata\n\nevent: ping\n\ndata:\n\n", []),
    "an-optional-space": (b"data:test\n\ndata: test\n\n", [Event("", "test")] * 2),
    "a-name-holds-for-one-event": (b"event: a\ndata: 1\n\ndata: 2\n\n", [Event("a", "1"), Event("", "2")]),
    "the-last-name-counts": (b"event: a\nevent: b\ndata: 1\n\n", [Event("b", "1")]),
    "a-name-without-data-is-dropped": (b"event: a\n\ndata: 1\n\n", [Event("", "1")]),
    "unknown-fields": (b"dat: 1\nDATA: 2\n data: 3\ndata : 4\nretry: 5\ndata: 6\n\n", [Event("", "6")]),
    "colons": (b'data: {"a": "b: c"}\n\n', [Event("", '{"a": "b: c"}')]),
    "byte-order-mark": (b"\xef\xbb\xbfdata: 1\n\n", [Event("", "1")]),
    "a-later-mark-is-text": (b"data: \xef\xbb\xbf1\n\n", [Event("", "\ufeff1")]),
    "other-separators-are-text": (
        "data: a\u2028b\u0085c\x0bd\x0ce\x1cf\n\n".encode(),
        [Event("", "a\u2028b\u0085c\x0bd\x0ce\x1cf")],
    ),
    "line-ends-mixed": (
        b"data: 1\r\n\r\ndata: 2\r\rdata: 3\n\ndata: 4\r\n\n",
        [Event("", str(n)) for n in (1, 2, 3, 4)],
    ),
    "without-an-empty-line-at-the-end": (b"data: 1\n\ndata: 2\n", [Event("", "1"), Event("", "2")]),
    "without-a-line-end": (b"event: a\ndata: 1", [Event("a", "1")]),
    "nothing": (b"", []),
}


def decoded(pieces: list[bytes]) -> list[Event]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.finish())


@pytest.mark.parametrize("case", TABLE)
def test_streams_are_read_by_the_rules_of_the_standard(case: str) -> None:
    stream, expected = TABLE[case]
    assert decoded([stream]) == expected
    for size in (1, 2, 3, 7):
        assert decoded([stream[i : i + size] for i in range(0, len(stream), size)]) == expected, size


def test_an_event_is_read_as_soon_as_its_empty_line_has_come() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        decoder = EventDecoder()
        assert list(decoder.feed(b"data: 1" + end + end)) == [Event("", "1")], end
        assert list(decoder.feed(b"data: 2" + end)) == []


@given(
    st.lists(
        st.sampled_from([b"data: a", b"data:", b"event: e", b": c", b"\n", b"\r", b"\r\n", "é".encode()])
    )
)
def test_events_are_read_across_arbitrary_piece_boundaries(tokens: list[bytes]) -> None:
    stream = b"".join(tokens)
    assert decoded([stream[i : i + 1] for i in range(len(stream))]) == decoded([stream]) == decoded(tokens)


def test_a_long_line_in_many_pieces_takes_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = EventDecoder()
    pieces = [b"x" * 100] * 50_000  # quadratic joining would copy 125 GB
    events = [event for piece in (b"data: ", *pieces, b"\n\n") for event in decoder.feed(piece)]
    assert [len(event.data) for event in events] == [5_000_000]
    monkeypatch.setattr(sse, "MAX_EVENT", 1000)
    decoder = EventDecoder()
    assert len([event for _ in range(100) for event in decoder.feed(b"data: 1\n\n")]) == 100
    with pytest.raises(ValueError, match="larger than"):
        list(decoder.feed(b"data: 1\n" * 200))


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded([b"data: \xff\n\n"])


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path", sorted(STREAMS.glob("*/*.jsonl")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
async def test_the_decoders_of_the_sdks_yield_the_same_events(path: Path) -> None:
    events = [json.loads(line) for line in path.read_text().splitlines()]
    stream = "".join(
        (f"event: {event['type']}\n" if "type" in event else "")
        + "".join(f"data: {line}\n" for line in json.dumps(event, indent=1, ensure_ascii=False).split("\n"))
        + "\n"
        for event in events
    ).encode()
    pieces = [stream[i : i + 5] for i in range(0, len(stream), 5)]

    async def arriving() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    oracles: list[Any] = [AnthropicOracle(), OpenAIOracle()]
    for oracle in oracles:
        theirs = [Event(event.event or "", event.data) async for event in oracle.aiter_bytes(arriving())]
        assert decoded(pieces) == theirs
    assert [json.loads(re.sub(r"\n", "", event.data)) for event in decoded(pieces)] == events
