"""Parameters of a request: sent where the model takes them, otherwise left out and reported."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.encoding import EDITOR, encode


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
def test_anthropic_parameters_are_sent_or_reported(
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
def test_openai_parameters_are_sent_or_reported(
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
