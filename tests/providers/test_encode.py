"""What a request holds: messages, cache breakpoints, hosted and native tools."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.agent.model import ModelCall
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Image,
    Native,
    Text,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve
from agent_runtime.tools.web_search import TOOL as WEB_SEARCH
from tests.providers.encoding import EDITOR, PATCH, encode

BREAKPOINT = {"type": "ephemeral"}


def test_cache_breakpoints_are_on_the_system_prompt_and_the_last_two_user_messages() -> None:
    history: list[Any] = []
    for n in range(4):
        call = ToolCall(id=f"c{n}", name="bash", arguments="{}", input={})
        history += [UserMessage.of(f"u{n}"), AssistantMessage(blocks=(call,))]
        history.append(UserMessage(blocks=(ToolResult(id=f"c{n}", name="bash", content=(Text(text="r"),)),)))
    body, _ = encode("claude-sonnet-4-5", messages=history, tools=[EDITOR])
    assert body["system"] == [{"type": "text", "text": "sys", "cache_control": BREAKPOINT}]
    users = [message["content"] for message in body["messages"] if message["role"] == "user"]
    breakpoints = [["cache_control" in block for block in content] for content in users]
    assert breakpoints == [[False], [False, False], [False, False], [False, True], [True]]
    assert str(body).count("cache_control") == 3
    assert (
        encode("claude-sonnet-4-5", system="", tools=[EDITOR])[0]["tools"][-1]["cache_control"] == BREAKPOINT
    )


@pytest.mark.parametrize(
    ("model", "tools"),
    [
        ("claude-sonnet-4-5", ["text_editor_20250728", "apply_patch", "web_search_20250305"]),
        ("claude-3-5-haiku", ["str_replace_based_edit_tool", "apply_patch", "web_search_20250305"]),
        ("openai:gpt-5.2", ["str_replace_based_edit_tool", "custom", "web_search"]),
        ("openai:o3", ["str_replace_based_edit_tool", "apply_patch", "web_search"]),
        ("openai-chat:gpt-5.2", ["str_replace_based_edit_tool", "apply_patch"]),
    ],
)
def test_tools_are_sent_in_the_native_form_of_the_model(model: str, tools: list[str]) -> None:
    body, _ = encode(model, tools=[EDITOR, PATCH, WEB_SEARCH.spec()])

    def kind(tool: dict[str, Any]) -> Any:
        function = tool.get("function", tool)
        return function["name"] if tool.get("type", "function") == "function" else tool["type"]

    assert [kind(tool) for tool in body["tools"]] == tools


def test_a_custom_endpoint_gets_plain_functions_and_nothing_hosted() -> None:
    model = {
        "provider": "custom",
        "endpoint": "http://h",
        "format": "anthropic",
        "name": "other",
        "apiKey": "k",
    }
    endpoint = resolve(model, {})
    body, _ = wire_for(endpoint).encode(
        ModelCall("other", "", [UserMessage.of("go")], [EDITOR, WEB_SEARCH.spec()])
    )
    assert [tool["name"] for tool in body["tools"]] == ["str_replace_based_edit_tool"]
    assert "input_schema" in body["tools"][0]


def test_responses_are_not_stored_and_can_be_sent_back() -> None:
    body, _ = encode("openai:gpt-5.2", cache_key="run_1", tools=[PATCH], parallel_tools=False)
    assert (body["store"], body["include"]) == (False, ["reasoning.encrypted_content"])
    assert (body["prompt_cache_key"], body["parallel_tool_calls"]) == ("run_1", False)
    assert "include" not in encode("openai:gpt-4.1")[0]


def test_parallel_calls_can_be_disabled() -> None:
    one = {"type": "auto", "disable_parallel_tool_use": True}
    assert encode("claude-sonnet-4-5", tools=[EDITOR], parallel_tools=False)[0]["tool_choice"] == one
    assert (
        encode("openai-chat:gpt-5.2", tools=[EDITOR], parallel_tools=False)[0]["parallel_tool_calls"] is False
    )
    assert "parallel_tool_calls" not in encode("ollama:x", tools=[EDITOR], parallel_tools=False)[0]


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "openai:gpt-5.2", "openai-chat:gpt-5.2"])
def test_lone_surrogates_are_never_sent(model: str) -> None:
    call = ToolCall(id="c", name="f", arguments='{"a":"\ud83d"}', input={"a": "\ud83d"})
    answer = UserMessage(blocks=(ToolResult(id="c", name="f", content=(Text(text="\udcff"),)),))
    body, _ = encode(
        model, system="\ud83d", messages=[UserMessage.of("a\ud800"), AssistantMessage(blocks=(call,)), answer]
    )
    assert str(body).encode() and str(body).count("\ufffd") >= 4


def test_unsigned_and_foreign_thinking_is_not_sent() -> None:
    unsigned = ({"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "so"})
    signed = ({"type": "thinking", "thinking": "hm", "signature": "Eq=="}, {"type": "text", "text": "so"})

    def sent(model: str, items: Any) -> list[dict[str, Any]]:
        turn = AssistantMessage(
            blocks=(Text(text="so"),), native=Native(format="anthropic", model=model, items=items)
        )
        body, _ = encode("claude-sonnet-4-5", messages=[UserMessage.of("a"), turn, UserMessage.of("b")])
        content: list[dict[str, Any]] = body["messages"][1]["content"]
        return content

    assert sent("claude-sonnet-4-5", unsigned) == [unsigned[1]]
    assert sent("claude-opus-4-6", signed) == [signed[1]]
    assert sent("claude-sonnet-4-5", signed) == list(signed)


def test_ids_are_shortened_for_providers_that_accept_nine_letters() -> None:
    call = ToolCall(id="toolu_01UmPwkecewaEpMupy2ywk8b", name="f", arguments="{}", input={})
    answer = UserMessage(blocks=(ToolResult(id=call.id, name="f", content=(Text(text="r"),)),))
    body, _ = encode("mistral:m", messages=[UserMessage.of("a"), AssistantMessage(blocks=(call,)), answer])
    asked, answered = body["messages"][2]["tool_calls"][0]["id"], body["messages"][3]["tool_call_id"]
    assert asked == answered and len(asked) == 9 and asked.isalnum()


@pytest.mark.parametrize("model", ["openai-chat:gpt-4", "openai:o3-mini", "deepseek:deepseek-v4-pro"])
def test_images_that_a_model_cannot_see_are_reported(model: str) -> None:
    message = UserMessage(blocks=(Image(media_type="image/png", data="AAAA"),))
    body, dropped = wire_for(resolve(model, {})).encode(ModelCall("m", "", [message]))
    assert "AAAA" not in str(body) and "this model cannot see images" in str(body)
    assert [item.parameter for item in dropped] == ["images"]
