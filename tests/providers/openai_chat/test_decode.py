"""Chat Completions streams in the dialects of different providers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import Text, Thinking
from tests.providers.decoding import decode, streamed
from tests.providers.openai_chat.chunks import FORMAT, Json, chunk


def piece(
    arguments: Any = None, name: str | None = None, index: int | None = 0, id: str | None = None, **more: Any
) -> Json:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {"index": index, "id": id, "function": function, **more}
    return chunk(tool_calls=[{key: value for key, value in call.items() if value is not None}])


END = chunk("tool_calls")

A, B = {"q": "a"}, {"q": "b"}


@pytest.mark.parametrize(
    "pieces",
    [
        # as OpenAI has it, interleaved
        [
            piece("", "f", 0, "x"),
            piece("", "f", 1, "y"),
            piece('{"q":', index=0),
            piece('{"q":"b"}', index=1),
            piece('"a"}', index=0),
        ],
        # an empty id, or the same one, with every later piece
        [
            piece("", "f", 0, "x"),
            piece('{"q":"a"}', None, 0, ""),
            piece("", "f", 1, "y"),
            piece('{"q":"b"}', None, 1, "y"),
        ],
        # another id with every piece
        [piece('{"q":', "f", 0, "x"), piece('"a"}', None, 0, "x2"), piece('{"q":"b"}', "f", 1, "y")],
        # no index at all
        [piece('{"q":', "f", None, "x"), piece('"a"}', index=None), piece('{"q":"b"}', "f", None, "y")],
        # the same index for every call, with different ids
        [piece('{"q":"a"}', "f", 0, "x"), piece('{"q":"b"}', "f", 0, "y")],
        # the object itself in the place of its text
        [piece(A, "f", 0, "x"), piece(B, "f", 1, "y")],
    ],
)
def test_pieces_are_assigned_to_their_calls(pieces: list[Json]) -> None:
    turn, deltas = decode(FORMAT, [*pieces, END])
    assert [(call.id, call.name, call.input) for call in turn.message.calls] == [("x", "f", A), ("y", "f", B)]
    assert turn.stop == "tool_calls"
    for call in turn.message.calls:
        assert "".join(delta.text for delta in deltas if delta.id == call.id) == call.arguments


@pytest.mark.parametrize("index", [0, None])
def test_calls_without_ids_get_generated_ids(index: int | None) -> None:
    turn, _ = decode(FORMAT, [piece('{"q":"a"}', "f", index), piece('{"q":"b"}', "f", index), END])
    assert [(call.id, call.input) for call in turn.message.calls] == [("call_000000", A), ("call_000001", B)]
    again, _ = decode(FORMAT, [piece('{"q":"a"}', "f", index), END], [turn.message])
    assert [call.id for call in again.message.calls] == ["call_000002"]


def test_the_deprecated_function_call_is_read() -> None:
    pieces = [
        chunk(function_call={"name": "f", "arguments": ""}),
        chunk(function_call={"arguments": '{"q":"a"}'}),
    ]
    turn, _ = decode(FORMAT, [*pieces, chunk("function_call")])
    assert [(call.name, call.input) for call in turn.message.calls] == [("f", A)]


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "eos"])
def test_calls_count_with_any_finish_reason(reason: str) -> None:
    assert decode(FORMAT, [piece('{"q":"a"}', "f", 0, "x"), chunk(reason)])[0].stop == "tool_calls"


def test_a_cut_call_is_truncated_even_if_its_fragment_parses() -> None:
    chunks = [piece('{"q":"a"}', "f", 0, "x"), piece('{"q":"b"}', "f", 1, "y"), chunk("length")]
    turn, _ = decode(FORMAT, chunks)
    assert ([call.truncated for call in turn.message.calls], turn.stop) == ([False, True], "max_tokens")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_is_sent_back_under_its_original_name(name: str) -> None:
    turn, deltas = decode(
        FORMAT, [chunk(**{name: "h"}), chunk(**{name: "m"}), chunk(content="so"), chunk("stop")]
    )
    assert turn.message.blocks == (Thinking(text="hm"), Text(text="so"))
    assert (streamed(deltas, "thinking"), streamed(deltas, "text")) == ("hm", "so")
    assert turn.message.native is not None
    assert turn.message.native.items == ({"role": "assistant", "content": "so", name: "hm"},)


def test_thinking_under_two_names_counts_once() -> None:
    assert decode(FORMAT, [chunk(reasoning="hm", reasoning_content="hm"), chunk("stop")])[
        0
    ].message.blocks == (Thinking(text="hm"),)


def test_provider_specific_fields_are_sent_back() -> None:
    signature = {"google": {"thought_signature": "c2ln"}}
    details = [
        {"type": "reasoning.text", "text": "h", "index": 0},
        {"type": "reasoning.text", "text": "m", "index": 0, "signature": "s"},
    ]
    chunks = [chunk(reasoning="hm", reasoning_details=details[:1]), chunk(reasoning_details=details[1:])]
    turn, _ = decode(FORMAT, [*chunks, piece("{}", "f", 0, "x", extra_content=signature), END])
    assert turn.message.native is not None
    (native,) = turn.message.native.items
    assert native["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "index": 0, "signature": "s"}
    ]
    assert native["tool_calls"][0]["extra_content"] == signature


def test_content_given_as_a_list_of_parts_is_read() -> None:
    def thinking(text: str) -> Json:
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}

    said = [{"type": "text", "text": "so"}]
    turn, _ = decode(
        FORMAT,
        [chunk(content=[thinking("h")]), chunk(content=[thinking("m")]), chunk(content=said), chunk("stop")],
    )
    assert turn.message.blocks == (Thinking(text="hm"), Text(text="so"))
    assert turn.message.native is not None and turn.message.native.items[0]["content"] == [
        thinking("hm"),
        *said,
    ]


def test_refusals_are_read() -> None:
    turn, _ = decode(FORMAT, [chunk(refusal="I will "), chunk(refusal="not"), chunk("stop")])
    assert (turn.stop, turn.refusal, turn.message.text) == ("refusal", "I will not", "")
    for reason in ("content_filter", "content_filter: PROHIBITED_CONTENT", "SAFETY"):
        assert decode(FORMAT, [chunk(reason)])[0].stop == "refusal"


def test_an_empty_answer_has_no_blocks() -> None:
    turn, _ = decode(FORMAT, [chunk(role="assistant", content=""), chunk("stop")])
    assert (turn.message.blocks, turn.message.native, turn.stop) == ((), None, "end_turn")


@pytest.mark.parametrize(
    ("bad", "code", "retryable"),
    [
        ({"error": {"message": "m", "code": "insufficient_quota"}}, "insufficient_quota", False),
        ({"error": {"message": "m", "code": 502}}, "provider_error", True),
        (chunk("insufficient_system_resource"), "overloaded", True),
        (chunk("error"), "provider_error", True),
        (
            {"choices": [{"delta": {}, "finish_reason": "error", "error": {"code": 402, "message": "m"}}]},
            "insufficient_quota",
            False,
        ),
        (chunk("function_call_filter: MALFORMED_FUNCTION_CALL"), "provider_error", True),
        ({"code": "insufficient_quota", "message": "m"}, "insufficient_quota", False),
        ({"object": "error", "message": "m", "type": "BadRequestError"}, "provider_error", True),
    ],
)
def test_failures_inside_the_stream_are_mapped(bad: Json, code: str, retryable: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        decode(FORMAT, [chunk(content="x"), bad, chunk("stop")])
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_an_incomplete_stream_is_a_retryable_error() -> None:
    with pytest.raises(ProviderError) as caught:
        decode(FORMAT, [chunk(content="x")])
    assert caught.value.retryable


def test_a_surrogate_pair_split_over_two_pieces_is_joined() -> None:
    said = json.dumps({"q": "😀"}, ensure_ascii=False).replace("😀", "\ud83d\ude00")
    chunks = [
        chunk(content="a\ud83d"),
        chunk(content="\ude00"),
        piece(said[:8], "f", 0, "x"),
        piece(said[8:]),
    ]
    turn, deltas = decode(FORMAT, [*chunks, END])
    assert turn.message.text == streamed(deltas, "text") == "a😀"
    assert turn.message.calls[0].input == {"q": "😀"}


def test_calls_are_separated_by_name_or_by_being_whole() -> None:
    whole = [piece("", "f"), piece("{}", "g"), piece('{"q":"a"}', "g"), piece("{}", "g")]
    turn, _ = decode(FORMAT, [*whole, END])
    # the last one may be the second sent again, and a call is never run twice
    assert [(call.name, call.input) for call in turn.message.calls] == [("f", {}), ("g", {}), ("g", A)]


def test_text_before_a_list_of_parts_is_sent_back_with_it() -> None:
    reference = {"type": "reference", "reference_ids": [1]}
    more = [reference, {"type": "text", "text": " there"}]
    turn, deltas = decode(
        FORMAT, [chunk(content="So"), chunk(content=more), chunk(content="."), chunk("stop")]
    )
    assert turn.message.text == streamed(deltas, "text") == "So there."
    assert turn.message.native is not None
    assert turn.message.native.items[0]["content"] == [
        {"type": "text", "text": "So"},
        reference,
        {"type": "text", "text": " there."},
    ]


def test_signed_thinking_through_a_gateway_is_sent_back_signed() -> None:
    def block(**fields: Any) -> Json:
        return {"type": "thinking", "thinking": "", "signature": None} | fields

    chunks = [
        chunk(reasoning_content="h", thinking_blocks=[block(thinking="h")]),
        chunk(reasoning_content="m", thinking_blocks=[block(thinking="m")]),
        chunk(thinking_blocks=[block(signature="EqRz==")]),
        chunk(thinking_blocks=[{"type": "redacted_thinking", "data": "Emw="}]),
        chunk(content="so", provider_specific_fields={"citations": None}),
    ]
    turn, _ = decode(FORMAT, [*chunks, chunk("stop")])
    assert turn.message.native is not None
    assert turn.message.native.items[0]["thinking_blocks"] == [
        block(thinking="hm", signature="EqRz=="),
        {"type": "redacted_thinking", "data": "Emw="},
    ]


def test_a_message_beside_the_deltas_is_not_a_second_text() -> None:
    last = {"choices": [{"delta": {}, "message": {"content": "so"}, "finish_reason": "stop"}]}
    assert decode(FORMAT, [chunk(content="so"), last])[0].message.text == "so"
    whole = {"choices": [{"message": {"content": "so"}, "finish_reason": "stop"}]}
    assert decode(FORMAT, [whole])[0].message.text == "so"
