"""Messages streams with unusual contents."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import AssistantMessage, Text, Thinking, ToolCall, Usage
from tests.providers.decoding import decode, streamed

Json = dict[str, Any]


def start(id: str = "msg_1", **usage: int) -> Json:
    return {"type": "message_start", "message": {"id": id, "model": "claude-x", "usage": usage}}


def block(index: int, content: Json, *deltas: Json, stop: bool = True) -> list[Json]:
    events: list[Json] = [{"type": "content_block_start", "index": index, "content_block": content}]
    events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return events + ([{"type": "content_block_stop", "index": index}] if stop else [])


def end(reason: str = "end_turn", **usage: Any) -> list[Json]:
    delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}
    return [delta, {"type": "message_stop"}]


def text(piece: str) -> Json:
    return {"type": "text_delta", "text": piece}


def json_(piece: str) -> Json:
    return {"type": "input_json_delta", "partial_json": piece}


TOOL: Json = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}


def test_input_counts_the_cache_and_thinking_is_part_of_the_output() -> None:
    usage: Json = {"output_tokens": 90, "output_tokens_details": {"thinking_tokens": 40}, "input_tokens": 0}
    opening = start(
        input_tokens=10, cache_read_input_tokens=200, cache_creation_input_tokens=30, output_tokens=1
    )
    turn, _ = decode("anthropic", [opening, *end(**usage)])
    assert turn.usage == Usage(
        input_tokens=240,
        output_tokens=90,
        cached_input_tokens=200,
        cache_write_tokens=30,
        reasoning_tokens=40,
    )
    assert decode("anthropic", [start(), *block(0, {"type": "text", "text": "x"}), *end()])[0].usage is None


def test_an_empty_answer_has_no_blocks() -> None:
    turn, deltas = decode("anthropic", [start(), *end()])
    assert (turn.message, turn.stop, deltas) == (AssistantMessage(blocks=()), "end_turn", [])


def test_blocks_of_every_type_are_kept_as_they_came() -> None:
    redacted = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}
    unknown = {"type": "hologram", "shape": {"n": [1, None]}}
    result = {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [{"encrypted_content": "x"}],
    }
    hosted = {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    cited = {"type": "text", "text": "", "citations": []}
    citation = {"type": "citations_delta", "citation": {"url": "https://a"}}
    turn, deltas = decode(
        "anthropic",
        [
            start(),
            *block(
                0,
                thought,
                {"type": "thinking_delta", "thinking": "hm"},
                {"type": "signature_delta", "signature": "Eq=="},
            ),
            *block(1, redacted),
            *block(2, hosted, json_(""), json_('{"que'), json_('ry":"x"}')),
            *block(3, result),
            *block(4, cited, text("so"), citation, text("")),
            *block(
                5,
                unknown,
                {"type": "hologram_delta", "light": "a"},
                {"type": "hologram_delta", "light": "b", "n": 1},
            ),
            *end(),
        ],
    )
    assert turn.message.native is not None
    assert turn.message.native.items == (
        {"type": "thinking", "thinking": "hm", "signature": "Eq=="},
        redacted,
        hosted | {"input": {"query": "x"}},
        result,
        {"type": "text", "text": "so", "citations": [{"url": "https://a"}]},
        unknown | {"light": "ab", "n": 1},
    )
    assert turn.message.blocks == (Thinking(text="hm"), Text(text="so"))
    assert (streamed(deltas, "text"), streamed(deltas, "thinking"), streamed(deltas, "tool_input")) == (
        "so",
        "hm",
        "",
    )


@pytest.mark.parametrize(
    ("pieces", "input", "native"),
    [
        ([], {}, {}),
        (['{"command":"a', "\\ud83d", '\\ude00"}'], {"command": "a😀"}, {"command": "a😀"}),
        (['{"command": "\\ud83d"}'], {"command": "\ufffd"}, {"command": "\ufffd"}),
        (['{"command": '], None, {"INVALID_JSON": '{"command": '}),
        (['["ls"]'], None, {"INVALID_JSON": '["ls"]'}),
        (['{"n": NaN}'], {"n": None}, {"n": None}),
    ],
)
def test_fragments_of_arguments_are_joined_and_parsed(pieces: list[str], input: Any, native: Json) -> None:
    turn, deltas = decode("anthropic", [start(), *block(0, TOOL, *map(json_, pieces)), *end("tool_use")])
    (call,) = turn.message.calls
    assert (call.input, call.truncated, turn.stop) == (input, False, "tool_calls")
    assert turn.message.native is not None and turn.message.native.items == (TOOL | {"input": native},)
    assert streamed(deltas, "tool_input") == "".join(pieces)


def test_an_input_that_comes_whole_with_its_block() -> None:
    turn, _ = decode("anthropic", [start(), *block(0, TOOL | {"input": {"command": "ls"}}), *end("tool_use")])
    expected = ToolCall(id="toolu_1", name="bash", arguments='{"command": "ls"}', input={"command": "ls"})
    assert turn.message.blocks == (expected,)


def test_interleaved_calls_are_separated_and_duplicate_ids_replaced() -> None:
    first, second = (
        block(0, TOOL, json_('{"command":'), json_('"a"}')),
        block(1, TOOL, json_('{"command":"b"}')),
    )
    mixed = [first[0], second[0], first[1], second[1], first[2], second[2], first[3]]
    turn, _ = decode("anthropic", [start(), *mixed, *end("tool_use")])
    assert [(call.id, call.input) for call in turn.message.calls] == [
        ("toolu_1", {"command": "a"}),
        ("call_000000", {"command": "b"}),
    ]
    again, _ = decode("anthropic", [start(), *first, *end("tool_use")], [turn.message])
    assert again.message.calls[0].id == "call_000002"
    assert again.message.native is not None and again.message.native.items[0]["id"] == "call_000002"


@pytest.mark.parametrize("arguments", ['{"path":"a","text":"half', '{"path":"a"}'])
def test_a_cut_call_is_truncated_even_if_its_fragment_parses(arguments: str) -> None:
    whole = block(0, TOOL, json_("{}"))
    fragment = block(1, TOOL | {"id": "toolu_2"}, json_(arguments))
    turn, _ = decode("anthropic", [start(), *whole, *fragment, *end("max_tokens")])
    assert ([call.truncated for call in turn.message.calls], turn.stop) == ([False, True], "max_tokens")


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "end_turn"),
        ("stop_sequence", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
        ("model_context_window_exceeded", "context_overflow"),
    ],
)
def test_stop_reasons_are_mapped(reason: str, stop: str) -> None:
    assert decode("anthropic", [start(), *end(reason)])[0].stop == stop


def test_a_refusal_is_explained() -> None:
    delta: Json = {
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "cyber", "explanation": "no"},
    }
    turn, _ = decode(
        "anthropic", [start(), {"type": "message_delta", "delta": delta}, {"type": "message_stop"}]
    )
    assert (turn.stop, turn.refusal) == ("refusal", "no")


def test_a_surrogate_pair_split_over_two_pieces_is_joined() -> None:
    turn, deltas = decode(
        "anthropic",
        [
            start(),
            *block(0, {"type": "text", "text": ""}, text("a\ud83d"), text("\ude00b"), text("\ud83d")),
            *end(),
        ],
    )
    assert turn.message.text == streamed(deltas, "text") == "a😀b\ufffd"


@pytest.mark.parametrize("chunk", [{"no": "type"}, {"type": "content_block_delta", "index": 9, "delta": {}}])
def test_events_of_another_format_are_a_retryable_error(chunk: Json) -> None:
    with pytest.raises(ProviderError) as caught:
        decode("anthropic", [start(), chunk])
    assert caught.value.retryable


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [start()],
        [start(), *block(0, {"type": "text", "text": "x"})],
        [start(), *block(0, {"type": "text", "text": "x"}), {"type": "message_stop"}],
        [{"type": "message", "content": [{"type": "text", "text": "x"}], "stop_reason": None}],
    ],
)
def test_an_incomplete_stream_is_a_retryable_error(chunks: list[Json]) -> None:
    with pytest.raises(ProviderError) as caught:
        decode("anthropic", chunks)
    assert (caught.value.code, caught.value.retryable) == ("provider_error", True)


@pytest.mark.parametrize(
    "pieces",
    [["EqRzdGVwc2lnbmF0dXJlLW9mLXNvbWUtbGVuZ3Ro"] * 2, ["EqRzdGVwc2lnbmF0dXJl", "LW9mLXNvbWUtbGVuZ3Ro"]],
)
def test_a_signature_in_pieces_or_twice_is_one_signature(pieces: list[str]) -> None:
    deltas = [{"type": "signature_delta", "signature": piece} for piece in pieces]
    thought: Json = {"type": "thinking_delta", "thinking": "hm", "estimated_tokens": 5}
    opened = {"type": "thinking", "thinking": "", "signature": ""}
    turn, _ = decode("anthropic", [start(), *block(0, opened, thought, *deltas), *end()])
    assert turn.message.native is not None
    assert turn.message.native.items == (
        {"type": "thinking", "thinking": "hm", "signature": "EqRzdGVwc2lnbmF0dXJlLW9mLXNvbWUtbGVuZ3Ro"},
    )


def test_a_compaction_is_sent_back_with_its_signature() -> None:
    deltas: list[Json] = [
        {"type": "compaction_delta", "content": "what ", "encrypted_content": None},
        {"type": "compaction_delta", "content": "came before", "encrypted_content": "c2Vh"},
        {"type": "compaction_delta", "content": None, "encrypted_content": "bGVk"},
        {"type": "signature_delta", "signature": "EqRz"},
    ]
    opened: Json = {"type": "compaction", "content": None, "encrypted_content": None, "tool_changes": []}
    turn, streamed_deltas = decode("anthropic", [start(), *block(0, opened, *deltas), *end("compaction")])
    whole = {"content": "what came before", "encrypted_content": "c2VhbGVk", "signature": "EqRz"}
    assert turn.message.native is not None and turn.message.native.items == (opened | whole,)
    assert (turn.stop, turn.message.blocks, streamed_deltas) == ("pause_turn", (), [])


def test_the_cache_is_counted_by_age_where_the_sum_is_left_out() -> None:
    usage: Json = {
        "input_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
    }
    turn, _ = decode("anthropic", [start(), *end(output_tokens=4, **usage)])
    assert turn.usage == Usage(input_tokens=6, output_tokens=4, cache_write_tokens=5)
