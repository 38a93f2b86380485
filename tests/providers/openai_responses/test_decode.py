"""Responses streams with unusual contents."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import Text, Thinking, ToolCall
from tests.providers.decoding import decode, streamed

Json = dict[str, Any]
FORMAT = "openai-responses"


def item(index: int, whole: Json, *deltas: Json, done: bool = True) -> list[Json]:
    opening = {**whole, "content": [], "arguments": "", "input": ""}
    opening = {key: value for key, value in opening.items() if key in whole}
    events: list[Json] = [{"type": "response.output_item.added", "output_index": index, "item": opening}]
    events += [{"output_index": index, "content_index": 0, **delta} for delta in deltas]
    return events + (
        [{"type": "response.output_item.done", "output_index": index, "item": whole}] if done else []
    )


def end(kind: str = "completed", output: list[Json] | None = None, **more: Any) -> Json:
    return {"type": f"response.{kind}", "response": {"model": "gpt-x", "output": output or [], **more}}


def message(text: str, **more: Any) -> Json:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [part], **more}


def call(arguments: str = '{"cmd":"ls"}', id: str = "call_1", **more: Any) -> Json:
    return {
        "type": "function_call",
        "id": f"fc_{id}",
        "call_id": id,
        "name": "sh",
        "arguments": arguments,
        **more,
    }


def test_items_only_in_the_final_response_are_read() -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "gA==",
    }
    output = [thought, message("hello"), call()]
    turn, deltas = decode(FORMAT, [end(output=output)])
    assert turn.message.native is not None and list(turn.message.native.items) == output
    assert turn.message.blocks == (
        Thinking(text="hm"),
        Text(text="hello"),
        ToolCall(id="call_1", name="sh", arguments='{"cmd":"ls"}', input={"cmd": "ls"}),
    )
    assert [streamed(deltas, kind) for kind in ("thinking", "text", "tool_input")] == [
        "hm",
        "hello",
        '{"cmd":"ls"}',
    ]
    assert turn.stop == "tool_calls"


def test_items_missing_from_the_final_response_are_kept() -> None:
    turn, _ = decode(FORMAT, [*item(0, message("hello")), *item(1, call()), end(output=[])])
    assert turn.message.native is not None and list(turn.message.native.items) == [message("hello"), call()]


def test_text_missing_from_the_deltas_is_streamed_with_the_finished_item() -> None:
    delta = {"type": "response.output_text.delta", "delta": "hel"}
    turn, deltas = decode(FORMAT, [*item(0, message("hello"), delta), end()])
    assert turn.message.text == streamed(deltas, "text") == "hello"


def test_events_without_an_index_are_matched_by_id() -> None:
    delta = {"type": "response.output_text.delta", "delta": "hel", "item_id": "msg_1"}
    events = [*item(0, message("hello"), delta), *item(1, call())]
    turn, deltas = decode(
        FORMAT, [{k: v for k, v in e.items() if k != "output_index"} for e in events] + [end()]
    )
    assert turn.message.native is not None and list(turn.message.native.items) == [message("hello"), call()]
    assert streamed(deltas, "text") == "hello"


def test_a_free_form_call_is_text() -> None:
    patch = "*** Begin Patch\n*** End Patch"
    free = {
        "type": "custom_tool_call",
        "id": "ctc_1",
        "call_id": "call_1",
        "name": "apply_patch",
        "input": patch,
    }
    delta = {"type": "response.custom_tool_call_input.delta", "delta": patch}
    turn, deltas = decode(FORMAT, [*item(0, free, delta), end()])
    expected = ToolCall(
        id="call_1", name="apply_patch", arguments=patch, input={"input": patch}, freeform=True
    )
    assert (turn.message.blocks, streamed(deltas, "tool_input")) == ((expected,), patch)
    assert [delta.id for delta in deltas] == ["call_1"]


@pytest.mark.parametrize("closed", [True, False])
def test_a_cut_call_is_truncated_even_if_its_fragment_parses(closed: bool) -> None:
    delta = {"type": "response.function_call_arguments.delta", "delta": '{"cmd":"rm"}'}
    last = item(1, call('{"cmd":"rm"}', "call_2", status="incomplete"), delta, done=closed)
    turn, _ = decode(
        FORMAT,
        [*item(0, call()), *last, end("incomplete", incomplete_details={"reason": "max_output_tokens"})],
    )
    assert [(c.truncated, c.input) for c in turn.message.calls] == [
        (False, {"cmd": "ls"}),
        (True, {"cmd": "rm"}),
    ]
    assert turn.stop == "max_tokens"


def test_a_truncated_text_is_kept() -> None:
    delta = {"type": "response.output_text.delta", "delta": "half a sen"}
    turn, _ = decode(
        FORMAT,
        [
            *item(0, message(""), delta, done=False),
            end("incomplete", incomplete_details={"reason": "max_output_tokens"}),
        ],
    )
    assert (turn.message.text, turn.stop) == ("half a sen", "max_tokens")


def test_refusals_are_read() -> None:
    refused = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "content": [{"type": "refusal", "refusal": "I will not"}],
    }
    turn, _ = decode(FORMAT, [*item(0, refused), end()])
    assert (turn.stop, turn.refusal, turn.message.text) == ("refusal", "I will not", "")
    filtered, _ = decode(FORMAT, [end("incomplete", incomplete_details={"reason": "content_filter"})])
    assert filtered.stop == "refusal"


@pytest.mark.parametrize(
    ("chunk", "code", "retryable"),
    [
        ({"type": "error", "code": "server_error", "message": "m"}, "provider_error", True),
        (
            {"type": "error", "error": {"code": "insufficient_quota", "message": "m"}},
            "insufficient_quota",
            False,
        ),
        (end("failed", error={"code": "rate_limit_exceeded", "message": "m"}), "rate_limited", True),
        (end("failed", error={"code": "context_length_exceeded", "message": "m"}), "context_overflow", False),
        (end("failed", error=None), "provider_error", True),
        (end("cancelled"), "provider_error", True),
        ({"type": 1}, "provider_error", True),
        ({"type": "response.output_text.delta", "output_index": 7, "delta": "x"}, "provider_error", True),
    ],
)
def test_failures_inside_the_stream_are_mapped(chunk: Json, code: str, retryable: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        decode(FORMAT, [chunk])
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_an_incomplete_stream_is_a_retryable_error() -> None:
    with pytest.raises(ProviderError) as caught:
        decode(FORMAT, item(0, message("hello")))
    assert caught.value.retryable


def test_a_duplicate_or_missing_id_is_replaced() -> None:
    other = call('{"cmd":"pwd"}')
    turn, _ = decode(FORMAT, [*item(0, call()), *item(1, call(id="")), *item(2, other), end()])
    assert [c.id for c in turn.message.calls] == ["call_1", "call_000000", "call_000001"]
    assert turn.message.native is not None
    assert [i["call_id"] for i in turn.message.native.items] == ["call_1", "call_000000", "call_000001"]


def test_items_with_the_same_index_are_separated() -> None:
    delta = {"type": "response.output_text.delta", "delta": "hel"}
    turn, deltas = decode(FORMAT, [*item(0, message("hello"), delta), *item(0, call()), end()])
    assert turn.message.native is not None and list(turn.message.native.items) == [message("hello"), call()]
    assert streamed(deltas, "text") == "hello"


def test_two_responses_in_one_stream_are_one_turn() -> None:
    opening = {"type": "response.created", "response": {}}
    first, second = item(0, message("hello ")), item(0, message("there", id="msg_2"))
    turn, deltas = decode(FORMAT, [opening, *first, end(), opening, *second, end()])
    assert turn.message.text == streamed(deltas, "text") == "hello there"
    with pytest.raises(ProviderError, match="in the middle"):
        decode(FORMAT, [opening, *first, end(), opening, *second])


@pytest.mark.parametrize("closed", [call(""), call({"cmd": "ls"})])  # type: ignore[arg-type]
def test_arguments_missing_or_parsed_in_the_done_event_are_kept(closed: Json) -> None:
    delta = {"type": "response.function_call_arguments.delta", "delta": '{"cmd": "ls"}'}
    turn, _ = decode(FORMAT, [*item(0, call(), delta)[:-1], *item(0, closed)[1:], end()])
    assert [c.input for c in turn.message.calls] == [{"cmd": "ls"}]
    assert turn.message.native is not None and turn.message.native.items == (call('{"cmd": "ls"}'),)


def test_a_text_missing_in_the_done_event_is_kept() -> None:
    delta = {"type": "response.output_text.delta", "delta": "hello"}
    empty = message("") | {"content": []}
    turn, deltas = decode(FORMAT, [*item(0, empty, delta), end()])
    assert turn.message.text == streamed(deltas, "text") == "hello"


def test_reasoning_without_its_content_does_not_go_back() -> None:
    thought: Json = {"type": "reasoning", "id": "rs_1", "summary": []}
    deltas = [
        {"type": "response.reasoning_summary_text.delta", "delta": "hm", "summary_index": 0},
        {"type": "response.reasoning_summary_text.delta", "delta": "so", "summary_index": 1},
    ]
    reason = {"reason": "max_output_tokens"}
    turn, _ = decode(
        FORMAT, [*item(0, thought, *deltas, done=False), end("incomplete", incomplete_details=reason)]
    )
    assert turn.message.blocks == (Thinking(text="hm"), Thinking(text="so"))
    assert (turn.message.native, turn.stop) == (None, "max_tokens")
    signed = thought | {"summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"}
    turn, _ = decode(FORMAT, [*item(0, signed, *deltas), *item(1, message("so")), end()])
    assert turn.message.native is not None and list(turn.message.native.items) == [signed, message("so")]


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_response_in_progress_is_not_an_answer(status: str) -> None:
    opening = {"object": "response", "status": status, "output": []}
    turn, _ = decode(FORMAT, [opening, *item(0, message("hello")), end()])
    assert turn.message.text == "hello"
    with pytest.raises(ProviderError, match="in the middle"):
        decode(FORMAT, [opening])


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, False),
        ({"encrypted_content": None, "content": []}, False),
        ({"content": [{"type": "reasoning_text", "text": ""}]}, False),
        ({"encrypted_content": "gAAA"}, True),
        ({"content": [{"type": "reasoning_text", "text": "hm"}]}, True),
    ],
)
def test_reasoning_is_sent_back_only_with_its_content(fields: Json, kept: bool) -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        **fields,
    }
    turn, _ = decode(FORMAT, [*item(0, thought), *item(1, call()), end()])
    assert turn.message.native is not None
    assert list(turn.message.native.items) == [thought, call()][0 if kept else 1 :]
    assert turn.message.blocks[0] == Thinking(text="hm")


def test_a_call_of_an_incomplete_item_is_not_run() -> None:
    turn, _ = decode(FORMAT, [*item(0, call(status="incomplete")), end()])
    assert [found.truncated for found in turn.message.calls] == [True]
