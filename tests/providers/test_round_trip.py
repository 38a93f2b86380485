"""A conversation over a strict provider: what came goes back unharmed, whatever it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.model import Turn as ModelTurn
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Image,
    Message,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.testing.model_server import Call, ModelServer, Turn
from tests.providers.asking import asking, results
from tests.support.formats import FORMATS, formats

pytestmark = pytest.mark.anyio

BASH = ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}})
PATCH = ToolSpec(
    "apply_patch",
    "Edit files.",
    {"type": "object", "properties": {"input": {"type": "string"}}},
    {"openai-responses": {"type": "custom", "name": "apply_patch", "description": "Edit files."}},
)
IMAGE = Image(media_type="image/png", data="iVBORw0KGgo=")


@formats
@pytest.mark.parametrize("awkward", [False, True])
async def test_several_turns_with_thinking_and_parallel_calls(format: Any, awkward: bool) -> None:
    script = [
        Turn(
            "Let me see. 😀",
            "hm, 😀",
            calls=[("bash", {"command": "echo '😀'"}), ("bash", {"command": "ls\n"})],
        ),
        Turn("", "and then", redacted=True, calls=[("bash", {})]),
        Turn("done", usage={"input": 100, "output": 9, "cached": 80, "written": 5, "reasoning": 3}),
    ]
    with ModelServer(script, awkward=awkward) as server:
        async with asking(server, format) as asker:
            history: list[Any] = [UserMessage.of("go")]
            turns: list[ModelTurn] = []
            for number in range(3):
                turn = await asker.ask(*history, tools=[BASH])
                turns.append(turn)
                assert asker.received("text") == turn.message.text == script[number].text
                assert asker.received("thinking") == script[number].thinking
                history += [turn.message, results(turn)]
        assert server.violations == []
    inputs = [[call.input for call in m.calls] for m in history if isinstance(m, AssistantMessage)]
    assert inputs == [[{"command": "echo '😀'"}, {"command": "ls\n"}], [{}], []]
    usage = turns[-1].usage
    assert usage is not None and (usage.input_tokens, usage.cached_input_tokens) == (100, 80)


@formats
@pytest.mark.parametrize("arguments", ['{"command": ', "[1]", "not json", '{"command": "\\ud83d"}', ""])
async def test_arguments_that_are_not_an_object_are_sent_back_in_an_accepted_form(
    format: Any, arguments: str
) -> None:
    with ModelServer([Turn(calls=[("bash", arguments)]), Turn("done")]) as server:
        async with asking(server, format) as asker:
            turn = await asker.ask("go", tools=[BASH])
            await asker.ask("go", turn.message, results(turn), tools=[BASH])
        assert server.violations == []
        if format == "openai-responses":  # the server checks the other two
            assert isinstance(json.loads(server.bodies[1]["input"][1]["arguments"]), dict)


@formats
async def test_a_call_truncated_by_the_output_limit_is_answered(format: Any) -> None:
    with ModelServer(
        [Turn("I will", calls=[("bash", '{"command": "rm -rf')], stop="max_tokens"), Turn("done")]
    ) as server:
        async with asking(server, format) as asker:
            turn = await asker.ask("go", tools=[BASH])
            assert ([call.truncated for call in turn.message.calls], turn.stop) == ([True], "max_tokens")
            await asker.ask("go", turn.message, results(turn, "not executed: it was cut"), tools=[BASH])
        assert server.violations == []


@formats
@pytest.mark.parametrize("before", FORMATS)
async def test_a_conversation_continues_with_another_model(format: Any, before: Any) -> None:
    first = [Turn("I look", "a thought", calls=[Call("bash", {"command": "ls"}, "functions.bash:0")])]
    with (
        ModelServer(first) as one,
        ModelServer([Turn("done")]) as two,
    ):  # the second provider has not issued the signatures of the first
        async with asking(one, before) as asker:
            turn = await asker.ask("go", tools=[BASH])
        model = {"anthropic": "claude-opus-4-6", "openai-responses": "openai:o3", "openai-chat": "mistral:m"}[
            format
        ]
        async with asking(
            two, model, base_url=two.url + ("" if format == "anthropic" else "/v1"), api_key="k"
        ) as asker:
            await asker.ask("go", turn.message, results(turn), tools=[BASH], thinking=True)
        assert two.violations == []


@formats
async def test_images_of_the_user_and_of_a_tool(format: Any) -> None:
    with ModelServer([Turn(calls=[("look", {}), ("look", {})]), Turn("done")]) as server:
        async with asking(server, format) as asker:
            go = UserMessage(blocks=(Text(text="go"), IMAGE))
            turn = await asker.ask(go, tools=[BASH])
            one, two = turn.message.calls
            answers = UserMessage(
                blocks=(
                    ToolResult(id=one.id, name="look", content=(Text(text="here"), IMAGE)),
                    ToolResult(id=two.id, name="look", content=(IMAGE,), is_error=True),
                    Text(text="well?"),
                )
            )
            await asker.ask(go, turn.message, answers, tools=[BASH])
        assert server.violations == []
        assert str(server.bodies[1]).count("iVBORw0KGgo=") == 3


async def test_a_free_form_tool_and_its_result() -> None:
    patch = '*** Begin Patch\n*** Add File: a\n+"😀"\n*** End Patch'
    with ModelServer([Turn(calls=[("apply_patch", patch)]), Turn("done")], awkward=True) as server:
        async with asking(server, "openai-responses") as asker:
            turn = await asker.ask("go", tools=[PATCH])
            assert turn.message.calls[0].arguments == patch
            await asker.ask("go", turn.message, results(turn), tools=[PATCH])
        assert server.violations == []
        types = [item["type"] for item in server.bodies[1]["input"]]
        assert types == ["message", "custom_tool_call", "custom_tool_call_output"]


@formats
async def test_a_free_form_call_where_the_tool_is_a_function(format: Any) -> None:
    call = ToolCall(id="c1", name="apply_patch", arguments="*** x", input={"input": "*** x"}, freeform=True)
    history: list[Message] = [
        UserMessage.of("go"),
        AssistantMessage(blocks=(call,)),
        UserMessage(
            blocks=(ToolResult(id="c1", name="apply_patch", content=(Text(text="ok"),), freeform=True),)
        ),
    ]
    with ModelServer([Turn("done")]) as server:
        async with asking(server, format) as asker:
            await asker.ask(*history)  # the tool is not even offered
        assert server.violations == []
        assert "*** x" in str(server.bodies[0])


@formats
async def test_an_id_that_comes_again_in_the_next_turn(format: Any) -> None:
    again = Turn(calls=[Call("bash", {"command": "ls"}, "call_0")])
    with ModelServer([again, again, Turn("done")]) as server:
        async with asking(server, format) as asker:
            history: list[Any] = [UserMessage.of("go")]
            for _ in range(3):
                turn = await asker.ask(*history, tools=[BASH])
                history += [turn.message, results(turn)]
        assert server.violations == []


async def test_signed_thinking_is_sent_back_unchanged_with_cache_breakpoints() -> None:
    with ModelServer([Turn("a", "hm", redacted=True, calls=[("bash", {})]), Turn("done")]) as server:
        async with asking(server, "anthropic") as asker:
            turn = await asker.ask("go", tools=[BASH], thinking=True)
            await asker.ask("go", turn.message, results(turn), tools=[BASH], thinking=True)
        assert turn.message.native is not None
        assert server.bodies[1]["messages"][1] == {
            "role": "assistant",
            "content": list(turn.message.native.items),
        }
        assert [block["type"] for block in turn.message.native.items] == [
            "redacted_thinking",
            "thinking",
            "text",
            "tool_use",
        ]


async def test_a_call_of_an_unknown_tool_is_answered() -> None:
    patch = {
        "type": "apply_patch_call",
        "id": "apc_1",
        "call_id": "call_9",
        "status": "completed",
        "operation": {},
    }
    asked = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "x", "arguments": "{}"}
    found = {"type": "tool_search_call", "id": "tsc_1", "call_id": "call_8", "execution": "server"}
    done = [
        {"type": "response.output_item.done", "output_index": i, "item": x}
        for i, x in enumerate([patch, asked, found])
    ]
    with ModelServer(
        [Turn(raw=[*done, {"type": "response.completed", "response": {}}]), Turn("done")]
    ) as server:
        async with asking(server, "openai-responses") as asker:
            turn = await asker.ask("go")
            assert (turn.message.calls, turn.stop) == ((), "end_turn")
            await asker.ask("go", turn.message, "and on")
        sent = server.bodies[1]["input"][1:-1]
    assert sent[:3] == [patch, asked, found]
    assert [(item["type"], item.get("call_id") or item.get("approval_request_id")) for item in sent[3:]] == [
        ("apply_patch_call_output", "call_9"),
        ("mcp_approval_response", "mcpr_1"),
    ]
