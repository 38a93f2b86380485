"""Answers that are empty, broken off, or without the calls that they announce: none of them completes a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Json, Result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, request_for
from tests.support.formats import FORMATS
from tests.support.runs import bash

EMPTY = {"nothing": Turn(), "thought-only": Turn(thinking="hm"), "blank": Turn(text=" \n")}


def run(
    script: list[Turn], format: WireFormat, standby: Running, folder: Path, **config: Any
) -> tuple[Result, list[Json]]:
    with ModelServer(script) as server:
        request = request_for(format, config={"maxRetries": 1} | config)
        done = StandbyRun(standby, request, server.environ(format), folder).end()
        assert server.violations == []
        return done, server.bodies


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_answer_is_requested_once_more(
    name: str, format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    done, bodies = run([bash("echo one"), EMPTY[name], Turn(text="it is done")], format, standby, tmp_path)
    assert (done.code, done.complete["output"], len(bodies)) == (0, "it is done", 3)
    assert "Your last answer was empty" in str(bodies[2])


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_empty_answer_is_final_after_earlier_text(
    format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    said = Turn(text="I will look", calls=bash("echo one").calls)
    done, bodies = run([said, Turn(), Turn()], format, standby, tmp_path)
    assert (done.code, done.complete["output"], len(bodies)) == (0, "I will look", 3)
    [notice] = done.of("notice")
    assert notice["code"] == "empty_answer"
    assert "its last text" in notice["message"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_second_empty_answer_without_earlier_text_fails_except_with_anthropic(
    format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    done, _ = run([bash("echo one"), Turn(), Turn(thinking="hm")], format, standby, tmp_path)
    if format == "anthropic":  # its models may end a task like this after a last call
        assert (done.code, done.complete["output"]) == (0, "")
        [notice] = done.of("notice")
        assert notice["code"] == "empty_answer"
        assert "no text at all" in notice["message"]
    else:
        assert (done.code, done.complete["status"], done.complete["stopReason"]) == (1, "failed", "error")
        assert [error["code"] for error in done.of("error")] == ["provider_error"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_answer_in_the_last_turn_ends_the_run(
    format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    said = Turn(text="I will look", calls=bash("echo one").calls)
    done, bodies = run([said, Turn()], format, standby, tmp_path, maxTurns=2)
    assert (done.code, done.complete["output"], len(bodies)) == (0, "I will look", 2)


def chat(*deltas: Json, reason: str | None = None, number: int = 0) -> list[Json]:
    choices = [{"index": number, "delta": delta} for delta in deltas]
    return [
        {"choices": [choice]}
        for choice in [*choices, {"index": number, "delta": {}, "finish_reason": reason}]
    ]


def messages(reason: str, *blocks: Json) -> list[Json]:
    start = {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 9}}}
    events: list[Json] = [start]
    for index, block in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_stop", "index": index})
    return [*events, {"type": "message_delta", "delta": {"stop_reason": reason}}, {"type": "message_stop"}]


def responses(status: str, reason: str | None = None) -> list[Json]:
    content = [{"type": "output_text", "text": "half an ans"}]
    item = {"type": "message", "id": "m", "role": "assistant", "content": content}
    details = {"reason": reason} if reason else None
    response = {"status": status, "output": [item], "incomplete_details": details}
    return [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{'completed' if status == 'queued' else status}", "response": response},
    ]


HALF = {"content": "half an ans"}
TEXT = {"type": "text", "text": "half an ans"}
ABORTED = [
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "timeout",
    "overloaded",
    "unknown",
    "interrupted",
    "failed",
    "server_error",
    "unheard_of",
]
BROKEN: dict[str, tuple[WireFormat, list[Json]]] = {
    **{f"chat-{word}": ("openai-chat", chat(HALF, reason=word)) for word in ABORTED},
    **{
        f"messages-{word}": ("anthropic", messages(word, TEXT))
        for word in ("abort", "cancelled", "unheard_of")
    },
    "responses-reason": ("openai-responses", responses("incomplete", "interrupted")),
    "responses-cancelled": ("openai-responses", responses("cancelled")),
    "responses-queued": ("openai-responses", responses("queued")),
    "chat-no-call": ("openai-chat", chat({"content": "I look"}, reason="tool_calls")),
    "chat-no-function": ("openai-chat", chat({"content": "I look"}, reason="function_call")),
    "messages-no-call": ("anthropic", messages("tool_use", TEXT)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_malformed_answer_is_retried(name: str, standby: Running, tmp_path: Path) -> None:
    format, events = BROKEN[name]
    done, bodies = run([Turn(raw=events), Turn(text="whole")], format, standby, tmp_path)
    assert (done.code, done.complete["output"], len(bodies)) == (0, "whole", 2)
    assert [error["retryable"] for error in done.of("error")] == [True]


def test_tool_calls_of_every_choice_are_run(standby: Running, tmp_path: Path) -> None:
    call = {"id": "c1", "function": {"name": "bash", "arguments": '{"command": "echo ran >> c.txt"}'}}
    events = [
        *chat({"content": "I run it"}, reason="stop"),
        *chat({"tool_calls": [call]}, reason="tool_calls", number=1),
    ]
    done, _ = run([Turn(raw=events), Turn(text="done")], "openai-chat", standby, tmp_path)
    assert (done.code, done.complete["output"]) == (0, "done")
    assert (tmp_path / "workspace" / "c.txt").read_text() == "ran\n"
    assert [event["content"] for event in done.of("thinking")] == ["I run it"]


COMMAND = "echo ran >> c.txt"
FUNCTION = {
    "type": "function_call",
    "call_id": "k1",
    "name": "bash",
    "arguments": json.dumps({"command": COMMAND}),
}
USE = {"type": "tool_use", "id": "k1", "name": "bash", "input": {"command": COMMAND}}
CHAT_CALL = {"id": "k1", "function": {"name": "bash", "arguments": json.dumps({"command": COMMAND})}}
TWICE: dict[str, tuple[WireFormat, list[Json]]] = {
    "responses-other-item-id-in-the-end": (
        "openai-responses",
        [
            {"type": "response.output_item.added", "output_index": 0, "item": FUNCTION | {"id": "b"}},
            {"type": "response.output_item.done", "output_index": 0, "item": FUNCTION | {"id": "b"}},
            {"type": "response.completed", "response": {"output": [FUNCTION | {"id": "c"}]}},
        ],
    ),
    "messages-message-after-the-end": (
        "anthropic",
        [*messages("tool_use", USE), {"type": "message", "content": [USE], "stop_reason": "tool_use"}],
    ),
    "chat-message-after-the-end": (
        "openai-chat",
        [
            *chat({"tool_calls": [CHAT_CALL | {"index": 0}]}, reason="tool_calls"),
            {"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": [CHAT_CALL]}}]},
        ],
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_call_that_is_sent_twice_is_run_once(name: str, standby: Running, tmp_path: Path) -> None:
    format, events = TWICE[name]
    done, bodies = run([Turn(raw=events), Turn(text="done")], format, standby, tmp_path)
    assert (done.code, len(done.of("tool_call")), len(bodies)) == (0, 1, 2)
    assert (tmp_path / "workspace" / "c.txt").read_text() == "ran\n"
