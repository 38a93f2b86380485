"""With --partial a program that follows the deltas has exactly the texts of the turn, also after broken attempts."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import Call, Fault, ModelServer, Turn
from agent_runtime.testing.runtime import Result, run
from tests.support.formats import FORMATS

CUT = Fault(error_in_stream=True, message="upstream is overloaded")  # after half of the events
SAID = "one two three four five six seven eight"


def follow(done: Result) -> dict[tuple[Any, ...], str]:
    """All that a program must do: put the pieces together, and forget what came before one with `restart`."""
    texts: dict[tuple[Any, ...], str] = defaultdict(str)
    for event in done.events:
        if event["type"].endswith("_delta"):
            key = (event["type"], event["turn"], *([event["id"]] if "id" in event else []))
            texts[key] = ("" if event.get("restart") else texts[key]) + event["delta"]
    return {key: text for key, text in texts.items() if text}


def final(done: Result) -> dict[tuple[Any, ...], str]:
    """The same texts, as the other events have them."""
    texts: dict[tuple[Any, ...], str] = {}
    kinds = {"reasoning": "thinking_delta", "text": "text_delta"}
    for event in done.of("thinking"):
        texts[kinds[event["kind"]], event["turn"]] = event["content"]
    for event in done.of("tool_call"):
        texts["tool_input_delta", event["turn"], event["id"]] = json.dumps(event["input"])
    for event in done.of("tool_result"):
        texts["tool_output_delta", event["turn"], event["id"]] = event["output"]
    texts["text_delta", done.complete["iterations"]] = done.complete["output"]
    return {key: text for key, text in texts.items() if text}


# what breaks off, and what is said in its place
ATTEMPTS = {
    "the-same": [Turn(SAID, fault=CUT), Turn(SAID)],
    "another-way": [Turn(SAID, fault=CUT), Turn("one two, and then another way")],
    "less": [Turn(SAID, "I think at length", fault=CUT), Turn("one")],
    "twice": [Turn(SAID, "so I think", fault=CUT), Turn("one II", fault=CUT), Turn(SAID, "so")],
}
CALLS = {
    "another-call": [[("c1", "echo one; echo two")], [("c2", "echo three")]],
    "other-arguments": [[("c1", "echo one; echo two")], [("c1", "echo onetwo three")]],
    "no-call": [[("c1", "echo one; echo two")], []],
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ATTEMPTS)
def test_deltas_of_several_attempts_add_up_to_the_final_text(
    name: str, format: WireFormat, workspace: Path
) -> None:
    with ModelServer(ATTEMPTS[name], awkward=True) as server:
        done = run({"prompt": "x"}, workspace, server.environ(format), ["--partial"])
    assert [error["retryable"] for error in done.of("error")] == [True] * (len(ATTEMPTS[name]) - 1)
    assert follow(done) == final(done)
    if name == "the-same":  # readers that do not know restarts get nothing twice
        assert "".join(event["delta"] for event in done.of("text_delta")) == SAID
        assert not any("restart" in event for event in done.events)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", CALLS)
def test_deltas_of_several_attempts_add_up_to_the_final_calls(
    name: str, format: WireFormat, workspace: Path
) -> None:
    tool, field = ("bash", "command") if format == "anthropic" else ("exec_command", "cmd")
    first, second = ([Call(tool, {field: text}, id) for id, text in calls] for calls in CALLS[name])
    script = [Turn("I look", calls=first, fault=CUT), Turn("I look", calls=second), Turn("done")]
    with ModelServer(script) as server:
        done = run({"prompt": "x"}, workspace, server.environ(format), ["--partial"])
    assert follow(done) == final(done)
    assert len(done.of("tool_call")) == len(second)  # calls of the attempt that broke off are not run


def test_calls_that_are_refused_have_their_output_in_pieces_too(workspace: Path) -> None:
    calls = [Call("nosuch", {"a": 1}), Call("bash", {"command": 1})]
    with ModelServer([Turn(calls=calls), Turn("done")]) as server:
        done = run({"prompt": "x"}, workspace, server.environ("anthropic"), ["--partial"])
    assert [result["isError"] for result in done.of("tool_result")] == [True, True]
    assert follow(done) == final(done)


def test_a_delta_too_long_for_a_line_is_split(workspace: Path) -> None:
    text = "\x01" * 300_000 + "end"  # six bytes each, once they are JSON
    chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    with ModelServer([Turn(raw=[chunk])]) as server:
        done = run({"prompt": "x"}, workspace, server.environ("openai-chat"), ["--partial"])
    assert "".join(event["delta"] for event in done.of("text_delta")) == text
    assert not any("truncated" in event for event in done.of("text_delta"))
