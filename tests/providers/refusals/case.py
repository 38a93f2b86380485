"""A refusal of a parameter, and what the adapter must learn from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent_runtime.agent.model import ToolSpec
from agent_runtime.protocol.messages import AssistantMessage, Image, Native, Text, UserMessage
from agent_runtime.testing.model_server import Fault, Turn

BASH = ToolSpec("bash", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}})
EDITOR = ToolSpec(
    "edit", "Edit.", {"type": "object"}, {"anthropic": {"type": "text_editor_20250728", "name": "edit"}}
)
PATCH = ToolSpec(
    "apply_patch",
    "Patch.",
    {"type": "object"},
    {"openai-responses": {"type": "custom", "name": "apply_patch"}},
)
SAID = AssistantMessage(
    blocks=(Text(text="hm"),),
    native=Native(
        format="openai-chat",
        model="m",
        items=({"role": "assistant", "content": "hm", "reasoning_details": [{"text": "x"}]},),
    ),
)
PICTURE = UserMessage(blocks=(Image(media_type="image/png", data="iVBORw0KGgo="),))
LARGE = 64_000


def refusal(message: str, param: str | None = None, status: int = 400) -> Turn:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return Turn(fault=Fault(status, body={"type": "error", "error": error}))


def detail(*loc: str | int) -> Turn:
    """What FastAPI answers, and Mistral."""
    body = {
        "detail": [{"type": "extra_forbidden", "loc": list(loc), "msg": "Extra inputs are not permitted"}]
    }
    return Turn(fault=Fault(422, body=body))


def custom(name: str, format: str = "openai") -> dict[str, Any]:
    return {"provider": "custom", "endpoint": "http://h/v1", "format": format, "name": name}


@dataclass(frozen=True)
class Case:
    """One refusal.

    gone: names that are in the body of the refused request, and in no later one.
    sent: fields with the values that they have in the later requests.
    reported: the parameters of the run that are reported as left out.
    """

    model: str | dict[str, Any]
    asked: dict[str, Any]
    refused: Turn
    gone: list[str] = field(default_factory=list)
    sent: dict[str, Any] = field(default_factory=dict)
    reported: list[str] = field(default_factory=list)
