"""The loopback provider is as strict as it says: it would be no judge of a history otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.model_checks import violations

USER = {"role": "user", "content": "go"}
USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
ANSWER = {"type": "tool_result", "tool_use_id": "c", "content": "r"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "r"}
ASKED = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}
TOLD = {"role": "tool", "tool_call_id": "c", "content": "r"}


def said(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


@pytest.mark.parametrize(
    ("format", "messages", "sound"),
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
        ("openai-chat", [USER, ASKED, TOLD], True),
        ("openai-chat", [USER, ASKED, USER], False),
        ("openai-chat", [USER, ASKED, TOLD, TOLD], False),
        ("openai-chat", [USER, TOLD], False),
        ("openai-chat", [USER, {"role": "assistant", "content": ""}], False),
    ],
)
def test_what_is_refused(format: Any, messages: list[Any], sound: bool) -> None:
    key = "input" if format == "openai-responses" else "messages"
    found = violations(format, {key: messages, "stream": True, "max_tokens": 9}, {"sealed"})
    assert (found == []) is sound, found
