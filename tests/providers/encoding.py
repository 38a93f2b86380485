"""Request bodies of one call, and tools that have a native form."""

from __future__ import annotations

from typing import Any

from agent_runtime.agent.model import ModelCall, ToolSpec
from agent_runtime.protocol.messages import (
    UserMessage,
)
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve

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


def encode(model: str, **more: Any) -> tuple[dict[str, Any], list[str]]:
    call = ModelCall(model, more.pop("system", "sys"), more.pop("messages", [UserMessage.of("go")]), **more)
    body, dropped = wire_for(resolve(model, {})).encode(call)
    return body, [item.parameter for item in dropped]
