"""The loopback provider refuses what real providers refuse."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.testing.model_checks import violations

USER = {"role": "user", "content": "go"}
USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
ANSWER = {"type": "tool_result", "tool_use_id": "c", "content": "r"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "r"}
ASKED = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "r"}


def said(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


@pytest.mark.parametrize(
    ("format", "messages", "valid"),
    [
        ("anthropic", [USER, said("assistant", USE), said("user", ANSWER)], True),
        ("anthropic", [USER, said("assistant", USE), USER], False),
        ("anthropic", [USER, said("assistant", USE), said("user", ANSWER, ANSWER)], False),
        (
            "anthropic",
            [USER, said("assistant", USE), said("user", {"type": "text", "text": "x"}, ANSWER)],
            False,
        ),
        ("anthropic", [USER, USER], False),
        ("anthropic", [said("user", {"type": "text", "text": " "})], False),
        (
            "anthropic",
            [USER, said("assistant", {"type": "thinking", "thinking": "x", "signature": "?"}), USER],
            False,
        ),
        ("openai-responses", [USER, CALL, OUTPUT], True),
        ("openai-responses", [USER, CALL], False),
        ("openai-responses", [USER, CALL, OUTPUT, OUTPUT], False),
        ("openai-responses", [USER, OUTPUT], False),
        ("openai-responses", [USER, CALL, OUTPUT | {"type": "custom_tool_call_output"}], False),
        ("openai-responses", [USER, {"type": "reasoning", "id": "rs"}, USER], False),
        ("openai-chat", [USER, ASKED, RESULT], True),
        ("openai-chat", [USER, ASKED, USER], False),
        ("openai-chat", [USER, ASKED, RESULT, RESULT], False),
        ("openai-chat", [USER, RESULT], False),
        ("openai-chat", [USER, {"role": "assistant", "content": ""}], False),
    ],
)
def test_the_server_refuses_what_providers_refuse(format: Any, messages: list[Any], valid: bool) -> None:
    key = "input" if format == "openai-responses" else "messages"
    found = violations(format, {key: messages, "stream": True, "max_tokens": 9}, {"signed"})
    assert (found == []) is valid, found
