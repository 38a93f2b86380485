"""A history that was cut, mixed up or damaged is made valid, and the repairs say what was wrong."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.conversation import clean_messages
from agent_runtime.conversation.normalize import BEGINNING, CONTINUE, NormalizedHistory, for_model, normalize
from agent_runtime.conversation.tool_pairs import INTERRUPTED
from agent_runtime.protocol.messages import (
    NO_OUTPUT,
    AssistantMessage,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tests.conversation.messages import call, model, native, picture, result, user

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}
REDACTED = {"type": "redacted_thinking", "data": "xyz"}
USE = {"type": "tool_use", "id": "c1", "name": "bash", "input": {}}


def test_a_valid_history_is_unchanged() -> None:
    sound = (
        user("do it", picture()),
        model(Thinking(text="hm"), call(), native=native(THOUGHT, REDACTED, USE)),
        user(result(), "by the way"),
        model("done"),
        user("thanks"),
    )
    assert normalize(sound) == NormalizedHistory(sound)


def test_a_call_without_a_result_gets_a_placeholder_result() -> None:
    normalized = normalize([user("go"), model(call("a"), call("b", "edit")), user(result("a"))])
    cut = ToolResult(id="b", name="edit", content=(Text(text=INTERRUPTED),), is_error=True)
    assert normalized.messages == (user("go"), model(call("a"), call("b", "edit")), user(result("a"), cut))
    assert normalized.repairs == ("a call without a result got one that says so",)
    assert "unknown" in INTERRUPTED


def test_a_run_killed_right_after_the_turn_resumes_with_the_new_prompt() -> None:
    normalized = normalize([user("go"), model("first"), user("more"), model(call()), user("go on")])
    cut = ToolResult(id="c1", name="bash", content=(Text(text=INTERRUPTED),), is_error=True)
    assert normalized.messages[-1] == user(cut, "go on")


def test_results_without_a_call_and_second_results_are_dropped() -> None:
    normalized = normalize(
        [user("go", result("x")), model(call()), user(result(), result(text="again")), user("and?")]
    )
    assert normalized.messages == (user("go"), model(call()), user(result(), "and?"))
    assert normalized.repairs == ("results that belonged to no call were dropped",)


def test_a_late_result_is_moved_to_its_call() -> None:
    normalized = normalize([user("go"), model(call()), user("wait"), model("well"), user(result(), "now?")])
    assert normalized.messages == (
        user("go"),
        model(call()),
        user(result(), "wait"),
        model("well"),
        user("now?"),
    )


def test_results_come_first_and_in_the_order_of_their_calls() -> None:
    normalized = normalize([user("go"), model(call("a"), call("b")), user("hi", result("b"), result("a"))])
    assert normalized.messages[-1] == user(result("a"), result("b"), "hi")


def test_duplicate_ids_are_made_unique_and_keep_their_results() -> None:
    history: list[Message] = [
        user("go"),
        model(call(x=1)),
        user(result(text="1")),
        model(call(x=2)),
        user(result(text="2")),
    ]
    normalized = normalize(history)
    assert normalized.messages == (
        *history[:3],
        model(call("c1-2", x=2)),
        user(result("c1-2", "2")),
    )


@pytest.mark.parametrize(("length", "kept"), [(64, True), (65, False)])
def test_an_id_of_the_provider_itself_may_be_as_long_as_it_accepts(length: int, kept: bool) -> None:
    id = "c" * length
    item = {"type": "function_call", "id": "fc_1", "call_id": id, "name": "bash", "arguments": "{}"}
    turn = model(call(id), native=native(item, format="openai-responses"))
    normalized = normalize([user("go"), turn, user(result(id))])
    [made] = [block for block in normalized.messages[1].blocks if isinstance(block, ToolCall)]
    assert len(made.id) == (64 if kept else 40)


def test_a_message_is_examined_once_per_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[Message] = []
    clean = clean_messages.clean_message

    def counted(message: Message, notes: Any) -> Message | None:
        examined.append(message)
        return clean(message, notes)

    monkeypatch.setattr(clean_messages, "clean_message", counted)
    history: list[Message] = [user("go", ""), model("done"), user("more")]
    cache = clean_messages.NormalizeCache()
    first = normalize(history, cache=cache)
    assert normalize([*history, model("yes"), user("end")], cache=cache).repairs == first.repairs
    assert examined == [*history, model("yes"), user("end")]


def test_an_id_changed_in_the_blocks_is_changed_in_the_native_items() -> None:
    made = {"id": "c1", "function": {"name": "bash", "arguments": "{}"}}
    item = {"role": "assistant", "tool_calls": [made]}
    turns: list[Message] = [model(call(), native=native(item, format="openai-chat")), user(result())]
    second = normalize([user("go"), *turns, *turns]).messages[3]
    renamed = {"role": "assistant", "tool_calls": [made | {"id": "c1-2"}]}
    assert second == model(call("c1-2"), native=native(renamed, format="openai-chat"))


@pytest.mark.parametrize("id", ["functions.bash:0", "", "x" * 64, "ü"])
def test_an_id_that_another_provider_would_refuse_is_changed(id: str) -> None:
    normalized = normalize([user("go"), model(call(id)), user(result(id))])
    made = normalized.messages[1].blocks[0]
    assert isinstance(made, ToolCall)
    assert made.id.replace("-", "").replace("_", "").isalnum() or made.id == "_"
    assert 1 <= len(made.id) <= 40
    assert normalized.messages[2] == user(result(made.id))


def test_roles_alternate_and_empty_messages_are_dropped() -> None:
    normalized = normalize([user("a"), user(" \n"), user("b"), model(" "), model("c"), model("d"), user("e")])
    assert normalized == NormalizedHistory((user("a", "b"), model("c", "d"), user("e")))


def test_turns_with_incompatible_native_items_are_not_merged() -> None:
    signed = model("a", native=native(THOUGHT, {"type": "text", "text": "a"}))
    assert normalize([user("go"), signed, model("b"), user("?")]).messages == (
        *(user("go"), signed, user(CONTINUE), model("b"), user("?")),
    )


def test_a_paused_turn_and_its_continuation_are_one_turn() -> None:
    hosted = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
    paused, rest = (
        model(native=native(hosted)),
        model("found", native=native(found, {"type": "text", "text": "found"})),
    )
    assert normalize([user("go"), paused], paused=True) == NormalizedHistory((user("go"), paused))
    whole = model("found", native=native(hosted, found, {"type": "text", "text": "found"}))
    assert normalize([user("go"), paused, rest, user("thanks")]) == NormalizedHistory(
        (user("go"), whole, user("thanks"))
    )


def test_a_hosted_call_without_a_result_is_left_out() -> None:
    hosted = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
    said = {"type": "text", "text": "let me look"}
    normalized = normalize([user("go"), model("let me look", native=native(said, hosted)), user("go on")])
    assert normalized.messages[1] == model("let me look", native=native(said))


def test_a_history_starts_and_ends_with_a_user_message() -> None:
    normalized = normalize([model("hello")])
    assert normalized.messages == (user(BEGINNING), model("hello"), user(CONTINUE))
    assert normalized.repairs == (
        "the history began with an assistant message",
        "the history ended with an assistant message",
    )


def test_empty_outputs_get_a_placeholder() -> None:
    empty = ToolResult(id="c1", name="bash", content=())
    blank = result(text=" ")
    for nothing in (empty, blank):
        assert normalize([user("go"), model(call()), user(nothing)]).messages[2] == user(
            result(text=NO_OUTPUT)
        )


def test_reasoning_without_its_signature_is_left_out_and_redacted_reasoning_kept_to_the_byte() -> None:
    unsigned = {"type": "thinking", "thinking": "cut", "signature": ""}
    blank = {"type": "text", "text": "\n\n"}
    turn = model(Thinking(text="cut"), call(), native=native(unsigned, REDACTED, blank, USE))
    normalized = normalize([user("go"), turn, user(result())])
    assert normalized.messages[1] == model(Thinking(text="cut"), call(), native=native(REDACTED, USE))
    assert normalized.repairs == ("reasoning without its signature was left out",)


@pytest.mark.parametrize(
    ("reasoning", "kept"),
    [
        ({"encrypted_content": "x", "summary": []}, True),
        ({"content": [{"type": "reasoning_text", "text": "hm"}], "summary": []}, True),
        ({"summary": [{"type": "summary_text", "text": "hm"}]}, False),
        ({"encrypted_content": None, "content": None, "summary": []}, False),
        ({"encrypted_content": "", "content": []}, False),
        ({"content": [{"type": "reasoning_text", "text": ""}]}, False),
        ({"content": "not a list"}, False),
    ],
)
def test_empty_reasoning_items_of_responses_are_left_out(reasoning: dict[str, Any], kept: bool) -> None:
    item = {"type": "reasoning", "id": "rs_1"} | reasoning
    made = {"type": "function_call", "call_id": "c1", "name": "bash", "arguments": "{}"}
    turn = model(call(), native=native(item, made, format="openai-responses"))
    found = normalize([user("go"), turn, user(result())]).messages[1]
    expected = (item, made) if kept else (made,)
    assert isinstance(found, AssistantMessage) and found.native is not None
    assert found.native.items == expected


def test_a_turn_with_reasoning_only_is_left_out() -> None:
    thought = model(Thinking(text="hm"), native=native(THOUGHT))
    assert normalize([user("go"), thought, user("and?")]).messages == (user("go", "and?"),)


def test_reasoning_signed_for_another_model_or_format_is_left_out() -> None:
    turn = model(call(), native=native(THOUGHT, USE, model="claude-a-20250101"))
    history: list[Message] = [user("go"), turn, user(result())]
    assert for_model(history, "anthropic", "claude-a") is history
    assert for_model(history, "anthropic", "claude-b")[1] == model(
        call(), native=native(USE, model="claude-a-20250101")
    )
    assert for_model(history, "openai-chat", "claude-a")[1] == model(call())


def test_native_items_that_contradict_the_blocks_are_dropped() -> None:
    stray = native(USE, USE | {"id": "c2"})
    normalized = normalize([user("go"), model(call(), native=stray), user(result())])
    assert normalized.messages[1] == model(call())


def test_lone_surrogates_and_the_like_are_replaced_everywhere() -> None:
    poisoned = ToolCall(
        id="c1", name="b d", arguments='{"a": "\\ud83d"}', input={"a": "\ud83d", "n": float("nan")}
    )
    item = USE | {"input": {"a": "\ud83d"}}
    normalized = normalize([user("go"), model(poisoned, native=native(item)), user(result())])
    repaired = ToolCall(
        id="c1", name="b_d", arguments='{"a": "\ufffd", "n": null}', input={"a": "\ufffd", "n": None}
    )
    assert normalized.messages == (user("go"), model(repaired), user(result(name="b_d")))


def test_an_id_that_contains_a_signature_is_returned_unchanged_to_its_gateway() -> None:
    id = "call_1__thought__" + "Aa+/" * 300
    made = {"id": id, "function": {"name": "bash", "arguments": "{}"}}
    item = {"role": "assistant", "tool_calls": [made]}
    history: list[Message] = [
        user("go"),
        model(call(id), native=native(item, format="openai-chat")),
        user(result(id)),
    ]
    assert normalize(history).messages == tuple(history)


def test_ids_of_different_formats_are_made_unique() -> None:
    made = {"type": "function_call", "call_id": "functions.x:0", "name": "bash", "arguments": "{}"}
    history: list[Message] = [
        user("go"),
        model(call("functions.x:0")),
        model(call("functions.x:0"), native=native(made, format="openai-responses")),
    ]
    turns = [message for message in normalize(history).messages if isinstance(message, AssistantMessage)]
    assert [turn.calls[0].id for turn in turns] == ["functions_x_0", "functions_x_0-2"]


def test_items_of_unexpected_types_do_not_fail() -> None:
    odd = native({"type": ["x"], "id": {}}, {"type": None, "id": [1]}, {"type": "text", "text": "a"})
    history: list[Message] = [user("go"), model("a", native=odd), user("on")]
    assert normalize(history).messages == tuple(history)
