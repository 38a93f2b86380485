"""What a request holds: parameters where the model takes them, cache breakpoints, hosted and native tools."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.agent.model import ModelCall, ToolSpec
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

EDITOR = ToolSpec(
    "str_replace_based_edit_tool",
    "Edit.",
    {"type": "object"},
    {"anthropic": {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}},
)
PATCH = ToolSpec(
    "apply_patch",
    "Patch.",
    {"type": "object"},
    {"openai-responses": {"type": "custom", "name": "apply_patch"}},
)
BREAKPOINT = {"type": "ephemeral"}


def encode(model: str, **more: Any) -> tuple[dict[str, Any], list[str]]:
    call = ModelCall(model, more.pop("system", "sys"), more.pop("messages", [UserMessage.of("go")]), **more)
    body, dropped = wire_for(resolve(model, {})).encode(call)
    return body, [item.parameter for item in dropped]


@pytest.mark.parametrize(
    ("model", "asked", "sent", "dropped"),
    [
        ("claude-sonnet-4-5", {}, {}, []),
        ("claude-sonnet-4-5", {"temperature": 0.3}, {"temperature": 0.3}, []),
        ("claude-sonnet-4-5", {"temperature": 1.7}, {"temperature": 1}, ["temperature"]),
        ("claude-sonnet-4-5", {"effort": "high"}, {}, ["effort"]),
        (
            "claude-sonnet-4-5",
            {"thinking": True},
            {"thinking": {"type": "enabled", "budget_tokens": 8192}},
            [],
        ),
        (
            "claude-sonnet-4-5",
            {"thinking": True, "effort": "low"},
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            [],
        ),
        (
            "claude-sonnet-4-5",
            {"thinking": True, "max_tokens": 4000},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            [],
        ),
        ("claude-sonnet-4-5", {"thinking": True, "max_tokens": 1000}, {}, ["thinking"]),
        (
            "claude-sonnet-4-5",
            {"thinking": True, "temperature": 0.3},
            {"thinking": {"type": "enabled", "budget_tokens": 8192}},
            ["temperature"],
        ),
        ("claude-3-haiku", {"thinking": True}, {}, ["thinking"]),
        ("claude-opus-4-6", {}, {"thinking": {"type": "adaptive", "display": "summarized"}}, []),
        ("claude-opus-4-6", {"thinking": False}, {}, []),
        ("claude-opus-4-6", {"temperature": 0.3}, {"temperature": 0.3}, []),
        (
            "claude-opus-4-6",
            {"thinking": False, "effort": "xhigh"},
            {"output_config": {"effort": "high"}},
            ["effort"],
        ),
        ("claude-opus-4-7", {"thinking": False, "temperature": 0.3}, {}, ["temperature"]),
        ("claude-sonnet-5-5", {"thinking": False}, {"thinking": {"type": "between_tools"}}, []),
        ("claude-opus-5-5", {"thinking": False}, {}, ["thinking"]),
        (
            "claude-opus-5",
            {"thinking": False, "effort": "max"},
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            ["effort"],
        ),
    ],
)
def test_anthropic_parameters(
    model: str, asked: dict[str, Any], sent: dict[str, Any], dropped: list[str]
) -> None:
    body, left_out = encode(model, **asked)
    names = ("temperature", "thinking", "output_config")
    assert ({name: body[name] for name in names if name in body}, left_out) == (sent, dropped)


@pytest.mark.parametrize(
    ("model", "asked", "sent", "dropped"),
    [
        ("openai:gpt-5.2", {"effort": "high"}, {"reasoning": {"summary": "auto", "effort": "high"}}, []),
        (
            "openai:gpt-5.2",
            {"effort": "max"},
            {"reasoning": {"summary": "auto", "effort": "xhigh"}},
            ["effort"],
        ),
        (
            "openai:gpt-5.2",
            {"temperature": 0.3, "thinking": False},
            {"reasoning": {"effort": "none"}},
            ["temperature"],
        ),
        ("openai:gpt-4.1", {"temperature": 0.3, "effort": "high"}, {"temperature": 0.3}, ["effort"]),
        ("openai:gpt-4.1", {"max_tokens": 5}, {"max_output_tokens": 16}, []),
        (
            "openai-chat:gpt-5.2",
            {"effort": "low", "max_tokens": 9},
            {"reasoning_effort": "low", "max_completion_tokens": 9},
            [],
        ),
        ("openai-chat:gpt-4o", {"temperature": 0.3, "effort": "low"}, {"temperature": 0.3}, ["effort"]),
        ("mistral:mistral-large", {"max_tokens": 9}, {"max_tokens": 9}, []),
        ("alibaba:qwen3-max", {"thinking": True}, {"enable_thinking": True}, []),
        ("zai:glm-4.6", {"thinking": False}, {"thinking": {"type": "disabled"}}, []),
        ("openrouter:openai/gpt-5.2", {"effort": "low"}, {"reasoning": {"effort": "low"}}, []),
        ("openrouter:anthropic/claude-opus-4.6", {"thinking": True}, {"reasoning": {"enabled": True}}, []),
        (
            "openai:gpt-5-2025-08-07",
            {"effort": "xhigh"},
            {"reasoning": {"summary": "auto", "effort": "high"}},
            ["effort"],
        ),
        ("openai:gpt-5-2025-08-07", {"thinking": False}, {"reasoning": {"effort": "minimal"}}, []),
        ("openai:gpt-5-codex", {"thinking": False}, {}, ["thinking"]),
        ("openai:gpt-5.1-codex-mini", {"thinking": False}, {}, ["thinking"]),
        ("openai:gpt-5.2-codex", {"thinking": False}, {}, ["thinking"]),
        (
            "openai:gpt-5.2-pro",
            {"effort": "low"},
            {"reasoning": {"summary": "auto", "effort": "medium"}},
            ["effort"],
        ),
        (
            "openai:gpt-5.2-chat-latest",
            {"effort": "high"},
            {"reasoning": {"summary": "auto", "effort": "medium"}},
            ["effort"],
        ),
        ("openai:gpt-5-chat-latest", {"effort": "high", "thinking": True}, {}, ["effort", "thinking"]),
        ("openai:gpt-5.4", {"thinking": True}, {"reasoning": {"summary": "auto", "effort": "medium"}}, []),
        ("openai:gpt-4o", {"max_tokens": 64_000}, {"max_output_tokens": 16_384}, ["maxTokens"]),
        ("openai-chat:gpt-4o", {"max_tokens": 64_000}, {"max_completion_tokens": 16_384}, ["maxTokens"]),
        ("openai-chat:my-own", {"max_tokens": 64_000}, {"max_completion_tokens": 64_000}, []),
        ("google:gemini-2.5-pro", {"thinking": False}, {}, ["thinking"]),
        ("google:gemini-2.5-flash", {"thinking": False}, {"reasoning_effort": "none"}, []),
        ("google:gemini-3-pro-preview", {"thinking": False}, {}, ["thinking"]),
        ("google:gemini-3.5-flash", {"thinking": False}, {"reasoning_effort": "minimal"}, []),
        ("xai:grok-4", {"thinking": False}, {}, ["thinking"]),
        ("xai:grok-4.3", {"thinking": False}, {"reasoning_effort": "none"}, []),
        ("mistral:magistral-medium-2509", {"thinking": False}, {}, ["thinking"]),
        ("groq:qwen/qwen3-32b", {"thinking": False}, {"reasoning_effort": "none"}, []),
        ("ollama:qwen3:8b", {"thinking": False}, {"reasoning_effort": "none"}, []),
        ("ollama:who-knows", {"thinking": True}, {}, ["thinking"]),
        ("moonshot:kimi-k2-thinking", {"thinking": False}, {}, ["thinking"]),
        ("moonshot:kimi-k2-thinking", {"thinking": True}, {}, []),
        ("openai-chat:gpt-5.2", {"thinking": True}, {"reasoning_effort": "medium"}, []),
    ],
)
def test_openai_parameters(
    model: str, asked: dict[str, Any], sent: dict[str, Any], dropped: list[str]
) -> None:
    body, left_out = encode(model, **asked)
    kept = {"model", "input", "messages", "stream", "store", "instructions", "include", "stream_options"}
    found = {name: value for name, value in body.items() if name not in kept}
    if "reasoning" not in sent and found.get("reasoning") == {"summary": "auto"}:
        del found["reasoning"]
    assert (found, left_out) == (sent, dropped)


@pytest.mark.parametrize(
    ("model", "asked", "effort", "dropped"),
    [
        ("openai-chat:gpt-5.5", {}, "none", ["thinking"]),
        ("openai-chat:gpt-5.6-sol", {"effort": "max"}, "none", ["effort"]),
        ("openai-chat:gpt-6", {"thinking": True}, "none", ["thinking"]),
        ("openai-chat:gpt-5.5", {"thinking": False}, "none", []),
        ("openai-chat:gpt-5.5", {"thinking": False, "effort": "low"}, "none", ["effort"]),
        ("openai-chat:gpt-5.4", {}, None, []),
        ("openai-chat:gpt-5.4", {"effort": "low"}, "none", ["effort"]),
        ("openai-chat:gpt-5.2", {"effort": "low"}, "low", []),
    ],
)
def test_function_tools_over_chat_completions_where_the_model_must_not_think(
    model: str, asked: dict[str, Any], effort: str | None, dropped: list[str]
) -> None:
    body, left_out = encode(model, tools=[EDITOR], **asked)
    assert (body.get("reasoning_effort"), left_out) == (effort, dropped)
    without, _ = encode("openai-chat:gpt-5.5", effort="low")
    assert without["reasoning_effort"] == "low"


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
